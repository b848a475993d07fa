"""The linear layer that gives labels, in its folder beside a model."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from reknit.encoders.model_files import read_json, read_weights
from reknit.errors import ReknitError
from reknit.models.embedding_model import EmbeddingModel

FOLDER = "head"
_SETTINGS, _WEIGHTS = "config.json", "model.safetensors"


@dataclass(frozen=True)
class LabelHead:
    """labels: what the rows stand for. weight: [labels, dim]. bias: [labels]. Of a model's pooled vectors, whole and
    before they are normalised."""

    labels: tuple[str, ...]
    weight: Tensor
    bias: Tensor

    def predict(self, model: EmbeddingModel, texts: Sequence[str]) -> list[str]:
        """The label of each text, by the model that the head was trained with."""
        whole = copy.copy(model)
        whole.normalize, whole.dims = False, None
        vectors = torch.from_numpy(whole.encode(texts, prompt_name="document"))
        return [self.labels[row] for row in (vectors @ self.weight.T + self.bias).argmax(dim=1).tolist()]

    def save(self, folder: Path) -> None:
        """Write config.json and model.safetensors to the folder; it must exist."""
        from safetensors.torch import save_file

        settings = {"labels": list(self.labels), "reads": "pooled vectors, whole and not normalised"}
        (folder / _SETTINGS).write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        tensors = {"weight": self.weight.contiguous(), "bias": self.bias.contiguous()}
        save_file(tensors, folder / _WEIGHTS, metadata={"format": "pt"})

    @classmethod
    def load(cls, folder: Path) -> LabelHead:
        """Read what `save` wrote. Raises ReknitError when it is missing or damaged."""
        labels, weights = read_json(folder / _SETTINGS).get("labels"), read_weights(folder)
        if not isinstance(labels, list) or weights.keys() != {"weight", "bias"} or len(labels) != len(weights["bias"]):
            raise ReknitError(f"{folder} does not hold a linear layer and a label for each row; tune the model again")
        return cls(tuple(map(str, labels)), weights["weight"], weights["bias"])
