"""An embedded search index in one folder: LanceDB holds the passages, their vectors and a full-text index."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from reknit.data.text.words import Analyser
from reknit.errors import ReknitError
from reknit.retrieval.build import TABLE, build_index, storable
from reknit.retrieval.description import VECTOR, Description
from reknit.retrieval.feedback import expanded_words, moved_vector
from reknit.retrieval.first_pass import CANDIDATES_PER_HIT, LEAST_CANDIDATES, FirstPass, Size
from reknit.retrieval.fusion import EQUAL_PARTS, fuse, rooted
from reknit.retrieval.system import WORDS, SearchSystem

__all__ = ["Hit", "Index", "Mode", "build_index"]

Mode = Literal["dense", "text", "hybrid"]

FUSION_DEPTH = 100  # results of each side that hybrid search fuses, as in evaluation
LONGEST_TIE = 10_000  # hits looked through to order a tie by id; a query vector of zeros ties the whole index
_COLUMNS = ["id", "title", "content", "text_start"]
_BROKEN = (OSError, RuntimeError, ValueError)  # what LanceDB raises when files are missing or damaged


@dataclass(frozen=True)
class _Side:
    """nearest: from how many hits are wanted to the best ones. exact: from ids that it did not find to their scores."""

    nearest: Callable[[int], list[Hit]]
    exact: Callable[[Collection[str]], dict[str, float]]
    is_words: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result. score: larger is better; its scale depends on the mode (see `Index.search`)."""

    id: str
    title: str
    text: str
    score: float


