"""Encoding: right vectors, in the caller's order, whatever the batches are."""

from __future__ import annotations

import copy
import json
import pickle
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from encoder_samples import SENTENCES, minilm_folder, small_tokenizer

from reknit.encoders.pooling_modes import POOLING_MODES
from reknit.encoders.spec import TextEncoderSpec
from reknit.errors import ReknitError
from reknit.export.sentence_transformers import save
from reknit.jobs.quiet import quiet_libraries
from reknit.models.embedding_model import EmbeddingModel, Precision
from reknit.models.loading import load_embedding_model
from reknit.tokenizers.tokenizer import Tokenizer

WORDS = " ".join(SENTENCES).split()
GENERAL_CLASS = {"tokenizer_class": "PreTrainedTokenizerFast"}


def ragged_texts(count: int, longest: int = 60) -> list[str]:
    chance = random.Random(0)
    return ["", *(" ".join(chance.choices(WORDS, k=chance.randint(0, longest))) for _ in range(count - 1))]


@pytest.fixture
def model() -> EmbeddingModel:
    torch.manual_seed(0)
    spec = TextEncoderSpec(dim=32, depth=3, heads=4, intermediate=48, max_positions=64)
    encoder = spec.build(small_tokenizer().vocabulary.size)
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.ndim > 1:
                parameter.mul_(10)
    return EmbeddingModel(encoder, small_tokenizer(), max_length=100, prompts={"query": "search "}, name="toy")


def test_the_real_minilm_equals_sentence_transformers() -> None:
    from sentence_transformers import SentenceTransformer

    folder = minilm_folder()
    model = load_embedding_model(folder)
    assert (model.pooling, model.normalize, model.max_length, model.dim) == ("mean", True, 256, 384)
    texts = [*ragged_texts(12), "naïve café, 東京 😀", " ".join(WORDS * 20)]
    with quiet_libraries():
        theirs = SentenceTransformer(str(folder), device="cpu").encode(texts)
    vectors = model.encode(texts)
    np.testing.assert_allclose(vectors, theirs, atol=1e-4)
    rounded = model.encode(texts, precision="bfloat16")
    assert rounded.dtype == np.float32
    assert (rounded * vectors).sum(1).min() > 0.999


def test_batches_windows_and_order_change_nothing(model: EmbeddingModel, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ragged_texts(50)
    expected = np.concatenate([model.encode([text]) for text in texts])
    for tokens_per_batch, window in ((1, 8192), (200, 7), (100_000, 50), (100_000, 1)):
        monkeypatch.setattr("reknit.models.packed_batches.WINDOW", window)
        vectors = model.encode(texts, tokens_per_batch=tokens_per_batch)
        np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_token_budget_is_kept(model: EmbeddingModel) -> None:
    sizes = []
    model.encoder.register_forward_pre_hook(lambda _, arguments: sizes.append(arguments[0].tokens.numel()))
    model.encode(ragged_texts(60), tokens_per_batch=150)
    assert max(sizes) <= 150
    assert len(sizes) < 25


def test_layers_and_dims(model: EmbeddingModel) -> None:
    texts = ragged_texts(9)
    full = model.encode(texts)
    assert np.array_equal(model.encode(texts, layers=3), full)
    assert not np.allclose(model.encode(texts, layers=1), full, atol=0.01)
    short = model.encode(texts, dims=8)
    np.testing.assert_allclose(short, full[:, :8] / np.linalg.norm(full[:, :8], axis=1, keepdims=True), atol=1e-5)
    model.normalize = False
    raw = model.encode(texts)
    np.testing.assert_allclose(model.encode(texts, dims=8), raw[:, :8])
    assert abs(np.linalg.norm(raw, axis=1) - 1).max() > 0.1


def test_prompts(model: EmbeddingModel) -> None:
    texts = ["the dog", ""]
    prompted = model.encode(["search the dog", "search "])
    assert np.array_equal(model.encode(texts, prompt_name="query"), prompted)
    assert np.array_equal(model.encode(texts, prompt_name="document"), model.encode(texts))
    with pytest.raises(ReknitError, match=r"toy has no prompt 'title'; it has \['query'\]"):
        model.encode(texts, prompt_name="title")
    model.default_prompt = "query"
    assert np.array_equal(model.encode(texts), prompted)


def test_query_and_document_have_no_other_prompt_than_their_own(model: EmbeddingModel) -> None:
    model.prompts, model.default_prompt = {"task": "find ", "document": ""}, "task"
    assert [model.prompt_text(name) for name in (None, "query", "document", "task")] == ["find ", "", "", "find "]
    assert np.array_equal(model.encode(["the dog"]), model.encode(["find the dog"], prompt_name="query"))
    model.default_prompt = None
    assert model.prompt_text("query") == model.prompt_text(None) == ""


def test_comparable_vectors_have_length_1_only_where_cosine_asks_for_it(model: EmbeddingModel) -> None:
    vectors = np.array([[3.0, 4.0], [0.0, 0.0], [np.inf, 1.0]], dtype=np.float32)
    assert model.comparable(vectors) is vectors, "the model has normalised them"
    model.normalize = False
    compared = model.comparable(vectors)
    assert compared.dtype == np.float32
    np.testing.assert_allclose(compared[:2], [[0.6, 0.8], [0.0, 0.0]], atol=1e-6)
    assert not np.isfinite(compared[2]).all(), "broken vectors must not look whole"
    model.similarity = "dot"
    assert model.comparable(vectors) is vectors
    with pytest.raises(ReknitError, match="unknown similarity 'maxsim'"):
        EmbeddingModel(model.encoder, model.tokenizer, similarity="maxsim")


def test_training_mode_and_gradients_are_left_as_they_were(model: EmbeddingModel) -> None:
    texts = ragged_texts(5)
    model.encoder.train()
    first = model.encode(texts)
    assert np.array_equal(first, model.encode(texts))
    assert model.encoder.training
    model.encoder.eval()
    model.encode(texts)
    assert not model.encoder.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.encoder.parameters())


