"""Search the index of a finished run with the model beside it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from reknit.encoders.embedding_model import EmbeddingModel
from reknit.errors import ReknitError
from reknit.retrieval.index import Index, Mode


def search_run(run: Path, query: str, *, top: int = 10, mode: Mode = "hybrid") -> list[dict[str, Any]]:
    """The best passages for a query: dicts of id, title, text and score, best first.

    Mode "text" loads no model. Raises ReknitError when `run` holds no finished run.
    """
    if not (run / "index").is_dir():
        raise ReknitError(f"{run} has no index/: give the run folder of a finished `reknit adapt`")
    index = Index.open(run / "index")
    vector = None
    if mode != "text":
        model = EmbeddingModel.load(run / "model")
        vector = model.encode([query], prompt_name="query" if "query" in model.prompts else None)[0]
    return [asdict(hit) for hit in index.search(vector, query, top, mode)]
