"""Pairs mined from unlabelled text, each a pure function of (seed, epoch, index)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np

from reknit.data.order import EpochOrder, TogetherOrder
from reknit.data.text.holdout import HeldOut
from reknit.data.text.passage_store import PassageStore
from reknit.data.text.passages import count_words, cut_sentence, split_sentences, without_leading_title
from reknit.errors import ReknitError

PairKind = Literal["title", "neighbour", "crop", "sentences", "twin", "span-mask", "deletion", "reorder"]

MASKED_CHARACTERS = 5
MIN_MASKABLE_CHARACTERS = 30
MIN_BODY_WORDS = 3
DELETED_WORDS = 0.3
SHUFFLED_RUNS = 5


@dataclass(frozen=True, slots=True)
class TextPair:
    """Two texts that belong together.

    kind: how they were found. group: number of their document; pairs of one group are not each other's negatives.
    """

    query: str
    passage: str
    kind: PairKind
    group: int


class PairMiner:
    """Pairs of a passage store: one per passage and epoch, in a fresh order each epoch.

    passages: numbers of those that pairs are mined from, whole documents; None for all.

    Kinds:
        title: the title and the body.
        neighbour: two adjacent passages of one document.
        crop: a sentence and the rest of its passage (inverse cloze task, https://arxiv.org/abs/1906.00300).
        sentences: a sentence, and one or two that follow each other elsewhere in its passage (spans in the same
            paragraph, https://arxiv.org/abs/2205.10455).
        twin: the text with itself; dropout makes the difference (SimCSE, https://arxiv.org/abs/2104.08821).
        span-mask: the text with itself, five characters of the second replaced by the mask token (Mirror-BERT,
            https://arxiv.org/abs/2104.08027).
        deletion, reorder: the text with itself, of the second three words in ten left out by chance, or five runs of
            words shuffled (CLEAR, https://arxiv.org/abs/2012.15466).
    Of the kinds asked for, those that a passage offers are equally likely; a passage that offers none gives a crop,
    and one that is too short for a crop a twin. Passages held out for the probe are seen only as
    `HeldOut.training_text` shows them, without a title.

    mask_token: the tokenizer's; empty if it has none (the span is then deleted). together: so many pairs of a document
    stand side by side, as far as it has them, so that they meet in a batch.
    """

    def __init__(
        self,
        store: PassageStore,
        kinds: tuple[PairKind, ...],
        held_out: HeldOut | None,
        seed: int,
        mask_token: str = "[MASK]",
        passages: np.ndarray | None = None,
        together: int = 1,
    ):
        unknown = [kind for kind in kinds if kind not in get_args(PairKind)]
        if unknown or not kinds:
            raise ReknitError(f"pair kinds must be some of {', '.join(get_args(PairKind))}; got {list(kinds)}")
        self._store = store
        self._kinds = kinds
        self._training_text = held_out.training_text if held_out else {}
        self._seed = seed
        self._mask_token = mask_token
        self._passages: Sequence[int] | np.ndarray = range(len(store)) if passages is None else passages
        self._order = EpochOrder(len(self._passages), seed)
        if together > 1:
            numbers = store.document_numbers if passages is None else store.document_numbers[passages]
            self._order = TogetherOrder(numbers, together, seed)

    def __len__(self) -> int:
        return len(self._passages)

    def pair(self, index: int, epoch: int) -> TextPair:
        """Pair number `index` (0 to len - 1) of an epoch (from 0)."""
        if not 0 <= index < len(self):
            raise IndexError(f"pair {index} of {len(self)}")
        number = int(self._passages[self._order(epoch)[index]])
        rng = random.Random(f"pair {self._seed} {epoch} {index}")
        wished = rng.sample(self._kinds, len(self._kinds))
        for kind in (*wished, "crop", "twin"):
            texts = self._texts(kind, number, rng)
            if texts is not None:
                return TextPair(*texts, kind, int(self._store.document_numbers[number]))
        raise AssertionError("every passage offers a twin")

    def _visible(self, number: int) -> tuple[str, str]:
        """Title and text of a passage as training may see them."""
        held = self._training_text.get(number)
        if held is not None:
            return "", held
        passage = self._store[number]
        return passage.title, passage.text

    def _texts(self, kind: PairKind, number: int, rng: random.Random) -> tuple[str, str] | None:
        """(query, passage) of a kind, or None where the passage does not offer it."""
        title, text = self._visible(number)
        whole = f"{title} {text}".strip()
        if kind == "title":
            body = without_leading_title(text, title)
            return (title, body) if title and count_words(body) >= MIN_BODY_WORDS else None
        if kind == "neighbour":
            neighbours = self._neighbours(number)
            return (text, " ".join(self._visible(rng.choice(neighbours))).strip()) if neighbours else None
        if kind == "crop":
            cut = cut_sentence(text, rng)
            return (cut[0], f"{title} {cut[1]}".strip()) if cut else None
        if kind == "sentences":
            return _two_spans(split_sentences(text), rng)
        if kind == "span-mask":
            if len(whole) < MIN_MASKABLE_CHARACTERS:
                return None
            start = rng.randrange(len(whole) - MASKED_CHARACTERS + 1)
            return whole, f"{whole[:start]}{self._mask_token}{whole[start + MASKED_CHARACTERS :]}"
        if kind in ("deletion", "reorder"):
            words = whole.split()
            if len(words) < 2:
                return None
            return whole, " ".join(_without_some(words, rng) if kind == "deletion" else _shuffled_runs(words, rng))
        return whole, whole

    def _neighbours(self, number: int) -> list[int]:
        documents = self._store.document_numbers
        candidates = (number - 1, number + 1)
        return [n for n in candidates if 0 <= n < len(documents) and documents[n] == documents[number]]


def _two_spans(sentences: list[str], rng: random.Random) -> tuple[str, str] | None:
    """A sentence, and one or two of those before it or of those behind it, both sides equally likely."""
    if len(sentences) < 2:
        return None
    length = rng.randint(1, min(2, len(sentences) - 1))
    # What is drawn is the order of both and where the gaps are.
    free, first_is_longer = len(sentences) - 1 - length, rng.random() < 0.5
    before, between = sorted(rng.randint(0, free) for _ in range(2))
    places = (before, between + (length if first_is_longer else 1))
    one, several = reversed(places) if first_is_longer else places
    return sentences[one], " ".join(sentences[several : several + length])


def _without_some(words: list[str], rng: random.Random) -> list[str]:
    left = [word for word in words if rng.random() >= DELETED_WORDS]
    return left or [rng.choice(words)]


def _shuffled_runs(words: list[str], rng: random.Random) -> list[str]:
    cuts = sorted(rng.sample(range(1, len(words)), min(SHUFFLED_RUNS, len(words)) - 1))
    runs = [words[first:last] for first, last in pairwise((0, *cuts, len(words)))]
    rng.shuffle(runs)
    return [word for run in runs for word in run]
