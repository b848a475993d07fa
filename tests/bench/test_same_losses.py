"""With the same weights, batches and masks, reknit's trainer and transformers' have the same losses, step by step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset
from toy_models import RAGGED, TOY_VOCABULARY, toy_batch
from transformers import BertConfig, BertForMaskedLM, TrainerCallback, TrainingArguments
from transformers import Trainer as TheirTrainer

from reknit.bench.sides.given_masks import GivenMasks
from reknit.corruptions.masking import mask_tokens
from reknit.data.batch import Batch
from reknit.encoders.huggingface.loading import load_encoder
from reknit.recipe import BudgetSpec, OptimiserSpec
from reknit.training.checkpoint import CheckpointFolder
from reknit.training.log import MetricsLog
from reknit.training.trainer import PhaseSettings, Trainer

pytest.importorskip("accelerate")
STEPS = 8
# Rates and decay far above the usual, so that a difference in either shows within a few steps.
OPTIMISER = OptimiserSpec(
    learning_rate=3e-2,
    weight_decay=0.3,
    adam_beta2=0.95,
    adam_epsilon=1e-4,
    max_grad_norm=0.5,
    warmup_ratio=0.0,
    lr_scheduler_type="constant",
)


def batch_of(step: int) -> Batch:
    return toy_batch(step % 3)


def masked_rows() -> list[dict[str, list[int]]]:
    """All sequences of the three batches, masked once; `order` of a batch is that of its rows."""
    rows = []
    for number in range(3):
        batch = batch_of(number)
        view = mask_tokens(batch, torch.Generator().manual_seed(number), ratio=0.4)
        labels = torch.where(view.predict, view.targets, -100)
        lengths = batch.cu_seqlens.diff().tolist()
        for seen, wanted in zip(view.tokens.split(lengths), labels.split(lengths), strict=True):
            rows.append({"seen": seen.tolist(), "labels": wanted.tolist()})
    return rows


def model_folder(folder: Path) -> Path:
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(
        vocab_size=TOY_VOCABULARY.size,
        max_position_embeddings=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **shape,
    )
    model = BertForMaskedLM(config)
    with torch.no_grad():
        model.cls.predictions.bias.normal_(std=0.3)
    model.save_pretrained(folder)
    return folder


def our_losses(folder: Path, model: Path, rows: list[dict[str, list[int]]], optimiser: OptimiserSpec) -> list[float]:
    encoder = load_encoder(str(model))
    settings = PhaseSettings(
        name="toy", optimiser=optimiser, budget=BudgetSpec(tokens=STEPS * sum(RAGGED)), seed=0, probes=0
    )
    log = MetricsLog(folder / "metrics.jsonl")
    objective = GivenMasks(encoder, model, rows)
    Trainer(settings, encoder, objective, batch_of, CheckpointFolder(folder / "toy"), log).run()
    return [line["loss"] for line in log.read()]


class Rows(Dataset):
    def __init__(self, rows: list[dict[str, list[int]]]) -> None:
        self.rows = rows * STEPS

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> dict[str, list[int]]:
        return self.rows[number]


class InOrder(TheirTrainer):
    def _get_train_sampler(self, *args: object) -> range:
        return range(len(RAGGED) * STEPS)


class Losses(TrainerCallback):
    def __init__(self) -> None:
        self.values: list[float] = []

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        if "loss" in logs:
            self.values.append(float(logs["loss"]))


def padded(rows: list[dict[str, list[int]]]) -> dict[str, Tensor]:
    longest = max(len(row["seen"]) for row in rows)

    def fill(name: str, value: int) -> Tensor:
        return torch.tensor([row[name] + [value] * (longest - len(row[name])) for row in rows])

    attended = torch.tensor([[1] * len(row["seen"]) + [0] * (longest - len(row["seen"])) for row in rows])
    return {"input_ids": fill("seen", TOY_VOCABULARY.pad), "labels": fill("labels", -100), "attention_mask": attended}


def their_losses(folder: Path, model: Path, rows: list[dict[str, list[int]]]) -> list[float]:
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=len(RAGGED),
        max_steps=STEPS,
        learning_rate=OPTIMISER.learning_rate,
        lr_scheduler_type="constant",
        weight_decay=OPTIMISER.weight_decay,
        adam_beta2=OPTIMISER.adam_beta2,
        adam_epsilon=OPTIMISER.adam_epsilon,
        max_grad_norm=OPTIMISER.max_grad_norm,
        use_cpu=True,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
    )
    trainer = InOrder(BertForMaskedLM.from_pretrained(model), arguments, train_dataset=Rows(rows), data_collator=padded)
    losses = Losses()
    trainer.add_callback(losses)
    trainer.train()
    return losses.values


def test_the_same_losses_as_transformers_trainer(tmp_path: Path) -> None:
    model, rows = model_folder(tmp_path / "model"), masked_rows()
    theirs = their_losses(tmp_path / "theirs", model, rows)
    ours = our_losses(tmp_path / "ours", model, rows, OPTIMISER)
    assert len(ours) == len(theirs) == STEPS
    assert abs(theirs[0] - theirs[-1]) > 0.2, "nothing was learnt, so nothing could differ"
    assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("field", ["learning_rate", "weight_decay", "adam_beta2", "adam_epsilon", "max_grad_norm"])
def test_any_other_setting_would_show(field: str, tmp_path: Path) -> None:
    model, rows = model_folder(tmp_path / "model"), masked_rows()
    ours = our_losses(tmp_path / "ours", model, rows, OPTIMISER)
    other = our_losses(tmp_path / "other", model, rows, replace(OPTIMISER, **{field: 0.9 * getattr(OPTIMISER, field)}))
    assert ours != pytest.approx(other, rel=1e-4)
