"""The phases of a run in order: each trains by a recipe, and the next begins where it ended."""

from __future__ import annotations

import copy
import dataclasses
import logging
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from reknit.encoders.base import Encoder
from reknit.encoders.native.encoder import NativeEncoder
from reknit.errors import ReknitError
from reknit.jobs.files import read_json, write_json
from reknit.jobs.interrupt import StopRequest
from reknit.jobs.precision import resolve_precision
from reknit.models.loading import load_embedding_model
from reknit.models.trainable import Trainable
from reknit.objectives.companions import START, Companions
from reknit.recipe import BudgetSpec, Recipe
from reknit.runs.config import RunConfig
from reknit.runs.run_folder import RunFolder
from reknit.sources.source import Source
from reknit.training.budget import Ledger, scale_budget
from reknit.training.log import MetricsLog
from reknit.training.phase_result import PhaseResult
from reknit.training.team import Team
from reknit.training.team_batches import BatchShards
from reknit.training.trainer import PhaseSettings, Probe, Trainer, step_seed

logger = logging.getLogger("reknit")


@dataclass(frozen=True)
class Phase:
    """One training of a run.

    name: of its checkpoints. setting: of its recipe in RunConfig. keeps_best: whether it ends with the best weights by
    the probe. part: how much of the run's budget it is given; the last phase has all that is left.
    """

    name: str
    setting: str
    recipe: Recipe
    keeps_best: bool
    part: float


@dataclass(frozen=True)
class Training:
    """What every phase of a run has: all that `train_phases` is given."""

    config: RunConfig
    folder: RunFolder
    corpus: object
    model: Trainable
    probe: Probe | None
    stop: StopRequest
    team: Team

    @property
    def device(self) -> torch.device:
        return next(self.model.encoder.parameters()).device


def check_batches(config: RunConfig, team: Team) -> None:
    """Raise ReknitError when a phase cannot have its batches.

    A batch must have room for one example (of passages: one of full length) a process, and a teacher must know
    something.
    """
    for phase in phases_of(config):
        data = phase.recipe.data
        if data.learns_from_start and config.from_scratch:
            raise ReknitError(
                f"{phase.recipe.card.name} learns from its start model, which --start scratch does not have: "
                "give a trained model with --start, or take another recipe"
            )
        if data.room < team.size > 1:
            raise ReknitError(
                f"a batch of {phase.name} has room for {data.room} example(s), but there are {team.size} processes: "
                "start fewer processes, or use --set "
                f"{phase.setting}.data.{data.with_room(team.size)} or more"
            )


def check_parts(config: RunConfig, corpus: object) -> None:
    """Raise ReknitError when a phase cannot be trained on the corpus."""
    for phase in phases_of(config):
        phase.recipe.data.check(corpus, phase.recipe.card.name)


def train_phases(
    config: RunConfig,
    folder: RunFolder,
    corpus: object,
    model: Trainable,
    probe: Probe | None,
    stop: StopRequest,
    team: Team,
) -> dict[str, Any]:
    """Train `model` in place through the configured phases; returns the "training" part of result.json.

    corpus: of the class that the phases' data is made of. probe: watches the training, None where nothing does.
    A finished phase is not repeated on resume: its final weights are loaded. A phase that stops early leaves the rest
    of its budget to the next one; making a teacher's targets counts for the phase that learns from them. All processes
    of `team` call this with the same arguments.
    """
    # The first process may know only now how much time there is.
    config = replace(config, budget=team.from_rank_zero(lambda: config.budget))
    training = Training(config, folder, corpus, model, probe, stop, team)
    phases = phases_of(config)
    check_rules(config, model.encoder)
    together = f" by {team.size} processes ({config.parallel})" if team.size > 1 else ""
    precision = resolve_precision(config.precision, training.device)
    logger.info("training on %s in %s%s", training.device, precision, together)
    start = (
        copy.deepcopy(model.encoder) if any(START in phase.recipe.objective.companions for phase in phases) else None
    )
    results: list[PhaseResult] = []
    for phase in phases:
        checkpoints = folder.phase(phase.name)
        done = team.from_rank_zero(checkpoints.finished)
        if done is not None:
            checkpoints.load_encoder("final", model.encoder)
            results.append(PhaseResult(**done))
            continue
        source = team.rank_zero_first(partial(_source, training, phase))
        spent = Ledger(*(sum(getattr(r, unit) for r in results) for unit in ("tokens", "flops", "seconds")))
        spent.seconds += source.seconds_spent
        last = phase is phases[-1]
        budget = spent.left(config.budget) if last else scale_budget(config.budget, phase.part)
        companions = Companions({name: _companion(training, name, start) for name in phase.recipe.objective.companions})
        trainer = _trainer(training, phase, source, budget, companions)
        results.append(trainer.run(finished_phases=tuple(result.name for result in results)))
        logger.info("%s: %s", phase.name, _summary(results[-1]))
    return _facts(results, {phase.name: phase.recipe for phase in phases}) | {"processes": team.size}


def phases_of(config: RunConfig) -> list[Phase]:
    """The phases of a run, in order."""
    found: list[Phase] = []
    parts = {"pretrain": 1.0 if config.tune is None else config.pretrain_share}
    for setting, recipe in (("pretrain", config.pretrain), ("tune", config.tune)):
        if recipe is None:
            continue
        stages = (*recipe.after, recipe)
        weights = [stage.budget.tokens or 1 for stage in stages]
        for stage, weight in zip(stages, weights, strict=True):
            last = stage is recipe
            found.append(
                Phase(
                    name=setting if last else f"{setting}-{stage.card.name}",
                    setting=setting,
                    # All stages train one encoder, the one that the last of them describes.
                    recipe=replace(stage, encoder=recipe.encoder),
                    keeps_best=last and _keeps_best(config, setting, recipe),
                    part=parts.get(setting, 1.0) * weight / sum(weights),
                )
            )
    return found


