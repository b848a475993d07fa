"""`reknit tune`: adapt a model to labelled texts, cheaply, and say whether that beats the model as it is."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from reknit.adapters.encoder import native
from reknit.errors import ReknitError
from reknit.jobs.files import disk_full_explained, written_aside
from reknit.jobs.precision import best_device
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.loading import load_embedding_model
from reknit.tuning.config import DEFAULT_METHOD, TuningConfig, configured
from reknit.tuning.deliver import Finished, deliver
from reknit.tuning.fit import fit, fit_probe
from reknit.tuning.folder import check_free
from reknit.tuning.labels import load_labels, notes_on
from reknit.tuning.result import TuningResult

logger = logging.getLogger("reknit")


def tune(
    model: str | Path,
    labels: str | Path,
    out: str | Path,
    *,
    method: str | None = None,
    settings: Sequence[str] = (),
    overwrite: bool = False,
) -> TuningResult:
    """Train an adapter and a linear layer on labelled texts, and compare them with a linear probe of the model.

    model: folder, run folder or hub id. labels: as `load_labels` reads them. method: an adapter of the catalogue;
    `DEFAULT_METHOD` when None. settings: "a.b=c" changes to any field of `TuningConfig`. The folder `out` appears when
    all is done: model/ (the start model, `adapter/` and `head/` beside its weights), report.html and result.json,
    whatever the verdict. Raises ReknitError on bad input.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ReknitError("a model is tuned in one process: start it without torchrun")
    if method is None:
        logger.info("method %s: the default, as no record decides between the methods yet", DEFAULT_METHOD)
    config = configured(str(model), str(labels), method or DEFAULT_METHOD, settings)
    folder = Path(out)
    check_free(folder, overwrite=overwrite)
    data = load_labels(labels, config.test_fraction, config.seed)
    start, notes = _loaded(config.start), notes_on(data)
    if start.expansion is not None:
        start.expansion = None
        notes.append("the start model's query expansion is left out, as it was made of the start model's vectors")
    logger.info("%d texts to learn from, %d to judge by", min(config.training.texts, len(data.train)), len(data.test))
    probe = fit_probe(data, start, config.training, config.precision)
    tuned = fit(data, start, config.part, config.training, config.seed, config.precision)
    finished = Finished(config, data, start, probe, tuned, notes, _command(config, folder, settings))
    with disk_full_explained(str(folder)), written_aside(folder) as aside:
        return deliver(finished, aside)


def _loaded(place: str) -> EmbeddingModel:
    model = load_embedding_model(place)
    native(model.encoder)
    # Read it whole now: the folder may be the one that this run replaces.
    _ = model.tokenizer.hf
    model.encoder.to(best_device())
    return model


def _command(config: TuningConfig, folder: Path, settings: Sequence[str]) -> str:
    words = ["reknit", "tune", config.start, config.labels, "--method", config.method, "--out", str(folder)]
    return shlex.join([*words, *(part for setting in settings for part in ("--set", setting))])
