"""Export any model that reknit can load, at any size, and check the result."""

from __future__ import annotations

import sys
from pathlib import Path

from reknit.errors import ReknitError
from reknit.export.check import check_export
from reknit.export.onnx import export_onnx
from reknit.export.sentence_transformers import only_here, save
from reknit.models.loading import load_embedding_model
from reknit.runs.result import ExportCheck

# Short, long, empty, repeated and non-Latin: what tells tokenisers, truncation and pooling apart.
CHECK_TEXTS = (
    "",
    "knit",
    "How do I read a file line by line?",
    "Überprüfe die Ausgabe — 你好, мир; don't stop.",
    "the same words again and again " * 80,
)


def export_model(
    model: str | Path, out: Path, *, layers: int | None = None, dims: int | None = None, onnx: bool = False
) -> ExportCheck:
    """Write `model` to the new folder `out` in the sentence-transformers layout and compare its vectors.

    layers, dims: keep only the first ones. Raises ReknitError when `out` exists, when the model cannot be loaded, or
    when reknit, transformers and sentence-transformers do not agree on the vectors, and for an ONNX file of a model
    that only reknit runs.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ReknitError(f"{out} exists and is not empty: give a new folder with --out")
    loaded = load_embedding_model(model)
    if onnx and only_here(loaded):
        raise ReknitError(f"{only_here(loaded)} It cannot be written as ONNX: leave --onnx out")
    save(loaded, out, layers=layers, dims=dims)
    if only_here(loaded):
        print(f"note: {only_here(loaded)}", file=sys.stderr)
    if loaded.expansion is not None and layers not in (None, loaded.encoder.depth):
        print(
            "note: queries are not expanded at fewer layers; the row plain is nearer to what is left", file=sys.stderr
        )
    check = check_export(loaded, out, CHECK_TEXTS)
    if onnx:
        export_onnx(out)
    return check
