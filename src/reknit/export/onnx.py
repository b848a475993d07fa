"""ONNX export of an exported folder, checked with onnxruntime."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from reknit.errors import ReknitError
from reknit.export.check import MAX_DIFFERENCE, SAMPLE_TEXTS, PlainTransformer
from reknit.jobs.quiet import quiet_libraries

FILE = Path("onnx") / "model.onnx"


def export_onnx(folder: str | Path) -> Path:
    """Write onnx/model.onnx into a sentence-transformers folder that `save` wrote.

    Inputs: input_ids and attention_mask, int64 [batch, tokens], both axes free. Outputs: sentence_embedding, float32
    [batch, dims], pooled, truncated and normalised as the folder says; last_hidden_state, float32 [batch, tokens, dim].
    The file is run with onnxruntime on batches of other shapes than it was traced with and compared with transformers.

    Returns its path. Raises ReknitError when the optional packages are absent, the folder is not one, the model cannot
    be expressed in ONNX, or the vectors differ by more than 1e-4.
    """
    missing = [name for name in ("onnx", "onnxruntime", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise ReknitError(f"ONNX export needs {', '.join(missing)}; install with: pip install reknit[onnx]")
    folder = Path(folder)
    if not (folder / "modules.json").exists():
        raise ReknitError(f"{folder} has no modules.json; export the model to a sentence-transformers folder first")
    plain = PlainTransformer(folder, attn_implementation="eager").eval()
    target = folder / FILE
    target.parent.mkdir(exist_ok=True)
    aside = target.with_name(f".{target.name}.writing-{os.getpid()}")
    try:
        _trace(plain, aside)
        _check(plain, folder, aside)
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)
        if not any(target.parent.iterdir()):
            target.parent.rmdir()
    return target


def encode_with_onnx(path: str | Path, folder: str | Path, texts: Sequence[str]) -> np.ndarray:
    """float32 [n, dims] by onnxruntime and the folder's tokenizer, all texts in one padded batch."""
    import onnxruntime
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = tokenizer(list(texts), padding=True, truncation=True, return_tensors="np")
    feed = {name: inputs[name].astype(np.int64) for name in ("input_ids", "attention_mask")}
    vectors: np.ndarray = session.run(["sentence_embedding"], feed)[0]
    return vectors


def _trace(plain: PlainTransformer, path: Path) -> None:
    ids = torch.ones(2, 8, dtype=torch.int64)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens")}
    try:
        with quiet_libraries(), torch.no_grad():
            torch.onnx.export(
                plain,
                (ids, mask),
                str(path),
                dynamo=True,
                input_names=["input_ids", "attention_mask"],
                output_names=["sentence_embedding", "last_hidden_state"],
                dynamic_shapes=(axes, axes),
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # the exporter raises its own and torch's kinds for what it cannot express
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ReknitError(f"this model cannot be written as ONNX: {reason[:200]}") from error


def _check(plain: PlainTransformer, folder: Path, path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    longest = " ".join(["word"] * 200)
    for texts in (["one text"], [*SAMPLE_TEXTS, "", longest]):
        inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            expected, _ = plain(inputs["input_ids"], inputs["attention_mask"])
        difference = float(np.abs(encode_with_onnx(path, folder, texts) - expected.numpy()).max())
        if not difference <= MAX_DIFFERENCE:
            raise ReknitError(f"the ONNX file of {folder} gives other vectors (difference {difference:.2g}); not kept")
