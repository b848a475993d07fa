"""Pictures from files, as cameras and programs write them, and files that are none."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from photos import smooth, write_bad, write_photos
from PIL import Image

from reknit.data.images.reading import PictureReport, UnreadablePicture, picture_files, read_picture
from reknit.errors import ReknitError


def test_the_middle_square_is_scaled(tmp_path: Path) -> None:
    pixels = smooth(0, 24, 16)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    assert np.array_equal(read_picture(tmp_path / "one.png", 16), pixels[4:20])
    assert read_picture(tmp_path / "one.png", 9).shape == (9, 9, 3)


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "LA", "I;16", "RGBA"])
def test_every_mode_becomes_red_green_blue(tmp_path: Path, mode: str) -> None:
    grey = np.tile(np.arange(16, dtype=np.uint8) * 17, (16, 1))
    picture = Image.fromarray(grey).convert("RGB")
    expected = np.repeat(grey[:, :, None], 3, axis=2)
    if mode == "I;16":
        picture = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode == "1":
        picture = picture.convert("1", dither=Image.Dither.NONE)
        expected = np.where(expected > 127, 255, 0).astype(np.uint8)
    elif mode == "P":
        picture = Image.fromarray(grey).convert("P")
    else:
        picture = picture.convert(mode)
    file = tmp_path / ("one.jpg" if mode == "CMYK" else "one.png")
    picture.save(file, **({"quality": 100} if mode == "CMYK" else {}))
    found = read_picture(file, 16)
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - expected).max() <= (12 if mode == "CMYK" else 1)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(tmp_path: Path, mode: str) -> None:
    picture = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 16, 8))
    if mode == "P":
        picture = picture.quantize(4)
    elif mode != "RGBA":
        picture = picture.convert(mode)
    picture.save(tmp_path / "one.png")
    found = read_picture(tmp_path / "one.png", 16)
    assert (found[:8] == 0).all()
    assert (found[8:] == 255).all()


def test_half_transparent_is_half_white(tmp_path: Path) -> None:
    Image.new("RGBA", (16, 16), (0, 0, 0, 128)).save(tmp_path / "one.png")
    assert np.abs(read_picture(tmp_path / "one.png", 16).astype(int) - 127).max() <= 1


def test_a_camera_that_was_turned(tmp_path: Path) -> None:
    pixels = smooth(3, 16, 16)
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    picture.save(tmp_path / "one.png", exif=exif)
    assert np.array_equal(read_picture(tmp_path / "one.png", 16), np.rot90(pixels, -1))


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    for name, reason in write_bad(tmp_path).items():
        with pytest.raises(UnreadablePicture, match=f"^{reason}$"):
            read_picture(tmp_path / name, 16)


def test_which_files_there_are(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 4)
    (tmp_path / "photos" / "notes.txt").write_text("x")
    (tmp_path / "photos" / ".hidden.png").write_bytes(b"x")
    (tmp_path / "photos" / ".cache").mkdir()
    (tmp_path / "photos" / ".cache" / "one.png").write_bytes(b"x")
    (tmp_path / "photos" / "LOUD.JPEG").write_bytes(b"x")
    names = [str(file.relative_to(tmp_path / "photos")) for file in picture_files(tmp_path / "photos")]
    assert names == ["000.jpg", "002.jpg", "LOUD.JPEG", "more/001.png", "more/003.png"]
    assert picture_files(tmp_path / "photos" / "000.jpg") == [tmp_path / "photos" / "000.jpg"]


@pytest.mark.parametrize("name", ["absent", "empty", "notes.txt"])
def test_no_pictures(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ReknitError, match=r"give a folder of \.jpg, \.jpeg, \.png files"):
        picture_files(tmp_path / name)


def test_too_many_bad_files_end_the_reading() -> None:
    report = PictureReport()
    for number in range(3):
        report.add_problem(f"{number}.jpg", "damaged", max_bad=3)
    assert report.unreadable == {"damaged": 3}
    with pytest.raises(ReknitError, match=r"more than 3 unreadable pictures, the first are: 0\.jpg: damaged; 1\.jpg"):
        report.add_problem("3.png", "not a picture", max_bad=3)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    write_photos(tmp_path, 2)
    files = picture_files(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")
    assert picture_files(tmp_path) == files
    (tmp_path / "lost.jpg").symlink_to(tmp_path / "absent")
    assert len(picture_files(tmp_path)) == len(files) + 1, "it is counted when it cannot be opened"
    with pytest.raises(UnreadablePicture, match="cannot be opened"):
        read_picture(tmp_path / "lost.jpg", 8)
