"""The pictures of a corpus on disk: read once, without duplicates, some of them held out."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from photos import write_bad, write_photos

from reknit.data.images import store
from reknit.data.images.reading import UnreadablePicture, read_picture
from reknit.data.images.store import prepare_pictures
from reknit.errors import ReknitError


def test_what_is_read(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 24)
    shutil.copy(photos / "more" / "001.png", photos / "again.png")
    bad = write_bad(photos / "bad")
    corpus = prepare_pictures(str(photos), tmp_path / "data", 12, max_bad=len(bad))
    assert corpus.pixels.shape == (24, 12, 12, 3)
    assert corpus.size == 12
    assert (corpus.report.read, corpus.report.duplicates) == (25, 1)
    assert corpus.report.unreadable == {reason: list(bad.values()).count(reason) for reason in bad.values()}
    assert set(corpus.report.problems) == {f"bad/{name}: {reason}" for name, reason in bad.items()}
    files = [file for file in photos.rglob("*.*") if file.parent.name != "bad"]
    assert {bytes(pixels) for pixels in corpus.pixels} == {read_picture(file, 12).tobytes() for file in files}
    assert corpus.held_out.tolist() == [0, 20]
    assert sorted([*corpus.held_out, *corpus.trained_on]) == list(range(24))


def test_it_is_read_once_and_stands_in_an_order_of_its_own(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 6)
    first = prepare_pictures(str(photos), tmp_path / "data", 8)
    moved = tmp_path / "elsewhere" / "deep"
    for number, file in enumerate(sorted(photos.rglob("*.*"), reverse=True)):
        moved.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, moved / f"{number}{file.suffix}")
    assert np.array_equal(prepare_pictures(str(moved), tmp_path / "other", 8).pixels, first.pixels)
    shutil.rmtree(photos)
    again = prepare_pictures(str(photos), tmp_path / "data", 8)
    assert np.array_equal(again.pixels, first.pixels)
    assert again.report == first.report


def test_a_fraction_is_the_same_files_always(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 24)
    half, whole = (prepare_pictures(str(photos), tmp_path / f"{part}", 8, fraction=part) for part in (0.5, 1.0))
    assert 4 < len(half.pixels) < 20
    assert {bytes(pixels) for pixels in half.pixels} < {bytes(pixels) for pixels in whole.pixels}
    write_photos(photos, 2, first=24)
    more = prepare_pictures(str(photos), tmp_path / "more", 8, fraction=0.5)
    assert {bytes(pixels) for pixels in half.pixels} <= {bytes(pixels) for pixels in more.pixels}


def test_too_few_and_too_many(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 1)
    with pytest.raises(ReknitError, match=r"has 1 picture\(s\) that can be read: training needs two at least"):
        prepare_pictures(str(photos), tmp_path / "data", 8)
    write_bad(photos)
    with pytest.raises(ReknitError, match="more than 2 unreadable pictures"):
        prepare_pictures(str(photos), tmp_path / "other", 8, max_bad=2)


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos, reads = write_photos(tmp_path / "photos", 3), []

    def read_once(path: Path, size: int) -> np.ndarray:
        if path in reads:
            raise UnreadablePicture("damaged")
        reads.append(path)
        return read_picture(path, size)

    monkeypatch.setattr(store, "read_picture", read_once)
    with pytest.raises(ReknitError, match=r"changed while the corpus was read \(damaged\): begin again"):
        prepare_pictures(str(photos), tmp_path / "data", 8)
    assert not list((tmp_path / "data").glob("pictures-*"))
