"""Explicit n-gram masking: a bigram is replaced by one mask token and predicted as one entry of a lexicon
(ERNIE-Gram)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reknit.corruptions.masking import mask_tokens
from reknit.corruptions.ngrams import ALONE, FIRST, SEEN, mask_bigrams, view_places
from reknit.data.batch import Batch, Vocabulary
from reknit.decoders.initial_weights import draw_like_bert
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.encoders.base import Encoder, TokenEncoder
from reknit.errors import ReknitError
from reknit.objectives.base import FollowsProgress, ObjectiveSpec, StepOutput, TextLikelihood
from reknit.objectives.bigram_lexicon import BigramLexicon
from reknit.objectives.likelihood import masked_log_likelihood
from reknit.objectives.predictions import (
    Choices,
    Predictions,
    ReconstructionObjective,
    losses_of,
    predicted_in_place,
    tied_vocabulary,
)
from reknit.ranges import FractionBelowOne, PositiveFraction, PositiveInt


@dataclass(frozen=True)
class ExplicitNgramSpec(ObjectiveSpec):
    """Settings of ERNIE-Gram (Xiao et al. 2021)."""

    ratio: PositiveFraction = 0.15
    """Fraction of each text's ordinary tokens that are masked, at least one token."""
    lexicon: PositiveInt = 4096
    """Bigrams of the lexicon, at most: those that occur more often than their tokens alone explain, by t-statistic."""
    counting: FractionBelowOne = 0.1
    """Fraction of the budget in which single tokens are masked and bigrams are counted, before the lexicon is made;
    with 0 the lexicon stays empty.
    """
    explicit: bool = True
    """Predict the number that a masked bigram has in the lexicon."""
    comprehensive: bool = True
    """Predict the two tokens of a masked bigram from its one mask."""
    contiguous: bool = False
    """Mask each token of a bigram and predict it from its own mask, instead of either: the masking that the paper
    argues against.
    """

    def __post_init__(self) -> None:
        if self.lexicon < 1:
            raise ReknitError(f"lexicon is {self.lexicon}; it must be 1 or more")
        if not 0.0 <= self.counting < 1.0:
            raise ReknitError(f"counting is {self.counting}; it must be 0 or more and below 1")
        if not (self.explicit or self.comprehensive or self.contiguous):
            raise ReknitError("nothing is predicted of a bigram: set explicit, comprehensive or contiguous to true")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> ExplicitNgrams:
        return ExplicitNgrams(self, encoder.dim, tied_vocabulary(encoder), vocabulary.size)


class ExplicitNgrams(FollowsProgress[TokenEncoder], ReconstructionObjective):
    """Losses "masked", cross-entropy of the masked tokens, and, once there is a lexicon, "ngram", that of the masked
    bigrams' numbers in it.

    A bigram's tokens are both predicted from the state of its one mask, to which the learned vector of a token's place
    in the bigram is added, so neither prediction sees the other token.

    Which tokens are hidden depends on the text itself through `bigrams`, and on nothing else that is hidden: a single
    mask says that no known bigram stood there. That is so in the paper too.
    """

    def __init__(self, spec: ExplicitNgramSpec, dim: int, rows: int, vocabulary: int) -> None:
        super().__init__()
        self.spec = spec
        self.head = LanguageModelHead(dim, rows)
        self.lexicon = BigramLexicon(spec.lexicon, vocabulary)
        if spec.comprehensive and not spec.contiguous:
            # One row for each of ALONE, FIRST and SECOND, the first of which stays 0.
            self.place = nn.Embedding(3, dim, padding_idx=0)
            draw_like_bert((self.place,))
            nn.init.zeros_(self.place.weight[0])
        if spec.explicit and not spec.contiguous:
            self.ngram_head = LanguageModelHead(dim, spec.lexicon)
            self.ngram_table = nn.Embedding(spec.lexicon, dim)
            draw_like_bert((self.ngram_table,))

    @property
    def stage(self) -> str:
        return "counting" if float(self.progress) < self.spec.counting else "n-grams"

    def bigrams(self, batch: Batch) -> Tensor:
        """[T] bool, where a bigram of the lexicon begins."""
        return self.lexicon.numbers(batch) >= 0

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        spec = self.spec
        if self.stage == "counting":
            view = mask_tokens(batch, rng, ratio=spec.ratio, random_share=0.0, keep_share=0.0)
            return {"masked": predicted_in_place(view, encoder(view).last, self.head)}
        view, became = mask_bigrams(batch, rng, self.bigrams(batch.whole), ratio=spec.ratio, joined=not spec.contiguous)
        states, seen_at = encoder(view).last, view_places(became)
        single = became > SEEN if spec.comprehensive else became == ALONE
        places = single.nonzero().squeeze(1)
        read = states[seen_at[places]]
        if hasattr(self, "place"):
            read = read + self.place(became[places] - ALONE)
        unseen = torch.ones_like(places, dtype=torch.bool)
        found = {"masked": Predictions(self.head(read), places, batch.tokens[places], unseen)}
        if hasattr(self, "ngram_table"):
            places = (became == FIRST).nonzero().squeeze(1)
            found["ngram"] = Predictions(
                self.ngram_head(states[seen_at[places]]),
                places,
                self.lexicon.numbers(batch)[places],
                torch.ones_like(places, dtype=torch.bool),
                choices=Choices(self.ngram_table.weight, self.ngram_head.bias, self.lexicon.tokens),
            )
        return found

    def log_likelihood(self, encoder: TokenEncoder, batch: Batch) -> TextLikelihood:
        return masked_log_likelihood(encoder, self.head, batch)

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        if self.training and self.stage == "counting":
            self.lexicon.count(batch.whole)
        return losses_of(self.predictions(encoder, batch, rng), encoder.table, self.head.bias)

    def after_step(self, encoder: TokenEncoder, progress: float) -> None:
        super().after_step(encoder, progress)
        if self.stage != "counting" and not self.lexicon.learnt:
            self.lexicon.learn()
