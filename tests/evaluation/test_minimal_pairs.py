"""Sentence pairs: read, scored, and refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reknit.errors import ReknitError
from reknit.evaluation.minimal_pairs import load_minimal_pairs, minimal_pair_accuracy


def write(folder: Path, name: str, pairs: list[tuple[str, str]]) -> None:
    lines = [json.dumps({"sentence_good": good, "sentence_bad": bad, "UID": name}) for good, bad in pairs]
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


def test_accuracy_is_the_mean_over_the_paradigms(tmp_path: Path) -> None:
    write(tmp_path, "short", [("a", "bb"), ("a", "bb"), ("aaa", "b"), ("a", "b")])
    write(tmp_path, "long", [("a", "bb")])
    data = load_minimal_pairs(tmp_path)
    # The shorter sentence is taken to be likelier; equal ones do not count.
    assert (
        minimal_pair_accuracy(data, lambda texts: ([-len(text) for text in texts], [1] * len(texts))) == (0.5 + 1.0) / 2
    )
    assert load_minimal_pairs(tmp_path, 1).paradigms == {"long": [("a", "bb")], "short": [("a", "bb")]}


def test_broken_folders(tmp_path: Path) -> None:
    with pytest.raises(ReknitError, match=r"no [.]jsonl files"):
        load_minimal_pairs(tmp_path)
    (tmp_path / "x.jsonl").write_text("\n")
    with pytest.raises(ReknitError, match="holds no pairs"):
        load_minimal_pairs(tmp_path)
    (tmp_path / "x.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(ReknitError, match="not UTF-8"):
        load_minimal_pairs(tmp_path)
    for line in ("nonsense", '{"sentence_good": "a"}', "[1]"):
        (tmp_path / "x.jsonl").write_text(line + "\n")
        with pytest.raises(ReknitError, match=r"x\.jsonl:1: not a JSON object with"):
            load_minimal_pairs(tmp_path)
