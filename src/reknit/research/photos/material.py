"""Labelled pictures from an archive of folders: unpacked once, kept as arrays, and drawn by a seed."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from reknit.data.images.reading import UnreadablePicture, read_picture
from reknit.errors import ReknitError
from reknit.jobs.files import disk_full_explained, made_by_one, written_aside


@dataclass(frozen=True)
class LabelledPictures:
    """pixels: [N, size, size, 3] uint8. labels: [N] int64 numbers of the folders' names in alphabetical order."""

    pixels: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Drawn:
    """What one seed sees.

    unlabelled: [U] numbers of pictures to pre-train on. learnt: [L] those of them whose labels are learnt from, as
    many of each label. judging: [J] numbers of pictures of the other split.
    """

    unlabelled: np.ndarray
    learnt: np.ndarray
    judging: np.ndarray


def unpack(archive: Path, below: str, folder: Path) -> Path:
    """The files of a .tar.xz whose path begins with `below`, written to `folder` once, without that beginning.

    Raises ReknitError for an archive that cannot be read, or has a member that would be written elsewhere or is no
    plain file.
    """
    with made_by_one(folder), disk_full_explained(str(folder)):
        if not folder.exists():
            with written_aside(folder) as aside:
                aside.mkdir()
                _unpack(archive, below, aside)
    return folder


def _unpack(archive: Path, below: str, folder: Path) -> None:
    try:
        with tarfile.open(archive, "r:*") as opened:
            for member in opened:
                name = PurePosixPath(member.name)
                if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
                    raise ReknitError(f"{archive} has the unsafe member {member.name!r}: fetch the archive again")
                if not member.isfile() or not name.is_relative_to(below):
                    continue
                content = opened.extractfile(member)
                assert content is not None, "a plain file has content"
                target = folder / name.relative_to(below)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ReknitError(f"{archive} cannot be unpacked ({error}): fetch it again, or free some space") from error


def read_split(folder: Path, size: int, stored: Path) -> LabelledPictures:
    """The pictures below `folder`, a folder for each label; read once into the files `stored` + .npy.

    Raises ReknitError where a picture cannot be read.
    """
    paths = {part: stored.with_name(f"{stored.name}-{size}-{part}.npy") for part in ("pixels", "labels")}
    with made_by_one(paths["labels"]), disk_full_explained(str(stored)):
        if not paths["labels"].exists():
            for part, values in zip(paths, _read(folder, size), strict=True):
                with written_aside(paths[part]) as aside, aside.open("wb") as file:
                    np.save(file, values)
    return LabelledPictures(*(np.load(path, mmap_mode="r") for path in paths.values()))


def _read(folder: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    names = sorted(place.name for place in folder.iterdir() if place.is_dir()) if folder.is_dir() else []
    files = [(label, file) for label, name in enumerate(names) for file in sorted((folder / name).iterdir())]
    if not files:
        raise ReknitError(f"{folder} has no folders of pictures: the archive is another one than this experiment's")
    pixels = np.empty((len(files), size, size, 3), dtype=np.uint8)
    for number, (_, file) in enumerate(files):
        try:
            pixels[number] = read_picture(file, size)
        except UnreadablePicture as error:
            raise ReknitError(f"{file} cannot be read ({error}): fetch the archive again") from error
    return pixels, np.array([label for label, _ in files], dtype=np.int64)


def draw(train: np.ndarray, test: np.ndarray, *, pictures: int, labels: int, judging: int, seed: int) -> Drawn:
    """Pictures for one seed. train, test: [N] labels of the two splits. labels: as many of each label.

    Raises ReknitError where there are too few.
    """
    kinds = np.unique(train)
    each = labels // len(kinds)
    unlabelled = np.random.default_rng([seed, 1]).permutation(len(train))[:pictures]
    learnt = [unlabelled[train[unlabelled] == kind][:each] for kind in kinds]
    if len(unlabelled) < pictures or len(test) < judging or any(len(found) < each for found in learnt):
        raise ReknitError(
            f"there are {len(train)} and {len(test)} pictures, too few for {pictures} to train on, {each} of each "
            f"label and {judging} to judge by: ask for fewer"
        )
    return Drawn(unlabelled, np.concatenate(learnt), np.random.default_rng([seed, 2]).permutation(len(test))[:judging])
