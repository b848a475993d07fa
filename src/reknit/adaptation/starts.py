"""Several start models: which of them is trained, and which are searched with beside it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.evaluation.retrieval import sides_of
from reknit.evaluation.significance import as_good_as_the_best
from reknit.evaluation.system_values import ndcg_values
from reknit.jobs.files import read_json, write_json
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.encode_texts import EncodeTexts
from reknit.retrieval.system import SearchSystem
from reknit.runs.run_folder import RunFolder
from reknit.runs.start import LoadedStart

logger = logging.getLogger("reknit")

_MADE = "starts.json"


@dataclass(frozen=True)
class Starts:
    """student: the start model that is trained. others: searched with beside it, and its teachers; the best first.
    have: the model that was named first, which is the one that the user has."""

    student: LoadedStart
    others: tuple[LoadedStart, ...]
    have: LoadedStart


def choose_starts(
    loaded: Sequence[LoadedStart],
    encoders: Mapping[str, EncodeTexts],
    probe: RetrievalSet,
    folder: RunFolder,
    seconds: Callable[[str], float],
    named: str | None = None,
) -> Starts:
    """Of the start models that can be trained, the fastest that is not significantly worse than the best of them is the
    student; beside it the best of the others is searched with, and the one that was named first.

    loaded: as they were named. encoders: of each, by its name. seconds: that a model takes for a passage. named: of the
    model that is the student whatever its value. They are measured on the probe once, also of a resumed run.
    """
    made = folder.data / _MADE
    if not made.exists():
        sides = sides_of(probe, encoders, split_identifiers=False)
        systems = {name: SearchSystem.of([name]) for name in encoders}
        values = ndcg_values(probe, sides, systems)
        order = sorted(values, key=lambda name: -values[name].mean())
        means = ", ".join(f"{name} {values[name].mean():.3f}" for name in order)
        logger.info("start models, the best first; nDCG@10 of the probe: %s", means)
        trainable = [one.name for one in loaded if isinstance(one.model, EmbeddingModel)]
        as_good = as_good_as_the_best(np.array([values[name] for name in trainable]))
        fastest = min((name for name, good in zip(trainable, as_good, strict=True) if good), key=seconds)
        write_json(made, {"order": order, "student": named or fastest})
    by_name, found = {one.name: one for one in loaded}, read_json(made)
    ranked, student = [by_name[name] for name in found["order"]], by_name[found["student"]]
    others = [one for one in ranked if one is not student]
    kept = [one for one in others if one is others[0] or one is loaded[0]]
    return Starts(student, tuple(kept), loaded[0])
