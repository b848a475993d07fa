"""What a run on pictures found: the tree of values that its result.json holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reknit.errors import ReknitError
from reknit.jobs.files import read_json
from reknit.jobs.typed_json import from_plain, to_plain
from reknit.runs.result import Training

KIND = "pictures"
VERSION = 1


@dataclass(frozen=True)
class PictureFacts:
    """What was read, and what became of it.

    read: files that are pictures. pictures: of these, the different ones. duplicates: dropped, since another one equals
    them pixel for pixel. held_out: of the pictures, not trained on. size: pixels of a side that all were brought to.
    unreadable: {reason: files}. problems: "file: reason" of the first of them.
    """

    read: int
    pictures: int
    duplicates: int
    held_out: int
    size: int
    unreadable: dict[str, int]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class HeldOutLosses:
    """What the objective loses on the pictures that were held out, with one draw of masks.

    losses: by name, at the end of training. before: the same before training, with new heads; empty in older results.
    mean_picture: the loss of pixels where every picture is guessed to be the
    mean of those trained on; None where the objective predicts no pixels. pictures: how many.
    """

    losses: dict[str, float]
    mean_picture: float | None
    pictures: int
    before: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PictureExportCheck:
    """How far the exported folder is from the trained model, for so many pictures: {library: largest difference}."""

    against: dict[str, float]
    pictures: int


@dataclass(frozen=True)
class PictureResult:
    """What result.json holds of a run on pictures, in the order of its keys."""

    kind: str = KIND
    version: int = VERSION
    reknit_version: str = ""
    command: str = ""
    date: str = ""
    seed: int | None = None
    start: str = ""
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    training: Training = field(default_factory=Training)
    held_out: HeldOutLosses | None = None
    corpus: PictureFacts | None = None
    export: PictureExportCheck | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data for result.json, nothing rounded."""
        plain: dict[str, Any] = {name: to_plain(value) for name, value in self.__dict__.items()}
        return plain

    @classmethod
    def from_json(cls, value: Any, where: str = "result.json") -> PictureResult:
        """What `to_json` wrote. Raises ReknitError when it is of a newer version or another job."""
        if not isinstance(value, dict) or value.get("kind") != KIND:
            raise ReknitError(f"{where} is no result of a run on pictures")
        if isinstance(value.get("version"), int) and value["version"] > VERSION:
            raise ReknitError(f"{where} was written by a newer reknit (version {value['version']}): update reknit")
        try:
            found: PictureResult = from_plain(cls, value, "result")
        except ValueError as error:
            raise ReknitError(f"{where} is no result of a run on pictures ({error}): it is damaged") from error
        return found

    @classmethod
    def read(cls, path: Path) -> PictureResult:
        """The result in the file. Raises ReknitError as `from_json` does."""
        return cls.from_json(read_json(path), str(path))
