"""Curves and pictures, each against a naive reference."""

import math
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import full_result, log_lines

from reknit.jobs.typed_json import from_plain
from reknit.report.curves import kept_point, loss_curves, phase_starts, probe_points, thin_out, timeline
from reknit.report.plots import curve_chart, interval_bar, nice_ticks
from reknit.runs.result import Training


def line(phase, step, tokens, **more):
    return {"phase": phase, "step": step, "tokens": tokens, **more}


def test_phases_follow_one_another_on_one_axis():
    log = [line("a", 1, 10), line("a", 2, 20), line("b", 1, 50), line("b", 2, 100), {"phase": "b"}]
    assert [entry["tokens"] for entry in timeline(log)] == [10, 20, 70, 120]
    assert phase_starts(log) == [20]


def test_each_named_loss_of_each_phase_is_a_curve():
    curves = loss_curves(log_lines(40))
    assert [(curve.phase, curve.name) for curve in curves] == [
        ("pretrain", "loss"),
        ("pretrain", "encoder_mlm"),
        ("pretrain", "decoder_mlm"),
        ("tune", "contrast"),
    ]
    assert [curve.samples for curve in curves] == [40, 40, 40, 20]


def test_values_that_are_not_finite_are_counted_and_left_out():
    log = [line("a", i, i, loss=v, losses={"x": v}) for i, v in enumerate([1.0, math.nan, 3.0, math.inf])]
    (curve,) = loss_curves(log)
    assert curve.values.tolist() == [1.0, 3.0]
    assert (curve.samples, curve.dropped) == (2, 2)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(1, 50))
def test_thinning_keeps_means_and_ranges(values, points):
    values = np.array(values)
    tokens = np.arange(len(values), dtype=float)
    thin_tokens, means, low, high = thin_out(tokens, values, points)
    runs = np.array_split(values, min(points, len(values)))
    assert len(means) == len(runs) <= points
    for i, run in enumerate(runs):
        assert means[i] == pytest.approx(sum(run) / len(run), abs=1e-6)
        assert low[i] == min(run)
        assert high[i] == max(run)
    assert (np.diff(thin_tokens) > 0).all()
    assert low.min() == values.min()
    assert high.max() == values.max()


def test_the_kept_checkpoint_is_that_of_the_last_phase():
    points = probe_points(log_lines(80))

    def kept(**last):
        training = full_result()["training"]
        training["phases"][1] |= last
        return kept_point(points, from_plain(Training, training, "training"), "nDCG@10")

    assert (kept(best_step=20).phase, kept(best_step=20).step) == ("tune", 20)
    assert kept(best_step=0) is None
    assert kept(best_step=20, kept_best=False) is None
    assert kept_point(points, Training(), "nDCG@10") is None


@settings(max_examples=60, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 8))
def test_ticks_are_round_even_and_inside(low, size, count):
    high = low + size
    ticks = nice_ticks(low, high, count)
    slack = 1e-6 * size + 1e-9
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    assert len(ticks) <= 2 * count + 2
    steps = np.diff(ticks)
    if len(steps):
        step = steps[0]
        assert steps == pytest.approx(step, rel=1e-3)
        assert min(abs(step / 10 ** round(math.log10(step / f)) - f) for f in (1, 2, 5)) < 0.01


def test_ticks_of_known_ranges():
    assert nice_ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert nice_ticks(-3, 3, 3) == [-2, 0, 2]
    assert nice_ticks(5, 5) == [5]


def test_a_chart_is_well_formed_and_goes_through_its_points():
    tokens, values = np.array([0.0, 50.0, 100.0]), np.array([1.0, 3.0, 2.0])
    chart = curve_chart(tokens, values, title='a <b> "c"', points=True, kept=(50.0, 3.0), parts=[60.0])
    root = ElementTree.fromstring(chart)
    assert root.attrib["aria-label"] == 'a <b> "c"'
    xs = [float(e.attrib["cx"]) for e in root.iter("circle") if e.attrib["class"] == "point"]
    ys = [float(e.attrib["cy"]) for e in root.iter("circle") if e.attrib["class"] == "point"]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)
    assert ys[1] < ys[2] < ys[0]
    assert (ys[0] - ys[2]) == pytest.approx((ys[0] - ys[1]) / 2, abs=0.2)
    ring = next(e for e in root.iter("circle") if e.attrib["class"] == "ring")
    assert (float(ring.attrib["cx"]), float(ring.attrib["cy"])) == (xs[1], ys[1])
    assert sum(e.attrib.get("class") == "phase" for e in root.iter("line")) == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20), st.integers(0, 10**12))
def test_any_finite_curve_can_be_drawn_inside_its_frame(values, step):
    values = np.array(values)
    tokens = np.arange(len(values), dtype=float) * step
    chart = curve_chart(tokens, values, title="t", band=(values - 1, values + 1), points=True)
    ElementTree.fromstring(chart)
    assert "nan" not in chart
    for x, y in re.findall(r'cx="([-\d.]+)" cy="([-\d.]+)"', chart):
        assert 0 <= float(x) <= 360
        assert 0 <= float(y) <= 210


def test_an_interval_bar_is_to_scale():
    bar = ElementTree.fromstring(interval_bar(0.25, (0.2, 0.4), 0.5, "plain"))
    assert bar.find("rect").attrib["width"] == "50.00%"
    first = bar.find("g").find("line")
    assert (first.attrib["x1"], first.attrib["x2"]) == ("40.00%", "80.00%")
    assert ElementTree.fromstring(interval_bar(0.25, None, 0.5, "plain")).find("g") is None