class Index:
    """A finished index, opened for search.

    folder: where it is. dim: width of its first model's vectors. language: whose stemmer its words went through.
    details: what its builder remembered. names: of its vectors, one for each model. system: how it is to be searched,
    its sides by the names of its vectors. len(): passages.
    """

    def __init__(self, folder: Path, description: Description, table: Any) -> None:
        """Of an open LanceDB table; use `Index.open`."""
        self.folder = folder
        self.dim = description.dim
        self.language = description.language
        self.details = description.details
        self.system = description.searched_by
        self._rows = description.rows
        self.names = description.names
        self._columns = description.columns
        self._dims = {VECTOR: description.dim} | {
            column: table.schema.field(column).type.list_size for column in self._columns.values()
        }
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
                match = self._match(_text(query_text, mode))
                return _untied(lambda limit: self._words(match, limit), top)
        except _BROKEN as error:
            raise _damaged(self.folder, error) from error
        name, vector, text = self.names[0], self._vector(query_vector, mode), _text(query_text, mode)
        system = SearchSystem({WORDS: 1 - hybrid_weight, name: hybrid_weight})
        return self.search_by(system, {name: vector}, text, top, first_pass=first_pass)

    def search_by(
        self,
        system: SearchSystem,
        vectors: Mapping[str, np.ndarray],
        text: str,
        top: int = 10,
        *,
        first_pass: Size | None = None,
    ) -> list[Hit]:
        """At most `top` hits of a search system, best first (score: as `fuse` gives it); equal scores by id.

        system: its sides by the names of this index's vectors. vectors: of the query [dim], by the same names.
        first_pass: as for `search`, for the first model's vectors. Raises ReknitError as `search` does, and for vectors
        that the index does not have or that are not given.
        """
        if top < 1:
            raise ReknitError(f"cannot return {top} hits: ask for at least 1")
        columns = {name: self._column(name) for name in system.models}
        asked = {name: self._vector(vectors.get(name), "hybrid", columns[name]) for name in system.models}
        weights = list(system.weights.values())

        def sides(match: Any, asked: Mapping[str, np.ndarray], first_pass: Size | None) -> list[_Side]:
            return [
                self._word_side(match)
                if name == WORDS
                else self._vector_side(columns[name], asked[name], first_pass if columns[name] == VECTOR else None)
                for name in system.weights
            ]

        try:
            match = self._match(_text(text, "hybrid"))
            if system.feedback is None:
                return self._fused(sides(match, asked, first_pass), weights, top)
            hits = self._fused(sides(match, asked, first_pass), weights, system.feedback.hits)
            words, of_hits = self._learnt_from(hits, columns)
            match = _weighted_match(expanded_words(self._analyser.words(text), words, system.feedback))
            asked = {name: moved_vector(asked[name], of_hits[name], system.feedback) for name in asked}
            return self._fused(sides(match, asked, None), weights, top)
        except _BROKEN as error:
            raise _damaged(self.folder, error) from error

    def _column(self, name: str) -> str:
        if not self._columns:
            return VECTOR  # the only one of an older index, which does not say what its vectors are called
        if name not in self._columns:
            raise ReknitError(f"index {self.folder} has no vectors of {name!r}: it has {', '.join(self._columns)}")
        return self._columns[name]

    def _learnt_from(
        self, hits: list[Hit], columns: Mapping[str, str]
    ) -> tuple[list[list[str]], dict[str, np.ndarray]]:
        """The words of each hit, and the [hits, dim] vectors of each model."""
        if not hits:
            return [], {name: np.zeros((0, self._dims[column]), dtype=np.float32) for name, column in columns.items()}
        query = self._table.search().where(_one_of([hit.id for hit in hits]))
        rows = query.select(["id", "words", *columns.values()]).limit(LONGEST_TIE).to_list()
        by_id = {row["id"]: row for row in reversed(rows)}
        found = [by_id[hit.id] for hit in hits]
        vectors = {name: np.array([row[column] for row in found], dtype=np.float32) for name, column in columns.items()}
        return [row["words"].split() for row in found], vectors

    def _word_side(self, match: Any) -> _Side:
        def exact(ids: Collection[str]) -> dict[str, float]:
            # 0 where no word is shared.
            return dict.fromkeys(ids, 0.0) | _best(self._words(match, self._count(ids), ids))

        return _Side(lambda limit: self._words(match, limit), exact, is_words=True)

    def _vector_side(self, column: str, vector: np.ndarray, first_pass: Size | None) -> _Side:
        def exact(ids: Collection[str]) -> dict[str, float]:
            return _best(self._dense(vector, self._count(ids), column, ids))

        return _Side(self._nearest(vector, first_pass, column), exact, is_words=False)

    def _fused(self, sides: Sequence[_Side], weights: Sequence[float], top: int) -> list[Hit]:
        # The fusion that evaluation measures, not LanceDB's: that one has no weights and breaks ties arbitrarily.
        depth = max(top, FUSION_DEPTH)
        of_sides = [_untied(side.nearest, depth) for side in sides]
        found = {hit.id: hit for hits in of_sides for hit in hits}
        runs = []
        for side, hits in zip(sides, of_sides, strict=True):
            scores = _best(hits)
            # What only another side found gets its exact score by this one too.
            if unscored := found.keys() - scores.keys():
                scores |= side.exact(unscored)
            runs.append({"": rooted(scores) if side.is_words else scores})
        fused = fuse(runs, weights)[""]
        return [replace(found[identifier], score=score) for identifier, score in fused.items()][:top]

    def _nearest(self, vector: np.ndarray, first_pass: Size | None, column: str = VECTOR) -> Callable[[int], list[Hit]]:
        """A function of how many hits are wanted."""
        if first_pass is None:
            return lambda limit: self._dense(vector, limit, column)
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

    def _dense(self, vector: np.ndarray, limit: int, column: str, only: Collection[str] | None = None) -> list[Hit]:
        query = self._table.search(vector, vector_column_name=column, query_type="vector").distance_type("dot")
        if only is None:
            query = query.nprobes(self._probes)
        else:
            query = query.where(_one_of(only), prefilter=True).bypass_vector_index()
        rows = query.select([*_COLUMNS, "_distance"]).limit(limit).to_list()
        # LanceDB's dot distance is 1 - dot product.
        return _hits(rows, lambda row: 1.0 - row["_distance"])

    def _match(self, text: str) -> Any:
        from lancedb.query import MatchQuery

        # A bag of words: nothing in the text can be taken for query syntax.
        return MatchQuery(" ".join(self._analyser.words(text)), "words")  # type: ignore[call-arg]  # pydantic fields

    def _words(self, match: Any, limit: int, only: Collection[str] | None = None) -> list[Hit]:
        query = self._table.search(match, query_type="fts")
        if only is not None:
            query = query.where(_one_of(only), prefilter=True)
        return _hits(query.select([*_COLUMNS, "_score"]).limit(limit).to_list(), lambda row: row["_score"])

    def _count(self, ids: Collection[str]) -> int:
        # An index may hold one id twice.
        count: int = self._table.count_rows(_one_of(ids))
        return count

    def _vector(self, vector: np.ndarray | None, mode: Mode, column: str = VECTOR) -> np.ndarray:
        if vector is None:
            raise ReknitError(f"{mode} search needs a query vector: encode the query, or search with mode text")
        values = np.asarray(vector, dtype=np.float32).reshape(-1)
        if values.size != self._dims[column]:
            raise ReknitError(
                f"the query vector has {values.size} dimensions, index {self.folder} has {self._dims[column]}: "
                "encode the query with the model (and dims) that built the index"
            )
        if not np.isfinite(values).all():
            raise ReknitError("the query vector holds NaN or infinity: the model is broken, do not use it")
        return values


def _text(text: str | None, mode: Mode) -> str:
    if text is None:
        raise ReknitError(f"{mode} search needs a query text: give one, or search with mode dense")
    return storable(text)


def _weighted_match(weights: Mapping[str, float]) -> Any:
    """A query for {word: weight}."""
    from lancedb.query import BooleanQuery, FullTextQuery, MatchQuery, Occur

    if not weights:
        return MatchQuery("", "words")  # type: ignore[call-arg]  # pydantic fields
    one_each: list[tuple[Occur, FullTextQuery]] = [
        (Occur.SHOULD, MatchQuery(word, "words", boost=weight))  # type: ignore[call-arg]
        for word, weight in weights.items()
    ]
    return BooleanQuery(one_each)


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
