"""A model of pictures: files in, vectors out; a folder that reknit and transformers load."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from reknit.data.batch import Batch, View, Vocabulary
from reknit.data.images.patches import DEVIATION, MEAN, PICTURE_VOCABULARY, normalised, picture_batch
from reknit.data.images.reading import UnreadablePicture, read_picture
from reknit.encoders.huggingface.families import family_at
from reknit.encoders.huggingface.loading import HuggingFaceEncoder, load_encoder, native_state_to_hf
from reknit.encoders.huggingface.vit import PictureFamily
from reknit.encoders.model_files import local_folder, model_folder, read_json
from reknit.encoders.pooling import pool
from reknit.encoders.stems.patches import PatchStem
from reknit.errors import ReknitError
from reknit.jobs.files import written_aside

_PREPROCESSING, _OWN = "preprocessor_config.json", "reknit.json"
_PICTURES_AT_ONCE = 128


@final
class PictureModel:
    """Pictures in, vectors of length 1 out.

    encoder: a vision transformer. pooling: how the vector is made of a picture's states, "cls" or "mean". mean,
    deviation: of red, green and blue between 0 and 1, which pictures are normalised with. name: for messages.
    """

    def __init__(
        self,
        encoder: HuggingFaceEncoder,
        *,
        pooling: str = "mean",
        mean: Sequence[float] = MEAN,
        deviation: Sequence[float] = DEVIATION,
        name: str = "model",
    ) -> None:
        if not isinstance(encoder.stem, PatchStem):
            raise ReknitError(f"{name} reads texts and no pictures")
        channels = int(encoder.source.get("num_channels", len(MEAN)))
        if channels != len(MEAN):
            raise ReknitError(f"{name} reads pictures of {channels} channel(s), and only those of 3 are supported")
        self.mean, self.deviation = tuple(mean), tuple(deviation)
        self.encoder, self.pooling, self.name = encoder, pooling, name
        self.size, self.patch = int(encoder.source["image_size"]), int(encoder.source["patch_size"])

    @property
    def vocabulary(self) -> Vocabulary:
        """Of the rows of its batches."""
        return PICTURE_VOCABULARY

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.encoder.dim

    def batch(self, pixels: Tensor) -> Batch:
        """[n, size, size, 3] uint8 -> n sequences of patches."""
        return picture_batch(self.normalised(pixels), self.patch)

    def normalised(self, pixels: Tensor) -> Tensor:
        """[n, size, size, 3] of 0 to 255 -> [n, 3, size, size] as the encoder expects them."""
        return normalised(pixels, self.mean, self.deviation)

    def encode(self, pictures: Sequence[str | Path] | np.ndarray) -> np.ndarray:
        """float32 [n, dim], rows of length 1.

        pictures: files, or uint8 [n, size, size, 3] as `reknit.data.images.reading.read_picture` reads them. Raises
        ReknitError for a file that is no picture.
        """
        if isinstance(pictures, str | Path):
            raise ReknitError(f"give a list of files instead of {str(pictures)!r} alone")
        device = next(self.encoder.parameters()).device
        made = []
        self.encoder.eval()
        with torch.inference_mode():
            for start in range(0, len(pictures), _PICTURES_AT_ONCE):
                pixels = self._pixels(pictures[start : start + _PICTURES_AT_ONCE])
                vectors = pool(self.encoder(View.clean(self.batch(pixels.to(device)))), self.pooling).float()
                made.append(torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy())
        return np.concatenate(made) if made else np.empty((0, self.dim), dtype=np.float32)

    def save(self, folder: Path, card: str) -> None:
        """Write config.json, weights, what pictures are to look like, and the card as README.md; a folder that is there
        is replaced."""
        from safetensors.torch import save_file

        config, tensors = native_state_to_hf(self.encoder)
        # Of this model alone, and transformers has no place for it.
        own = {"pooling": self.pooling}
        with written_aside(folder) as aside:
            aside.mkdir()
            for name, value in (("config.json", config), (_PREPROCESSING, self._preprocessing()), (_OWN, own)):
                (aside / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
            save_file(tensors, aside / "model.safetensors", metadata={"format": "pt"})
            (aside / "README.md").write_text(card, encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> PictureModel:
        """A folder that `save` wrote, a run folder that holds one, or a ViT of transformers (a folder or hub id), whose
        pooling is then the mean, and whose pictures are normalised as its preprocessor_config.json says but cropped and
        scaled as all others. Raises ReknitError when it cannot be read, or reads texts."""
        folder = model_folder(local_folder(path))
        if not isinstance(family_at(folder), PictureFamily):
            raise ReknitError(f"{path} is no vision transformer, so it reads no pictures: give a ViT of transformers")
        own = _read_if_there(folder / _OWN)
        encoder = load_encoder(folder)
        assert isinstance(encoder, HuggingFaceEncoder), "a family with a native encoder"
        mean, deviation = _normalisation(folder)
        return cls(
            encoder,
            pooling=str(own.get("pooling", "mean")),
            mean=mean,
            deviation=deviation,
            name=str(path).rstrip("/").rsplit("/", 1)[-1],
        )

    def _pixels(self, pictures: Sequence[str | Path] | np.ndarray) -> Tensor:
        if isinstance(pictures, np.ndarray):
            return torch.from_numpy(np.array(pictures))  # a copy: mapped ones cannot be written to
        return torch.from_numpy(np.stack([_read(Path(file), self.size) for file in pictures]))

    def _preprocessing(self) -> dict[str, Any]:
        """As transformers reads it: the middle square, scaled, normalised."""
        return {
            "image_processor_type": "CLIPImageProcessor",
            "do_convert_rgb": True,
            "do_resize": True,
            "size": {"shortest_edge": self.size},
            "resample": 3,
            "do_center_crop": True,
            "crop_size": {"height": self.size, "width": self.size},
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.deviation),
        }


def _read_if_there(file: Path) -> dict[str, Any]:
    return read_json(file) if file.exists() else {}


def _normalisation(folder: Path) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and deviation that pictures are normalised with; ImageNet's where the folder does not say it."""
    stored = _read_if_there(folder / _PREPROCESSING)
    if stored.get("do_normalize", True) is False:
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    found = stored.get("image_mean", list(MEAN)), stored.get("image_std", list(DEVIATION))
    for values in found:
        if not (isinstance(values, list) and len(values) == 3 and all(isinstance(one, int | float) for one in values)):
            raise ReknitError(
                f"{folder / _PREPROCESSING}: image_mean and image_std must be three numbers each; the file is broken"
            )
    return found


def _read(file: Path, size: int) -> np.ndarray:
    try:
        return read_picture(file, size)
    except UnreadablePicture as error:
        raise ReknitError(f"{file} cannot be read ({error}): leave it out") from error
