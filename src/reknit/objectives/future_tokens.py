"""Future token prediction: each token's state is unfolded into what a small decoder needs for the next few tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reknit.corruptions.masking import ordinary_tokens
from reknit.corruptions.next_token import predict_next
from reknit.data.batch import Batch, Vocabulary, segments_of
from reknit.decoders.initial_weights import draw_like_bert
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.decoders.text_decoder import TextDecoder
from reknit.encoders.base import Encoder, TokenEncoder
from reknit.errors import ReknitError
from reknit.objectives.base import ObjectiveSpec, StepOutput
from reknit.objectives.draws import draw_seed, drawn_tokens
from reknit.objectives.predictions import Predictions, ReconstructionObjective, losses_of, tied_vocabulary
from reknit.ranges import FractionBelowOne, PositiveFraction, PositiveInt


@dataclass(frozen=True)
class FutureTokensSpec(ObjectiveSpec):
    """Settings of Future Token Prediction (Walker 2024)."""

    ahead: PositiveInt = 8
    """Following tokens that each state predicts."""
    decay: PositiveFraction = 0.8
    """Weight of each following token relative to the token before it; the weights of all are scaled to sum to 1. 1
    weights all alike.
    """
    unfolded: PositiveInt = 12
    """Vectors that a state is turned into for the decoder."""
    layers: PositiveInt = 3
    """Layers of the decoder."""
    share: PositiveFraction = 0.125
    """Fraction of a batch's tokens, sampled again in each step, whose following tokens are predicted; the decoder's
    cost grows with it.
    """
    dropout: FractionBelowOne = 0.1
    """Probability that an activation or attention weight of the decoder is set to 0 in training."""

    def __post_init__(self) -> None:
        if min(self.ahead, self.unfolded, self.layers) < 1:
            raise ReknitError("objective.ahead, objective.unfolded and objective.layers must be 1 or more")
        if not 0.0 < self.decay <= 1.0 or not 0.0 < self.share <= 1.0:
            raise ReknitError(f"decay is {self.decay} and share {self.share}; both must be above 0 and at most 1")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> FutureTokens:
        return FutureTokens(self, encoder.dim, tied_vocabulary(encoder))


class FutureTokens(ReconstructionObjective):
    """Losses "ahead_1" to "ahead_N": cross-entropy of the token 1 to N positions ahead, under causal attention."""

    def __init__(self, spec: FutureTokensSpec, dim: int, vocabulary: int) -> None:
        super().__init__()
        self.spec = spec
        self.head = LanguageModelHead(dim, vocabulary)
        self.unfold = nn.Linear(dim, spec.unfolded * dim)
        self.decoder = TextDecoder(dim, spec.layers, max_positions=spec.ahead, dropout=spec.dropout)
        draw_like_bert((self.unfold,))

    @property
    def left_to_right(self) -> bool:
        return True

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        spec = self.spec
        drawn = drawn_tokens(batch, draw_seed(rng), spec.share)
        rows = drawn.nonzero().squeeze(1)
        if not rows.numel():
            # A process whose share has none writes all the same, and nothing is asked of it: all must do alike.
            rows = rows.new_zeros(1)
        states = encoder(predict_next(batch, rng)).last
        ordinary, texts = ordinary_tokens(batch), segments_of(batch.cu_seqlens)
        written = self._write(encoder, batch, states, rows)
        total = sum(spec.decay**step for step in range(spec.ahead))
        found = {}
        for step in range(spec.ahead):
            places = (rows + step + 1).clamp(max=batch.num_tokens - 1)
            there = drawn[rows] & (places > rows + step) & (texts[places] == texts[rows]) & ordinary[places]
            places = places[there]
            unseen = torch.ones_like(places, dtype=torch.bool)
            found[f"ahead_{step + 1}"] = Predictions(
                self.head(written[there, step]), places, batch.tokens[places], unseen, spec.decay**step / total
            )
        return found

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        return losses_of(self.predictions(encoder, batch, rng), encoder.table, self.head.bias)

    def _write(self, encoder: TokenEncoder, batch: Batch, states: Tensor, rows: Tensor) -> Tensor:
        """[R, ahead, dim]: at place j what the state of a row makes of its token and the j that follow it.

        Beyond the end of a text stand other tokens, behind all that is asked for.
        """
        count, ahead, unfolded, dim = rows.numel(), self.spec.ahead, self.spec.unfolded, states.shape[1]
        places = (rows[:, None] + torch.arange(ahead, device=rows.device)).clamp(max=batch.num_tokens - 1)
        texts, memories = (torch.arange(count + 1, device=rows.device) * each for each in (ahead, unfolded))
        memory = self.unfold(states[rows]).view(count * unfolded, dim)
        written: Tensor = self.decoder(batch.tokens[places].flatten(), texts, encoder.table, memory, memories)
        return written.view(count, ahead, dim)
