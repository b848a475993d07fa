"""How well a language model predicts texts that it has not learnt from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reknit.data.documents import ReadReport
from reknit.data.passages import split_passages
from reknit.data.readers import read_documents
from reknit.errors import ReknitError

_TEXTS_AT_ONCE = 8
_LARGEST_EXPONENT = 700.0

Likelihood = Callable[[list[str]], tuple[list[float], list[int]]]
"""Texts -> the logarithm of each one's likelihood, and the number of tokens that this is a sum over."""


@dataclass(frozen=True)
class UnseenTexts:
    """documents: the texts of all that was read, which training must not see. passages: those that are asked for."""

    name: str
    documents: tuple[str, ...]
    passages: tuple[str, ...]


def load_unseen_texts(place: Path | str, at_most: int) -> UnseenTexts:
    """Read a file or folder as a corpus is read, and take `at_most` of its passages, evenly spread.

    They have the name of the file or folder, those of a corpus.jsonl that of its folder. Raises ReknitError for a place
    or a record that cannot be read, and when there is no text.
    """
    place = Path(place)
    documents = tuple(one.text for one in read_documents(place, ReadReport(), max_bad=0) if one.text.strip())
    passages = [passage for text in documents for passage in split_passages(text)]
    if not passages:
        raise ReknitError(f"{place} holds no text")
    taken = min(at_most, len(passages))
    spread = tuple(passages[number * len(passages) // taken] for number in range(taken))
    name = place.resolve().name.split(".")[0]
    return UnseenTexts(place.resolve().parent.name if name == "corpus" else name, documents, spread)


def perplexity(texts: Sequence[str], likelihood: Likelihood) -> float:
    """exp of the negative mean log-likelihood of a token, over all tokens of all texts; 1 is the best.

    With pseudo-log-likelihoods it is the pseudo-perplexity of Salazar et al. 2020 (https://arxiv.org/abs/1910.14659).
    Raises ReknitError when the texts have no token that the model could be asked for.
    """
    total, tokens = 0.0, 0
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        logs, counts = likelihood(list(texts[first : first + _TEXTS_AT_ONCE]))
        total, tokens = total + sum(logs), tokens + sum(counts)
    if not tokens:
        raise ReknitError("perplexity: the texts have no token that the tokenizer knows; name others with --eval")
    return math.exp(min(-total / tokens, _LARGEST_EXPONENT))
