"""The last part of a tuning run: the model with its adapter, the result and the report."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from reknit.adapters import FOLDER as ADAPTER
from reknit.adapters.encoder import AdaptedEncoder
from reknit.adapters.files import save_adapter
from reknit.errors import ReknitError
from reknit.evaluation.classification import ClassificationSet
from reknit.evaluation.fine_tuning import Classifier
from reknit.evaluation.significance import bootstrap_interval
from reknit.export.sentence_transformers import only_here, save
from reknit.jobs.files import write_json
from reknit.jobs.machine import machine, versions
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.loading import load_model
from reknit.runs.config import to_json
from reknit.tuning.config import TuningConfig
from reknit.tuning.fit import Fitted
from reknit.tuning.folder import CONFIG, MODEL, REPORT, RESULT
from reknit.tuning.head import FOLDER as HEAD
from reknit.tuning.head import LabelHead
from reknit.tuning.page import render_page
from reknit.tuning.result import PROBE, TUNED, Arm, TuningResult
from reknit.tuning.verdict import decide
from reknit.version import __version__

_MAX_DIFFERENCE = 1e-4
_CHECKED_TEXTS = 16


@dataclass(frozen=True)
class Finished:
    """A run whose training is over. command: that repeats it."""

    config: TuningConfig
    data: ClassificationSet
    start: EmbeddingModel
    probe: Fitted
    tuned: Fitted
    notes: list[str]
    command: str


def deliver(run: Finished, folder: Path) -> TuningResult:
    """Write model/, report.html, config.json and result.json to the folder, which must not be there; returns what the
    last holds.

    Raises ReknitError when the model that was written gives other vectors than the one that was measured.
    """
    classifier = run.tuned.classifier
    assert classifier is not None, "the model was fine-tuned"
    adapted = classifier.model.encoder
    assert isinstance(adapted, AdaptedEncoder), "an adapter was trained"
    folder.mkdir()
    _write_model(run, classifier, adapted, folder / MODEL)
    _check(run, classifier, folder / MODEL)
    result = _result(run, classifier, adapted, folder / MODEL / ADAPTER)
    (folder / REPORT).write_text(render_page(result), encoding="utf-8")
    write_json(folder / CONFIG, to_json(run.config))
    write_json(folder / RESULT, result.to_json())
    return result


def _write_model(run: Finished, classifier: Classifier, adapted: AdaptedEncoder, folder: Path) -> None:
    save(run.start, folder, card=_card(run.start, run.config.method, merges=not adapted.adapter.cannot_merge))
    (folder / ADAPTER).mkdir()
    save_adapter(adapted, run.config.part, folder / ADAPTER)
    (folder / HEAD).mkdir()
    weight, bias = (tensor.detach().cpu() for tensor in (classifier.head.weight, classifier.head.bias))
    LabelHead(tuple(classifier.labels), weight, bias).save(folder / HEAD)


def _check(run: Finished, classifier: Classifier, folder: Path) -> None:
    """Raise ReknitError unless the folder, loaded again, gives the vectors of the model that was measured."""
    texts = [text for _, text in run.data.test[:_CHECKED_TEXTS]]
    trained, loaded = copy.copy(classifier.model), load_model(folder)
    trained.normalize, trained.dims = run.start.normalize, run.start.dims
    difference = float(np.abs(loaded.encode(texts) - trained.encode(texts)).max())
    if not difference <= _MAX_DIFFERENCE:
        raise ReknitError(f"the saved model gives other vectors than the tuned one, by {difference:.2g}: not kept")


def _result(run: Finished, classifier: Classifier, adapted: AdaptedEncoder, saved: Path) -> TuningResult:
    config, data = run.config, run.data
    size = sum(file.stat().st_size for file in saved.iterdir())
    tuned = _arm(run.tuned, config.seed, adapted.adapter.trained_weights, adapted.trained_fraction, size)
    return TuningResult(
        reknit_version=__version__,
        command=run.command,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=config.seed,
        start=config.start,
        labels=config.labels,
        method=config.method,
        settings=to_json(config),
        texts={"learnt from": min(config.training.texts, len(data.train)), "judging": len(data.test)},
        classes=len({label for label, _ in data.train}),
        arms={PROBE: _arm(run.probe, config.seed), TUNED: tuned},
        learning_rate=classifier.learning_rate,
        merges=not adapted.adapter.cannot_merge,
        verdict=decide(run.tuned.right, run.probe.right, config.seed),
        notes=run.notes,
        machine=machine(),
        versions=versions(),
    )


def _arm(fitted: Fitted, seed: int, weights: int = 0, fraction: float = 0.0, size: int = 0) -> Arm:
    interval = bootstrap_interval(fitted.right, seed)
    return Arm(float(fitted.right.mean()), interval, weights, fraction, size, fitted.seconds)


def _card(start: EmbeddingModel, method: str, *, merges: bool) -> str:
    name, alone = start.name, only_here(start)
    library = "reknit" if alone else "sentence-transformers"
    front: Sequence[str] = ("---", f"library_name: {library}", "tags:", "- reknit", "---")
    how = " `reknit export` writes a model for them that has it in its weights." if merges else ""
    others = alone or f"Other libraries pass over it and give the vectors of {name}.{how}"
    return "\n".join(
        [
            *front,
            "",
            f"# {name}, tuned by {method}",
            "",
            f"The weights are those of {name}. `{ADAPTER}/` holds what was trained on labelled texts, `{HEAD}/` the "
            'linear layer that gives labels. reknit applies the adapter (`reknit.load("path/to/this/folder")`). '
            f"{others}",
            "",
        ]
    )
