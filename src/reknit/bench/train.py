"""Training speed: masked language modelling against transformers' Trainer, RetroMAE and DupMAE against our own.

Beside the Trainer all is the same that can be: initial weights (the head's too), batches, masks, optimiser, schedule.
What is left is dropout's bits and the order of sums; how far apart the losses are is a row of its own.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median

from reknit.bench.contest import Contestant, Turns, hold
from reknit.bench.machine_rate import matrix_rate
from reknit.bench.material import (
    batch_order,
    check_names,
    mask_rows,
    natural_texts,
    token_lengths,
    write_model,
    write_texts,
)
from reknit.bench.result import Row, Side, compared, side
from reknit.jobs.precision import PrecisionName, best_device, resolve_precision

MAX_LENGTHS = (128, 512)
STEPS_PER_TURN = 4
PEER_PRECISIONS: dict[str, PrecisionName] = {"transformers-float32": "float32", "transformers-bfloat16": "bfloat16"}
# What is measured against reknit's own plain masked language modelling, at the share of hidden tokens of that recipe.
OWN = ("retromae", "dupmae")
NAMES = (*PEER_PRECISIONS, *OWN)
TARGETS = {"transformers-float32": 5.0, "transformers-bfloat16": 2.5, "retromae": 0.8, "dupmae": 0.8}
# Between the losses of a step, as a share of the Trainer's.
LOSS_TARGET = 0.01
SETTINGS = {
    "learning_rate": 1e-4,
    "weight_decay": 0.01,
    "adam_beta2": 0.999,
    "adam_epsilon": 1e-8,
    "max_grad_norm": 1.0,
    "seed": 0,
    "steps": STEPS_PER_TURN,
}
SIDE = "reknit.bench.sides.train"


def bench_train(against: tuple[str, ...], turns: int) -> list[Row]:
    """Each named peer at each length. Raises ReknitError for an unknown name or a peer that is not installed."""
    check_names("train", against, NAMES)
    peaks = {precision: matrix_rate(precision) for precision in ("float32", "bfloat16")}
    return [row for max_length in MAX_LENGTHS for name in against for row in _compare(name, max_length, turns, peaks)]


def _compare(name: str, max_length: int, turns: int, peaks: dict[str, float]) -> list[Row]:
    # transformers' default draws batches at random; its length grouping is what makes dynamic padding pay.
    grouped = name != "transformers-float32"
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        texts, model = natural_texts(max_length), write_model(folder / "model")
        lengths = token_lengths(texts, model, max_length)
        order = batch_order(lengths, (turns + 1) * STEPS_PER_TURN, grouped)
        masked = mask_rows(texts, sorted({row for batch in order for row in batch}), model, max_length=max_length)
        settings = {
            **SETTINGS,
            "model": str(model),
            "texts": str(write_texts(texts, folder / "texts.jsonl")),
            "masks": str(write_texts(masked, folder / "masks.jsonl")),
            "max_length": max_length,
            "order": order,
        }
        best = resolve_precision("auto", best_device())
        # RetroMAE and DupMAE hide 30% from the encoder: the plain objective they are held against is the recipe "mlm".
        plain = "mlm" if name in OWN else "bert-mlm"
        mlm = Contestant(plain, SIDE, {**settings, "objective": plain, "precision": best}, best)
        if name in OWN:
            ours, theirs = Contestant(name, SIDE, {**settings, "objective": name, "precision": best}, best), mlm
        else:
            precision = PEER_PRECISIONS[name]
            ours = mlm
            theirs = Contestant(name, "transformers_train.py", {**settings, "precision": precision}, precision)
        first, second = hold([ours, theirs], turns, folder)
    work = f"{'masked language modelling' if name not in OWN else name}, lengths up to {max_length}, "
    work += "batches by length" if grouped else "random batches"
    row = compared("train", work, first, second, unit="tokens", target=TARGETS[name])
    flops = first.closing["flops_per_token"]
    row = replace(row, ours=side(first, "tokens", flops, peaks[first.contestant.precision]))
    return [row] if name in OWN else [row, _loss_row(name, max_length, first, second)]


def _loss_row(name: str, max_length: int, ours: Turns, theirs: Turns) -> Row:
    """How far the losses of the same step are apart: median, least and most over all steps."""
    pairs = list(zip(ours.closing["losses"], theirs.closing["losses"], strict=True))
    apart = [abs(one / other - 1) for one, other in pairs]
    figures = Side("reknit", ours.contestant.precision, median(apart), min(apart), max(apart))
    work = f"loss of each step beside {name}, lengths up to {max_length}"
    notes = {"first_loss": pairs[0][0], "last_loss": pairs[-1][0], "most_apart": max(apart)}
    return Row("train", work, "apart", figures, None, {}, target=LOSS_TARGET, lower=True, notes=notes)
