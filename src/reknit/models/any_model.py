"""From a folder or hub id to a model of whatever it reads."""

from __future__ import annotations

from pathlib import Path

from reknit.encoders.huggingface.families import family_at
from reknit.encoders.huggingface.vit import PictureFamily
from reknit.encoders.model_files import local_folder, model_folder
from reknit.models.embedder import Embedder
from reknit.models.loading import load_model
from reknit.models.picture_model import PictureModel


def load_any(path_or_id: str | Path) -> Embedder | PictureModel:
    """A model of texts as `load_model` gives it, or one of pictures (a vision transformer). Raises ReknitError when it
    cannot be loaded."""
    family = family_at(model_folder(local_folder(path_or_id)))
    return PictureModel.load(path_or_id) if isinstance(family, PictureFamily) else load_model(path_or_id)
