"""An embedded search index in one folder: LanceDB holds the passages, their vectors and a full-text index."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from reknit.data.text.words import Analyser
from reknit.errors import ReknitError
from reknit.retrieval.build import TABLE, build_index, storable
from reknit.retrieval.description import Description
from reknit.retrieval.first_pass import CANDIDATES_PER_HIT, LEAST_CANDIDATES, FirstPass, Size
from reknit.retrieval.fusion import EQUAL_PARTS, fuse, rooted

__all__ = ["Hit", "Index", "Mode", "build_index"]

Mode = Literal["dense", "text", "hybrid"]

FUSION_DEPTH = 100  # results of each side that hybrid search fuses, as in evaluation
LONGEST_TIE = 10_000  # hits looked through to order a tie by id; a query vector of zeros ties the whole index
_COLUMNS = ["id", "title", "content", "text_start"]
_BROKEN = (OSError, RuntimeError, ValueError)  # what LanceDB raises when files are missing or damaged


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result. score: larger is better; its scale depends on the mode (see `Index.search`)."""

    id: str
    title: str
    text: str
    score: float


class Index:
    """A finished index, opened for search.

    folder: where it is. dim: width of its vectors. language: whose stemmer its words went through. details: what its
    builder remembered. len(): passages.
    """

    def __init__(self, folder: Path, description: Description, table: Any) -> None:
        """Of an open LanceDB table; use `Index.open`."""
        self.folder = folder
        self.dim = description.dim
        self.language = description.language
        self.details = description.details
        self._rows = description.rows
        self._analyser = Analyser(description.language)
        # Enough partitions to find nearly all true neighbours even of vectors without clusters.
        self._probes = max(20, description.partitions // 4)
        self._table = table
        self._first_passes: dict[Size, FirstPass] = {}

    @classmethod
    def open(cls, folder: Path | str) -> Index:
        """Open the index in `folder`. Raises ReknitError when it is missing, half-written or damaged."""
        import lancedb

        folder = Path(folder)
        description = Description.read(folder)
        try:
            table = lancedb.connect(folder.resolve()).open_table(TABLE)
            rows = table.count_rows()
            indexed = {column for config in table.list_indices() for column in config.columns}
        except _BROKEN as error:
            raise _damaged(folder, error) from error
        if rows != description.rows or "words" not in indexed:
            raise ReknitError(f"index {folder} is incomplete ({rows} of {description.rows} passages): build it again")
        return cls(folder, description, table)

    def __len__(self) -> int:
        return self._rows

    def search(
        self,
        query_vector: np.ndarray | None,
        query_text: str | None,
        top: int = 10,
        mode: Mode = "dense",
        *,
        hybrid_weight: float = EQUAL_PARTS,
        first_pass: Size | None = None,
    ) -> list[Hit]:
        """At most `top` hits, best first; equal scores are ordered by id.

        mode "dense": by dot product of `query_vector` [dim] with the passages' vectors (score: the dot product); exact,
        or over the nearest quarter of the partitions where the index has a vector index. "text": BM25 of the words of
        `query_text`, which may be any string (score: BM25); a passage that shares no word is no hit. "hybrid": both, by
        standard scores, text weighted 1 - `hybrid_weight` and dense `hybrid_weight` (score: `fuse`). first_pass: choose
        a few hundred passages by their first dimensions or their signs ("binary"), and those by the whole vectors
        (`reknit.retrieval.first_pass`); then only they can be hits of the dense side. Raises ReknitError when what the
        mode needs is missing, when the vector or the first pass does not fit, or when the index is damaged.
        """
        if mode not in get_args(Mode):
            raise ReknitError(f"there is no search mode {mode!r}: choose dense, text or hybrid")
        if top < 1:
            raise ReknitError(f"cannot return {top} hits: ask for at least 1")
        if not 0.0 <= hybrid_weight <= 1.0:
            raise ReknitError(f"hybrid_weight is {hybrid_weight}: choose 0 (words only) to 1 (vectors only)")
        try:
            if mode == "dense":
                vector = self._vector(query_vector, mode)
                return _untied(self._nearest(vector, first_pass), top)
            if mode == "text":
                text = _text(query_text, mode)
                return _untied(lambda limit: self._words(text, limit), top)
            vector, text = self._vector(query_vector, mode), _text(query_text, mode)
            nearest = self._nearest(vector, first_pass)
            return self._hybrid(vector, nearest, text, max(top, FUSION_DEPTH), hybrid_weight)[:top]
        except _BROKEN as error:
            raise _damaged(self.folder, error) from error

    def _nearest(self, vector: np.ndarray, first_pass: Size | None) -> Callable[[int], list[Hit]]:
        """A function of how many hits are wanted."""
        if first_pass is None:
            return lambda limit: self._dense(vector, limit)
        if first_pass not in self._first_passes:
            made = FirstPass.of(self.folder, self._rows, self.dim, first_pass, self._vectors)
            self._first_passes[first_pass] = made
        small = self._first_passes[first_pass]

        def nearest(limit: int) -> list[Hit]:
            places = small.nearest(vector, max(LEAST_CANDIDATES, CANDIDATES_PER_HIT * limit))
            rows = self._table.take_offsets(places).select([*_COLUMNS, "vector"]).to_list()
            return _hits(rows, lambda row: float(np.float32(row["vector"]) @ vector))[:limit]

        return nearest

    def _vectors(self, places: list[int]) -> np.ndarray:
        column = self._table.take_offsets(places).select(["vector"]).to_arrow().column("vector").combine_chunks()
        vectors: np.ndarray = column.flatten().to_numpy().reshape(-1, self.dim)
        return vectors

    def _dense(self, vector: np.ndarray, limit: int, only: Collection[str] | None = None) -> list[Hit]:
        query = self._table.search(vector, vector_column_name="vector", query_type="vector").distance_type("dot")
        if only is None:
            query = query.nprobes(self._probes)
        else:
            query = query.where(_one_of(only), prefilter=True).bypass_vector_index()
        rows = query.select([*_COLUMNS, "_distance"]).limit(limit).to_list()
        # LanceDB's dot distance is 1 - dot product.
        return _hits(rows, lambda row: 1.0 - row["_distance"])

    def _words(self, text: str, limit: int, only: Collection[str] | None = None) -> list[Hit]:
        from lancedb.query import MatchQuery

        # A bag of words: nothing in the text can be taken for query syntax.
        match = MatchQuery(" ".join(self._analyser.words(text)), "words")  # type: ignore[call-arg]  # pydantic fields
        query = self._table.search(match, query_type="fts")
        if only is not None:
            query = query.where(_one_of(only), prefilter=True)
        return _hits(query.select([*_COLUMNS, "_score"]).limit(limit).to_list(), lambda row: row["_score"])

    def _hybrid(
        self, vector: np.ndarray, nearest: Callable[[int], list[Hit]], text: str, depth: int, weight: float
    ) -> list[Hit]:
        # The fusion that evaluation measures, not LanceDB's: that one has no weights and breaks ties arbitrarily.
        by_words = _untied(lambda limit: self._words(text, limit), depth)
        by_vector = _untied(nearest, depth)
        found = {hit.id: hit for hit in by_words + by_vector}
        # What only one side found gets its exact score by the other too: by words 0 where none is shared.
        words, vectors = _best(by_words), _best(by_vector)
        if unscored := found.keys() - words.keys():
            words = dict.fromkeys(unscored, 0.0) | _best(self._words(text, self._count(unscored), unscored)) | words
        if unscored := found.keys() - vectors.keys():
            vectors |= _best(self._dense(vector, self._count(unscored), unscored))
        fused = fuse([{"": rooted(words)}, {"": vectors}], [1 - weight, weight])[""]
        return [replace(found[identifier], score=score) for identifier, score in fused.items()]

    def _count(self, ids: Collection[str]) -> int:
        # An index may hold one id twice.
        count: int = self._table.count_rows(_one_of(ids))
        return count

    def _vector(self, vector: np.ndarray | None, mode: Mode) -> np.ndarray:
        if vector is None:
            raise ReknitError(f"{mode} search needs a query vector: encode the query, or search with mode text")
        values = np.asarray(vector, dtype=np.float32).reshape(-1)
        if values.size != self.dim:
            raise ReknitError(
                f"the query vector has {values.size} dimensions, index {self.folder} has {self.dim}: "
                "encode the query with the model (and dims) that built the index"
            )
        if not np.isfinite(values).all():
            raise ReknitError("the query vector holds NaN or infinity: the model is broken, do not use it")
        return values


def _text(text: str | None, mode: Mode) -> str:
    if text is None:
        raise ReknitError(f"{mode} search needs a query text: give one, or search with mode dense")
    return storable(text)


def _one_of(ids: Collection[str]) -> str:
    """SQL that is true of passages with these ids."""
    quoted = ("'" + identifier.replace("'", "''") + "'" for identifier in ids)
    return f"id IN ({', '.join(quoted)})"


def _hits(rows: list[dict[str, Any]], score: Callable[[dict[str, Any]], float]) -> list[Hit]:
    hits = [Hit(row["id"], row["title"], row["content"][row["text_start"] :], score(row)) for row in rows]
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))


def _best(hits: list[Hit]) -> dict[str, float]:
    """{id: score} of hits that are ordered, the best first."""
    return {hit.id: hit.score for hit in reversed(hits)}


def _untied(search: Callable[[int], list[Hit]], top: int) -> list[Hit]:
    """The first `top` hits where equal scores at the cut go by id: look further down until the score changes."""
    limit = top + 1
    while True:
        hits = search(limit)
        if len(hits) < limit or hits[-1].score < hits[top - 1].score or limit > max(top, LONGEST_TIE):
            return hits[:top]
        limit *= 4


def _damaged(folder: Path, error: Exception) -> ReknitError:
    reason = str(error).splitlines()[0][:150] if str(error) else type(error).__name__
    return ReknitError(f"index {folder} cannot be read ({reason}): build it again")
