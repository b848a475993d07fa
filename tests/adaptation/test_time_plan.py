"""The plan of a run's time: whole, even, and the count of texts that a naive run would encode."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reknit.adaptation.rates import Rates
from reknit.adaptation.time_plan import EVALUATE, LEAST_TRAINING, SHARES, TEACH, TRAIN, Sizes, Work, said, time_plan

ASKED = Sizes(
    probe_queries=2000,
    probe_documents=8000,
    teacher_documents=20_000,
    teacher_queries=20_000,
    expansion_documents=20_000,
)


def work(passages: int = 30_000, passage: float = 0.005, others: tuple[str, ...] = (), labelled: int = 0) -> Work:
    rates = Rates(passage, passage / 6, {"labels": passage})
    return Work(
        sizes=ASKED,
        indexed=passages,
        collections={"labels": labelled},
        rates=dict.fromkeys(("student", *others), rates),
        student="student",
        others=others,
        teachers=("student", *others[:1]),
        systems=9,
    )


works = st.builds(
    work,
    passages=st.integers(0, 200_000),
    passage=st.floats(1e-4, 0.2),
    others=st.sampled_from([(), ("a",), ("a", "b")]),
    labelled=st.integers(0, 10_000),
)


@given(works, st.floats(10, 1e5), st.floats(0, 500))
def test_the_parts_are_the_budget_or_the_plan_says_that_they_are_more(
    given: Work, limit: float, elapsed: float
) -> None:
    plan = time_plan(given, limit, elapsed)
    assert all(seconds >= 0 for seconds in plan.parts.values())
    if plan.least <= limit:
        assert plan.seconds == pytest.approx(limit, abs=1.0)
        assert len(said(plan)) == 1
    else:
        assert plan.share == SHARES[-1]
        assert plan.seconds > limit
        assert "too short" in said(plan)[1]
    assert plan.training is not None
    asked = plan.parts[TEACH] + plan.training
    assert asked >= LEAST_TRAINING * (limit - elapsed) * (1 - 1e-9)


@given(works, st.floats(10, 1e5), st.floats(1, 4))
def test_more_time_never_makes_a_sample_smaller(given: Work, limit: float, times: float) -> None:
    less, more = time_plan(given, limit, 1.0), time_plan(given, times * limit, 1.0)
    assert less.share <= more.share
    assert less.sizes.probe_documents <= more.sizes.probe_documents
    if less.share == more.share:
        assert less.training is not None
        assert more.training is not None
        assert less.training <= more.training


@given(works)
def test_the_least_budget_is_enough(given: Work) -> None:
    least = time_plan(given, 1.0, 0.5).least
    plan = time_plan(given, least * (1 + 1e-9), 0.5)
    assert plan.seconds == pytest.approx(least)


@given(works, st.floats(10, 1e5))
def test_all_samples_get_the_same_share(given: Work, limit: float) -> None:
    plan = time_plan(given, limit, 0.0)
    asked, sizes = given.sizes, plan.sizes
    for name in ("probe_documents", "teacher_documents"):
        assert getattr(sizes, name) == max(1000, round(plan.share * getattr(asked, name)))
    assert sizes.probe_queries == max(200, round(plan.share * asked.probe_queries))
    assert sizes.expansion_documents == round((1 + plan.share) / 2 * asked.expansion_documents)


@given(works, st.floats(10, 1e5))
def test_labelled_queries_change_nothing_but_the_time_on_top(given: Work, limit: float) -> None:
    plan, without = (time_plan(replace(given, collections={"labels": count}), limit, 1.0) for count in (5000, 0))
    assert plan.sizes == without.sizes
    assert {name: of for name, of in plan.parts.items() if name != EVALUATE} == without.parts
    assert "on top" in said(plan)[0]
    assert "on top" not in said(without)[0]


def test_start_models_that_were_measured_are_not_measured_again() -> None:
    whole = time_plan(work(others=("a",)), None, 9.0)
    again = time_plan(replace(work(others=("a",)), measured=True), None, 9.0)
    assert (
        whole.parts == {"read": 9.0, "measure the start models": whole.parts["measure the start models"]} | again.parts
    )


def test_where_there_is_time_everything_is_as_asked() -> None:
    assert time_plan(work(), 1e6, 3.0).sizes == ASKED
    assert time_plan(work(), None, 3.0).sizes == ASKED


def test_a_budget_that_says_nothing_of_time_plans_no_training() -> None:
    plan = time_plan(work(), None, 3.0)
    assert plan.training is None
    assert TRAIN not in plan.parts
    assert len(said(plan)) == 1


def test_a_run_without_teacher_expansion_or_index_spends_nothing_on_them() -> None:
    sizes = replace(ASKED, teacher_documents=0, teacher_queries=0, expansion_documents=0)
    plan = time_plan(replace(work(passages=0), sizes=sizes), 600.0, 3.0)
    assert not {TEACH, "expand queries", "index"} & plan.parts.keys()
    assert plan.sizes.teacher_queries == 0


@pytest.mark.parametrize("others", [(), ("a",), ("a", "b")])
@pytest.mark.parametrize("passages", [30_000, 21_000, 20_000])
def test_encoding_is_counted_as_a_naive_run_does_it(others: tuple[str, ...], passages: int) -> None:
    """Each model remembers what it has encoded; a text is encoded once by each set of weights."""
    plan = time_plan(work(passages, 1.0, others), None, 0.0)
    sizes = plan.sizes
    teacher, expansion = set(range(sizes.teacher_documents)), set(range(sizes.expansion_documents))
    probe, everything = {("probe", place) for place in range(sizes.probe_documents)}, set(range(passages))
    known: dict[str, set[object]] = {name: set() for name in ("student", "adapted", *others)}
    encoded = 0

    def encode(name: str, texts: set[object]) -> None:
        nonlocal encoded
        encoded += len(texts - known[name])
        known[name] |= texts

    for name in ("student", *others):
        encode(name, probe)
    for name in ("student", *others[:1]):
        encode(name, teacher)
    encode("adapted", probe)
    for name in known:
        encode(name, expansion)
    for name in ("adapted", *others[:1]):
        encode(name, everything)
    halfway = 0.5 * sizes.probe_documents  # the weights between two are tried half of all times
    queries = (1 + len(others) + 1.5) * sizes.probe_queries / 6 + sizes.teacher_queries * (1 + len(others[:1])) / 6
    ranking = 9 * 1.2e-3 * sizes.probe_queries
    assert plan.seconds == pytest.approx(encoded + halfway + queries + ranking + 12.0)
