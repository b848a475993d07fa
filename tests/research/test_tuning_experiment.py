"""Ways of tuning side by side: what arms are, which texts they see, what is measured of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_texts import labelled, write_tsv
from small_model import write_small_model

from reknit.catalogue import find_system, methods
from reknit.errors import ReknitError
from reknit.evaluation.classification import ClassificationSet, fitted_probe
from reknit.evaluation.fine_tuning import Classifier
from reknit.jobs.interrupt import Interrupted, StopRequest
from reknit.models.encode_texts import encoder_function
from reknit.models.loading import load_embedding_model
from reknit.research.claims import plan_claim
from reknit.research.tuning.experiment import (
    ACCURACY,
    BYTES,
    FULL,
    MEMORY,
    PROBE,
    SECONDS,
    TRAINED,
    Arm,
    TuningExperiment,
    parse_arm,
)
from reknit.research.tuning.labels import drawn_labels, spoilt
from reknit.research.tuning.memory import training_megabytes


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_tsv(folder / "cls" / "toy" / "train.tsv", labelled(100, 0))
    write_tsv(folder / "cls" / "toy" / "test.tsv", labelled(60, 1))
    return folder


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> TuningExperiment:
    model = write_small_model(tmp_path_factory.mktemp("model") / "small")
    return TuningExperiment("cls/toy", labels=2, texts=40, judging=50, epochs=1, model=str(model))


def run(experiment: TuningExperiment, arm: str, data: Path, seed: int = 0) -> dict[str, float | None]:
    return experiment.run(arm, seed, data, Path(), StopRequest()).values


def many_labels(labels: int = 9, of_each: int = 30) -> ClassificationSet:
    rows = [(f"label {label}", f"text {number} of {label}") for number in range(of_each) for label in range(labels)]
    return ClassificationSet("many", rows[: len(rows) // 2], rows[len(rows) // 2 :])


@given(st.integers(0, 1000), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_texts_to_learn_from_do_not_judge(seed: int, labels: int) -> None:
    whole = many_labels()
    drawn = drawn_labels(whole, labels, 10, 15, seed)
    assert (len(drawn.train), len(drawn.test)) == (10, min(15, 30 * labels - 10))
    assert not set(drawn.train) & set(drawn.test)
    assert set(drawn.train + drawn.test) <= set(whole.train + whole.test)
    names = {label for label, _ in drawn.train + drawn.test}
    assert len(names) <= labels
    assert names <= {f"label {number}" for number in range(0, 9, 2)}, "learning rates were chosen on the others"
    assert drawn_labels(whole, labels, 10, 15, seed) == drawn


def test_seeds_draw_differently_and_all_labels_can_be_asked_for() -> None:
    whole = many_labels()
    assert drawn_labels(whole, 3, 20, 20, 0).train != drawn_labels(whole, 3, 20, 20, 1).train
    assert len({label for label, _ in drawn_labels(whole, 9, 100, 100, 0).train}) == 9
    with pytest.raises(ReknitError, match="has 9 labels; 10 are asked for"):
        drawn_labels(whole, 10, 20, 20, 0)
    with pytest.raises(ReknitError, match="has 30 texts of these labels; 40 are needed"):
        drawn_labels(whole, 1, 20, 20, 0)


def test_labels_are_spoilt_as_asked() -> None:
    whole = drawn_labels(many_labels(), 4, 40, 40, 0)
    assert spoilt(whole, "all", 0) == whole
    assert spoilt(whole, "quarter", 0).train == whole.train[:10]
    shuffled = spoilt(whole, "shuffled", 0)
    assert [text for _, text in shuffled.train] == [text for _, text in whole.train]
    assert sorted(label for label, _ in shuffled.train) == sorted(label for label, _ in whole.train)
    assert shuffled.train != whole.train
    assert shuffled.test == whole.test


@pytest.mark.parametrize(
    ("arm", "parsed"),
    [
        ("probe", Arm("probe")),
        ("lora:part.rank=4", Arm("lora", ("part.rank=4",))),
        ("lora:part.targets=up,down:labels=quarter", Arm("lora", ("part.targets=up,down",), "quarter")),
        ("full:labels=shuffled", Arm("full", (), "shuffled")),
    ],
)
def test_arms_are_read(arm: str, parsed: Arm) -> None:
    assert parse_arm(arm) == parsed


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ("lora:labels=half", "labels=half is none of all, quarter, shuffled"),
        ("lora:rank=4", "neither part.FIELD=VALUE nor labels=VALUE"),
        ("lorra", "did you mean lora"),
        ("mlm", "mlm is not a method of tune"),
        ("full:part.rank=4", "the arm full has no settings"),
        ("bitfit:part.rank=4", "there is no field 'rank'"),
        ("lora:part.rank=0", "rank is 0: it must be above 0"),
    ],
)
def test_arms_that_cannot_be(experiment: TuningExperiment, arm: str, message: str) -> None:
    with pytest.raises(ReknitError, match=message):
        experiment.prepare(Path(), Path(), ["lora", arm])


def test_what_is_measured(experiment: TuningExperiment, data: Path) -> None:
    found = {arm: run(experiment, arm, data) for arm in (PROBE, FULL, "lora", "propetl")}
    assert all(list(values) == [ACCURACY, TRAINED, BYTES, MEMORY, SECONDS] for values in found.values())
    assert (found[PROBE][TRAINED], found[PROBE][BYTES], found[PROBE][MEMORY]) == (0.0, 0.0, None)
    model = load_embedding_model(experiment.model)
    whole = sum(parameter.numel() for parameter in model.encoder.parameters())
    assert found[FULL][TRAINED] == 100.0
    assert found[FULL][BYTES] == 4 * whole / 1e3
    lora = 2 * 2 * 8 * (32 + 32)
    assert found["lora"][TRAINED] == pytest.approx(100 * lora / whole)
    assert found["lora"][BYTES] == 4 * lora / 1e3
    assert 0 < found["lora"][MEMORY] < found[FULL][MEMORY]
    assert found["propetl"][BYTES] < 4 / 1e3 * whole * found["propetl"][TRAINED] / 100, "a mask takes a bit a weight"
    assert all(0.0 <= values[ACCURACY] <= 1.0 and values[SECONDS] > 0 for values in found.values())


def test_the_probe_is_logistic_regression_on_the_drawn_texts(experiment: TuningExperiment, data: Path) -> None:
    whole = ClassificationSet("toy", labelled(100, 0), labelled(60, 1))
    drawn = drawn_labels(whole, 2, 40, 50, 3)
    encode = encoder_function(load_embedding_model(experiment.model), "auto")
    regression = fitted_probe(encode([t for _, t in drawn.train], "document"), [label for label, _ in drawn.train])
    wanted = regression.score(encode([t for _, t in drawn.test], "document"), [label for label, _ in drawn.test])
    assert run(experiment, PROBE, data, seed=3)[ACCURACY] == wanted


def test_a_seed_decides_everything(experiment: TuningExperiment, data: Path) -> None:
    def judged(seed: int) -> float | None:
        return run(experiment, "lora", data, seed)[ACCURACY]

    assert judged(1) == judged(1)


def test_a_stop_is_heard(experiment: TuningExperiment, data: Path) -> None:
    stop = StopRequest()
    stop.asked = True
    with pytest.raises(Interrupted):
        experiment.run("lora", 0, data, Path(), stop)


def test_memory_counts_what_training_needs(experiment: TuningExperiment) -> None:
    classifier = Classifier(load_embedding_model(experiment.model), ["early", "late"], 0, "float32")
    head = 4 * 3 * (2 * 32 + 2)
    whole = training_megabytes(classifier, labelled(8, 0))
    assert whole == training_megabytes(classifier, labelled(8, 0))
    assert training_megabytes(classifier, labelled(16, 0)) > whole
    weights = sum(parameter.numel() for parameter in classifier.model.encoder.parameters())
    assert whole > (4 * 3 * weights + head) / 1e6
    classifier.model.encoder.requires_grad_(False)
    assert training_megabytes(classifier, labelled(8, 0)) == head / 1e6, "without a gradient nothing is kept"
    classifier.model.encoder.blocks[-1].down.bias.requires_grad_(True)
    last = training_megabytes(classifier, labelled(8, 0))
    assert head / 1e6 < last < whole / 4, "what comes before the last layer is not needed"
    assert not classifier.model.encoder.training


def test_flops_and_sizes() -> None:
    small = TuningExperiment()
    assert 0 < small.flops(PROBE) < small.flops("lora") == small.flops(FULL)
    assert small.flops("lora") < small.at("large").flops("lora")
    assert small.at("small") == small
    assert small.with_start(Path("model")).model == "model"
    assert [small.lower_is_better(name) for name in (ACCURACY, TRAINED, SECONDS)] == [False, True, True]


def test_the_survey_measures_every_method_of_tune() -> None:
    """Every adapter of the catalogue that is the survey's is an arm, and none is measured that is no option."""
    plan = plan_claim("peft-review")
    own = {name for name, method in methods("tune").items() if method.card.system == "peft-review"}
    assert {parse_arm(arm).name for arm in plan.arms} == own | {PROBE, FULL}
    assert plan.controls == (TuningExperiment.control,)
    plan.experiment.prepare(Path(), Path(), plan.arms)
    check = find_system("peft-review").check
    assert {pair.first for pair in check.no_worse} == {"lora", "bottleneck"}
    assert all((pair.margin, pair.second) == (0.02, FULL) for pair in check.no_worse)
    assert all(bound.at_most == 2.0 for bound in check.bounds)
    assert np.all([pair.second == PROBE for pair in check.better])
