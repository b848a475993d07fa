"""index.json: what an index folder says of itself."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from reknit.data.text.language import LANGUAGES
from reknit.errors import ReknitError
from reknit.jobs.typed_json import from_plain
from reknit.retrieval.fusion import EQUAL_PARTS
from reknit.retrieval.system import SearchSystem

FORMAT = 5
DESCRIPTION = "index.json"
VECTOR = "vector"
"""The column of the vectors of an index's first model."""
MODEL = "model"
"""The name of the vectors where nothing else was said."""
_HYBRID_WEIGHT = "hybrid_weight"
"""Key of the details in which older indexes have the weight of their vectors in hybrid search."""


@dataclass(frozen=True)
class Description:
    """Written last of all files of an index, so a folder that has it holds a whole index.

    rows: passages. dim: width of the vectors. partitions: of the approximate vector index, 0 where search is exact.
    language: whose stemmer its words went through. details: what the builder wants to remember, such as the path of the
    model. columns: {name of the vectors: their column in the table}, those of `dim` dimensions first; empty in older
    indexes, which have one column, VECTOR. system: how the index is searched; None where nothing has chosen that.
    places: {name of the vectors: where their model lies, relative to the index}, for all models but the first.
    """

    rows: int
    dim: int
    partitions: int
    language: str
    details: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    system: SearchSystem | None = None
    places: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def names(self) -> tuple[str, ...]:
        """Of the vectors; those of an older index are called MODEL."""
        return tuple(self.columns) or (MODEL,)

    @property
    def searched_by(self) -> SearchSystem:
        """How the index is searched: in equal parts of words and vectors where nothing has chosen that."""
        return self.system or SearchSystem.of(self.names[:1], EQUAL_PARTS)

    def write(self, folder: Path) -> None:
        """Write index.json into `folder`."""
        (folder / DESCRIPTION).write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Description:
        """Raises ReknitError when `folder` holds no whole index of the format that this version reads."""
        if not folder.is_dir():
            unfinished = " (only an unfinished build of it)" if partial_folder(folder).is_dir() else ""
            raise ReknitError(f"there is no index {folder}{unfinished}: build it, or check the path")
        path = folder / DESCRIPTION
        if not path.is_file():
            raise ReknitError(
                f"{folder} has no {DESCRIPTION}: it is not an index, or not a complete one; build it again"
            )
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["format"] != FORMAT:
                raise ReknitError(
                    f"{path} has format {found['format']!r}, this version reads {FORMAT}: build the index again "
                    "(that of a run: repeat the run's command with --resume)"
                )
            details = {str(key): str(value) for key, value in found["details"].items()}
            rows, dim, partitions = (int(found[name]) for name in ("rows", "dim", "partitions"))
            if found["language"] not in LANGUAGES:
                raise ValueError(f"no stemmer for {found['language']!r}")
            columns = from_plain(dict[str, str], found.get("columns", {}), "columns")
            system = from_plain(SearchSystem | None, found.get("system"), "system")
            places = from_plain(dict[str, str], found.get("places", {}), "places")
            if _HYBRID_WEIGHT in details:
                system = SearchSystem.of([MODEL], float(details[_HYBRID_WEIGHT]))
            return cls(rows, dim, partitions, found["language"], details, columns, system, places)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            raise ReknitError(f"{path} is damaged ({type(error).__name__}): build the index again") from error


def partial_folder(folder: Path) -> Path:
    """Where an index is built before it is renamed to `folder`."""
    return folder.with_name(folder.name + ".partial")
