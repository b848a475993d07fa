"""What a `reknit vocabulary` run found, as one typed value: result.json is written from it and read into it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar

from reknit.errors import ReknitError
from reknit.vocabulary.verdict import Verdict


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
    the new table are kept, combined and drawn. words: some that the new tokenizer cuts less. evaluations: as
    `Evaluation.to_json` has them, with the systems "old" and "new". training: what followed the transfer, None for
    nothing."""

    VERSION: ClassVar[int] = 1

    reknit_version: str
    command: str
    date: str
    seed: int
    start: str
    method: str
    settings: dict[str, Any]
    corpus: dict[str, Any]
    before: TokenizerFacts
    after: TokenizerFacts
    counted_texts: int
    rows: dict[str, int]
    verdict: Verdict
    evaluations: list[dict[str, Any]]
    words: list[CutWord] = field(default_factory=list)
    training: dict[str, Any] | None = None
    export: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, nothing rounded."""
        return {"kind": "vocabulary", "version": self.VERSION, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> VocabularyResult:
        """What `to_json` wrote. Raises ReknitError for something else, or of another version."""
        if value.get("kind") != "vocabulary" or value.get("version") != cls.VERSION:
            raise ReknitError(
                f"this is not the result of `reknit vocabulary` in version {cls.VERSION}: it says kind "
                f"{value.get('kind')!r}, version {value.get('version')!r}"
            )
        given = {name: item for name, item in value.items() if name not in ("kind", "version")}
        verdict = given["verdict"]
        try:
            return cls(
                **given
                | {
                    "before": TokenizerFacts(**given["before"]),
                    "after": TokenizerFacts(**given["after"]),
                    "verdict": Verdict(
                        **verdict | {name: tuple(verdict[name]) for name in ("ci95", "saved_ci95")},
                    ),
                    "words": [
                        CutWord(**word | {side: tuple(word[side]) for side in ("old", "new")})
                        for word in given.get("words", [])
                    ],
                }
            )
        except (KeyError, TypeError) as error:
            raise ReknitError(f"the result of `reknit vocabulary` is damaged ({error})") from error
