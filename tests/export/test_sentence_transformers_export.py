"""The exported folder: its form, its sizes, and that nobody ever sees half of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from reknit.errors import ReknitError
from reknit.export.sentence_transformers import save
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.loading import load_embedding_model
from reknit.models.query_expansion import QueryExpansion

TEXTS = ["", "the dog", "a model learns from text " * 60]


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def test_the_layout_that_servers_read(bert: EmbeddingModel, tmp_path: Path) -> None:
    bert.prompts = {"query": "search "}
    out = save(bert, tmp_path / "out")
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert set(files) >= {
        *("1_Pooling/config.json", "2_Normalize/config.json", "README.md", "config.json", "model.safetensors"),
        *("config_sentence_transformers.json", "modules.json", "sentence_bert_config.json"),
        *("tokenizer.json", "tokenizer_config.json"),
    }
    modules = read(out / "modules.json")
    assert [module["type"] for module in modules] == [
        f"sentence_transformers.models.{kind}" for kind in ("Transformer", "Pooling", "Normalize")
    ]
    assert [module["path"] for module in modules] == ["", "1_Pooling", "2_Normalize"]
    pooling = read(out / "1_Pooling" / "config.json")
    assert pooling["word_embedding_dimension"] == 32
    assert pooling["pooling_mode_mean_tokens"] is True
    assert pooling["pooling_mode_cls_token"] is False
    assert "pooling_mode" not in pooling
    assert read(out / "sentence_bert_config.json") == {"max_seq_length": 150, "do_lower_case": False}
    assert read(out / "tokenizer_config.json")["model_max_length"] == 150
    assert read(out / "config_sentence_transformers.json")["prompts"] == {"query": "search "}
    assert (out / "README.md").read_text().startswith("---\nlibrary_name: sentence-transformers\n")
    with safe_open(out / "model.safetensors", "pt") as weights:
        assert weights.metadata() == {"format": "pt"}


@pytest.mark.parametrize("pooling", ["cls", "mean", "max", "last"])
@pytest.mark.parametrize("normalize", [True, False])
def test_what_was_saved_is_what_is_loaded(pooling: str, normalize: bool, bert: EmbeddingModel, tmp_path: Path) -> None:
    bert.pooling, bert.normalize, bert.similarity = pooling, normalize, "cosine" if normalize else "dot"
    bert.prompts, bert.default_prompt = {"query": "search ", "title": "x"}, "query"
    loaded = load_embedding_model(save(bert, tmp_path / "out"))
    for name in ("pooling", "normalize", "max_length", "prompts", "default_prompt", "dims", "similarity"):
        assert getattr(loaded, name) == getattr(bert, name)
    np.testing.assert_allclose(loaded.encode(TEXTS), bert.encode(TEXTS), atol=1e-6)


@pytest.mark.parametrize(("layers", "dims"), [(2, None), (None, 8), (1, 16), (4, 32)])
def test_a_smaller_size_is_a_plain_folder(
    layers: int | None, dims: int | None, model: EmbeddingModel, tmp_path: Path
) -> None:
    out = save(model, tmp_path / "small", layers=layers, dims=dims)
    small = load_embedding_model(out)
    assert small.encoder.depth == (layers or 4)
    assert small.dim == (dims or 32)
    np.testing.assert_allclose(small.encode(TEXTS), model.encode(TEXTS, layers=layers, dims=dims), atol=1e-5)
    assert (out / "2_Dense").exists() == (dims not in (None, 32))
    # a second export of the small model keeps its size
    again = load_embedding_model(save(small, tmp_path / "again"))
    np.testing.assert_allclose(again.encode(TEXTS), small.encode(TEXTS), atol=1e-6)


def test_sizes_the_model_does_not_have(bert: EmbeddingModel, tmp_path: Path) -> None:
    for size, message in (({"layers": 5}, "export 5 layers"), ({"dims": 33}, "export 33 dims")):
        with pytest.raises(ReknitError, match=message):
            save(bert, tmp_path / "out", **size)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_leaves_the_old_one(
    bert: EmbeddingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = save(bert, tmp_path / "out", card="first")

    def full_disk(folder: Path) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(bert.tokenizer, "save", full_disk)
    with pytest.raises(ReknitError, match=r"cannot write the model to .*No space left"):
        save(bert, out, card="second")
    assert (out / "README.md").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    monkeypatch.undo()
    save(bert, out, layers=1, card="third")
    assert (out / "README.md").read_text() == "third"
    assert read(out / "config.json")["num_hidden_layers"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_other_folders_are_not_overwritten(bert: EmbeddingModel, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ReknitError, match="is not a model folder"):
        save(bert, tmp_path)
    assert (tmp_path / "thesis.tex").exists()
    with pytest.raises(ReknitError, match="is a file"):
        save(bert, tmp_path / "thesis.tex")


def test_models_that_run_through_transformers(tmp_path: Path, bert: EmbeddingModel) -> None:
    import torch
    from transformers import MPNetConfig, MPNetModel

    from reknit.encoders.huggingface.automodel import AutoModelEncoder
    from reknit.export.check import check_export

    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    vocabulary = bert.tokenizer.vocabulary
    config = MPNetConfig(vocab_size=vocabulary.size, pad_token_id=vocabulary.pad, **shape)
    encoder = AutoModelEncoder(MPNetModel(config).eval(), config.to_dict())
    model = EmbeddingModel(encoder, bert.tokenizer, max_length=40, name="other")
    out = save(model, tmp_path / "out", dims=8)
    assert check_export(model, out).max_abs_diff < 1e-5
    with pytest.raises(ReknitError, match="layers cannot be cut at export"):
        save(model, tmp_path / "cut", layers=1)


def test_a_query_expansion_goes_with_the_model(bert: EmbeddingModel, tmp_path: Path) -> None:
    documents = ["the dog runs", "a cat sleeps", "the model learns"]
    plain = bert.encode(["dog"], prompt_name="query")
    bert.expansion = QueryExpansion.of(documents, bert.encode(documents), weight=0.8)
    asked = bert.encode(["dog"], prompt_name="query")
    assert np.abs(asked - plain).max() > 1e-2
    loaded = load_embedding_model(save(bert, tmp_path / "whole"))
    np.testing.assert_allclose(loaded.encode(["dog"], prompt_name="query"), asked, atol=1e-6)
    np.testing.assert_allclose(loaded.encode(["dog"]), plain, atol=1e-6)
    np.testing.assert_allclose(loaded.encode(["dog"], prompt_name="document"), plain, atol=1e-6)

    cut = load_embedding_model(save(bert, tmp_path / "cut", dims=8))
    expected = bert.encode(["dog"], prompt_name="query", dims=8)
    np.testing.assert_allclose(cut.encode(["dog"], prompt_name="query"), expected, atol=1e-6)
    # The words stand for vectors of all layers.
    assert load_embedding_model(save(bert, tmp_path / "shallow", layers=1)).expansion is None


def test_an_expansion_of_another_width_is_refused(bert: EmbeddingModel, tmp_path: Path) -> None:
    bert.expansion = QueryExpansion.of(["a dog"], np.ones((1, 5)))
    for refused in (lambda: save(bert, tmp_path / "out"), lambda: bert.encode(["a dog"], prompt_name="query")):
        with pytest.raises(ReknitError, match="made for 5 dimensions, so queries of 32 cannot be expanded"):
            refused()
    assert not (tmp_path / "out").exists()
    saved = save(bert, tmp_path / "out", dims=4)
    assert load_embedding_model(saved).encode(["a dog"], prompt_name="query").shape == (1, 4)