def test_a_copy_made_after_encoding_in_bfloat16_is_of_its_own(model: EmbeddingModel) -> None:
    before = model.encode(SENTENCES, precision="bfloat16")
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin.encoder.table.mul_(2.0)
    assert np.array_equal(model.encode(SENTENCES, precision="bfloat16"), before)
    assert not np.array_equal(twin.encode(SENTENCES, precision="bfloat16"), before)
    unpickled = pickle.loads(pickle.dumps(model))
    assert np.array_equal(unpickled.encode(SENTENCES, precision="bfloat16"), before)


def test_progress_and_nothing_to_do(model: EmbeddingModel) -> None:
    calls: list[tuple[int, int]] = []
    model.encode(ragged_texts(30), tokens_per_batch=100, on_progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (30, 30)
    assert len(calls) > 1
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})
    assert model.encode([]).shape == (0, 32)


@pytest.mark.parametrize("pooling", POOLING_MODES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_texts_without_a_single_token_are_zeros(
    model: EmbeddingModel, pooling: str, precision: Precision, tmp_path: Path
) -> None:
    save(model, tmp_path)
    for name, change in (("tokenizer", {"post_processor": None}), ("tokenizer_config", GENERAL_CLASS)):
        described = json.loads((tmp_path / f"{name}.json").read_text())
        (tmp_path / f"{name}.json").write_text(json.dumps(described | change))
    toy = EmbeddingModel(model.encoder, Tokenizer.load(tmp_path), pooling=pooling)
    assert np.array_equal(toy.encode(["", ""], precision=precision), np.zeros((2, 32)))
    mixed = toy.encode(["", "the quick fox"], precision=precision)
    assert not mixed[0].any()
    assert mixed[1].any()


def test_bad_input_is_said_in_one_line(model: EmbeddingModel) -> None:
    for wrong, message in (
        ("text", "into a list"),
        (["a", None], "text 1 is a NoneType"),
        ([b"a"], "text 0 is a bytes"),
        (None, "not a NoneType"),
        (5, "not a int"),
        ({"a": "b"}, "not a dict"),
        ((text for text in "ab"), "not a generator; make a list of it"),
    ):
        with pytest.raises(ReknitError, match=message):
            model.encode(wrong)
    for size, message in (
        ({"layers": 0}, "3 layers; 0"),
        ({"layers": 4}, "3 layers; 4"),
        ({"dims": 0}, "32 dimensions; 0"),
        ({"dims": 33}, "32 dimensions; 33"),
    ):
        with pytest.raises(ReknitError, match=message):
            model.encode(["a"], **size)
    with pytest.raises(ReknitError, match="no precision 'float16': choose float32 or bfloat16"):
        model.encode(["a"], precision="float16")
    with pytest.raises(ReknitError, match="unknown pooling 'sum'"):
        EmbeddingModel(model.encoder, model.tokenizer, pooling="sum")


def test_max_length_is_capped_by_the_position_table(model: EmbeddingModel) -> None:
    assert model.max_length == 64
    model.encode([" ".join(WORDS * 30)])


def test_plain_and_run_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = minilm_folder()
    for file in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (tmp_path / "plain").mkdir(exist_ok=True)
        (tmp_path / "plain" / file).symlink_to(source / file)
    plain = load_embedding_model(tmp_path / "plain")
    assert "using mean pooling and normalising" in capsys.readouterr().err
    run = tmp_path / "my-run"
    run.mkdir()
    (run / "model").symlink_to(source)
    trained = load_embedding_model(run)
    assert trained.name == "my-run"
    texts = ["the dog", "a longer text about a fox"]
    np.testing.assert_allclose(plain.encode(texts), trained.encode(texts), atol=1e-6)


def test_tokenizer_and_table_must_fit(model: EmbeddingModel, tmp_path: Path) -> None:
    from encoder_samples import saved_family

    saved_family("bert", tmp_path, vocab_size=20)
    small_tokenizer().save(tmp_path)
    with pytest.raises(ReknitError, match="embedding table only 20 rows"):
        load_embedding_model(tmp_path)
    shutil.rmtree(tmp_path)
    with pytest.raises(ReknitError, match="does not exist"):
        load_embedding_model(tmp_path)
