"""A model that only reknit runs: its folder loads back, and card, export and report say so in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from export_samples import SENTENCES, export_tokenizer
from report_samples import pretrained_result

from reknit.encoders.mixers.named import MixerName
from reknit.encoders.spec import TextEncoderSpec
from reknit.errors import ReknitError
from reknit.export.check import check_export
from reknit.export.model import export_model
from reknit.export.onnx import export_onnx
from reknit.export.sentence_transformers import save
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.loading import load_embedding_model
from reknit.report.card import model_card
from reknit.report.facts import remarks
from reknit.runs.result import RunResult

OTHERS = [name for name in get_args(MixerName) if name != "attention"]
WHY = "Only reknit runs this model: its blocks mix tokens by gla, not by attention."


def own_model(mixer: str = "gla") -> EmbeddingModel:
    torch.manual_seed(0)
    tokenizer = export_tokenizer()
    spec = TextEncoderSpec(dim=32, depth=3, heads=4, intermediate=48, max_positions=200, mixer=mixer)
    encoder = spec.build(tokenizer.vocabulary.size, pad=tokenizer.vocabulary.pad).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    return EmbeddingModel(encoder, tokenizer, max_length=150, name="toy")


@pytest.mark.parametrize("mixer", OTHERS)
def test_the_folder_loads_back(mixer: str, tmp_path: Path) -> None:
    model = own_model(mixer)
    check = check_export(model, save(model, tmp_path / "model"), SENTENCES)
    assert set(check.against) == {"reknit"}
    assert check.max_abs_diff < 1e-6
    small = save(model, tmp_path / "small", layers=2, dims=8)
    assert check_export(model, small, SENTENCES).max_abs_diff < 1e-6
    assert np.array_equal(load_embedding_model(small).encode(SENTENCES), model.encode(SENTENCES, layers=2, dims=8))


def test_a_broken_folder_is_found(tmp_path: Path) -> None:
    model = own_model()
    folder = save(model, tmp_path / "model")
    with torch.no_grad():
        model.encoder.blocks[0].mixer.decays.bias.add_(3.0)
    with pytest.raises(ReknitError, match="gives other vectors in reknit"):
        check_export(model, folder, SENTENCES)


def test_card_and_commands_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = save(own_model(), tmp_path / "model")
    card = (folder / "README.md").read_text()
    assert WHY in card.splitlines()
    assert "SentenceTransformer" not in card
    assert "library_name: reknit" in card
    export_model(folder, tmp_path / "again")
    assert f"note: {WHY}" in capsys.readouterr().err.splitlines()
    with pytest.raises(ReknitError, match=r"mix tokens by gla, not by attention\. It cannot be written as ONNX"):
        export_model(folder, tmp_path / "onnx", onnx=True)
    assert not (tmp_path / "onnx").exists()
    pytest.importorskip("onnxscript")
    with pytest.raises((ReknitError, ValueError)):
        export_onnx(folder)


def test_the_report_and_the_card_of_a_run_say_so() -> None:
    result = RunResult.from_json(pretrained_result())
    assert result.export is not None
    own = replace(result, export=replace(result.export, against={"reknit": 0.0}))
    why = "Only reknit runs this model: other libraries have no class for its encoder."
    assert why in remarks(own)
    assert why not in remarks(result)
    card, plain = model_card(own, {}), model_card(result, {})
    assert why in card.splitlines()
    assert "SentenceTransformer(" in plain
    assert "SentenceTransformer(" not in card
    assert "reknit.load(" in card


def test_bfloat16_from_packed_weights_is_near(tmp_path: Path) -> None:
    model = own_model()
    exact, lean = (model.encode(SENTENCES, precision=precision) for precision in ("float32", "bfloat16"))
    assert (exact * lean).sum(axis=1).min() > 0.99