def check_rules(config: RunConfig, encoder: Encoder) -> None:
    """Raise ReknitError where some step of a phase has an attention rule that the encoder cannot honour."""
    if isinstance(encoder, NativeEncoder):
        for phase in phases_of(config):
            for rule in phase.recipe.objective.rules():
                encoder.check_rule(rule)


def chooses_weights(config: RunConfig) -> bool:
    """Whether the probe's dev half chooses what a phase of the run ends with, so that it cannot judge the run too."""
    return any(phase.keeps_best for phase in phases_of(config))


def _keeps_best(config: RunConfig, name: str, recipe: Recipe) -> bool:
    # From scratch the first phase is there for what follows, not for what the probe says of it. From probe to probe,
    # distillation moves a model less than the small probe's noise: it would choose at random, so the verdict alone
    # judges.
    first_from_scratch = config.from_scratch and name == "pretrain"
    return config.keep == "best" and not first_from_scratch and not recipe.data.learns_from_start


def _source(training: Training, phase: Phase) -> Source:
    return phase.recipe.data.open(training.corpus, training.model, training.folder.data, training.config.seed)


def _companion(training: Training, name: str, start: Encoder | None) -> Encoder:
    """The frozen model of that name: the start, what an earlier stage ended with, or a folder's."""
    if name == START:
        assert start is not None
        return start
    stages = {phase.recipe.card.name: phase.name for phase in phases_of(training.config)}
    if name in stages:
        encoder = copy.deepcopy(training.model.encoder)
        training.folder.phase(stages[name]).load_encoder("final", encoder)
        return encoder
    other = load_embedding_model(name)
    if other.vocabulary != training.model.vocabulary:
        raise ReknitError(f"the companion {name} has another vocabulary: name a model with the tokenizer of this run")
    return other.encoder.to(training.device)


def _trainer(training: Training, phase: Phase, source: Source, budget: BudgetSpec, companions: Companions) -> Trainer:
    config, model, team = training.config, training.model, training.team
    checkpoints = training.folder.phase(phase.name)
    plan = team.from_rank_zero(lambda: _plan(training, phase, budget))
    if source.steps is not None:
        logger.info("%s: at most %d steps (%s)", phase.name, source.steps, source.about)
    settings = PhaseSettings(
        name=phase.name,
        optimiser=phase.recipe.optimiser,
        budget=budget,
        seed=config.seed,
        precision=resolve_precision(config.precision, training.device),
        checkpoint_minutes=config.checkpoint_minutes,
        steps=source.steps,
        probes=plan["probes"],
        patience=config.probe.patience if phase.keeps_best else None,
        keep="best" if phase.keeps_best else "last",
        parallel=config.parallel,
    )
    torch.manual_seed(step_seed(config.seed, phase.name, "heads"))
    built = phase.recipe.objective.build(model.encoder, model.vocabulary, model.pooling)
    built.meet(companions)
    before = "" if plan["initial"] is None else f", probe before it {plan['initial']:.4f}"
    logger.info("%s: recipe %s%s", phase.name, phase.recipe.card.name, before)
    return Trainer(
        settings,
        model.encoder,
        built.to(training.device),
        BatchShards(source, team) if team.size > 1 else source,
        checkpoints,
        MetricsLog(training.folder.metrics),
        probe=training.probe,
        initial_value=plan["initial"] if phase.keeps_best else None,
        stop=training.stop,
        team=team,
    )


def _plan(training: Training, phase: Phase, budget: BudgetSpec) -> dict[str, Any]:
    """The probe's value before the phase and how often it will run; stored, so that a resume follows the same plan."""
    if training.probe is None:
        return {"initial": None, "probes": 0}
    stored = training.folder.phase(phase.name).folder / "plan.json"
    if stored.exists():
        plan: dict[str, Any] = read_json(stored)
        return plan
    began = time.perf_counter()
    initial = training.probe()["nDCG@10"]
    seconds = time.perf_counter() - began
    spec = training.config.probe
    probes = spec.per_phase
    if budget.seconds is not None:
        share = spec.time_share if phase.keeps_best else spec.time_share / 4  # only a curve to look at
        probes = max(1, min(probes, int(share * budget.seconds / max(seconds, 1e-3))))
    plan = {"initial": initial, "probes": probes, "probe_seconds": seconds}
    write_json(stored, plan)
    return plan


def _summary(result: PhaseResult) -> str:
    rate = result.tokens / max(result.seconds, 1e-9)
    best = "no probe" if result.best_value is None else f"best probe {result.best_value:.4f} at step {result.best_step}"
    waiting = "" if result.waiting_share is None else f"{result.waiting_share:.1%} of the steps waiting for batches, "
    return (
        f"{result.steps} steps, {result.tokens:,} tokens in {result.seconds:.0f} s ({rate:,.0f} tokens/s), {waiting}"
        f"{best}; ended: {result.stopped_because}"
    )


def _facts(results: list[PhaseResult], recipes: dict[str, Recipe]) -> dict[str, Any]:
    tokens, seconds = sum(r.tokens for r in results), sum(r.seconds for r in results)
    return {
        "tokens": tokens,
        "seconds": seconds,
        "tokens_per_second": tokens / max(seconds, 1e-9),
        "flops": sum(r.flops for r in results),
        "phases": [dataclasses.asdict(result) | {"recipe": recipes[result.name].card.name} for result in results],
    }
