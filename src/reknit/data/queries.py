"""Pseudo-queries: what stands in for a user's questions when there are only documents."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from reknit.data.passages import count_words, split_sentences
from reknit.data.store import PassageStore

MIN_TITLE_WORDS = 2
MIN_SENTENCE_WORDS = 4
MAX_SENTENCE_WORDS = 24
MIN_PLAIN_SHARE = 0.7
# Around and inside the words of prose; brackets, operators and underscores are those of code.
_PUNCTUATION = ".,;:!?\"'()“”‘’«»…–—。！？、，"
_QUOTES = "\"'`#*/ "
_INNER = re.compile(r"[-'’/]")


@dataclass(frozen=True, slots=True)
class PseudoQuery:
    """A text that a user might search for, and the passage (its number in the store) that it was taken from."""

    text: str
    passage: int
    kind: Literal["title", "sentence"]


def mine_queries(
    store: PassageStore,
    passages: Sequence[int],
    training_text: Mapping[int, str],
    *,
    per_passage: int,
    limit: int,
    seed: int,
) -> list[PseudoQuery]:
    """At most `limit` pseudo-queries of the passages, in random order: titles, and sentences of up to 24 words.

    passages: numbers in the store. A title is taken once a document. Longer sentences give a window of 24 words; those
    of less than 4 words give nothing, nor do lines of code or tables beside sentences of words: people search in
    words. training_text: {passage: its text as training may see it}; such a passage gives no title. A passage gives
    `per_passage` queries at most.
    """
    titled: set[int] = set()
    found: list[PseudoQuery] = []
    # Texts are drawn passage by passage in random order, so that stopping at the limit favours no part of the corpus.
    order = random.Random(f"queries {seed}").sample(list(passages), len(passages))
    for number in order:
        rng = random.Random(f"queries {seed} {number}")
        text = training_text.get(number)
        mine: list[PseudoQuery] = []
        if text is None:
            passage = store[number]
            text = passage.text
            if passage.document not in titled and count_words(passage.title) >= MIN_TITLE_WORDS:
                titled.add(passage.document)
                mine.append(PseudoQuery(passage.title, number, "title"))
        sentences = [one for one in split_sentences(text) if count_words(one) >= MIN_SENTENCE_WORDS]
        sentences = [one for one in sentences if is_prose(one)] or sentences
        mine += [PseudoQuery(_window(one, rng), number, "sentence") for one in sentences]
        found += rng.sample(mine, min(per_passage, len(mine)))
        if len(found) >= limit:
            break
    random.Random(f"queries {seed} order").shuffle(found)
    return found[:limit]


def is_prose(sentence: str) -> bool:
    """Whether most of what stands between white space is words of letters, in any script."""
    words = sentence.split()
    plain = sum(_INNER.sub("", word.strip(_PUNCTUATION)).isalpha() for word in words)
    return plain >= MIN_PLAIN_SHARE * len(words)


def _window(sentence: str, rng: random.Random) -> str:
    words = sentence.strip(_QUOTES).split()
    first = rng.randrange(max(1, len(words) - MAX_SENTENCE_WORDS + 1))
    return " ".join(words[first : first + MAX_SENTENCE_WORDS])
