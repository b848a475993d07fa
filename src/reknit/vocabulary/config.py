"""The setting of a `reknit vocabulary` run: that of a run, and what concerns tokenizers."""

from __future__ import annotations

from dataclasses import dataclass, field

from reknit.errors import ReknitError
from reknit.runs.config import RunConfig
from reknit.vocabulary.transfer import TokenizerTransfer
from reknit.vocabulary.wechsel import Wechsel


@dataclass(frozen=True)
class VocabularyConfig(RunConfig):
    """As `RunConfig`, whose phase `pretrain` is the training that follows the transfer, None for none.

    method, part: how the new rows are made. vocabulary: tokens of the new tokenizer at most; as many as the old one has
    where None. shared: whether tokens that both tokenizers spell alike keep their rows; None for yes where the corpus
    is of the model's own language, that is without `source_texts`. source_texts: texts (a file or folder) of the
    model's own language, where the corpus is of another. translations: a file with a word, or a sentence, of the
    model's language and its translation a line, a tab between them. margin: nDCG@10 that the new tokenizer may cost.
    """

    method: str = "wechsel"
    part: TokenizerTransfer = field(default_factory=Wechsel)
    vocabulary: int | None = None
    shared: bool | None = None
    source_texts: str | None = None
    translations: str | None = None
    margin: float = 0.02

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
