"""What the library offers on any model, ours or not: load it, measure it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from reknit.errors import ReknitError
from reknit.evaluation.beir import load_beir
from reknit.evaluation.retrieval import evaluate_retrieval
from reknit.evaluation.scores import Evaluation
from reknit.jobs.precision import PrecisionChoice, best_device
from reknit.models.any_model import load_any
from reknit.models.embedder import Embedder
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.encode_texts import encoder_function
from reknit.models.loading import load_model
from reknit.models.picture_model import PictureModel
from reknit.retrieval.fusion import EQUAL_PARTS
from reknit.retrieval.system import SearchSystem
from reknit.runs.search import models_of, system_of

Loaded = TypeVar("Loaded", Embedder, Embedder | PictureModel)


def load(path: str | Path) -> Embedder | PictureModel:
    """An embedding model from a sentence-transformers folder, a plain Hugging Face folder, a run folder or a hub id.

    Its `encode(texts, layers=None, dims=None)` gives float32 vectors [texts, dim]; `prompt_name="query"` is for
    queries: it adds the model's prompt and expands them, where the model has that. A vision transformer gives a
    `PictureModel`, whose `encode(files)` does the same for pictures. Only safetensors weights are read and no remote
    code is run. Raises ReknitError when the model cannot be loaded.
    """
    return _on_best_device(load_any(path))


def load_embedder(path: str | Path) -> Embedder:
    """As `load`, for what works on texts alone. Raises ReknitError for a model of anything else."""
    return _on_best_device(load_model(path))


def _on_best_device(model: Loaded) -> Loaded:
    if isinstance(model, EmbeddingModel | PictureModel):
        model.encoder.to(best_device())
    return model


def evaluate(
    model: str | Path,
    data: Sequence[str | Path],
    *,
    baselines: Sequence[str | Path] = (),
    precision: PrecisionChoice = "auto",
    seed: int = 0,
) -> list[Evaluation]:
    """Measure a model on BEIR folders beside random order, BM25, other models, and its own hybrid with BM25.

    Each evaluation has the rows random, bm25, one per model under its path as given, and "hybrid": BM25 and `model` in
    equal parts, or, of a run folder, the system that the run is searched with where it is a hybrid; other models of
    that system have rows of their own. Raises ReknitError when a model or a folder cannot be read.
    """
    if not data:
        raise ReknitError("evaluate needs at least one BEIR folder: name it with --data")
    collections = [load_beir(folder) for folder in data]
    names = [str(path) for path in (model, *baselines)]
    if len(set(names)) < len(names):
        raise ReknitError("the same model is given twice: name each model once")
    loaded = {name: load_embedder(name) for name in names}
    models = {name: encoder_function(of_name, precision) for name, of_name in loaded.items()}
    notes = tuple(
        f"queries of {name} are expanded by its words, which other libraries leave out"
        for name, of_name in loaded.items()
        if of_name.expansion is not None
    )
    collections = [replace(one, notes=(*one.notes, *notes)) for one in collections]
    systems, beside = _searched(Path(model), names[0])
    models |= {name: encoder_function(_on_best_device(of_name), precision) for name, of_name in beside.items()}
    return [evaluate_retrieval(one, models, systems=systems, seed=seed) for one in collections]


def _searched(run: Path, name: str) -> tuple[dict[str, SearchSystem], dict[str, Embedder]]:
    """The system "hybrid", in which the model of model/ goes by `name`, and the other models that it needs."""
    system = system_of(run)
    if not system.is_hybrid:
        system = SearchSystem.of(system.models[:1] or [name], EQUAL_PARTS)
    main, *others = system.models
    renamed = {name if side == main else side: weight for side, weight in system.weights.items()}
    return {"hybrid": replace(system, weights=renamed)}, models_of(run, others)
