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
