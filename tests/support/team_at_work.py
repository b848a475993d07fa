"""What the processes of a team do in test_distributed.py, which starts this file with torchrun.

`python team_at_work.py FOLDER TASK ...` runs the functions so named, one after the other.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Hashable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from unittest import mock

import pytest
import torch
from cases import RECIPES, by_age, kind
from toy_models import TOY_VOCABULARY, fit_for, kind_of, toy_batch, toy_encoder, toy_pairs, toy_queries, toy_spec
from toys import toys_of
from twins import twin_of

from reknit import collectives
from reknit.catalogue import find
from reknit.data.batch import Batch
from reknit.data.shard import shard_of
from reknit.encoders.base import Encoder
from reknit.encoders.pooling_modes import TRAINED_POOLINGS
from reknit.jobs.interrupt import Interrupted, StopRequest
from reknit.losses import cross_entropy as cross_entropy_file
from reknit.losses.cross_entropy import cross_entropy
from reknit.objectives import masked_language_model, predictions
from reknit.objectives.base import Objective, StepOutput
from reknit.recipe import BudgetSpec, OptimiserSpec, Recipe
from reknit.training.checkpoint import CheckpointFolder
from reknit.training.distributed import trained_by
from reknit.training.log import MetricsLog
from reknit.training.team import ParallelChoice, Team, join_team
from reknit.training.team_batches import BatchShards
from reknit.training.trainer import PhaseSettings, Trainer

# Those of which batches differ in kind (see `batch_of`), and one that sees what the last of them has changed.
STEPS = 6
WAYS: tuple[ParallelChoice, ...] = ("ddp", "fsdp")


def one_of_each(kind: Callable[[Recipe], Hashable]) -> list[str]:
    """The oldest recipe of each kind and trained pooling."""
    first: dict[Hashable, str] = {}
    for name, recipe in by_age(RECIPES):
        pooling = recipe.encoder.pooling
        first.setdefault((kind(recipe), pooling if pooling in TRAINED_POOLINGS else ""), name)
    return sorted(first.values())


EVERY = one_of_each(kind)
# Others have no other weights that could be divided.
DIVIDED = one_of_each(lambda recipe: type(recipe.objective))
# Divided weights take most of the time; all of them have a slow test.
SOME_DIVIDED = DIVIDED[::5]


def batch_of(name: str, step: int) -> Batch:
    """Ragged batches; among them one too small to divide, and one that leaves a process nothing to predict."""
    if toys := toys_of(find(name)):
        return toys.batch(step, {3: 1, 4: 2}.get(step, 9))
    made_of = kind_of(find(name))
    if made_of == "pairs":
        batch = toy_pairs(step, pairs=1 if step == 3 else 7)
        return replace(batch, groups=torch.arange(batch.num_sequences // 2) // 2)
    lengths = {3: (9,), 4: (30, 2)}.get(step, (5, 17, 9, 12, 24, 3, 14, 20, 6))
    batch = toy_queries(step, lengths) if made_of == "queries" else toy_batch(step, lengths)
    return fit_for(find(name), batch, step)


def pair_of(name: str) -> tuple[Encoder, Objective]:
    spec = toy_spec(find(name).objective)
    if "dropout" in {field.name for field in fields(spec)}:
        spec = replace(spec, dropout=0.0)
    own = find(name).encoder.pooling
    pooling = own if own in TRAINED_POOLINGS else "mean"
    toys, vocabulary = toys_of(find(name)), TOY_VOCABULARY
    if toys:
        encoder, vocabulary = toys.encoder(dropout=0.0), toys.VOCABULARY
    else:
        encoder = toy_encoder(dropout=0.0, pooling=pooling, latents=8)
    objective = spec.build(encoder, vocabulary, pooling)
    twin_of(objective).prepare(objective)
    return encoder, objective


def trainer(
    folder: Path, name: str, team: Team, how: ParallelChoice = "ddp", objective: Objective | None = None, **changes
) -> Trainer:
    """All steps of a toy; all processes write and read the same `folder`."""
    encoder, own = pair_of(name)
    tokens = sum(batch_of(name, step).num_tokens for step in range(STEPS))
    optimiser = OptimiserSpec(learning_rate=1e-3, max_grad_norm=0.5)
    more = {key: changes.pop(key) for key in ("stop", "probe", "initial_value") if key in changes}
    defaults = {"optimiser": optimiser, "budget": BudgetSpec(tokens=tokens), "seed": 0, "probes": 0, "parallel": how}
    return Trainer(
        PhaseSettings(**{"name": "toy", **defaults, **changes}),
        encoder,
        objective or own,
        BatchShards(lambda step: batch_of(name, step), team),
        CheckpointFolder(folder / "toy"),
        MetricsLog(folder / "metrics.jsonl"),
        team=team,
        **more,
    )


def stopped(folder: Path, team: Team, how: ParallelChoice) -> None:
    """A run that the last process alone is asked to stop after step 4."""
    stop = StopRequest()
    run = trainer(folder, "dupmae", team, how, stop=stop)
    before = run._step

    def ask(batch: Batch, waited: float) -> float:
        stop.asked = run.state.step == 3 and team.rank == team.size - 1
        return before(batch, waited)

    run._step = ask  # type: ignore[method-assign]
    try:
        run.run()
    except Interrupted:
        return
    raise AssertionError("the run was not stopped")


class BrokenShare(Objective):
    """Masked language modelling in which the last process computes not-a-number in calls 3 and 4."""

    def __init__(self, team: Team) -> None:
        super().__init__()
        self.inner, self.breaks, self.calls = pair_of("mlm")[1], team.rank == team.size - 1, -1

    def forward(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        self.calls += 1
        made = self.inner.predictions(encoder, batch, rng)["masked"]  # type: ignore[operator]
        factor = float("nan") if self.breaks and self.calls in (3, 4) else 1.0
        return StepOutput({"masked": cross_entropy(made.states * factor, encoder.table, None, made.targets)[0]})


def train_every_recipe(folder: Path, team: Team) -> None:
    for name in EVERY:
        trainer(folder / f"{name}-ddp", name, team, "ddp").run()
    train_divided(folder, team, SOME_DIVIDED)


def train_divided(folder: Path, team: Team, names: Sequence[str] | None = None) -> None:
    for name in DIVIDED if names is None else names:
        trainer(folder / f"{name}-fsdp", name, team, "fsdp").run()


def compare_gradients(folder: Path, team: Team, names: Sequence[str] = ()) -> None:
    """Of every recipe (or those named) and weight: averaged over shares, against the whole batch in one process."""
    for name in names or EVERY:
        whole = pair_of(name)
        alone, batch = copy.deepcopy(whole), batch_of(name, 0)
        trained = trained_by(team, "ddp", *whole)
        shared = trained.step(shard_of(batch, team.rank, team.size), torch.Generator().manual_seed(5))
        shared.total.backward()
        expected = alone[1](alone[0], batch, torch.Generator().manual_seed(5))
        expected.total.backward()
        torch.testing.assert_close(shared.losses, expected.losses, rtol=1e-6, atol=1e-6, msg=f"losses of {name}")
        for module, other in zip(whole, alone, strict=True):
            for (weight, mine), theirs in zip(module.named_parameters(), other.parameters(), strict=True):
                assert (mine.grad is None) == (theirs.grad is None), f"{name}: {weight}"
                if mine.grad is not None and theirs.grad is not None:
                    largest = float((mine.grad - theirs.grad).abs().max())
                    assert largest <= 1e-6 + 1e-5 * float(theirs.grad.abs().max()), f"{name}: {weight}: {largest}"


def find_planted_bugs(folder: Path, team: Team) -> None:
    """Mistakes that training in one process cannot show, each in a recipe that it spoils."""
    plants = {
        ("gradients of gathered vectors are averaged away", "infonce-pairs"): mock.patch.object(
            collectives._GatheredRows, "backward", staticmethod(lambda ctx, grad: (grad[ctx.own], None, None))
        ),
        ("means are averaged without regard to their counts", "mlm"): mock.patch.object(
            cross_entropy_file, "whole_mean", lambda mean, count: collectives.whole_mean(mean, 1)
        ),
        ("hidden vectors are chosen among those of the share alone", "smith"): mock.patch.object(
            predictions, "gathered_rows", lambda rows, first, total: rows
        ),
        ("chance is drawn for the share alone", "mlm"): mock.patch.object(
            masked_language_model, "mask_tokens", masked_language_model.mask_tokens.__wrapped__
        ),
    }
    for (what, recipe), plant in plants.items():
        with plant:
            try:
                compare_gradients(folder, team, [recipe])
            except AssertionError:
                continue
        raise RuntimeError(f"not found: {what}")


def stop_and_go_on(folder: Path, team: Team) -> None:
    for how in WAYS:
        stopped(folder / f"by-many-{how}", team, how)
        trainer(folder / f"by-one-{how}", "dupmae", team, how).run()


class Looks:
    """A probe that keeps the tables it was asked about and likes the first one best."""

    def __init__(self, team: Team) -> None:
        self.team, self.seen, self.encoder = team, [], None

    def __call__(self) -> dict[str, float]:
        assert self.team.is_rank_zero
        self.seen.append(self.encoder.table.detach().clone())
        return {"nDCG@10": 0.6 - 0.1 * len(self.seen) + 0.1}


def probe_by_one(folder: Path, team: Team) -> None:
    """The leader alone probes, on whole weights; all keep the best ones."""
    for how in WAYS:
        look = Looks(team)
        run = trainer(folder / f"probe-{how}", "mlm", team, how, probe=look, probes=2, keep="best", initial_value=0.1)
        look.encoder = run.encoder
        result = run.run()
        assert result.best_value == pytest.approx(0.6)
        assert result.best_step < result.steps
        assert torch.equal(run.encoder.table, team.from_rank_zero(lambda seen=look.seen: seen[0]))


def end_together(folder: Path, team: Team) -> None:
    run = trainer(folder / "seconds", "mlm", team, budget=BudgetSpec(seconds=0.2 * (1 + team.rank)))
    run.settings = replace(run.settings, budget=BudgetSpec(seconds=0.2))
    run.batches = BatchShards(lambda step: batch_of("mlm", 0), team)
    steps = run.run().steps
    assert team.sum(steps) == team.size * steps > 0


def skip_together(folder: Path, team: Team) -> None:
    run = trainer(folder / "skipped", "mlm", team, objective=BrokenShare(team))
    assert run.run().skipped == 2
    assert all(torch.isfinite(parameter).all() for parameter in run.encoder.parameters())


def fail_alone(folder: Path, team: Team) -> None:
    """The last process ends with an error, in the middle of training, after all that was asked before."""
    if team.sum(1.0) == team.size and team.is_rank_zero:
        (folder / "all-done").touch()
    run = trainer(folder / "failed", "mlm", team)

    def batches(step: int) -> Batch:
        if step == 4 and not team.is_rank_zero:
            raise ValueError("planted in one process")
        return batch_of("mlm", step % 3)

    run.batches = BatchShards(batches, team)
    run.run()


if __name__ == "__main__":
    with join_team() as team:
        for task in sys.argv[2:]:
            globals()[task](Path(sys.argv[1]), team)
        team.leave()
