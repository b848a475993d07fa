"""Encoding by sentence-transformers: its PyTorch, ONNX and OpenVINO backends, each at its best batch size."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import worker
from sentence_transformers import SentenceTransformer

BATCH_SIZES = (8, 16, 32, 64, 128)
# Enough texts to tell the batch sizes apart, few enough to try them all.
TRIED_TEXTS = 256
CALIBRATION_TEXTS = 300


def load(given: dict[str, Any]) -> SentenceTransformer:
    """The model on the backend and in the precision asked for; int8 is exported as its documentation says."""
    backend, precision = given["backend"], given["precision"]
    if backend == "torch":
        dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return SentenceTransformer(given["model"], device=device, model_kwargs={"torch_dtype": dtype})
    folder = Path(given["folder"]) / "model"
    shutil.copytree(given["model"], folder)
    for exported in ("onnx", "openvino"):
        shutil.rmtree(folder / exported, ignore_errors=True)
    model = SentenceTransformer(str(folder), device="cpu", backend=backend)
    if precision == "int8" and backend == "onnx":
        from sentence_transformers import export_dynamic_quantized_onnx_model

        export_dynamic_quantized_onnx_model(model, "avx512_vnni", str(folder))
        file = "onnx/model_qint8_avx512_vnni.onnx"
    elif precision == "int8":
        from sentence_transformers import export_static_quantized_openvino_model

        texts = worker.texts(given["texts"])[:CALIBRATION_TEXTS]
        calibration = Path(given["folder"]) / "calibration"
        calibration.mkdir()
        (calibration / "train.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        names: Any = {"dataset_name": str(calibration), "dataset_config_name": "default"}
        columns: Any = {"dataset_split": "train", "column_name": "text"}
        export_static_quantized_openvino_model(model, None, str(folder), **names, **columns)
        file = "openvino/openvino_model_qint8_quantized.xml"
    else:
        return model
    return SentenceTransformer(str(folder), device="cpu", backend=backend, model_kwargs={"file_name": file})


def best_batch_size(model: SentenceTransformer, texts: list[str]) -> int:
    """The fastest of the usual batch sizes on a sample."""
    sample = texts[:: max(1, len(texts) // TRIED_TEXTS)][:TRIED_TEXTS]
    seconds = {}
    for size in BATCH_SIZES:
        model.encode(sample[:size], batch_size=size)
        started = time.perf_counter()
        model.encode(sample, batch_size=size)
        seconds[size] = time.perf_counter() - started
    return min(seconds, key=seconds.__getitem__)


def main() -> None:
    given = worker.settings()
    texts, queries = worker.texts(given["texts"]), worker.texts(given["queries"])
    model = load(given)
    model.max_seq_length = given["max_length"]
    batch_size = best_batch_size(model, texts) if given["work"] == "passages" else 1

    def passages() -> dict[str, Any]:
        started = time.perf_counter()
        vectors = model.encode(texts, batch_size=batch_size)
        seconds = time.perf_counter() - started
        np.save(Path(given["folder"]) / "vectors.npy", vectors.astype(np.float32))
        return {"seconds": seconds, "tokens": given["tokens"], "texts": len(texts)}

    def single_queries() -> dict[str, Any]:
        model.encode([queries[0]])
        latencies = []
        for query in queries:
            started = time.perf_counter()
            model.encode([query])
            latencies.append(time.perf_counter() - started)
        return {"seconds": sum(latencies), "texts": len(queries), "latencies": latencies}

    turn = {"passages": passages, "queries": single_queries}[given["work"]]
    worker.serve(turn, batch_size=batch_size)


main()
