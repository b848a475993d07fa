"""Training speed: masked language modelling against transformers' Trainer, RetroMAE and DupMAE against our own."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from reknit.bench.contest import Contestant, Turns, hold
from reknit.bench.machine_rate import matrix_rate
from reknit.bench.material import batch_order, check_names, natural_texts, token_lengths, write_model, write_texts
from reknit.bench.result import Row, compared, side
from reknit.training.precision import PrecisionName, best_device, resolve_precision

MAX_LENGTHS = (128, 512)
STEPS_PER_TURN = 4
PEER_PRECISIONS: dict[str, PrecisionName] = {"transformers-float32": "float32", "transformers-bfloat16": "bfloat16"}
# What is measured against reknit's own plain masked language modelling, at the share of hidden tokens of that recipe.
OWN = ("retromae", "dupmae")
NAMES = (*PEER_PRECISIONS, *OWN)
TARGETS = {"transformers-float32": 5.0, "transformers-bfloat16": 2.5, "retromae": 0.8, "dupmae": 0.8}
SETTINGS = {
    "learning_rate": 1e-4,
    "weight_decay": 0.01,
    "adam_beta2": 0.999,
    "adam_epsilon": 1e-8,
    "max_grad_norm": 1.0,
    "ratio": 0.15,
    "seed": 0,
    "steps": STEPS_PER_TURN,
}
SIDE = "reknit.bench.sides.train"


def bench_train(against: tuple[str, ...], turns: int) -> list[Row]:
    """Each named peer at each length. Raises ReknitError for an unknown name or a peer that is not installed."""
    check_names("train", against, NAMES)
    peaks = {precision: matrix_rate(precision) for precision in ("float32", "bfloat16")}
    return [_compare(name, max_length, turns, peaks) for max_length in MAX_LENGTHS for name in against]


def _compare(name: str, max_length: int, turns: int, peaks: dict[str, float]) -> Row:
    # transformers' default draws batches at random; its length grouping is what makes dynamic padding pay.
    grouped = name != "transformers-float32"
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        texts, model = natural_texts(max_length), write_model(folder / "model")
        lengths = token_lengths(texts, model, max_length)
        settings = {
            **SETTINGS,
            "model": str(model),
            "texts": str(write_texts(texts, folder / "texts.jsonl")),
            "max_length": max_length,
            "order": batch_order(lengths, (turns + 1) * STEPS_PER_TURN, grouped),
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
    notes = {"loss_ratio": _late_loss(first) / _late_loss(second)} if name not in OWN else {}
    return replace(row, ours=side(first, "tokens", flops, peaks[first.contestant.precision]), notes=notes)


def _late_loss(turns: Turns) -> float:
    """Mean loss of the second half of the steps."""
    losses = turns.closing["losses"]
    return fmean(losses[len(losses) // 2 :])
