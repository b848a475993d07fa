"""sentence-transformers folders, old and new: what reknit reads from them, and what it leaves to the package."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encoder_samples import SENTENCES, saved_family, small_tokenizer

from reknit.errors import ReknitError
from reknit.jobs.quiet import quiet_libraries
from reknit.models.loading import load_embedding_model, load_model
from reknit.models.sentence_folder import is_truncation, read_max_length, read_sentence_folder
from reknit.models.sentence_transformer_model import SentenceTransformerModel

TEXTS = ["", *SENTENCES, "the dog " * 100]
OLD = "sentence_transformers.models"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transformers folder of a tiny BERT with a tokenizer."""
    folder = tmp_path_factory.mktemp("plain")
    saved_family("bert", folder, vocab_size=small_tokenizer().vocabulary.size)
    small_tokenizer().save(folder)
    return folder


def sentence_transformer(folder: Path, **options: Any) -> Any:
    from sentence_transformers import SentenceTransformer

    with quiet_libraries():
        return SentenceTransformer(str(folder), device="cpu", **options)


def save_new(plain: Path, out: Path, *modules: Any, **options: Any) -> Any:
    """Written by the installed sentence-transformers: Transformer, then `modules`."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer

    with quiet_libraries():
        model = SentenceTransformer(
            modules=[Transformer(str(plain), max_seq_length=40), *modules], device="cpu", **options
        )
        model.save(str(out))
    return model


def save_old(plain: Path, out: Path, pooling: dict[str, Any], *, normalize: bool = True, inner: str = "") -> Path:
    """Written by hand as version 2 did."""
    kinds = ["Transformer", "Pooling"] + ["Normalize"] * normalize
    paths = [inner, "1_Pooling", "2_Normalize"]
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"{OLD}.{kind}"}
        for number, (kind, path) in enumerate(zip(kinds, paths, strict=False))
    ]
    shutil.copytree(plain, out / inner)
    (out / "modules.json").write_text(json.dumps(modules))
    (out / inner / "sentence_bert_config.json").write_text('{"max_seq_length": 40, "do_lower_case": false}')
    (out / "1_Pooling").mkdir()
    (out / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **pooling}))
    return out


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("mode", ["cls", "mean", "max", "lasttoken"])
def test_folders_of_the_installed_version(mode: str, normalize: bool, plain: Path, tmp_path: Path) -> None:
    from sentence_transformers.base.modules import Normalize
    from sentence_transformers.sentence_transformer.modules import Pooling

    modules = [Pooling(32, mode)] + [Normalize()] * normalize
    theirs = save_new(plain, tmp_path / "st", *modules, prompts={"query": "dog "}, default_prompt_name=None)
    model = load_embedding_model(tmp_path / "st")
    assert (model.pooling, model.normalize) == ("last" if mode == "lasttoken" else mode, normalize)
    assert model.max_length == 40
    np.testing.assert_allclose(model.encode(TEXTS), theirs.encode(TEXTS), atol=1e-4)
    np.testing.assert_allclose(
        model.encode(TEXTS, prompt_name="query"), theirs.encode(TEXTS, prompt_name="query"), atol=1e-4
    )


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode_max_tokens": True, "pooling_mode_mean_sqrt_len_tokens": False}, "max"),
        ({"pooling_mode_lasttoken": True, "include_prompt": True}, "last"),
        ({}, "mean"),
    ],
)
@pytest.mark.parametrize("inner", ["", "0_Transformer"])
def test_folders_of_old_versions(
    pooling: dict[str, Any], expected: str, inner: str, plain: Path, tmp_path: Path
) -> None:
    folder = save_old(plain, tmp_path / "st", pooling, normalize=inner == "", inner=inner)
    model = load_embedding_model(folder)
    assert (model.pooling, model.normalize, model.max_length) == (expected, inner == "", 40)
    np.testing.assert_allclose(model.encode(TEXTS), sentence_transformer(folder).encode(TEXTS), atol=1e-4)


def test_prompts_default_prompt_and_truncate_dim(plain: Path, tmp_path: Path) -> None:
    from sentence_transformers.base.modules import Normalize
    from sentence_transformers.sentence_transformer.modules import Pooling

    theirs = save_new(
        plain,
        tmp_path / "st",
        Pooling(32, "mean"),
        Normalize(),
        prompts={"query": "the dog ", "document": "a fox "},
        default_prompt_name="document",
        truncate_dim=8,
    )
    model = load_embedding_model(tmp_path / "st")
    assert (model.dims, model.dim) == (8, 8)
    assert (model.default_prompt, model.prompts["query"]) == ("document", "the dog ")
    for name in (None, "query", "document"):
        expected = theirs.encode(TEXTS, prompt_name=name, normalize_embeddings=True)
        np.testing.assert_allclose(model.encode(TEXTS, prompt_name=name), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("said", "similarity"),
    [(None, "cosine"), ("cosine", "cosine"), ("dot", "dot"), ("euclidean", "cosine"), ("manhattan", "cosine")],
)
def test_similarity_is_read(
    said: str | None, similarity: str, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_old(plain, tmp_path / "st", {}, normalize=False)
    assert load_embedding_model(folder).similarity == "cosine", "also without the file"
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"similarity_fn_name": said}))
    assert load_embedding_model(folder).similarity == similarity
    note = f"compares vectors by {said}; comparing them by cosine instead"
    assert (note in capsys.readouterr().err) == (said in ("euclidean", "manhattan"))


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_a_model_run_through_the_package_keeps_its_similarity_and_prompts(
    similarity: str, plain: Path, tmp_path: Path
) -> None:
    from sentence_transformers.base.modules import Dense
    from sentence_transformers.sentence_transformer.modules import Pooling

    prompts = {"task": "dog ", "document": ""}
    modules = [Pooling(32, "mean"), Dense(32, 12)]
    theirs = save_new(
        plain,
        tmp_path / "st",
        *modules,
        prompts=prompts,
        default_prompt_name="task",
        similarity_fn_name=similarity,
    )
    model = load_model(tmp_path / "st")
    assert isinstance(model, SentenceTransformerModel)
    assert model.similarity == similarity
    assert model.prompt_text("document") == "", "an empty prompt is a prompt"
    vectors = model.comparable(model.encode(TEXTS))
    np.testing.assert_allclose(vectors @ vectors.T, theirs.similarity(*[theirs.encode(TEXTS)] * 2), atol=1e-4)


def test_modules_unknown_to_reknit_run_through_the_package(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from sentence_transformers.base.modules import Dense
    from sentence_transformers.sentence_transformer.modules import Pooling

    theirs = save_new(plain, tmp_path / "st", Pooling(32, "mean"), Dense(32, 12), prompts={"query": "dog "})
    model = load_model(tmp_path / "st")
    assert isinstance(model, SentenceTransformerModel)
    assert "has a Dense module; running it through sentence-transformers" in capsys.readouterr().err
    assert model.dim == 12
    progress: list[tuple[int, int]] = []
    vectors = model.encode(TEXTS, prompt_name="query", on_progress=lambda done, total: progress.append((done, total)))
    np.testing.assert_allclose(vectors, theirs.encode(TEXTS, prompt_name="query"), atol=1e-5)
    assert progress[-1] == (len(TEXTS), len(TEXTS))
    shorter = model.encode(TEXTS, dims=5)
    np.testing.assert_allclose(np.linalg.norm(shorter, axis=1), 1.0, atol=1e-5)
    with pytest.raises(ReknitError, match="not train, cut or export it"):
        load_embedding_model(tmp_path / "st")
    with pytest.raises(ReknitError, match="layers cannot be cut"):
        model.encode(TEXTS, layers=1)
    with pytest.raises(ReknitError, match="12 dimensions; 13 cannot be kept"):
        model.encode(TEXTS, dims=13)
    with pytest.raises(ReknitError, match="put the single text into a list"):
        model.encode("text")


@pytest.mark.parametrize(
    ("pooling", "reason"),
    [
        ({"pooling_mode": ["cls", "mean"]}, "pooling by cls \\+ mean"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, "pooling by max \\+ mean"),
        ({"pooling_mode": "weightedmean"}, "pooling by weightedmean"),
        ({"pooling_mode": "mean", "include_prompt": False}, "leaves the prompt out"),
    ],
)
def test_poolings_left_to_the_package(pooling: dict[str, Any], reason: str, plain: Path, tmp_path: Path) -> None:
    described = read_sentence_folder(save_old(plain, tmp_path / "st", pooling))
    assert re.search(reason, described.unsupported)


def test_lower_casing_outside_the_tokenizer_is_left_to_the_package(plain: Path, tmp_path: Path) -> None:
    folder = save_old(plain, tmp_path / "st", {})
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 40, "do_lower_case": true}')
    (folder / "tokenizer.json").write_text('{"normalizer": {"type": "BertNormalizer", "lowercase": false}}')
    assert "lower-casing" in read_sentence_folder(folder).unsupported
    (folder / "tokenizer.json").write_text('{"normalizer": null}')
    assert "lower-casing" in read_sentence_folder(folder).unsupported


def test_lower_casing_that_the_tokenizer_does_by_itself_changes_nothing(plain: Path, tmp_path: Path) -> None:
    """As in the folders of the BGE models."""
    folder = save_old(plain, tmp_path / "st", {})
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 40, "do_lower_case": true}')
    model = load_embedding_model(folder)
    shouted = [text.upper() for text in TEXTS]
    np.testing.assert_allclose(model.encode(shouted), sentence_transformer(folder).encode(shouted), atol=1e-4)
    lower = {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]}
    (folder / "tokenizer.json").write_text(json.dumps({"normalizer": lower}))
    assert not read_sentence_folder(folder).unsupported


@pytest.mark.parametrize("name", ["passage", "corpus"])
def test_a_documents_prompt_by_another_name(name: str, plain: Path, tmp_path: Path) -> None:
    """As in E5's folders; an empty "document", which sentence-transformers writes by itself, does not hide it."""
    folder = save_old(plain, tmp_path / "st", {})
    prompts = {"query": "query: ", name: "passage: ", "document": ""}
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}))
    model = load_embedding_model(folder)
    assert model.prompt_text("document") == "passage: "
    assert model.prompt_text("query") == "query: "


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("{}", "must be a list of modules"),
        ("[]", "must be a list of modules"),
        ('[{"type": "my_code.Module", "path": ""}]', "needs its own code \\(my_code.Module\\)"),
        (
            f'[{{"type": "{OLD}.Transformer", "path": "../elsewhere"}}, {{"type": "{OLD}.Pooling", "path": "1"}}]',
            "points outside the folder",
        ),
    ],
)
def test_damaged_and_dangerous_folders(modules: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text(modules)
    with pytest.raises(ReknitError, match=message):
        load_embedding_model(tmp_path)


def test_max_length_comes_from_the_first_file_that_says_it(plain: Path, tmp_path: Path) -> None:
    assert read_max_length(tmp_path) == 512
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 1e30}')
    assert read_max_length(tmp_path) == 512
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 77}')
    assert read_max_length(tmp_path) == 77
    (tmp_path / "sentence_roberta_config.json").write_text('{"max_seq_length": 33}')
    assert read_max_length(tmp_path) == 33
    # more than the position table has rows (128) cannot be read
    folder = save_old(plain, tmp_path / "st", {})
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 4000}')
    assert load_embedding_model(folder).max_length == 128


def test_only_a_cut_identity_is_a_truncation() -> None:
    assert is_truncation(torch.eye(3, 8))
    assert not is_truncation(torch.eye(8)[[1, 0, 2]])
    assert not is_truncation(torch.eye(3, 8) * 2)
