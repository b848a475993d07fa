"""An English masked language model is trained further in German with a German tokenizer: how many steps do its new
token embeddings save?"""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from reknit.claim import Experiment, Outcome, Pair, Size
from reknit.encoders.native.encoder import NativeEncoder
from reknit.errors import ReknitError
from reknit.jobs.files import made_by_one, read_json, write_json
from reknit.jobs.interrupt import StopRequest
from reknit.research.fixtures import MASKED_EN
from reknit.research.vocabulary.masked_model import (
    MASKED,
    MaskedModel,
    Schedule,
    batches_of,
    held_out_loss,
    load_start,
    store_of,
    train,
)
from reknit.research.vocabulary.texts import NEEDS, GermanTexts, german_texts
from reknit.runs.config import with_overrides
from reknit.tokenizers.tokenizer import Tokenizer, train_tokenizer
from reknit.vocabulary.methods import RANDOM, method_named
from reknit.vocabulary.model import tokenizer_kind, with_vocabulary
from reknit.vocabulary.transfer import COMBINED, RandomRows, TokenizerTransfer, TransferMaterial, rows_to_keep

logger = logging.getLogger("reknit")
SCRATCH, SHUFFLED = "scratch", "shuffled"
LOSS, FIRST_LOSS, STEPS, FRACTION = "loss", "loss before training", "steps", "fraction of the steps"
_HELD_OUT_EVERY = 4  # of the held-out texts: twelve thousand tokens tell arms apart, and are measured two dozen times


