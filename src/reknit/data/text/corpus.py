"""A corpus as a run has it: passages on disk, what is held out of training, and what reading it met."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from reknit.data.text.documents import ReadReport
from reknit.data.text.holdout import HeldOut
from reknit.data.text.language import language_of, places_to_look_at
from reknit.data.text.passage_store import PassageStore
from reknit.data.text.passages import PASSAGE_WORDS
from reknit.errors import ReknitError

FILES_NAMED = 5


@dataclass(frozen=True)
class Corpus:
    """Passages, how reading them went, what is held out of training, and the corpus as the user named it.

    store: what is trained on. whole: the passages as users search them, where evaluations' queries were taken out of
    `store`; None where nothing was. passage_words: the most that a passage has.
    """

    store: PassageStore
    report: ReadReport
    held_out: HeldOut
    name: str = "the corpus"
    whole: PassageStore | None = None
    passage_words: int = PASSAGE_WORDS

    @property
    def searched(self) -> PassageStore:
        """The passages that an index holds: the texts as they are, whatever they are evaluated by."""
        return self.whole or self.store

    @property
    def language(self) -> str:
        """As `language_of` names that of the passages."""
        return language_of([self.store[place].full_text for place in places_to_look_at(len(self.store))])

    def training_texts(self) -> Iterator[str]:
        """Every passage as training may see it: a probe's answer without its query."""
        for place, passage in enumerate(self.store):
            yield self.held_out.training_text.get(place, passage.full_text)

    def training_text(self, number: int) -> str:
        """One passage, by its number in the store, as training may see it."""
        held = self.held_out.training_text.get(number)
        return self.store[number].full_text if held is None else held

    def drawn(self, count: int, seed: int) -> np.ndarray:
        """[count] numbers of passages in random order, all where there are no more. A smaller sample is the beginning
        of a larger one, so that what one of them needs of a passage serves the other too."""
        return np.random.default_rng([seed, 1]).permutation(len(self.store))[:count]

    def passages_below(self, below: str) -> np.ndarray | None:
        """[k] numbers of the passages from files whose path begins with `below`; None for all of them, below "".

        They are numbers of training texts too: every passage gives one. Raises ReknitError when there are none.
        """
        if not below:
            return None
        found = self.store.numbers_below(below)
        if not len(found):
            files = [name for name in self.store.top_sources(FILES_NAMED + 1) if name]
            there = f"there are {', '.join(files[:FILES_NAMED])}{' ...' if len(files) > FILES_NAMED else ''}"
            unnamed = "it is built in, or was read before files were remembered (then start in a new folder)"
            raise ReknitError(
                f"data.below={below}: no passage of {self.name} is from a file whose path begins with it; "
                f"{there if files else unnamed}"
            )
        return found

    def sampled_training_texts(self, words: int, seed: int) -> Iterator[str]:
        """A sample of `training_texts` of about `words` words, drawn passage by passage; all of a smaller corpus."""
        drawn = np.random.default_rng(seed).random(len(self.store)) < words / max(self.store.words, 1)
        for place in np.flatnonzero(drawn).tolist():
            yield self.training_text(place)
