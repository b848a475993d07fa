"""The verdict text by text, the typed result, and the page."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from reknit.errors import ReknitError
from reknit.evaluation.significance import paired_test
from reknit.tuning.page import render_page
from reknit.tuning.result import PROBE, TUNED, Arm, TuningResult
from reknit.tuning.verdict import decide


def answers(right: int, texts: int = 200) -> np.ndarray:
    return (np.arange(texts) < right).astype(float)


def result(tuned: int = 190, probe: int = 160, notes: tuple[str, ...] = ()) -> TuningResult:
    return TuningResult(
        reknit_version="0.1.0",
        command="reknit tune model labels.tsv --method lora --out run",
        date="2026-01-02T03:04:05+00:00",
        seed=0,
        start="<model>",
        labels="labels & texts.tsv",
        method="lora",
        settings={"training": {"epochs": 3}},
        texts={"learnt from": 500, "judging": 200},
        classes=20,
        arms={
            PROBE: Arm(probe / 200, (0.7, 0.85), 0, 0.0, 0, 1.5),
            TUNED: Arm(tuned / 200, (0.9, 0.99), 73_728, 0.0033, 297_000, 61.0),
        },
        learning_rate=0.003,
        merges=True,
        verdict=decide(answers(tuned), answers(probe), 0),
        notes=list(notes),
        machine={"processor": "one", "cores": 2},
    )


def test_a_clear_gain_is_taken() -> None:
    verdict = decide(answers(190), answers(160), 0)
    paired = paired_test(answers(190), answers(160), 0)
    assert (verdict.use, verdict.difference, verdict.ci95, verdict.p) == ("tuned", 0.15, paired.ci95, paired.p)
    assert verdict.sentence.startswith("Use the tuned model: accuracy rises from 0.800 to 0.950 (+0.150, 95% interval")
    assert verdict.sentence.endswith("p < 0.001, 200 texts).")


@pytest.mark.parametrize(
    ("tuned", "probe", "words"),
    [(160, 160, "no significant gain"), (161, 160, "no significant gain"), (120, 160, "accuracy falls from")],
)
def test_anything_else_keeps_the_probe(tuned: int, probe: int, words: str) -> None:
    verdict = decide(answers(tuned), answers(probe), 0)
    assert verdict.use == "probe"
    assert verdict.sentence.startswith(f"Keep the frozen probe: {words}")


def test_texts_are_paired() -> None:
    """Equal accuracies on other texts are no gain, and a small gain on the same texts is one."""
    alternating = np.tile([1.0, 0.0], 100)
    assert decide(alternating, 1.0 - alternating, 0).use == "probe"
    assert decide(answers(110), answers(100), 0).use == "tuned"


def test_the_result_comes_back_as_it_was() -> None:
    written = json.loads(json.dumps(result().to_json()))
    assert TuningResult.from_json(written) == result()
    assert (written["kind"], written["version"]) == ("tuning", 1)


@pytest.mark.parametrize("changes", [{"kind": "run"}, {"version": 2}, {"kind": None}])
def test_another_kind_of_result(changes: dict) -> None:
    with pytest.raises(ReknitError, match="not the result of `reknit tune` in version 1"):
        TuningResult.from_json(result().to_json() | changes)


@pytest.mark.parametrize("changes", [{"arms": {}, "more": 1}, {"arms": None}, {"verdict": {}}, {"arms": {"x": {}}}])
def test_a_damaged_result(changes: dict) -> None:
    with pytest.raises(ReknitError, match="is damaged"):
        TuningResult.from_json(result().to_json() | changes)


def test_the_page_says_the_verdict_first_and_escapes_names() -> None:
    page = render_page(result(notes=("a <note>",)))
    assert page.index("Use the tuned model") < page.index("Accuracy and cost") < page.index("73,728 (0.33%)")
    assert "&lt;model&gt;" in page
    assert "labels &amp; texts.tsv" in page
    assert "a &lt;note&gt;" in page
    assert 'class="verdict good"' in page
    assert "puts the adapter into the weights" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    kept = render_page(replace(result(tuned=160), merges=False))
    assert 'class="verdict careful"' in kept
    assert "for inspection" in kept
    assert "only reknit applies it" in render_page(replace(result(), merges=False))
