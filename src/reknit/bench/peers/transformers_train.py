"""Masked language modelling by transformers' own Trainer, paused every few steps for the other side's turn.

The masks are given, the same to both sides, so its collator only pads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch
import worker
from torch.utils.data import Dataset
from transformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)


class Sequences(Dataset[dict[str, Any]]):
    """Masked token ids and what is asked for, made beforehand."""

    def __init__(self, masked: list[dict[str, Any]]) -> None:
        self.rows = {one["row"]: {"input_ids": one["seen"], "labels": one["labels"]} for one in masked}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> dict[str, list[int]]:
        return {**self.rows[row], "attention_mask": [1] * len(self.rows[row]["input_ids"])}


class Turns(TrainerCallback):
    """Hands over after every `steps` steps. The first turn is the warm-up."""

    def __init__(self, order: list[list[int]], lengths: dict[int, int], steps: int) -> None:
        self.order, self.lengths, self.steps = order, lengths, steps
        self.started = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.started = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step % self.steps:
            return
        seconds = time.perf_counter() - self.started
        done = self.order[state.global_step - self.steps : state.global_step]
        worker.answer(seconds=seconds, tokens=sum(self.lengths[row] for batch in done for row in batch))
        if not worker.wait():
            control.should_training_stop = True
        self.started = time.perf_counter()


class OrderedTrainer(Trainer):
    """The Trainer, walking through the batches that both sides were given."""

    order: list[list[int]]

    def _get_train_sampler(self, *args: Any) -> torch.utils.data.Sampler[int]:
        return _Fixed([row for batch in self.order for row in batch])


class _Fixed(torch.utils.data.Sampler[int]):
    def __init__(self, rows: list[int]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[int]:
        return iter(self.rows)


class Losses(TrainerCallback):
    """The loss of each step, as the Trainer logs it."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs and "loss" in logs:
            self.values.append(float(logs["loss"]))


def main() -> None:
    given = worker.settings()
    torch.manual_seed(given["seed"])
    tokenizer = AutoTokenizer.from_pretrained(given["model"])
    model = AutoModelForMaskedLM.from_pretrained(given["model"], dtype=torch.float32)
    data = Sequences(worker.texts(given["masks"]))
    lengths = {row: len(one["input_ids"]) for row, one in data.rows.items()}
    order = given["order"]
    arguments = TrainingArguments(
        output_dir=given["folder"],
        per_device_train_batch_size=len(order[0]),
        max_steps=len(order),
        learning_rate=given["learning_rate"],
        lr_scheduler_type="constant",
        weight_decay=given["weight_decay"],
        adam_beta2=given["adam_beta2"],
        adam_epsilon=given["adam_epsilon"],
        max_grad_norm=given["max_grad_norm"],
        bf16=given["precision"] == "bfloat16",
        use_cpu=not torch.cuda.is_available(),
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        seed=given["seed"],
    )
    collator = DataCollatorForTokenClassification(tokenizer)
    losses = Losses()
    trainer = OrderedTrainer(model=model, args=arguments, train_dataset=data, data_collator=collator)
    trainer.order = order
    trainer.add_callback(losses)
    trainer.add_callback(Turns(order, lengths, given["steps"]))
    trainer.train()
    worker.answer(losses=losses.values)


main()
