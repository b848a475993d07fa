"""reknit's side of the encoding benchmark."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from reknit.bench.peers import worker
from reknit.models.loading import load_embedding_model


def main() -> None:
    given = worker.settings()
    texts, queries = worker.texts(given["texts"]), worker.texts(given["queries"])
    model = load_embedding_model(given["model"])
    model.max_length = given["max_length"]
    precision = given["precision"]

    def passages() -> dict[str, Any]:
        started = time.perf_counter()
        vectors = model.encode(texts, precision=precision)
        seconds = time.perf_counter() - started
        np.save(Path(given["folder"]) / "vectors.npy", vectors)
        return {"seconds": seconds, "tokens": given["tokens"], "texts": len(texts)}

    def single_queries() -> dict[str, Any]:
        model.encode([queries[0]], precision=precision)
        latencies = []
        for query in queries:
            started = time.perf_counter()
            model.encode([query], precision=precision)
            latencies.append(time.perf_counter() - started)
        return {"seconds": sum(latencies), "texts": len(queries), "latencies": latencies}

    turn = {"passages": passages, "queries": single_queries}[given["work"]]
    model.encode(texts[:64], precision=precision)
    worker.serve(turn)


if __name__ == "__main__":
    main()
