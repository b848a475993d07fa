"""The setting of a `reknit vocabulary` run: that of a run, and what concerns tokenizers."""

from __future__ import annotations

from dataclasses import dataclass, field

from reknit.errors import ReknitError
from reknit.ranges import NonNegativeFloat, PositiveInt
from reknit.runs.config import RunConfig
from reknit.vocabulary.transfer import TokenizerTransfer
from reknit.vocabulary.wechsel import Wechsel


@dataclass(frozen=True)
class VocabularyConfig(RunConfig):
    """As `RunConfig`, whose phase `pretrain` is the training that follows the transfer, None for none."""

    method: str = "wechsel"
    """How new rows are made: a tokenizer transfer of the catalogue, or "random"; `--method` of the command."""
    part: TokenizerTransfer = field(default_factory=Wechsel)
    """Settings of the method."""
    vocabulary: PositiveInt | None = None
    """Tokens of the new tokenizer, at most; None for as many as the old one has."""
    shared: bool | None = None
    """Whether tokens that both tokenizers spell alike keep their rows; None for yes where the corpus is of the model's
    own language, that is where source_texts is None.
    """
    source_texts: str | None = None
    """Texts (file or folder) of the model's own language, where the corpus is of another; None where it is the same."""
    translations: str | None = None
    """File with a word or sentence of the model's language, a tab and its translation on each line, by which the two
    languages are aligned; None for words that both spell alike.
    """
    margin: NonNegativeFloat = 0.02
    """nDCG@10 that the new tokenizer may cost, at most, and still be recommended."""

    @property
    def keeps_shared(self) -> bool:
        return self.source_texts is None if self.shared is None else self.shared

    def check(self) -> None:
        """Raise ReknitError for settings that do not go together."""
        if self.from_scratch:
            raise ReknitError("a new model has no tokenizer to replace: give a trained one with --start")
        if self.translations is not None and self.source_texts is None:
            raise ReknitError(
                "translations align the corpus with texts of the model's own language: name these with --set "
                "source_texts=PATH, or leave translations out"
            )
