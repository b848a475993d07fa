"""A masked language model as plain parts, and its training: what the arms of the experiment and their start are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from reknit.data.batch import Batch
from reknit.errors import ReknitError
from reknit.jobs.interrupt import StopRequest
from reknit.jobs.precision import best_device
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.loading import load_embedding_model
from reknit.objectives.masked_language_model import MaskedLanguageModel, MaskedLanguageModelSpec
from reknit.recipe import BudgetSpec, OptimiserSpec
from reknit.sources.passages import PassageBatches, open_token_store
from reknit.sources.token_store import TokenStore
from reknit.tokenizers.tokenizer import Tokenizer
from reknit.training.checkpoint import CheckpointFolder
from reknit.training.log import MetricsLog
from reknit.training.trainer import PhaseSettings, Trainer

MAX_LENGTH = 96
MASKED = MaskedLanguageModelSpec(ratio=0.2, random_share=0.0, keep_share=0.0)
_HEAD = "masked.head."
_TEXTS_AT_ONCE = 64


@dataclass(frozen=True)
class MaskedModel:
    """An encoder with its tokenizer, and its masked-language-model head."""

    model: EmbeddingModel
    objective: MaskedLanguageModel

    @classmethod
    def of(cls, model: EmbeddingModel, head: dict[str, Tensor] | None = None) -> MaskedModel:
        """head: weights of the head but its bias, which belongs to a vocabulary; new ones, drawn from torch's global
        generator, without. The bias is 0."""
        objective = MASKED.build(model.encoder, model.tokenizer.vocabulary, "mean")
        if head is not None:
            objective.head.load_state_dict(head | {"bias": torch.zeros_like(objective.head.bias)})
        return cls(model, objective)


@dataclass(frozen=True)
class Schedule:
    """steps: of `tokens` each, at a constant rate after a warm-up, so that each step's weights are those of a training
    that ends there. points: how often the loss of held-out texts is measured."""

    steps: int
    tokens: int
    learning_rate: float
    points: int


def load_start(model: Path) -> tuple[EmbeddingModel, dict[str, Tensor]]:
    """A fixture's model, and the weights of its masked head but the bias. model: the folder "model" of the fixture.

    Raises ReknitError where the fixture has no such head.
    """
    file = model.parent / "heads" / "objective.safetensors"
    weights = load_file(file) if file.exists() else {}
    head = {name.removeprefix(_HEAD): value for name, value in weights.items() if name.startswith(_HEAD)}
    if not head:
        raise ReknitError(f"{model.parent} has no head of a masked language model: start from the fixture masked-en")
    head.pop("bias")
    return load_embedding_model(model), head


def train(
    masked: MaskedModel,
    store: TokenStore,
    schedule: Schedule,
    folder: Path,
    seed: int,
    stop: StopRequest,
    probe: Callable[[], dict[str, float]],
) -> MetricsLog:
    """Train in place, or resume what an earlier call began in the folder; returns the log."""
    device = best_device()
    masked.model.encoder.to(device)
    masked.objective.to(device)
    optimiser = OptimiserSpec(
        learning_rate=schedule.learning_rate, lr_scheduler_type="constant", warmup_ratio=0.1, adam_beta2=0.999
    )
    settings = PhaseSettings(
        "german", optimiser, BudgetSpec(), seed, steps=schedule.steps, probes=schedule.points, metric="loss"
    )
    log = MetricsLog(folder / "metrics.jsonl")
    trainer = Trainer(
        settings,
        masked.model.encoder,
        masked.objective,
        PassageBatches(store, schedule.tokens, seed),
        CheckpointFolder(folder / "german"),
        log,
        probe=probe,
        stop=stop,
    )
    trainer.run()
    return log


def held_out_loss(masked: MaskedModel, batches: Sequence[Batch]) -> float:
    """Mean cross-entropy in nats of the masked tokens of the batches, the same tokens at every call."""
    encoder, objective = masked.model.encoder.eval(), masked.objective.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for number, batch in enumerate(batches):
            here = batch.to(encoder.table.device)
            found = objective.predictions(encoder, here, torch.Generator().manual_seed(number))["masked"]
            loss, _ = found.loss(encoder.table, objective.head.bias)
            total, count = total + float(loss) * len(found.targets), count + len(found.targets)
    return total / max(count, 1)


def batches_of(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Batch]:
    """The texts, packed, a few at a time."""
    starts = range(0, len(texts), _TEXTS_AT_ONCE)
    return [tokenizer.pack(texts[start : start + _TEXTS_AT_ONCE], MAX_LENGTH) for start in starts]


def store_of(folder: Path, texts: Sequence[str], tokenizer: Tokenizer) -> TokenStore:
    """The texts' tokens on disk, made once."""
    return open_token_store(folder, texts, tokenizer, MAX_LENGTH)
