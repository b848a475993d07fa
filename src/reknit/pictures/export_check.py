"""Prove that an exported folder gives the same vectors in reknit and the same states in transformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from reknit.data.batch import View
from reknit.errors import ReknitError
from reknit.jobs.quiet import quiet_libraries
from reknit.models.picture_model import PictureModel
from reknit.pictures.result import PictureExportCheck

MAX_DIFFERENCE = 1e-4


@torch.no_grad()
def check_picture_export(model: PictureModel, folder: Path, pixels: np.ndarray) -> PictureExportCheck:
    """Compare `model` with `folder` as loaded by reknit (vectors) and by transformers' ViTModel (states of all rows).

    pixels: [n, size, size, 3] uint8. Raises ReknitError when one is further away than 1e-4, naming it.
    """
    from transformers import ViTModel

    loaded = PictureModel.load(folder)
    with quiet_libraries():
        theirs = ViTModel.from_pretrained(folder, use_safetensors=True, dtype=torch.float32).eval()
    shown = torch.from_numpy(np.array(pixels))  # a copy: mapped ones cannot be written to
    device = next(model.encoder.parameters()).device
    states = model.encoder.eval()(View.clean(model.batch(shown.to(device)))).last.cpu().unflatten(0, (len(shown), -1))
    against = {
        "reknit": float(np.abs(loaded.encode(pixels) - model.encode(pixels)).max()),
        "transformers": float((theirs(model.normalised(shown)).last_hidden_state - states).abs().max()),
    }
    # Written so that NaN fails too.
    wrong = [library for library, difference in against.items() if not difference <= MAX_DIFFERENCE]
    if wrong:
        largest = max(against.values())
        raise ReknitError(
            f"the exported folder {folder} gives other values in {', '.join(wrong)}: largest difference {largest:.2g}; "
            "do not use it"
        )
    return PictureExportCheck(against, len(shown))
