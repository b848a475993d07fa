"""The pictures of a corpus on disk: one array, mapped and never held in memory."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from reknit.data.images.reading import PictureReport, UnreadablePicture, picture_files, read_picture
from reknit.errors import ReknitError
from reknit.jobs.files import disk_full_explained, made_by_one, read_json, write_json, written_aside
from reknit.jobs.progress import Progress


@dataclass(frozen=True)
class PictureCorpus:
    """pixels: [N, size, size, 3] uint8, mapped. held_out: [H] numbers of pictures that are not trained on, ascending.
    report: what reading met. name: the corpus as the user named it."""

    pixels: np.ndarray
    held_out: np.ndarray
    report: PictureReport
    name: str

    @property
    def size(self) -> int:
        """Pixels of a side."""
        return int(self.pixels.shape[1])

    @property
    def trained_on(self) -> np.ndarray:
        """[N - H] numbers of the others, ascending."""
        return np.setdiff1d(np.arange(len(self.pixels)), self.held_out)


MOST_HELD_OUT = 256
_HELD_OUT_EVERY = 20


def prepare_pictures(name: str, folder: Path, size: int, *, max_bad: int = 100, fraction: float = 1.0) -> PictureCorpus:
    """Read the pictures below `name` into `folder`, once: another call finds them.

    size: pixels of a side. fraction: of the files, chosen by a hash of their names below the folder. One of 20 pictures
    is held out, 256 at most: they are in the order of a hash of their pixels, so that which are is the same wherever
    they lie. Raises ReknitError when there are too few, and when more than `max_bad` files cannot be read.
    """
    path, facts = folder / f"pictures-{size}.npy", folder / f"pictures-{size}.json"
    with made_by_one(path), disk_full_explained(str(path)):
        if not facts.exists():
            report = PictureReport()
            files = _drawn(Path(name), picture_files(Path(name)), fraction)
            _write(path, _distinct(files, size, report, max_bad), size)
            write_json(facts, asdict(report))
    report = PictureReport(**read_json(facts))
    pixels = np.load(path, mmap_mode="r")
    held_out = np.arange(0, len(pixels), _HELD_OUT_EVERY)[:MOST_HELD_OUT]
    if len(pixels) < 2:
        raise ReknitError(f"{name} has {len(pixels)} picture(s) that can be read: training needs two at least")
    return PictureCorpus(pixels, held_out, report, name)


def _drawn(folder: Path, files: list[Path], fraction: float) -> dict[str, Path]:
    """The files that belong to a fraction of all, by their names below the folder."""
    named = {file.relative_to(folder).as_posix() if folder.is_dir() else file.name: file for file in files}
    below = fraction * 2**32
    return {name: file for name, file in named.items() if zlib.crc32(name.encode("utf-8", "replace")) < below}


def _distinct(files: dict[str, Path], size: int, report: PictureReport, max_bad: int) -> list[tuple[bytes, Path]]:
    """The hash and file of each picture that is there, the first of equal ones, in the order of the hashes."""
    found: dict[bytes, Path] = {}
    with Progress() as progress:
        progress.start("read pictures", len(files), "pictures")
        for number, (name, file) in enumerate(files.items(), 1):
            try:
                pixels = read_picture(file, size)
            except UnreadablePicture as error:
                report.add_problem(name, str(error), max_bad=max_bad)
                continue
            report.read += 1
            digest = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()
            report.duplicates += digest in found
            found.setdefault(digest, file)
            progress.update(number)
    return sorted(found.items())


def _write(path: Path, pictures: list[tuple[bytes, Path]], size: int) -> None:
    """Each picture is read a second time, so that no more than one is in memory."""
    with written_aside(path) as aside:
        shape = (len(pictures), size, size, 3)
        pixels = np.lib.format.open_memmap(aside, mode="w+", dtype=np.uint8, shape=shape)
        for number, (_, file) in enumerate(pictures):
            try:
                pixels[number] = read_picture(file, size)
            except UnreadablePicture as error:
                raise ReknitError(f"{file} changed while the corpus was read ({error}): begin again") from error
        pixels.flush()
        del pixels