@dataclass(frozen=True)
class GermanTransfer(Experiment):
    """Arms: "scratch" (no weight of the English model), "random" (its body, random rows), a tokenizer transfer of the
    catalogue by name, also with settings ("wechsel:neighbours=1"), or such a name after "shuffled-" (the same rows,
    dealt out to other tokens). All have the same German tokenizer, texts in the same order, masks, and an output bias
    of 0.

    Measures, of texts that no arm has seen: the masked loss in nats, after and before training; the steps until the
    loss is that of "random" after all of them, all of them where it never is; these as a fraction of all.

    german: how every arm is trained. vocabulary: tokens of the German tokenizer. start: the English model, a fixture's
    folder "model".
    """

    german: Schedule = field(default_factory=lambda: Schedule(600, 512, 1e-3, points=24))
    vocabulary: int = 6000
    start: str = ""

    needs: ClassVar[tuple[str, ...]] = NEEDS
    # A body that has learnt something is worth having: if it is not seen here, nothing about rows can be.
    control: ClassVar[Pair | None] = Pair(RANDOM, SCRATCH, LOSS)

    def at(self, size: Size) -> GermanTransfer:
        if size == "small":
            return self
        return replace(self, german=Schedule(2000, 1024, 1e-3, points=40))

    def with_start(self, model: Path) -> GermanTransfer:
        return replace(self, start=str(model))

    def flops(self, arm: str) -> float:
        shape = MASKED_EN.config(Path()).encoder
        block = 4 * shape.dim**2 + 3 * shape.dim * shape.intermediate
        head = MASKED.ratio * shape.dim * (shape.dim + self.vocabulary)
        return 6.0 * (shape.depth * block + head) * self.german.steps * self.german.tokens

    def lower_is_better(self, measure: str) -> bool:
        return True

    def prepare(self, data: Path, folder: Path, arms: Sequence[str]) -> None:
        for arm in arms:
            _transfer_of(arm)
        start, _ = load_start(Path(self.start))
        texts = german_texts(data)
        saved = folder / "german" / "tokenizer"
        if not saved.exists():
            train_tokenizer(texts.train, self.vocabulary, family=tokenizer_kind(start)).save(saved)
        store_of(folder / "german", texts.train, Tokenizer.load(saved))

    def run(self, arm: str, seed: int, data: Path, folder: Path, stop: StopRequest) -> Outcome:
        texts = german_texts(data)
        found = self._trained(arm, seed, texts, folder, stop)
        curve = found["curve"]
        goal = self._trained(RANDOM, seed, texts, folder, stop)["curve"][-1]["loss"]
        steps = steps_until(curve, goal)
        values: dict[str, float | None] = {
            LOSS: curve[-1]["loss"],
            FIRST_LOSS: curve[0]["loss"],
            STEPS: steps,
            FRACTION: steps / self.german.steps,
        }
        return Outcome(values, found["spent"], curve)

    def _trained(self, arm: str, seed: int, texts: GermanTexts, folder: Path, stop: StopRequest) -> dict[str, Any]:
        """{"curve", "spent"} of one arm with one seed, trained unless it was before."""
        place = folder / "arms" / re.sub(r"[^\w.=-]", "_", arm) / f"seed-{seed}"
        done = place / "curve.json"
        # Arms that run beside one another all need the curve of random rows.
        with made_by_one(done):
            if not done.exists():
                self._train(arm, seed, texts, folder, place, stop)
        curve: dict[str, Any] = read_json(done)
        return curve

    def _train(self, arm: str, seed: int, texts: GermanTexts, folder: Path, place: Path, stop: StopRequest) -> None:
        """Train one arm in the folder `place` and write its curve.json there."""
        masked = self._model(arm, seed, texts, folder)
        held_out = batches_of(masked.model.tokenizer, texts.held_out[::_HELD_OUT_EVERY])
        first = {"step": 0, "loss": held_out_loss(masked, held_out)}
        store = store_of(folder / "german", texts.train, masked.model.tokenizer)
        began = time.perf_counter()
        log = train(masked, store, self.german, place, seed, stop, lambda: {"loss": held_out_loss(masked, held_out)})
        lines = log.read()
        points = [{"step": line["step"], "loss": line["probe"]["loss"]} for line in lines if "probe" in line]
        spent = {"tokens": max(line["tokens"] for line in lines), "seconds": time.perf_counter() - began}
        write_json(place / "curve.json", {"curve": [first, *points], "spent": spent})
        shutil.rmtree(place / "german")

    def _model(self, arm: str, seed: int, texts: GermanTexts, folder: Path) -> MaskedModel:
        tokenizer = Tokenizer.load(folder / "german" / "tokenizer")
        transfer, shuffled = _transfer_of(arm)
        start, head = load_start(Path(self.start))
        material = TransferMaterial(
            rows=start.encoder.table.detach().numpy(),
            source=start.tokenizer,
            target=tokenizer,
            kept=rows_to_keep(start.tokenizer, tokenizer, shared=False),
            texts=lambda: texts.train,
            source_texts=lambda: texts.english,
            translations=texts.pairs,
            seed=seed,
        )
        made = (transfer or RandomRows()).new_rows(material)
        rows = made.rows
        if shuffled:
            combined = np.flatnonzero(made.origin == COMBINED)
            rows[combined] = rows[np.random.default_rng([seed, 11]).permutation(combined)]
        logger.info("%s, seed %d: %s", arm, seed, made.counts())
        model = with_vocabulary(start, tokenizer, torch.from_numpy(rows))
        torch.manual_seed(seed)
        if transfer is None:
            assert isinstance(model.encoder, NativeEncoder), "a tokenizer can be replaced in native ones alone"
            model.encoder.reset_parameters()
        return MaskedModel.of(model, None if transfer is None else head)


def steps_until(curve: Sequence[dict[str, float]], goal: float) -> float:
    """The step at which a curve of {"step", "loss"} first comes down to `goal`, on straight lines between its points;
    the last step where it never does."""
    for before, after in pairwise(curve):
        if before["loss"] <= goal:
            return float(before["step"])
        if after["loss"] <= goal:
            part = (before["loss"] - goal) / (before["loss"] - after["loss"])
            return before["step"] + part * (after["step"] - before["step"])
    return float(curve[-1]["step"])


def _transfer_of(arm: str) -> tuple[TokenizerTransfer | None, bool]:
    """How an arm's rows are made, None for "scratch", and whether they are dealt out to other tokens then."""
    if arm == SCRATCH:
        return None, False
    name, *settings = arm.removeprefix(f"{SHUFFLED}-").split(":")
    try:
        part = with_overrides(method_named(name), tuple(settings))
    except ReknitError as error:
        raise ReknitError(f"arm {arm!r}: {error}; the others are {SCRATCH} and {RANDOM}") from error
    return part, arm.startswith(f"{SHUFFLED}-")
