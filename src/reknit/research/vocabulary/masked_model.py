"""A masked language model as plain parts, and its training: what the arms of the experiment and their start are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from reknit.data.batch import Batch
from reknit.encoders.huggingface.loading import HuggingFaceEncoder
from reknit.encoders.spec import TextEncoderSpec
from reknit.jobs.files import written_aside
from reknit.jobs.interrupt import StopRequest
from reknit.jobs.precision import best_device
from reknit.objectives.base import Objective
from reknit.objectives.masked_language_model import MaskedLanguageModel, MaskedLanguageModelSpec
from reknit.recipe import BudgetSpec, OptimiserSpec
from reknit.sources.passages import PassageBatches, open_token_store
from reknit.sources.token_store import TokenStore
from reknit.tokenizers.tokenizer import Tokenizer
from reknit.training.checkpoint import CheckpointFolder, save_tensors
from reknit.training.log import MetricsLog
from reknit.training.trainer import PhaseSettings, Trainer

MAX_LENGTH = 96
MASKED = MaskedLanguageModelSpec(ratio=0.2, random_share=0.0, keep_share=0.0)
_TEXTS_AT_ONCE = 64


@dataclass
class MaskedModel:
    """An encoder and its masked-language-model head, of one tokenizer's vocabulary."""

    tokenizer: Tokenizer
    encoder: HuggingFaceEncoder
    objective: MaskedLanguageModel

    @classmethod
    def fresh(cls, spec: TextEncoderSpec, tokenizer: Tokenizer, seed: int) -> MaskedModel:
        """Random weights."""
        torch.manual_seed(seed)
        encoder = spec.build(tokenizer.vocabulary.size, pad=tokenizer.vocabulary.pad)
        return cls(tokenizer, encoder, MASKED.build(encoder, tokenizer.vocabulary, "mean"))

    def save(self, folder: Path) -> None:
        """Write tokenizer, encoder and head; the folder appears whole."""
        with written_aside(folder) as aside:
            aside.mkdir()
            self.tokenizer.save(aside)
            save_tensors(self.encoder.state_dict(), aside / "encoder.safetensors")
            save_tensors(self.objective.state_dict(), aside / "head.safetensors")

    def with_body(self, start: MaskedModel, rows: Tensor) -> MaskedModel:
        """This model, changed in place: the weights of `start`, but these rows [vocabulary, dim] for the table and an
        output bias of 0, which both belong to a vocabulary."""
        body = {name: value for name, value in start.encoder.state_dict().items() if name != "tokens.weight"}
        head = {name: value for name, value in start.objective.state_dict().items() if name != "head.bias"}
        self.encoder.load_state_dict(body | {"tokens.weight": rows})
        self.objective.load_state_dict(head | {"head.bias": torch.zeros(len(rows))})
        return self

    @classmethod
    def load(cls, folder: Path, spec: TextEncoderSpec) -> MaskedModel:
        """What `save` wrote, of the shape `spec`."""
        model = cls.fresh(spec, Tokenizer.load(folder), 0)
        model.encoder.load_state_dict(load_file(folder / "encoder.safetensors"))
        model.objective.load_state_dict(load_file(folder / "head.safetensors"))
        return model


@dataclass(frozen=True)
class Schedule:
    """steps: of `tokens` each. points: how often the loss of held-out texts is measured. lr_scheduler_type: "constant"
    makes the weights of each step those of a training that ends there."""

    steps: int
    tokens: int
    learning_rate: float
    points: int = 0
    lr_scheduler_type: Literal["linear", "constant"] = "constant"


def train(
    name: str,
    encoder: nn.Module,
    objective: Objective,
    store: TokenStore,
    schedule: Schedule,
    folder: Path,
    seed: int,
    stop: StopRequest,
    probe: Callable[[], dict[str, float]] | None = None,
) -> MetricsLog:
    """Train in place, or resume what an earlier call began; returns the log."""
    device = best_device()
    encoder.to(device)
    objective.to(device)
    optimiser = OptimiserSpec(
        learning_rate=schedule.learning_rate,
        lr_scheduler_type=schedule.lr_scheduler_type,
        warmup_ratio=0.1,
        adam_beta2=0.999,
    )
    settings = PhaseSettings(
        name, optimiser, BudgetSpec(), seed, steps=schedule.steps, probes=schedule.points, metric="loss"
    )
    log, checkpoints = MetricsLog(folder / f"{name}.jsonl"), CheckpointFolder(folder / name)
    if checkpoints.finished() is not None:
        checkpoints.load_encoder("final", encoder)
        checkpoints.load_objective("final", objective)
        return log
    trainer = Trainer(
        settings,
        encoder,  # type: ignore[arg-type]
        objective,
        PassageBatches(store, schedule.tokens, seed),
        checkpoints,
        log,
        probe=probe,
        stop=stop,
    )
    trainer.run()
    return log


def held_out_loss(model: MaskedModel, batches: Sequence[Batch]) -> float:
    """Mean cross-entropy in nats of the masked tokens of the batches, the same tokens at every call."""
    device = next(model.encoder.parameters()).device
    model.encoder.eval()
    model.objective.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for number, batch in enumerate(batches):
            here = batch.to(device)
            found = model.objective.predictions(model.encoder, here, torch.Generator().manual_seed(number))["masked"]
            loss, _ = found.loss(model.encoder.table, model.objective.head.bias)
            total, count = total + float(loss) * len(found.targets), count + len(found.targets)
    return total / max(count, 1)


def batches_of(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Batch]:
    """The texts, packed, a few at a time."""
    starts = range(0, len(texts), _TEXTS_AT_ONCE)
    return [tokenizer.pack(texts[start : start + _TEXTS_AT_ONCE], MAX_LENGTH) for start in starts]


def store_of(folder: Path, texts: Sequence[str], tokenizer: Tokenizer) -> TokenStore:
    """The texts' tokens on disk, made once."""
    return open_token_store(folder, texts, tokenizer, MAX_LENGTH)
