"""Which file of a model folder is run by onnxruntime."""

from __future__ import annotations

from pathlib import Path

_PLACES = ("onnx/model.onnx", "model.onnx", "onnx/model_quantized.onnx", "model_quantized.onnx")


def onnx_file(folder: Path) -> Path | None:
    """The ONNX file of a model folder that has no safetensors; None for any other folder."""
    if any(folder.glob("*.safetensors")):
        return None
    return next((folder / place for place in _PLACES if (folder / place).is_file()), None)
