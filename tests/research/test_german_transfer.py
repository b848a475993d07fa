"""The experiment of tokenizer transfers, tiny: an invented language in the place of German."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_corpus import small_documents
from transfer_checks import foreign

from reknit.encoders.spec import TextEncoderSpec
from reknit.errors import ReknitError
from reknit.export.sentence_transformers import save
from reknit.jobs.interrupt import Interrupted, StopRequest
from reknit.models.embedding_model import EmbeddingModel
from reknit.objectives.scheduled import CausalThenMaskedSpec
from reknit.research.vocabulary.experiment import FIRST_LOSS, FRACTION, LOSS, STEPS, GermanTransfer, steps_until
from reknit.research.vocabulary.masked_model import Schedule, load_start
from reknit.research.vocabulary.texts import german_texts
from reknit.tokenizers.tokenizer import train_tokenizer
from reknit.training.checkpoint import save_tensors

ARMS = ("scratch", "random", "wechsel", "shuffled-wechsel", "wechsel:neighbours=1")
SCHEDULE = Schedule(6, 256, 1e-3, points=3)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout of the real data, filled with small documents and their translations."""
    folder = tmp_path_factory.mktemp("data")
    sentences = [line for document in small_documents(50) for line in document["text"].split(". ")]
    pairs = list(pairwise(sentences))
    for code, translate in (("en", str), ("de", foreign)):
        place = folder / f"sts/stsb_{code}"
        place.mkdir(parents=True)
        for split, some in (("train", pairs[:200]), ("dev", pairs[200:250]), ("test", pairs[250:300])):
            lines = ["score\tsentence1\tsentence2", *(f"1\t{translate(a)}\t{translate(b)}" for a, b in some)]
            (place / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        place = folder / f"retrieval/xquad_{code}"
        place.mkdir(parents=True)
        records = [{"_id": one["_id"], "text": translate(one["text"])} for one in small_documents(12, seed=3)]
        (place / "corpus.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n", encoding="utf-8")
    (folder / "parallel/tatoeba").mkdir(parents=True)
    for code, translate in (("eng", str), ("deu", foreign)):
        text = "\n".join(map(translate, sentences[300:320])) + "\n"
        (folder / f"parallel/tatoeba/tatoeba.deu-eng.{code}").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> GermanTransfer:
    """The experiment from a start in the form of a fixture, untrained."""
    folder = tmp_path_factory.mktemp("fixture")
    tokenizer = train_tokenizer(
        [document["text"] for document in small_documents(60, seed=7)], 400, family="modernbert"
    )
    torch.manual_seed(0)
    spec = TextEncoderSpec(family="modernbert", dim=16, depth=2, heads=2, intermediate=16, max_positions=128)
    model = EmbeddingModel(spec.build(tokenizer.vocabulary.size, pad=tokenizer.vocabulary.pad), tokenizer)
    objective = CausalThenMaskedSpec().build(model.encoder, tokenizer.vocabulary, "mean")
    save(model, folder / "model")
    (folder / "heads").mkdir()
    save_tensors(objective.state_dict(), folder / "heads" / "objective.safetensors")
    return GermanTransfer(SCHEDULE, vocabulary=400).with_start(folder / "model")


@pytest.fixture(scope="module")
def prepared(tiny: GermanTransfer, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("material")
    tiny.prepare(data, folder, ARMS)
    return folder


def test_what_is_measured_on_is_not_trained_on(data: Path) -> None:
    texts = german_texts(data)
    assert texts.held_out
    assert texts.train
    assert not set(texts.train) & set(texts.held_out)
    assert {(one, foreign(one)) for one in ("turns", "holds", "barak")} <= set(texts.pairs)
    assert not any(foreign(text) in texts.held_out for text in texts.english)


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm(arm: str, tiny: GermanTransfer, data: Path, prepared: Path) -> None:
    outcome = tiny.run(arm, 0, data, prepared, StopRequest())
    assert set(outcome.values) == {LOSS, FIRST_LOSS, STEPS, FRACTION}
    assert [point["step"] for point in outcome.curve] == [0, 2, 4, 6]
    assert outcome.values[LOSS] == outcome.curve[-1]["loss"]
    assert outcome.values[FIRST_LOSS] == outcome.curve[0]["loss"]
    assert outcome.values[FRACTION] == outcome.values[STEPS] / 6
    assert outcome.spent["tokens"] > 0
    again = tiny.run(arm, 0, data, prepared, StopRequest())
    assert again == outcome


def test_arms_differ_in_what_they_say_and_in_nothing_else(tiny: GermanTransfer, data: Path, prepared: Path) -> None:
    texts = german_texts(data)
    start, head = load_start(Path(tiny.start))
    models = {arm: tiny._model(arm, 0, texts, prepared) for arm in ARMS}
    before = {name: value for name, value in start.encoder.state_dict().items() if name != "tokens.weight"}
    for arm, masked in models.items():
        weights, new_head = masked.model.encoder.state_dict(), masked.objective.head.state_dict()
        assert all(weights[name].equal(value) for name, value in before.items()) == (arm != "scratch"), arm
        assert all(new_head[name].equal(value) for name, value in head.items()) == (arm != "scratch"), arm
        assert not new_head["bias"].any(), arm
    tables = {arm: masked.model.encoder.table.detach().numpy() for arm, masked in models.items()}
    assert np.array_equal(*(np.sort(tables[arm], axis=0) for arm in ("wechsel", "shuffled-wechsel")))
    assert not np.array_equal(tables["wechsel"], tables["shuffled-wechsel"])
    assert not np.array_equal(tables["wechsel"], tables["wechsel:neighbours=1"])
    new, old = (tokenizer.vocabulary.mask for tokenizer in (models["random"].model.tokenizer, start.tokenizer))
    for arm in ARMS[1:]:
        assert np.array_equal(tables[arm][new], start.encoder.table[old].detach().numpy()), arm


def test_a_start_without_a_head(tiny: GermanTransfer, tmp_path: Path) -> None:
    (tmp_path / "heads").mkdir()
    save_tensors({"causal.head.bias": torch.zeros(3)}, tmp_path / "heads" / "objective.safetensors")
    with pytest.raises(ReknitError, match="has no head of a masked language model"):
        load_start(tmp_path / "model")


def test_a_stopped_arm_goes_on_to_the_same_end(tiny: GermanTransfer, data: Path, prepared: Path) -> None:
    stop = StopRequest()
    stop.asked = True
    with pytest.raises(Interrupted):
        tiny.run("random", 1, data, prepared, stop)
    resumed = tiny.run("random", 1, data, prepared, StopRequest())
    (prepared / "arms" / "random" / "seed-1" / "curve.json").unlink()
    (prepared / "arms" / "random" / "seed-1" / "metrics.jsonl").unlink()
    assert tiny.run("random", 1, data, prepared, StopRequest()).curve == resumed.curve


@pytest.mark.parametrize("arm", ["nonsense", "wechsel:neighbours=0", "shuffled-scratch"])
def test_an_arm_that_cannot_be(arm: str, tiny: GermanTransfer, data: Path, prepared: Path) -> None:
    with pytest.raises(ReknitError, match=f"arm {arm!r}"):
        tiny.prepare(data, prepared, [arm])


@settings(deadline=None)
@given(st.lists(st.floats(0, 10), min_size=1, max_size=8), st.floats(0, 10))
def test_steps_until_a_loss(losses: list[float], goal: float) -> None:
    curve = [{"step": 10.0 * place, "loss": loss} for place, loss in enumerate(losses)]
    found = steps_until(curve, goal)
    assert 0 <= found <= curve[-1]["step"]
    if min(losses) <= goal:
        assert np.interp(found, [p["step"] for p in curve], losses) <= goal + 1e-6
    else:
        assert found == curve[-1]["step"]
    # Nothing before has come down so far.
    assert all(point["loss"] > goal for point in curve if point["step"] < found)


def test_sizes() -> None:
    small = GermanTransfer()
    assert small.at("small") == small
    large = small.at("large")
    assert large.german.steps == 2000
    assert large.flops("wechsel") > small.flops("wechsel") > 0
    assert large.lower_is_better(LOSS)
