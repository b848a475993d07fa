"""Labelled texts: what is read, how a single file is divided, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled_texts import labelled, write_tsv

from reknit.errors import ReknitError
from reknit.evaluation.classification import ClassificationSet
from reknit.tuning.labels import is_held_out, load_labels, notes_on


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    train, test = labelled(30, 0), labelled(20, 1)
    write_tsv(tmp_path / "train.tsv", train), write_tsv(tmp_path / "test.tsv", test)
    assert load_labels(tmp_path, 0.9, seed=0) == ClassificationSet(tmp_path.name, train, test)


def test_a_file_is_divided_by_its_texts(tmp_path: Path) -> None:
    rows = labelled(200, 0)
    data = load_labels(write_tsv(tmp_path / "tickets.tsv", rows), 0.25, seed=0)
    assert data.name == "tickets"
    assert sorted(data.train + data.test) == sorted(rows)
    assert [row for row in rows if row in data.test] == data.test, "the order of the file stays"
    assert 25 < len(data.test) < 75
    doubled = load_labels(write_tsv(tmp_path / "doubled.tsv", rows * 2), 0.25, seed=0)
    assert not {text for _, text in doubled.train} & {text for _, text in doubled.test}
    assert {text for _, text in doubled.test} == {text for _, text in data.test}, "wherever a text stands"
    assert load_labels(tmp_path / "tickets.tsv", 0.25, seed=1).test != data.test


@given(st.text(), st.floats(0.0, 1.0), st.integers(-(2**70), 2**70))
def test_a_text_that_is_held_out_stays_so_when_more_are(text: str, fraction: float, seed: int) -> None:
    held_out = is_held_out(text.encode("utf-8", "ignore").decode(), fraction, seed)
    assert isinstance(held_out, bool)
    clean = text.encode("utf-8", "ignore").decode()
    assert not is_held_out(clean, 0.0, seed)
    assert is_held_out(clean, 1.0, seed)
    if held_out:
        assert is_held_out(clean, min(1.0, fraction + 0.1), seed)


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (labelled(100, 0), "class\ttext", "has no column 'label'"),
        (labelled(100, 0), "label\tbody", "has no column 'text'"),
        ([("one", text) for _, text in labelled(100, 0)], "label\ttext", "only one label"),
        (labelled(30, 0), "label\ttext", r"has \d+ texts to learn from and \d+ to test on: at least 20 and 20"),
        ([], "label\ttext", "no rows"),
    ],
)
def test_what_cannot_be_learnt_from(tmp_path: Path, rows: list, header: str, message: str) -> None:
    place = write_tsv(tmp_path / "labels.tsv", rows, header)
    with pytest.raises(ReknitError, match=message) as found:
        load_labels(place, 0.25, seed=0)
    assert "labels.tsv" in str(found.value)
    assert "\n" not in str(found.value)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ReknitError, match=r"nothing\.tsv cannot be read"):
        load_labels(tmp_path / "nothing.tsv", 0.25, seed=0)
    with pytest.raises(ReknitError, match=r"train\.tsv cannot be read"):
        load_labels(tmp_path, 0.25, seed=0)


def test_notes() -> None:
    train, test = labelled(40, 0), labelled(20, 1)
    assert notes_on(ClassificationSet("clean", train, test)) == []
    mixed = ClassificationSet("mixed", train, [*test, *train[:3], ("never", "a new text"), ("never", train[0][1])])
    seen, unknown = notes_on(mixed)
    assert seen.startswith("4 of the texts that judge are also")
    assert unknown.startswith("2 of the texts that judge have a label")


def test_rows_that_are_not_complete_are_refused(tmp_path: Path) -> None:
    rows = labelled(200, 0)
    for row, said in (
        (("", "a text"), "the text 'a text' has no label"),
        (("a", "  "), "one of label 'a' has no text"),
    ):
        with pytest.raises(
            ReknitError, match=f"1 rows without a text or a label \\({said}\\): complete or remove them"
        ):
            load_labels(write_tsv(tmp_path / "tickets.tsv", [*rows, row]), 0.25, seed=0)


def test_labels_that_nobody_learnt_are_refused(tmp_path: Path) -> None:
    write_tsv(tmp_path / "train.tsv", labelled(40, 0))
    write_tsv(tmp_path / "test.tsv", [(f"new {label}", text) for label, text in labelled(40, 1)])
    with pytest.raises(ReknitError, match="no text that judges has a label that was learnt"):
        load_labels(tmp_path, 0.25, seed=0)
