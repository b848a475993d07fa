"""The verdict of planted numbers; marks and excerpts; a page of hostile texts; results that are damaged."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_reader import Page

from reknit import catalogue
from reknit.errors import ReknitError
from reknit.explanation import page
from reknit.explanation.config import ExplainConfig
from reknit.explanation.excerpts import marks_of
from reknit.explanation.page import marked, render_page
from reknit.explanation.result import (
    VERSION,
    DescriptionScore,
    Excerpt,
    ExplainResult,
    Feature,
    Hit,
    HitFeature,
    Measured,
    Sample,
    Verdict,
)
from reknit.explanation.verdict import judge
from reknit.interpretability.descriptions import FeatureWord
from reknit.interpretability.feature_model import FeatureModelSpec
from reknit.interpretability.quality import FeatureQuality
from reknit.ranges import range_of
from reknit.runs.settings import groups_of

HOSTILE = "\"'><script>alert(1)</script> $body {body} </style>"


def measured(error: float, auroc: float | None = 0.8) -> Measured:
    return Measured(FeatureQuality(error, 8.0, 0.1, 0.4, 0.2), DescriptionScore(30, 20, auroc))


def scores(mean: float, count: int = 200) -> np.ndarray:
    return mean + 0.1 * np.random.default_rng(0).standard_normal(count)


@pytest.mark.parametrize(
    ("error", "control_error", "mean", "control_mean", "explains", "why"),
    [
        (0.3, 0.8, 0.8, 0.7, True, "keep 70%"),
        (0.3, 0.8, 0.7, 0.7, False, "mean AUROC of 0."),
        (0.3, 0.8, 0.6, 0.7, False, "difference -0.100"),
        (1.01, 1.2, 0.8, 0.7, False, "no better than the mean of all states"),
        (0.8, 0.8, 0.8, 0.7, False, "no better than random directions"),
    ],
)
def test_the_verdict(
    error: float, control_error: float, mean: float, control_mean: float, explains: bool, why: str
) -> None:
    found = judge(measured(error), measured(control_error), scores(mean), scores(control_mean)[::-1])
    assert found.explains == explains
    assert why in found.sentence
    assert found.sentence.startswith(
        "These features can be read" if explains else "These features explain nothing here"
    )
    assert found.difference == pytest.approx(mean - control_mean, abs=1e-6)
    assert found.ci95 is not None
    # Two means of 200 values with a spread of 0.1.
    assert (found.ci95[1] - found.ci95[0]) / 2 == pytest.approx(1.97 * 0.1 * (2 / 200) ** 0.5, rel=0.15)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_to_tell(count: int) -> None:
    found = judge(measured(0.3, None), measured(0.8), scores(0.9, count), scores(0.5))
    assert (found.explains, found.difference, found.ci95) == (False, None, None)
    assert "too few" in found.sentence
    assert judge(measured(0.3), measured(0.8), np.ones(9), np.ones(9)).ci95 is None


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.sampled_from([0.0, 0.4, 0.5, 1.0]), st.sampled_from(["", " ", "-"])), max_size=8
    )
)
def test_marks_are_the_strong_tokens(tokens: list[tuple[int, float, str]]) -> None:
    text, spans, activations = "", [], []
    for length, activation, between in tokens:
        text += between
        spans.append([len(text), len(text) + length])
        text += "x" * length
        activations.append(activation)
    found = marks_of(np.array(spans, dtype=np.int64).reshape(-1, 2), np.array(activations), text)
    inside = {place for start, end in found for place in range(start, end)}
    largest = max(activations, default=0.0)
    for (start, end), activation in zip(spans, activations, strict=True):
        strong = largest > 0 and activation >= 0.5 * largest
        assert set(range(start, end)) <= inside if strong else not set(range(start, end)) & inside
    assert all(text[before[1] : after[0]].strip() for before, after in pairwise(found))


@settings(max_examples=200, deadline=None)
@given(
    st.text(alphabet="ab  <&", max_size=120), st.lists(st.integers(0, 119), max_size=8, unique=True), st.integers(5, 60)
)
def test_an_excerpt_is_a_part_of_the_text_with_its_marks(text: str, places: list[int], limit: int) -> None:
    ends = sorted(place for place in places if place < len(text))
    marks = [(start, end) for start, end in zip(ends[::2], ends[1::2], strict=False)]
    shown = Page(f"<p>{marked(text, marks, limit)}</p>")
    assert shown.faults == []
    part = shown.text.removeprefix("…").removesuffix("…")
    assert part in text
    assert len(part) <= limit + 80
    assert len(text) > limit or part == text
    if marks and marks[0][1] - marks[0][0] < limit:
        assert ("b", {}) in shown.tags


def full_result(said: str = "plain") -> ExplainResult:
    word = FeatureWord(said, 12.0, 0.5)
    excerpt = Excerpt("d1#2", said, f"{said} heat {said}", ((0, 5),), 4.2, True)
    feature = Feature(3, 0.01, 0.91, (word,), (excerpt,))
    return ExplainResult(
        command=f"reknit explain {said}",
        date="2026-11-30T08:00:00+00:00",
        config={"method": said, "corpus": said, "part": {"width": 40}, "training_states": 10, "seed": 0},
        model=said,
        layer=3,
        sample=Sample(10, 60, 40, 4000, 20, 2000),
        trained=measured(0.3),
        control=measured(0.8, None),
        verdict=Verdict(True, 0.1, (0.05, 0.15), f"These features can be read: {said}"),
        features=(feature, replace(feature, number=4, excerpts=()), replace(feature, number=5, words=(), auroc=None)),
        hit=Hit(said, said, "d1", said, said, ((0, 3),), 0.7, (HitFeature(3, 0.02, True, (word,), (said,)),)),
        machine={"processor": said, "cores": 2},
        versions={"reknit": said},
    )


def test_hostile_text_is_shown_and_never_obeyed() -> None:
    source = render_page(full_result(HOSTILE))
    assert Page(source).faults == []
    assert "<script" not in source
    assert "alert(1)" in Page(source).text


def test_the_check_for_hostile_text_finds_a_planted_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "text", lambda value, limit=None: str(value))
    assert "tag <script>" in Page(render_page(full_result(HOSTILE))).faults


def test_a_page_without_features_or_hit() -> None:
    shown = Page(render_page(replace(full_result(), features=(), hit=None)))
    assert shown.faults == []
    assert "No feature fires in enough passages" in shown.text
    assert "Why this was found" not in shown.text


def test_the_best_described_come_first() -> None:
    result = full_result()
    better = replace(result.features[0], number=9, auroc=0.99)
    result = replace(result, features=(*result.features, better))
    assert [feature.number for feature in result.shown] == [9, 3, 5]


def test_results_come_back() -> None:
    result = full_result()
    assert ExplainResult.from_json(result.to_json()) == result
    assert result.to_json()["version"] == VERSION


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"version": 99}, "no explanation of version"),
        ({"kind": "run"}, "no explanation of version"),
        ({"layer": "three"}, "damaged .*layer"),
        ({"sample": {}}, "damaged .*sample"),
    ],
)
def test_results_that_are_not(change: dict, complaint: str) -> None:
    with pytest.raises(ReknitError, match=complaint):
        ExplainResult.from_json(full_result().to_json() | change)


@pytest.mark.parametrize("name", ["topk-sae", "batchtopk-sae", "top-afa-sae"])
def test_every_setting_has_a_help_and_every_number_a_range(name: str) -> None:
    part = catalogue.find_method(name, "explain").part
    assert isinstance(part, FeatureModelSpec)
    config = ExplainConfig("model", "corpus", name, part)
    for group in groups_of(config):
        assert len(group.help.split()) > 3, group.path
        for one in group.settings:
            assert len(one.help.split()) > 2, one.path
    for one in (config, part):
        hints = typing.get_type_hints(type(one), include_extras=True)
        for item in dataclasses.fields(one):
            if isinstance(getattr(one, item.name), int | float):
                assert range_of(hints[item.name]) is not None, item.name
