"""The experiment on feature models, as small as it gets: what its arms give, and the line through the TopK models."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_corpus import write_small_corpus
from small_model import write_small_model

from reknit import catalogue
from reknit.claim import Outcome
from reknit.errors import ReknitError
from reknit.jobs.interrupt import Interrupted, StopRequest
from reknit.research.features.experiment import ACTIVE, BOUND, CURVE_ARMS, ERROR, RELATIVE, FeatureExperiment, error_at

CURVE = tuple(f"topk-sae:part.k={k}" for k in (1, 4, 48))
ARMS = ("top-afa-sae", "batchtopk-sae:part.k=4", "untrained:topk-sae:part.k=4", *CURVE)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[FeatureExperiment, Path, Path]:
    """The experiment, its data folder and its own."""
    folder = tmp_path_factory.mktemp("experiment")
    write_small_corpus(folder / "corpus.jsonl", documents=40)
    model = write_small_model(folder / "model")
    experiment = FeatureExperiment(
        corpus="corpus.jsonl", layer=1, states=3000, training_states=1200, width=48, curve=CURVE
    ).with_start(model)
    (folder / "own").mkdir()
    experiment.prepare(folder, folder / "own", ARMS)
    return experiment, folder, folder / "own"


@pytest.fixture(scope="module")
def outcomes(prepared: tuple[FeatureExperiment, Path, Path]) -> dict[str, Outcome]:
    experiment, data, folder = prepared
    return {arm: experiment.run(arm, 0, data, folder, StopRequest()) for arm in ARMS}


def test_every_arm_has_every_measure(outcomes: dict[str, Outcome]) -> None:
    labels = set(outcomes["top-afa-sae"].values)
    for arm, outcome in outcomes.items():
        assert set(outcome.values) == labels
        assert outcome.values[ERROR] is not None
        assert outcome.values[ERROR] > 0
        assert outcome.values[BOUND] is not None
        assert 0 <= outcome.values[BOUND] <= 1 + 1e-6
        assert outcome.spent["states"] == 1200, arm


def test_topk_lies_on_its_own_line(outcomes: dict[str, Outcome]) -> None:
    for arm in CURVE:
        assert outcomes[arm].values[RELATIVE] == pytest.approx(1.0, abs=1e-9)
    line = [(outcomes[arm].values[ACTIVE], outcomes[arm].values[ERROR]) for arm in CURVE]
    for outcome in outcomes.values():
        reference = error_at(outcome.values[ACTIVE], line)
        wanted = None if reference is None else pytest.approx(outcome.values[ERROR] / reference)
        assert outcome.values[RELATIVE] == wanted


def test_what_is_there_is_not_trained_again(
    prepared: tuple[FeatureExperiment, Path, Path], outcomes: dict[str, Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, data, folder = prepared
    monkeypatch.setattr(FeatureExperiment, "_train", lambda *given: pytest.fail("trained again"))
    assert experiment.run("top-afa-sae", 0, data, folder, StopRequest()) == outcomes["top-afa-sae"]
    experiment.prepare(data, folder, ARMS)


def test_seeds_differ_and_a_stop_is_heeded(
    prepared: tuple[FeatureExperiment, Path, Path], outcomes: dict[str, Outcome]
) -> None:
    experiment, data, folder = prepared
    stop = StopRequest()
    stop.asked = True
    with pytest.raises(Interrupted):
        experiment.run(CURVE[0], 1, data, folder, stop)
    found = experiment.run(CURVE[0], 1, data, folder, StopRequest())
    assert found.values[ERROR] != outcomes[CURVE[0]].values[ERROR]


@pytest.mark.parametrize("arm", ["mlm", "no-sae", "topk-sae:part.k=49", "topk-sae:part.no=1"])
def test_arms_that_cannot_be(arm: str, prepared: tuple[FeatureExperiment, Path, Path]) -> None:
    experiment, data, folder = prepared
    with pytest.raises(ReknitError):
        experiment.prepare(data, folder, [arm])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 500), st.floats(0.01, 2)), min_size=2, max_size=6, unique_by=lambda one: one[0]),
    st.floats(0.5, 600),
)
def test_the_line_between_points(curve: list[tuple[int, float]], active: float) -> None:
    found = error_at(active, curve)
    below = max((one for one in curve if one[0] <= active), default=None)
    above = min((one for one in curve if one[0] >= active), default=None)
    if below is None or above is None:
        assert found is None
    elif below == above:
        assert found == pytest.approx(below[1])
    else:
        part = math.log(active / below[0]) / math.log(above[0] / below[0])
        assert found == pytest.approx(below[1] ** (1 - part) * above[1] ** part)


def test_the_check_of_top_afa() -> None:
    check = catalogue.find_system("top-afa-sae").check
    assert check is not None
    assert isinstance(check.experiment, FeatureExperiment)
    small, large = check.experiment.at("small"), check.experiment.at("large")
    assert small.flops("top-afa-sae") < large.flops("top-afa-sae")
    assert small.flops("untrained:topk-sae") < 0.1 * small.flops("topk-sae")
    assert {bound.arm for bound in check.bounds} == {"top-afa-sae", "batchtopk-sae:part.k=32", *CURVE_ARMS}
    assert {pair.measure for pair in check.no_worse} == {RELATIVE}
    assert all(small.lower_is_better(measure) for measure in (ERROR, RELATIVE))
