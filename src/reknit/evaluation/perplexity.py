"""How well a language model predicts texts that it has not learnt from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reknit.data.text.documents import ReadReport
from reknit.data.text.passages import split_passages, split_sentences
from reknit.data.text.readers import COMPRESSED_SUFFIXES, read_documents
from reknit.errors import ReknitError
from reknit.evaluation.measure import Measure, Subject
from reknit.objectives.base import TextLikelihood

PSEUDO_PERPLEXITY, PERPLEXITY = "pseudo-perplexity", "perplexity"

_UNSEEN_PASSAGES = 100
_PARTS_OF_LABELLED_FOLDERS = ("queries.jsonl", "qrels", "train.tsv", "dev.tsv", "test.tsv")
_TEXTS_AT_ONCE = 8
# Of a model that has diverged: larger ones could not be squared, as intervals do.
_LARGEST_EXPONENT = 100.0

Likelihood = Callable[[list[str]], tuple[list[float], list[int]]]
"""Texts -> the logarithm of each one's likelihood, and the number of tokens that this is a sum over."""


@dataclass(frozen=True)
class UnseenTexts:
    """passages: what is asked for."""

    name: str
    passages: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """Those of the passages, which training must not see: a corpus may hold them in pieces of any kind."""
        return tuple(dict.fromkeys(sentence for passage in self.passages for sentence in split_sentences(passage)))


@dataclass(frozen=True)
class PerplexityMeasure(Measure):
    """Perplexity of unseen passages by a language model that reads from left to right (`causal`), or
    pseudo-perplexity by one that reads both sides."""

    lower_is_better = True
    of_language_models = True

    texts: UnseenTexts
    causal: bool

    @property
    def label(self) -> str:
        return f"{self.texts.name} {PERPLEXITY if self.causal else PSEUDO_PERPLEXITY}"

    @property
    def texts_to_keep_out(self) -> tuple[str, ...]:
        return self.texts.sentences

    def value(self, subject: Subject) -> float | None:
        likelihood = likelihood_of(subject, self.causal)
        return None if likelihood is None else perplexity(self.texts.passages, likelihood)


def opened(place: Path) -> list[Measure]:
    """Both measures of a file or folder of texts. Raises ReknitError for what holds none, or a part of a labelled
    folder."""
    inside = [path for path in (place, *place.rglob("*")) if path.name in _PARTS_OF_LABELLED_FOLDERS]
    if inside:
        raise ReknitError(f"{inside[0]} is part of a labelled folder: pass the whole folder to --eval")
    texts = load_unseen_texts(place, _UNSEEN_PASSAGES)
    return [PerplexityMeasure(texts, causal=False), PerplexityMeasure(texts, causal=True)]


def likelihood_of(subject: Subject, causal: bool | None = None) -> Likelihood | None:
    """The likelihoods of texts by the language model that was trained; None where there is none of that kind.

    causal: whether it must read from left to right; None for any.
    """
    objective, model = subject.objective, subject.trained
    if objective is None:
        return None
    device = next(model.encoder.parameters()).device

    def asked(texts: list[str]) -> TextLikelihood | None:
        batch = model.tokenizer.pack(texts, min(subject.max_length, model.max_length)).to(device)
        return objective.log_likelihood(model.encoder, batch)

    def likelihood(texts: list[str]) -> tuple[list[float], list[int]]:
        found = asked(texts)
        assert found is not None
        return found.logs.tolist(), found.tokens.tolist()

    kind = asked(["a"])
    return None if kind is None or causal not in (None, kind.causal) else likelihood


def load_unseen_texts(place: Path | str, at_most: int) -> UnseenTexts:
    """Read a file or folder as a corpus is read, and take `at_most` of its passages, evenly spread.

    They have the name of the folder, or of the file without its ending; those of a corpus.jsonl that of its folder.
    Raises ReknitError for a place or a record that cannot be read, and when there is no text.
    """
    place = Path(place)
    documents = read_documents(place, ReadReport(), max_bad=0)
    passages = [passage for document in documents for passage in split_passages(document.text) if passage.strip()]
    if not passages:
        raise ReknitError(f"{place} holds no text")
    taken = min(at_most, len(passages))
    return UnseenTexts(_name_of(place), tuple(passages[number * len(passages) // taken] for number in range(taken)))


def perplexity(texts: Sequence[str], likelihood: Likelihood) -> float | None:
    """exp of the negative mean log-likelihood of a token, over all tokens of all texts; 1 is the best.

    With pseudo-log-likelihoods it is the pseudo-perplexity of Salazar et al. 2020 (https://arxiv.org/abs/1910.14659).
    None where the texts have no token that the tokenizer knows.
    """
    total, tokens = 0.0, 0
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        logs, counts = likelihood(list(texts[first : first + _TEXTS_AT_ONCE]))
        total, tokens = total + sum(logs), tokens + sum(counts)
    return math.exp(min(-total / tokens, _LARGEST_EXPONENT)) if tokens else None


def _name_of(place: Path) -> str:
    place = place.resolve()
    if place.is_dir():
        return place.name
    plain = place.with_suffix("") if place.suffix in COMPRESSED_SUFFIXES else place
    return place.parent.name if plain.stem == "corpus" else plain.stem
