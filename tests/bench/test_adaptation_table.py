"""The comparison of adaptations: its sums, its table, its rules; what runs is measured by `reknit compare-adapt`."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from reknit.bench.adaptation import compare_adaptation, summary
from reknit.bench.adaptation_table import comparison_markdown, comparison_rows, comparison_table
from reknit.errors import ReknitError
from reknit.retrieval.fusion import reciprocal_rank_fusion


def run(seed: int, adapted: float, hybrid: float, says: str, labels_say: str = "adapted") -> dict[str, Any]:
    return {"seed": seed, "adapted": adapted, "hybrid": hybrid, "probe_verdict": says, "verdict": labels_say}


@pytest.fixture
def record() -> dict[str, Any]:
    first = {
        "documents": 1400,
        "queries": 225,
        "baselines": {"bm25": 0.5, "start": 0.4, "rrf": 0.6},
        "runs": [run(0, 0.5, 0.6, "adapted"), run(1, 0.55, 0.65, "start"), run(2, 0.39, 0.7, "adapted", "start")],
        "peers": {"simcse": {"value": 0.45}, "tsdae": {"value": 0.3}},
    }
    second = {
        "documents": 10,
        "queries": 5,
        "baselines": {"bm25": 0.1, "start": 0.3, "rrf": 0.2},
        "runs": [run(0, 0.2, 0.4, "start", "start")],
        "peers": {"simcse": {"value": 0.25}},
    }
    made: dict[str, Any] = {"budget": "10m", "collections": {"one": first, "two": second}}
    return made | {"summary": summary(made)}


def test_summary(record: dict[str, Any]) -> None:
    found = record["summary"]
    expected = {"bm25": 0.3, "start": 0.35, "rrf": 0.4, "adapted": 0.35, "hybrid": 0.525, "simcse": 0.35}
    assert found["means"] == pytest.approx(expected), "tsdae was not run everywhere and has no mean"
    assert found["best_of_three"] == pytest.approx(0.45)
    assert found["probe_verdicts"] == {"right": 2, "adapted_though_worse": 1, "start_though_worse": 1, "runs": 4}


def test_table(record: dict[str, Any]) -> None:
    headings, rows = comparison_rows(record)
    assert headings == ["nDCG@10", "one (1,400 documents)", "two (10 documents)", "mean"]
    assert rows[0] == ["BM25", "0.500", "0.100", "0.300"]
    assert ["sentence-transformers, tsdae", "0.300", "", ""] in rows
    assert rows[-2] == ["**adapted**, dense alone", "0.500 (0.390 to 0.550)", "0.200", "0.350"]
    assert comparison_markdown(record).splitlines()[1] == "| --- | --- | --- | --- |"
    out = io.StringIO()
    comparison_table(record, Console(file=out, width=160))
    said = " ".join(out.getvalue().split())
    assert "In 2 of 4 runs the verdict without labels chose the model that scores higher" in said
    end = "In 1 of the runs it chose the adapted model where its gain is not significant on the labels."
    assert said.endswith(end), "of the two that kept the start model none counts"


def test_fusion_by_ranks() -> None:
    runs = [{"q": {"a": 9.0, "b": 8.0}}, {"q": {"b": 0.2, "c": 0.1}}]
    fused = reciprocal_rank_fusion(runs)["q"]
    assert fused == pytest.approx({"a": 1 / 61, "b": 1 / 62 + 1 / 61, "c": 1 / 62})


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({"budget": "5Mtok"}, "needs a time, such as 10m"),
        ({"against": ["nonsuch"]}, "there is no training method 'nonsuch'; choose from simcse"),
    ],
)
def test_what_cannot_be_compared(tmp_path: Path, words: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ReknitError, match=complaint):
        compare_adaptation([tmp_path], start="scratch", **words)


def test_a_record_of_other_settings_is_not_mixed_in(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    record.write_text(json.dumps({"start": "other", "budget": "10m", "collections": {}}))
    with pytest.raises(ReknitError, match="holds a comparison with start 'other'"):
        compare_adaptation([], start="scratch", json_file=record)
    assert json.loads(record.read_text())["start"] == "other"
