"""The experiment of tokenizer transfers, tiny: an invented language in the place of German."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from small_corpus import small_documents
from transfer_checks import foreign

from reknit.encoders.spec import TextEncoderSpec
from reknit.errors import ReknitError
from reknit.jobs.interrupt import Interrupted, StopRequest
from reknit.research.vocabulary.experiment import FIRST_LOSS, FRACTION, LOSS, STEPS, GermanTransfer, steps_until
from reknit.research.vocabulary.masked_model import MaskedModel, Schedule
from reknit.research.vocabulary.start import StartSchedule
from reknit.research.vocabulary.texts import german_texts
from reknit.tokenizers.tokenizer import Tokenizer

ARMS = ("scratch", "random", "wechsel", "shuffled-wechsel", "wechsel:neighbours=1")
TINY = GermanTransfer(
    TextEncoderSpec(
        family="modernbert", dim=16, depth=2, heads=2, intermediate=16, vocabulary=400, dropout=0.0, max_positions=128
    ),
    StartSchedule(Schedule(3, 256, 1e-3), Schedule(4, 256, 1e-3)),
    Schedule(6, 256, 1e-3, points=3),
    vocabulary=400,
)


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
    (folder / "text").mkdir()
    with zstandard.open(folder / "text/mix_en.jsonl.zst", "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(document) + "\n" for document in small_documents(160, seed=7))
    return folder


@pytest.fixture(scope="module")
def prepared(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("material")
    TINY.prepare(data, folder, ARMS)
    return folder


def test_what_is_measured_on_is_not_trained_on(data: Path) -> None:
    texts = german_texts(data)
    assert texts.held_out
    assert texts.train
    assert not set(texts.train) & set(texts.held_out)
    assert {(one, foreign(one)) for one in ("turns", "holds", "barak")} <= set(texts.pairs)
    assert not any(foreign(text) in texts.held_out for text in texts.english)


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm(arm: str, data: Path, prepared: Path) -> None:
    outcome = TINY.run(arm, 0, data, prepared, StopRequest())
    assert set(outcome.values) == {LOSS, FIRST_LOSS, STEPS, FRACTION}
    assert [point["step"] for point in outcome.curve] == [0, 2, 4, 6]
    assert outcome.values[LOSS] == outcome.curve[-1]["loss"]
    assert outcome.values[FIRST_LOSS] == outcome.curve[0]["loss"]
    assert outcome.values[FRACTION] == outcome.values[STEPS] / 6
    assert outcome.spent["tokens"] > 0
    again = TINY.run(arm, 0, data, prepared, StopRequest())
    assert again == outcome


def test_arms_differ_in_what_they_say_and_in_nothing_else(data: Path, prepared: Path) -> None:
    texts = german_texts(data)
    start = MaskedModel.load(prepared / "start", TINY.encoder)
    models = {arm: TINY._model(arm, 0, texts, prepared) for arm in ARMS}
    body = {name for name in start.encoder.state_dict() if name != "tokens.weight"}
    for arm, model in models.items():
        weights = model.encoder.state_dict()
        same = [weights[name].equal(start.encoder.state_dict()[name]) for name in sorted(body)]
        # Norms of a fresh model are those of any other.
        assert all(same) == (arm != "scratch"), arm
        assert not model.objective.head.bias.any(), arm
        assert model.objective.head.dense.weight.equal(start.objective.head.dense.weight) == (arm != "scratch"), arm
    tables = {arm: model.encoder.table.detach().numpy() for arm, model in models.items()}
    assert np.array_equal(*(np.sort(tables[arm], axis=0) for arm in ("wechsel", "shuffled-wechsel")))
    assert not np.array_equal(tables["wechsel"], tables["shuffled-wechsel"])
    assert not np.array_equal(tables["wechsel"], tables["wechsel:neighbours=1"])
    tokenizer = Tokenizer.load(prepared / "german" / "tokenizer")
    for arm in ARMS[1:]:
        assert np.array_equal(
            tables[arm][tokenizer.vocabulary.mask], start.encoder.table[start.tokenizer.vocabulary.mask].detach()
        )


def test_a_stopped_arm_goes_on_to_the_same_end(data: Path, prepared: Path) -> None:
    stop = StopRequest()
    stop.asked = True
    with pytest.raises(Interrupted):
        TINY.run("random", 1, data, prepared, stop)
    resumed = TINY.run("random", 1, data, prepared, StopRequest())
    (prepared / "arms" / "random" / "seed-1" / "curve.json").unlink()
    (prepared / "arms" / "random" / "seed-1" / "german.jsonl").unlink()
    assert TINY.run("random", 1, data, prepared, StopRequest()).curve == resumed.curve


@pytest.mark.parametrize("arm", ["nonsense", "wechsel:neighbours=0", "shuffled-scratch"])
def test_an_arm_that_cannot_be(arm: str, data: Path, prepared: Path) -> None:
    with pytest.raises(ReknitError, match=f"arm {arm!r}"):
        TINY.prepare(data, prepared, [arm])


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
    assert TINY.at("small") is TINY
    large = GermanTransfer().at("large")
    assert large.german.steps == 2000
    assert large.flops("wechsel") > GermanTransfer().flops("wechsel") > 0
    assert large.lower_is_better(LOSS)
