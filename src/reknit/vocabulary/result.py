"""What a `reknit vocabulary` run found, as one typed value: result.json is written from it and read into it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from reknit.errors import ReknitError
from reknit.evaluation.scores import Evaluation
from reknit.jobs.typed_json import from_plain, to_plain
from reknit.runs.result import CorpusFacts, ExportCheck, Training
from reknit.vocabulary.verdict import Verdict

KIND = "vocabulary"


@dataclass(frozen=True)
class TokenizerFacts:
    """tokens: rows of the table. table_bytes: its size in float32. tokens_per_text: mean over the counted texts."""

    tokens: int
    table_bytes: int
    tokens_per_text: float


@dataclass(frozen=True)
class CutWord:
    """A word of the corpus and its pieces by both tokenizers. count: how often it occurs in the counted texts."""

    word: str
    count: int
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True)
class VocabularyResult:
    """before, after: of the two tokenizers. counted_texts: passages whose tokens were counted. rows: how many rows of
    the new table are kept, combined and drawn. words: some that the new tokenizer cuts less. evaluations: with the
    systems "old" and "new". training: what followed the transfer, None for nothing."""

    VERSION: ClassVar[int] = 1

    reknit_version: str
    command: str
    date: str
    seed: int
    start: str
    method: str
    settings: dict[str, Any]
    corpus: CorpusFacts
    before: TokenizerFacts
    after: TokenizerFacts
    counted_texts: int
    rows: dict[str, int]
    verdict: Verdict
    evaluations: tuple[Evaluation, ...]
    words: tuple[CutWord, ...]
    training: Training | None
    export: ExportCheck
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, nothing rounded."""
        return {"kind": KIND, "version": self.VERSION} | {
            item.name: to_plain(getattr(self, item.name)) for item in fields(self)
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> VocabularyResult:
        """What `to_json` wrote. Raises ReknitError for something else, or of another version."""
        if value.get("kind") != KIND or value.get("version") != cls.VERSION:
            raise ReknitError(
                f"this is not the result of `reknit vocabulary` in version {cls.VERSION}: it says kind "
                f"{value.get('kind')!r}, version {value.get('version')!r}"
            )
        try:
            found: VocabularyResult = from_plain(cls, value, "result")
        except ValueError as error:
            raise ReknitError(f"the result of `reknit vocabulary` is damaged ({error})") from error
        return found
