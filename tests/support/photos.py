"""Small pictures on disk: smooth ones, from which something can be learnt, and damaged and odd ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def smooth(seed: int, height: int = 20, width: int = 16) -> np.ndarray:
    """uint8 [height, width, 3]: waves of random colour and direction."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width] / 8.0
    waves = [np.sin(rng.uniform(0, 3) * rows + rng.uniform(0, 3) * columns + rng.uniform(0, 6)) for _ in range(3)]
    return (127.5 * (np.stack(waves, axis=2) + 1)).astype(np.uint8)


def write_photos(folder: Path, number: int = 24, first: int = 0) -> Path:
    """So many different pictures, half of them .png in a folder below, half .jpg."""
    (folder / "more").mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + number):
        place = folder / "more" / f"{seed:03}.png" if seed % 2 else folder / f"{seed:03}.jpg"
        Image.fromarray(smooth(seed)).save(place)
    return folder


def write_bad(folder: Path) -> dict[str, str]:
    """Files that are no usable pictures; returns the reason of each."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "text.jpg").write_text("not a picture at all")
    (folder / "empty.png").write_bytes(b"")
    Image.fromarray(smooth(1, 64, 64)).save(folder / "cut.jpg")
    whole = (folder / "cut.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (4, 30)).save(folder / "thin.png")
    Image.new("1", (30_000, 8_000)).save(folder / "huge.png")
    small = "a side is shorter than 8 pixels"
    return {
        "text.jpg": "not a picture",
        "empty.png": "not a picture",
        "cut.jpg": "damaged",
        "thin.png": small,
        "huge.png": "too many pixels",
    }
