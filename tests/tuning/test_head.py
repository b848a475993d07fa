"""The linear layer in its folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from labelled_texts import labelled
from small_model import write_small_model

from reknit.errors import ReknitError
from reknit.models.loading import load_embedding_model
from reknit.tuning.head import LabelHead

HEAD = LabelHead(("one", "zwei", "три"), torch.randn(3, 32, generator=torch.Generator().manual_seed(0)), torch.ones(3))


def test_a_round_trip(tmp_path: Path) -> None:
    HEAD.save(tmp_path)
    again = LabelHead.load(tmp_path)
    assert again.labels == HEAD.labels
    assert torch.equal(again.weight, HEAD.weight)
    assert torch.equal(again.bias, HEAD.bias)


def test_it_reads_whole_vectors_that_are_not_normalised(tmp_path: Path) -> None:
    model = load_embedding_model(write_small_model(tmp_path))
    model.dims = 8
    texts = [text for _, text in labelled(30, 0)]
    found = HEAD.predict(model, texts)
    assert (model.dims, model.normalize) == (8, True)
    model.dims, model.normalize = None, False
    logits = model.encode(texts) @ HEAD.weight.numpy().T + HEAD.bias.numpy()
    assert found == [HEAD.labels[row] for row in logits.argmax(axis=1)]


def test_what_is_damaged(tmp_path: Path) -> None:
    HEAD.save(tmp_path)
    path = tmp_path / "config.json"
    for labels in (["one"], None, "abc"):
        path.write_text(json.dumps({"labels": labels}))
        with pytest.raises(ReknitError, match="a label for each row"):
            LabelHead.load(tmp_path)
