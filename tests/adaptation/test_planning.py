"""Plans are made from measured rates, kept beside the passages, and followed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from encoder_samples import minilm_folder
from small_corpus import write_small_corpus

from reknit.adaptation import planning
from reknit.adaptation.job import adapt_config
from reknit.adaptation.planning import Planner, followed
from reknit.adaptation.rates import Rates, measured_rates
from reknit.data.text.corpus import Corpus
from reknit.models.encode_texts import encoder_function
from reknit.models.loading import load_embedding_model
from reknit.runs.config import RunConfig
from reknit.runs.corpus import prepare_corpus
from reknit.runs.run_folder import RunFolder
from reknit.sources.queries import TeacherSpec

MODEL = load_embedding_model(minilm_folder())


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.data.mkdir(parents=True)
    return folder


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return adapt_config(write_small_corpus(tmp_path / "corpus.jsonl", documents=60), "model", budget="100s")


@pytest.fixture
def corpus(config: RunConfig, folder: RunFolder) -> Corpus:
    return prepare_corpus(config, folder, ())


class Clock:
    """Passes when it is told to."""

    now = 1.0

    def __call__(self) -> float:
        return self.now


def planner(
    config: RunConfig, folder: RunFolder, corpus: Corpus, clock: Clock, monkeypatch: pytest.MonkeyPatch, passage: float
) -> Planner:
    """Of a machine that takes `passage` seconds for a passage."""
    monkeypatch.setattr(planning, "measured_rates", lambda *_: Rates(passage, passage / 10, {}))
    return Planner(config, folder, corpus, (), {"start": MODEL}, clock)


def test_rates_are_seconds_a_text(corpus: Corpus) -> None:
    calls: list[tuple[int, str]] = []
    encode = encoder_function(MODEL)

    def counted(texts: list[str], kind: str):
        calls.append((len(texts), kind))
        return encode(texts, kind)

    rates = measured_rates(counted, corpus, [replace(corpus.held_out.whole, name="labels")])
    assert 0 < rates.query < rates.passage * 10
    assert set(rates.documents) == {"labels"}
    assert {kind for _, kind in calls} == {"query", "document"}
    assert sum(size for size, _ in calls) <= 4 * (2048 + 128 + 128)


def test_a_plan_is_made_once_and_a_resume_follows_it(
    config: RunConfig, folder: RunFolder, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    plan = planner(config, folder, corpus, clock, monkeypatch, 0.01).settle("start", ())
    assert plan.seconds == pytest.approx(100.0)
    resumed = planner(config, folder, corpus, clock, monkeypatch, 5.0)
    assert resumed.settle("start", ()) == plan


def test_training_gets_what_is_left_when_it_begins(
    config: RunConfig, folder: RunFolder, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    made = planner(config, folder, corpus, clock, monkeypatch, 0.01)
    plan = made.settle("start", ())
    assert made.seconds_to_teach(plan, TeacherSpec()) > plan.parts["teach"]
    clock.now = 30.0
    # It takes twice as long now as when it was measured.
    monkeypatch.setattr(planning, "measured_rates", lambda *_: Rates(0.02, 0.002, {}))
    left = 100.0 - 30.0 - 2 * plan.seconds_after_training
    assert made.seconds_to_train(plan, "start", 0.0) == pytest.approx(left)
    clock.now = 3.0
    resumed = planner(config, folder, corpus, clock, monkeypatch, 0.01)
    assert resumed.seconds_to_train(plan, "start", 0.0) == pytest.approx(left), "as it was then"
    longer = planner(
        replace(config, budget=replace(config.budget, seconds=150.0)), folder, corpus, clock, monkeypatch, 0.01
    )
    assert longer.seconds_to_train(plan, "start", 0.0) == pytest.approx(left + 50.0)


def test_a_resume_knows_what_the_teacher_took(
    config: RunConfig, folder: RunFolder, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = planner(config, folder, corpus, Clock(), monkeypatch, 0.01)
    plan = made.settle("start", ())
    left = 100.0 - (1.0 + 40.0) - plan.seconds_after_training
    assert made.seconds_to_train(plan, "start", 40.0) == pytest.approx(left)


def test_training_is_never_left_without_time(
    config: RunConfig, folder: RunFolder, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    made = planner(config, folder, corpus, clock, monkeypatch, 0.01)
    plan = made.settle("start", ())
    clock.now = 500.0
    assert made.seconds_to_train(plan, "start", 0.0) > 0


def test_the_samples_are_those_of_the_plan(
    config: RunConfig, folder: RunFolder, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = planner(config, folder, corpus, Clock(), monkeypatch, 0.01)
    plan = made.settle("start", ())
    found = followed(config, plan)
    assert found.tune is not None
    assert (found.probe.queries, found.probe.documents) == (plan.sizes.probe_queries, plan.sizes.probe_documents)
    assert found.tune.data.teacher.documents == plan.sizes.teacher_documents
    assert found.tune.data.teacher.queries == plan.sizes.teacher_queries
    assert found.expansion.documents == plan.sizes.expansion_documents
    assert found.budget == config.budget


def test_a_budget_of_tokens_changes_no_sample(
    config: RunConfig, folder: RunFolder, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = adapt_config(config.corpus, "model", budget="5ktok")
    made = planner(config, folder, corpus, Clock(), monkeypatch, 1.0)
    plan = made.settle("start", ())
    assert followed(config, plan) == config
    assert not list(folder.data.glob("plan*")), "nothing is kept"
    assert made.seconds_to_teach(plan, TeacherSpec()) is None
    assert made.seconds_to_train(plan, "start", 0.0) is None
