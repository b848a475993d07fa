"""The label-free teacher: its scores by loops, its neighbours, and the weight that the probe chooses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from reknit.adaptation.teacher import DENSE_WEIGHTS, HybridTeacher, choose_dense_weight, nearest
from reknit.retrieval.bm25 import BM25

TEXTS = [
    "wings and lift of aircraft",
    "lift on swept wings in tunnels",
    "soup with noodles",
    "noodles fried with eggs",
    "eggs and flour make noodles",
    "aircraft of paper",
]


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def vectors(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)


def naive_scores(queries: list[str], asked: np.ndarray, documents: np.ndarray, weight: float, k: int, share: float):
    """Loops over queries and documents."""
    documents = unit(documents)
    lexical = BM25({f"{n}": text for n, text in enumerate(TEXTS)}).scores(queries)
    rows = []
    for query, words in zip(unit(asked), lexical, strict=True):
        dense_row, word_row = [], []
        for place, own in enumerate(documents):
            others = sorted((n for n in range(len(documents)) if n != place), key=lambda n: -float(own @ documents[n]))
            near = others[:k]
            mixed = own + (share * unit(documents[near].mean(axis=0, keepdims=True))[0] if k else 0)
            length = np.linalg.norm(mixed)
            dense_row.append(float(query @ mixed) / length)
            word_row.append((words[place] + (share * words[near].mean() if k else 0)) / length)
        word_row = np.sqrt(word_row)
        parts = [(np.array(row) - np.mean(row)) / max(np.std(row), 1e-6) for row in (word_row, dense_row)]
        rows.append((1 - weight) * parts[0] + weight * parts[1])
    return np.stack(rows)


@pytest.mark.parametrize(("neighbours", "share"), [(0, 0.0), (2, 0.4), (9, 1.0)])
def test_scores_are_those_of_loops(neighbours: int, share: float) -> None:
    documents, asked, queries = vectors(6, 0), vectors(3, 1), ["lift of wings", "noodles", "nothing that is there"]
    teacher = HybridTeacher(TEXTS, [documents], neighbours=neighbours, neighbour_weight=share)
    expected = naive_scores(queries, asked, documents, 0.3, min(neighbours, 5), share)
    assert np.allclose(teacher.scores(queries, [asked], 0.3).numpy(), expected, atol=1e-4)
    assert len(teacher) == 6


def test_two_models_have_equal_parts_of_the_dense_side() -> None:
    queries, first, second = (
        ["lift of wings", "noodles"],
        (vectors(6, 0), vectors(2, 1)),
        (vectors(6, 2), vectors(2, 3)),
    )
    both = HybridTeacher(TEXTS, [first[0], second[0]]).scores(queries, [first[1], second[1]], 1.0).numpy()
    alone = [HybridTeacher(TEXTS, [own]).scores(queries, [asked], 1.0).numpy() for own, asked in (first, second)]
    summed = alone[0] + alone[1]
    expected = (summed - summed.mean(axis=1, keepdims=True)) / summed.std(axis=1, keepdims=True)
    assert np.allclose(both, expected, atol=1e-4)
    same = HybridTeacher(TEXTS, [first[0], first[0]]).scores(queries, [first[1], first[1]], 0.3).numpy()
    assert np.allclose(same, HybridTeacher(TEXTS, [first[0]]).scores(queries, [first[1]], 0.3).numpy(), atol=1e-4)


def test_nearest_in_blocks_is_nearest_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    points = torch.nn.functional.normalize(torch.from_numpy(vectors(50, 2)), dim=-1)
    whole = nearest(points, 3)
    monkeypatch.setattr("reknit.adaptation.teacher._ROWS_AT_ONCE", 7)
    assert torch.equal(whole, nearest(points, 3))
    assert not (whole == torch.arange(50)[:, None]).any(), "nothing is its own neighbour"


DOCUMENTS = [f"common words number{n} thing{n}" for n in range(40)]
ANSWERS = list(range(0, 40, 2))


def naive_gain(scores: np.ndarray, answer: int) -> float:
    rank = sum(score >= scores[answer] for score in scores)
    return 1 / math.log2(rank + 1) if rank <= 10 else 0.0


def test_what_each_weight_reaches_is_what_loops_count() -> None:
    queries = [f"number{n} or thing{n + 1}" for n in ANSWERS]
    asked = vectors(len(queries), 4)
    teacher = HybridTeacher(DOCUMENTS, [vectors(40, 3)])
    _, reached = choose_dense_weight(teacher, queries, [asked], ANSWERS)
    for weight, value in zip(DENSE_WEIGHTS, reached, strict=True):
        scores = teacher.scores(queries, [asked], weight).numpy()
        expected = [naive_gain(row, answer) for row, answer in zip(scores, ANSWERS, strict=True)]
        assert value == pytest.approx(np.mean(expected), abs=1e-6)


def test_the_weight_trusts_who_finds_the_answers() -> None:
    """BM25 finds every answer and the dense model is chance, or the dense model finds them and BM25 sees nothing."""
    teacher = HybridTeacher(DOCUMENTS, [vectors(40, 3)])
    chance = vectors(len(ANSWERS), 4)
    weight, reached = choose_dense_weight(teacher, [f"number{n}" for n in ANSWERS], [chance], ANSWERS)
    assert reached[0] == 1.0
    assert reached[-1] < 0.5
    assert reached[DENSE_WEIGHTS.index(weight)] > 0.8

    knowing = HybridTeacher(DOCUMENTS, [np.eye(40, dtype=np.float32)])
    asked = np.eye(40, dtype=np.float32)[ANSWERS]
    misleading = [f"number{n + 1} thing{n + 1}" for n in ANSWERS]
    weight, reached = choose_dense_weight(knowing, misleading, [asked], ANSWERS)
    assert reached[0] < 0.5
    assert reached[DENSE_WEIGHTS.index(weight)] == reached[-1] == 1.0


def test_of_equally_good_weights_the_even_one_is_taken() -> None:
    """BM25 sees nothing, so every weight but 0 reaches the same."""
    knowing = HybridTeacher(DOCUMENTS, [np.eye(40, dtype=np.float32)])
    asked = np.eye(40, dtype=np.float32)[ANSWERS]
    weight, reached = choose_dense_weight(knowing, ["elsewhere"] * len(ANSWERS), [asked], ANSWERS)
    assert weight == 0.5
    assert reached[0] < 0.5
    assert reached[1:] == [1.0] * 9


def test_scores_are_those_of_search() -> None:
    documents = {f"d{n}": text for n, text in enumerate(TEXTS)}
    bm25 = BM25(documents)
    found = bm25.search({"q": "noodles with eggs"})["q"]
    row = bm25.scores(["noodles with eggs", "zzz"])
    assert {f"d{n}": pytest.approx(value) for n, value in enumerate(row[0]) if value > 0} == found
    assert not row[1].any()
