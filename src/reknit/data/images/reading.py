"""Pictures from files: which there are, and each as an array of one size."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reknit.errors import ReknitError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".jpg", ".jpeg", ".png")
LEAST_SIDE = 8
"""In pixels: a smaller picture shows nothing that a patch could be told from."""
MAX_PROBLEMS = 20


@dataclass
class PictureReport:
    """What was met while a folder of pictures was read.

    read: pictures that could be read. duplicates: of these, pictures that another one equals pixel for pixel, which are
    dropped. unreadable: {reason: files}. problems: "file: reason" of the first 20 of them.
    """

    read: int = 0
    duplicates: int = 0
    unreadable: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add_problem(self, file: str, reason: str, *, max_bad: int) -> None:
        """Count a file that is no picture; raise ReknitError when there are more than `max_bad` of them."""
        self.unreadable[reason] = self.unreadable.get(reason, 0) + 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(f"{file}: {reason}")
        if sum(self.unreadable.values()) > max_bad:
            first = "; ".join(self.problems[:5])
            raise ReknitError(f"more than {max_bad} unreadable pictures, the first are: {first}; repair or remove them")


class UnreadablePicture(ValueError):
    """Why a file cannot be used, in a few words."""


def picture_files(folder: Path) -> list[Path]:
    """All .jpg, .jpeg and .png files below a folder, sorted, hidden ones left out; a file is a folder of itself.

    Raises ReknitError when there is none.
    """
    if not folder.exists():
        raise ReknitError(f"{folder} does not exist: give a folder of {', '.join(SUFFIXES)} files")
    alone = [folder] if folder.suffix.lower() in SUFFIXES else []
    found = alone if folder.is_file() else sorted(_below(folder))
    if not found:
        raise ReknitError(f"{folder} has no pictures: give a folder of {', '.join(SUFFIXES)} files")
    return found


def read_picture(path: Path, size: int) -> np.ndarray:
    """uint8 [size, size, 3]: the picture's middle, scaled so that its shorter side is `size`, in RGB.

    Grey, palette, CMYK and 16-bit pictures become RGB, what is transparent becomes white, and a camera's note of how
    it was held is followed. Raises UnreadablePicture for a file that is no picture, is damaged or is too small.
    """
    from PIL import Image as images
    from PIL import ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures and refuses huge ones; both are named here.
            warnings.simplefilter("error", images.DecompressionBombWarning)
            with images.open(path) as opened:
                picture = ImageOps.exif_transpose(opened)
                if min(picture.size) < LEAST_SIDE:
                    raise UnreadablePicture(f"a side is shorter than {LEAST_SIDE} pixels")
                square = ImageOps.fit(_rgb(picture), (size, size), images.Resampling.BICUBIC)
                return np.array(square, dtype=np.uint8)
    except UnidentifiedImageError as error:
        raise UnreadablePicture("not a picture") from error
    except (images.DecompressionBombWarning, images.DecompressionBombError) as error:
        raise UnreadablePicture("too many pixels") from error
    except UnreadablePicture:
        raise
    except Exception as error:  # each decoder has errors of its own
        unopened = isinstance(error, OSError) and error.errno is not None
        raise UnreadablePicture("cannot be opened" if unopened else "damaged") from error


def _rgb(picture: Image) -> Image:
    """The picture in RGB, on white where it is transparent."""
    from PIL import Image as images

    if picture.mode.startswith("I"):  # 16 bits, which Pillow would cut off at 255
        values = np.asarray(picture, dtype=np.float64) / 257.0
        return images.fromarray(values.clip(0, 255).round().astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = images.new("RGBA", picture.size, "white")
        return images.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(place) / name for name in files if not name.startswith(".")):
            # A pipe or socket of that name would be waited for without end.
            if path.suffix.lower() in SUFFIXES and (path.is_file() or not path.exists()):
                yield path
