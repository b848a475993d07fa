"""Small vectors choose, whole ones decide: against loops, and kept beside the index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reknit.errors import ReknitError
from reknit.retrieval.first_pass import FOLDER, FirstPass
from reknit.retrieval.index import Index, build_index

DIM, COUNT = 20, 1500


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


VECTORS = unit(np.random.default_rng(0).normal(size=(COUNT, DIM)) * np.linspace(2, 0.2, DIM))
QUERIES = unit(np.random.default_rng(1).normal(size=(10, DIM)) * np.linspace(2, 0.2, DIM))


@pytest.fixture
def index(tmp_path: Path) -> Index:
    passages = [(f"p{number:04}", "", f"passage {number}") for number in range(COUNT)]
    build_index(tmp_path / "index", passages, lambda texts: VECTORS[[int(t.split()[-1]) for t in texts]], dim=DIM)
    return Index.open(tmp_path / "index")


def by_loops(query: np.ndarray, size: int | str, top: int) -> list[str]:
    def small(vector: np.ndarray) -> float:
        if size == "binary":
            return sum((a > 0) == (b > 0) for a, b in zip(vector, query, strict=True))
        return float(unit(vector[:size]) @ query[:size])

    order = sorted(range(COUNT), key=lambda place: (-small(VECTORS[place]), place))[: max(100, 4 * (top + 1))]
    return [f"p{place:04}" for place in sorted(order, key=lambda place: -float(VECTORS[place] @ query))[:top]]


@pytest.mark.parametrize("size", [1, 6, DIM, "binary"])
def test_it_equals_loops(index: Index, size: int | str) -> None:
    for query in QUERIES:
        hits = index.search(query, None, 7, first_pass=size)  # type: ignore[arg-type]
        assert [hit.id for hit in hits] == by_loops(query, size, 7)
        assert [hit.score for hit in hits] == pytest.approx([float(VECTORS[int(hit.id[1:])] @ query) for hit in hits])
    assert [hit.id for hit in index.search(query, None, 7, first_pass=DIM)] == [
        hit.id for hit in index.search(query, None, 7)
    ]


def test_hybrid_search_takes_the_same_candidates(index: Index) -> None:
    whole, chosen = (index.search(QUERIES[0], "passage 3", 5, "hybrid", first_pass=size) for size in (None, DIM))
    assert [hit.id for hit in whole] == [hit.id for hit in chosen]
    assert [hit.score for hit in whole] == pytest.approx([hit.score for hit in chosen], abs=1e-5)
    assert index.search(QUERIES[0], "passage 3", 5, "hybrid", first_pass="binary")


def test_it_is_made_once_and_kept(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = index.search(QUERIES[0], None, 3, first_pass=4)
    assert [file.name for file in (index.folder / FOLDER).iterdir()] == ["4.npy"]
    again = Index.open(index.folder)
    monkeypatch.setattr(Index, "_vectors", None)  # what is kept needs no vectors
    assert again.search(QUERIES[0], None, 3, first_pass=4) == expected


@pytest.mark.parametrize("damage", [b"", b"no array", None])
def test_damaged_or_of_another_index_it_is_made_again(index: Index, damage: bytes | None) -> None:
    expected = index.search(QUERIES[0], None, 3, first_pass=4)
    kept = index.folder / FOLDER / "4.npy"
    if damage is None:
        np.save(kept, np.zeros((3, 4), np.float32))
    else:
        kept.write_bytes(damage)
    assert Index.open(index.folder).search(QUERIES[0], None, 3, first_pass=4) == expected
    assert np.load(kept).shape == (COUNT, 4)


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    made = FirstPass.of(tmp_path / "missing", COUNT, DIM, 4, lambda places: VECTORS[places])
    assert made.nearest(QUERIES[0], 5)
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("size", [0, -1, DIM + 1])
def test_sizes_that_cannot_be(index: Index, size: int) -> None:
    with pytest.raises(ReknitError, match=f"the index has {DIM}"):
        index.search(QUERIES[0], None, first_pass=size)
