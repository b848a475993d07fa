"""A tokenizer transfer: the rows of a new tokenizer's table, made from those of the table that a model has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from reknit.part import Part
from reknit.tokenizers.tokenizer import Tokenizer
from reknit.vocabulary.alignment import WordPair

Texts = Callable[[], Iterable[str]]

KEPT, COMBINED, DRAWN = 0, 1, 2
_SPECIAL = ("pad", "unk", "cls", "sep", "mask", "bos", "eos")


@dataclass(frozen=True)
class TransferMaterial:
    """What a transfer may use.

    rows: [source vocabulary, dim] float32, the old table. kept: [target vocabulary] int64, for each new token the old
    row that it keeps, -1 where its row is to be made (`rows_to_keep`). texts: of the new tokenizer's language.
    source_texts: of the old one's, None where it is the same. translations: word pairs of the two. seed: of everything
    random.
    """

    rows: np.ndarray
    source: Tokenizer
    target: Tokenizer
    kept: np.ndarray
    texts: Texts
    source_texts: Texts | None = None
    translations: tuple[WordPair, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class NewRows:
    """rows: [target vocabulary, dim] float32. origin: [target vocabulary] int8, KEPT, COMBINED or DRAWN."""

    rows: np.ndarray
    origin: np.ndarray

    def counts(self) -> dict[str, int]:
        """How many rows are of each origin."""
        names = {"kept": KEPT, "combined": COMBINED, "drawn": DRAWN}
        return {name: int((self.origin == number).sum()) for name, number in names.items()}


class TokenizerTransfer(Part, ABC):
    """How the rows of new tokens are made; concrete ones are frozen dataclasses with their settings.

    `new_rows` is a linear function of the old rows where it combines them, so that whatever else belongs to a token (an
    output bias) can be one more column.
    """

    role: ClassVar[str] = "tokenizer transfer"
    verb: ClassVar[str] = "vocabulary"

    @abstractmethod
    def combine(self, material: TransferMaterial) -> tuple[np.ndarray, np.ndarray]:
        """[target vocabulary, dim] rows and [target vocabulary] bool, which of them could be made."""

    def new_rows(self, material: TransferMaterial) -> NewRows:
        """The whole new table: kept rows bit for bit, those that `combine` makes, and for the rest draws from a normal
        distribution with each column's mean and standard deviation in the old table."""
        old = material.rows.astype(np.float32, copy=False)
        made, could = self.combine(material)
        rng = np.random.default_rng([material.seed, 5])
        spread = old.std(axis=0, dtype=np.float64), old.mean(axis=0, dtype=np.float64)
        rows = (rng.standard_normal((len(material.kept), old.shape[1])) * spread[0] + spread[1]).astype(np.float32)
        rows[could] = made[could]
        kept = material.kept >= 0
        rows[kept] = old[material.kept[kept]]
        return NewRows(rows, np.where(kept, KEPT, np.where(could, COMBINED, DRAWN)).astype(np.int8))


@dataclass(frozen=True)
class RandomRows(TokenizerTransfer):
    """No transfer: every row that is not kept is random. What any method has to beat."""

    def combine(self, material: TransferMaterial) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((len(material.kept), material.rows.shape[1])), np.zeros(len(material.kept), dtype=bool)


def rows_to_keep(source: Tokenizer, target: Tokenizer, *, shared: bool) -> np.ndarray:
    """[target vocabulary] int64: the old row that a new token keeps, -1 for none.

    Special tokens keep that of the old token with their part ([CLS] that of <s>, where it is so called). shared: every
    token that both tokenizers spell alike keeps its row too; for tokenizers of one kind and one language.
    """
    kept = np.full(target.vocabulary.size, -1, dtype=np.int64)
    if shared:
        old = source.hf.get_vocab()
        for piece, row in target.hf.get_vocab().items():
            if not target.is_special[row] and piece in old and not source.is_special[old[piece]]:
                kept[row] = old[piece]
    for name in _SPECIAL:
        new, before = (getattr(tokenizer.hf, f"{name}_token_id", None) for tokenizer in (target, source))
        if new is not None and before is not None:
            kept[new] = before
    return kept
