"""Pseudo-queries: what stands in for a user's questions when there are only documents."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import regex

from reknit.data.text.curation import hash_text, normalise
from reknit.data.text.passage_store import PassageStore
from reknit.data.text.passages import count_words, is_unspaced, split_sentences

MIN_TITLE_WORDS = 2
MIN_SENTENCE_WORDS = 4
MAX_SENTENCE_WORDS = 24
MIN_PLAIN_SHARE = 0.7
# Around and inside the words of prose; brackets, operators and underscores are those of code.
_PUNCTUATION = ".,;:!?\"'()“”‘’«»…–—。！？、，「」『』（）・।؟"
_QUOTES = "\"'`#*/ "
_INNER = re.compile(r"[-'’/]")
_MARKS = regex.compile(r"\p{M}+")


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

    passages: numbers in the store. A title is taken once a document. Longer sentences give a window of 24 words, and
    twice as long ones two, as text without punctuation has; those of less than 4 words give nothing, nor do lines of
    code or tables beside sentences of words: people search in words. What stands in several documents, as a licence
    does, belongs to none of them: it is taken of passages that have nothing else, and once. training_text: {passage:
    its text as training may see it}; such a passage gives no title. A passage gives `per_passage` queries at most.
    """
    texts: dict[int, dict[int, PseudoQuery]] = {}  # {passage: {content: text}}
    titled: set[int] = set()
    # Texts are drawn passage by passage in random order, so that stopping at the limit favours no part of the corpus.
    for number in random.Random(f"queries {seed}").sample(list(passages), len(passages)):
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
        mine += [PseudoQuery(one, number, "sentence") for one in sentences]
        # A text may begin with its title; backwards, so that it stays the title.
        texts[number] = {hash_text(normalise(one.text)): one for one in reversed(mine)}
    standing_in = Counter(content for own in texts.values() for content in own)
    taken: set[int] = set()
    found: list[PseudoQuery] = []
    for number, own in texts.items():
        rng = random.Random(f"queries {seed} {number}")
        alone = [content for content in own if standing_in[content] == 1]
        kept = alone or [content for content in own if content not in taken]
        taken.update(kept)
        cut = [part for content in kept for part in _cut(own[content], rng)]
        found += rng.sample(cut, min(per_passage, len(cut)))
        if len(found) >= limit:
            break
    random.Random(f"queries {seed} order").shuffle(found)
    return found[:limit]


def is_prose(sentence: str) -> bool:
    """Whether most of what stands between white space is words of letters, in any script; in scripts without spaces,
    whether most characters are letters."""
    sentence = _MARKS.sub("", sentence)  # of which many scripts write vowels, and which are no letters to Python
    if is_unspaced(sentence):
        pieces = [piece for piece in sentence if not piece.isspace() and piece not in _PUNCTUATION]
    else:
        pieces = [_INNER.sub("", word.strip(_PUNCTUATION)) for word in sentence.split()]
    return sum(map(str.isalpha, pieces)) >= MIN_PLAIN_SHARE * len(pieces)


def _cut(query: PseudoQuery, rng: random.Random) -> list[PseudoQuery]:
    """A title as it is; of a sentence a window, or as many as it has room for, one behind the other."""
    if query.kind == "title":
        return [query]
    words = query.text.strip(_QUOTES).split()
    windows = max(1, len(words) // MAX_SENTENCE_WORDS)
    first = rng.randrange(max(1, len(words) - windows * MAX_SENTENCE_WORDS + 1))
    starts = range(first, first + windows * MAX_SENTENCE_WORDS, MAX_SENTENCE_WORDS)
    return [replace(query, text=" ".join(words[start : start + MAX_SENTENCE_WORDS])) for start in starts]
