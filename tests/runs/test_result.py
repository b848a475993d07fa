"""result.json as a tree of values: nothing is lost, older files are read, others are refused in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from report_samples import empty_result, full_result, pretrained_result

from reknit.errors import ReknitError
from reknit.runs.result import VERSION, RunResult, Training
from reknit.runs.run_folder import RunFolder


def holds(whole: Any, part: Any) -> bool:
    """Whether everything of `part` is in `whole`, which may have more keys."""
    if isinstance(part, dict):
        return all(name in whole and holds(whole[name], value) for name, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(holds, whole, part))
    return whole == part


@pytest.mark.parametrize("made", [full_result, empty_result, pretrained_result])
def test_what_is_written_is_read(made) -> None:
    result = replace(RunResult.from_json(made()), version=VERSION)
    plain = json.loads(json.dumps(result.to_json()))
    assert RunResult.from_json(plain) == result
    assert list(plain) == [item.name for item in fields(RunResult)]
    assert holds(plain, made())


def test_older_files_have_no_number_and_may_lack_parts() -> None:
    found = RunResult.from_json(full_result())
    assert found.version == 0
    assert found.corpus is not None
    assert found.corpus.passage_words is None
    assert found.training.kept_share is None
    bare = RunResult.from_json({})
    assert (bare.verdict, bare.searches, bare.corpus, bare.search) == (None,) * 4
    assert (bare.evaluations, bare.training) == ((), Training())


def test_one_arm_of_a_comparison_is_read_too() -> None:
    arm = {"arm": "mlm", "recipe": "mlm", "seed": 0, "training": {"tokens": 1, "seconds": 0.5, "flops": 2.0}}
    found = RunResult.from_json(arm | {"tuning": None, "values": {"x": 1.0}, "curve": []})
    assert (found.training.tokens, found.training.phases, found.search) == (1, (), None)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"version": VERSION + 1}, f"written by a newer reknit .version {VERSION + 1}, this one reads {VERSION}."),
        ({"version": "x"}, "result.version is 'x', not a whole number"),
        ({"corpus": {"words": 3}}, "result.corpus has no read"),
        ({"training": {"phases": [{"name": "tune"}]}}, r"result.training.phases\[0\] has no steps"),
        ({"evaluations": None}, "result.evaluations is None, not a list"),
        ({"model_holds": 3}, "result.model_holds is 3, not a text"),
    ],
)
def test_what_is_no_result_is_refused_in_one_line(tmp_path: Path, changed: dict, complaint: str) -> None:
    file = tmp_path / "result.json"
    file.write_text(json.dumps(full_result() | changed))
    with pytest.raises(ReknitError, match=complaint) as caught:
        RunFolder(tmp_path).found()
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)
    file.write_text("[1]")
    with pytest.raises(ReknitError, match="not an object"):
        RunFolder(tmp_path).found()


def test_a_folder_without_result_has_found_nothing(tmp_path: Path) -> None:
    assert RunFolder(tmp_path).found() is None


def test_reading_a_result_loads_no_model_library() -> None:
    program = "import sys; import reknit.runs.search; print('torch' in sys.modules, 'lancedb' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
