"""reknit's side of the training benchmark: its own Trainer, paused every few steps for the other side's turn."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from reknit.bench.peers import worker
from reknit.bench.sides.given_masks import GivenMasks
from reknit.catalogue import find
from reknit.data.batch import Batch
from reknit.encoders.base import Encoder
from reknit.encoders.huggingface.loading import load_encoder
from reknit.jobs.interrupt import Interrupted, StopRequest
from reknit.jobs.precision import best_device
from reknit.objectives.base import Objective
from reknit.recipe import BudgetSpec, OptimiserSpec
from reknit.sources.token_store import TokenStore
from reknit.tokenizers.tokenizer import Tokenizer
from reknit.training.checkpoint import CheckpointFolder
from reknit.training.log import MetricsLog
from reknit.training.trainer import Batches, PhaseSettings, Trainer


class Pauses(MetricsLog):
    """Hands over after every `steps` steps, which end with a line in the log. The first turn is the warm-up.

    A turn's answer: wall seconds, tokens, and the seconds of it that training waited for its batches.
    """

    def __init__(self, path: Path, steps: int, stop: StopRequest) -> None:
        super().__init__(path)
        self.steps, self.stop = steps, stop
        self.losses: list[float] = []
        self.tokens, self.waited = 0, 0.0
        self.started = time.perf_counter()

    def write(self, **line: Any) -> None:
        super().write(**line)
        self.losses.append(line["loss"])
        self.waited += line["waited"]
        if len(self.losses) % self.steps:
            return
        seconds = time.perf_counter() - self.started
        worker.answer(seconds=seconds, tokens=line["tokens"] - self.tokens, waited=self.waited)
        self.tokens, self.waited = line["tokens"], 0.0
        if not worker.wait():
            self.stop.asked = True
        self.started = time.perf_counter()


def train_in_turns(
    given: dict[str, Any],
    encoder: Encoder,
    objective: Objective,
    batches: Batches,
    optimiser: OptimiserSpec,
) -> tuple[Trainer, Pauses]:
    """Train until the other side of the pipe ends it; returns the trainer as it then is, and what was logged.

    given: the contestant's settings, of which "folder", "steps", "seed" and "precision" are read here.
    """
    settings = PhaseSettings(
        name="bench",
        optimiser=optimiser,
        budget=BudgetSpec(tokens=10**12),  # never spent: the other side of the pipe ends it
        seed=given["seed"],
        precision=given["precision"],
        checkpoint_minutes=float("inf"),
        probes=0,
    )
    stop, folder = StopRequest(), Path(given["folder"])
    log = Pauses(folder / "metrics.jsonl", given["steps"], stop)
    trainer = Trainer(settings, encoder, objective, batches, CheckpointFolder(folder), log, stop=stop)
    with suppress(Interrupted):
        trainer.run()
    return trainer, log


def main() -> None:
    given = worker.settings()
    torch.manual_seed(given["seed"])
    folder = Path(given["folder"])
    tokenizer = Tokenizer.load(given["model"])
    encoder = load_encoder(given["model"]).to(best_device())
    objective: Objective
    if given["objective"] == "bert-mlm":
        objective = GivenMasks(encoder, Path(given["model"]), worker.texts(given["masks"]))
    else:
        objective = find(given["objective"]).objective.build(encoder, tokenizer.vocabulary, "cls")
    objective.to(best_device())
    store = TokenStore.build(worker.texts(given["texts"]), tokenizer, folder / "tokens", max_length=given["max_length"])
    order = given["order"]

    def batch(step: int) -> Batch:
        return store.batch(order[min(step, len(order) - 1)])

    optimiser = OptimiserSpec(
        learning_rate=given["learning_rate"],
        weight_decay=given["weight_decay"],
        adam_beta2=given["adam_beta2"],
        adam_epsilon=given["adam_epsilon"],
        max_grad_norm=given["max_grad_norm"],
        warmup_ratio=0.0,
        lr_scheduler_type="constant",
    )
    trainer, log = train_in_turns(given, encoder, objective, batch, optimiser)
    worker.answer(losses=log.losses, flops_per_token=trainer.state.flops_per_token)


if __name__ == "__main__":
    main()
