"""The phases of a run in order: each trains by a recipe, and the next begins where it ended."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from typing import Any

import torch

from reknit.errors import ReknitError
from reknit.jobs.files import read_json, write_json
from reknit.jobs.interrupt import StopRequest
from reknit.jobs.precision import resolve_precision
from reknit.models.embedding_model import EmbeddingModel
from reknit.recipe import BudgetSpec, Recipe
from reknit.runs.config import RunConfig
from reknit.runs.corpus import Corpus
from reknit.runs.run_folder import RunFolder
from reknit.sources.distillation_targets import DistillationTargets
from reknit.sources.pair_miner import PairMiner
from reknit.sources.pairs import PairBatches
from reknit.sources.passages import PassageBatches, open_token_store
from reknit.sources.queries import QueryBatches
from reknit.training.budget import Ledger, scale_budget
from reknit.training.checkpoint import CheckpointFolder
from reknit.training.log import MetricsLog
from reknit.training.team import Team
from reknit.training.team_batches import BatchShards
from reknit.training.trainer import Batches, PhaseResult, PhaseSettings, Probe, Trainer, step_seed

logger = logging.getLogger("reknit")


def check_batches(config: RunConfig, team: Team) -> None:
    """Raise ReknitError when a phase cannot have its batches.

    A batch must have room for one example (of passages: one of full length) a process, and a teacher must know
    something.
    """
    for name, recipe in phases_of(config):
        data = recipe.data
        if data.source == "queries" and config.from_scratch:
            raise ReknitError(
                f"{recipe.card.name} learns from its start model, which --start scratch does not have: "
                "give a trained model with --start, or take another recipe"
            )
        passages = data.source == "passages"
        room = data.tokens_per_batch // data.max_length if passages else data.pairs_per_batch
        if room < team.size > 1:
            size = f"pairs_per_batch={team.size}"
            if passages:
                size = f"tokens_per_batch={team.size * data.max_length}"
            raise ReknitError(
                f"a batch of {name} has room for {room} example(s), but there are {team.size} processes to share it: "
                f"start fewer processes, or use --set {name}.data.{size} or more"
            )


def check_parts(config: RunConfig, corpus: Corpus) -> None:
    """Raise ReknitError when a phase is to train on a part of the corpus that has no passages, or on pairs of a single
    document, which have nothing to be told from."""
    for _, recipe in phases_of(config):
        corpus.passages_below(recipe.data.below)
        if recipe.data.source == "pairs" and corpus.store.num_documents == 1:
            raise ReknitError(
                f"{recipe.card.name} tells documents apart and {corpus.name} is a single one: give its text as several "
                "files or lines, or start from a trained model"
            )


def train_phases(
    config: RunConfig,
    folder: RunFolder,
    corpus: Corpus,
    model: EmbeddingModel,
    probe: Probe,
    stop: StopRequest,
    team: Team,
) -> dict[str, Any]:
    """Train `model` in place through the configured phases; returns the "training" part of result.json.

    A finished phase is not repeated on resume: its final weights are loaded. A phase that stops early leaves the rest
    of its budget to the next one; making a teacher's lessons counts for the phase that learns from them. All processes
    of `team` call this with the same arguments.
    """
    phases = phases_of(config)
    device = next(model.encoder.parameters()).device
    together = f" by {team.size} processes ({config.parallel})" if team.size > 1 else ""
    logger.info("training on %s in %s%s", device, resolve_precision(config.precision, device), together)
    results: list[PhaseResult] = []
    for place, (name, recipe) in enumerate(phases):
        checkpoints = folder.phase(name)
        done = team.from_rank_zero(checkpoints.finished)
        if done is not None:
            checkpoints.load_encoder("final", model.encoder)
            results.append(PhaseResult(**done))
            continue
        spent = Ledger(*(sum(getattr(r, unit) for r in results) for unit in ("tokens", "flops", "seconds")))
        if recipe.data.source == "queries":
            spent.seconds += DistillationTargets.open(folder.lessons).facts["seconds"]
        last = place == len(phases) - 1
        budget = spent.left(config.budget) if last else scale_budget(config.budget, config.pretrain_share)
        trainer = _trainer(config, folder, corpus, model, probe, stop, team, name, recipe, budget)
        results.append(trainer.run(finished_phases=tuple(result.name for result in results)))
        logger.info("%s: %s", name, _summary(results[-1]))
    return _facts(results, dict(phases)) | {"processes": team.size}


def phases_of(config: RunConfig) -> list[tuple[str, Recipe]]:
    """The recipes of a run by the names of its phases, in order."""
    return [(name, recipe) for name, recipe in (("pretrain", config.pretrain), ("tune", config.tune)) if recipe]


def chooses_weights(config: RunConfig) -> bool:
    """Whether the probe's dev half chooses what a phase of the run ends with, so that it cannot judge the run too."""
    return any(_keeps_best(config, name, recipe) for name, recipe in phases_of(config))


def _keeps_best(config: RunConfig, name: str, recipe: Recipe) -> bool:
    # From scratch the first phase is there for what follows, not for what the probe says of it. From probe to probe,
    # lessons move a model less than the small probe's noise: it would choose by chance, so the verdict alone judges.
    first_from_scratch = config.from_scratch and name == "pretrain"
    return config.keep == "best" and not first_from_scratch and recipe.data.source != "queries"


def _trainer(
    config: RunConfig,
    folder: RunFolder,
    corpus: Corpus,
    model: EmbeddingModel,
    probe: Probe,
    stop: StopRequest,
    team: Team,
    name: str,
    recipe: Recipe,
    budget: BudgetSpec,
) -> Trainer:
    checkpoints, log = folder.phase(name), MetricsLog(folder.metrics)
    device = next(model.encoder.parameters()).device
    keep_best = _keeps_best(config, name, recipe)
    plan = team.from_rank_zero(lambda: _plan(config, checkpoints, probe, budget, keep_best))
    batches = team.rank_zero_first(lambda: _batches(config, folder, corpus, model, recipe))
    steps = None
    if isinstance(batches, QueryBatches):
        epochs, queries = recipe.teacher.epochs, len(batches.lessons)
        steps = math.ceil(epochs * batches.batches_per_epoch)
        logger.info("%s: at most %d steps (%g epochs of %d pseudo-queries)", name, steps, epochs, queries)
    settings = PhaseSettings(
        name=name,
        optimiser=recipe.optimiser,
        budget=budget,
        seed=config.seed,
        precision=resolve_precision(config.precision, device),
        checkpoint_minutes=config.checkpoint_minutes,
        steps=steps,
        probes=plan["probes"],
        patience=config.probe.patience if keep_best else None,
        keep="best" if keep_best else "last",
        parallel=config.parallel,
    )
    torch.manual_seed(step_seed(config.seed, name, "heads"))
    objective = recipe.objective.build(model.encoder, model.tokenizer.vocabulary, model.pooling).to(device)
    logger.info("%s: recipe %s, probe before it %.4f", name, recipe.card.name, plan["initial"])
    return Trainer(
        settings,
        model.encoder,
        objective,
        BatchShards(batches, team) if team.size > 1 else batches,
        checkpoints,
        log,
        probe=probe,
        initial_value=plan["initial"] if keep_best else None,
        stop=stop,
        team=team,
    )


def _plan(
    config: RunConfig, checkpoints: CheckpointFolder, probe: Probe, budget: BudgetSpec, keep_best: bool
) -> dict[str, Any]:
    """The probe's value before the phase and how often it will run; stored, so that a resume follows the same plan."""
    stored = checkpoints.folder / "plan.json"
    if stored.exists():
        return read_json(stored)
    began = time.perf_counter()
    initial = probe()["nDCG@10"]
    seconds = time.perf_counter() - began
    probes = config.probe.per_phase
    if budget.seconds is not None:
        share = config.probe.time_share if keep_best else config.probe.time_share / 4  # only a curve to look at
        probes = max(1, min(probes, int(share * budget.seconds / max(seconds, 1e-3))))
    plan = {"initial": initial, "probes": probes, "probe_seconds": seconds}
    write_json(stored, plan)
    return plan


def _batches(config: RunConfig, folder: RunFolder, corpus: Corpus, model: EmbeddingModel, recipe: Recipe) -> Batches:
    lengths = {name: min(getattr(recipe.data, name), model.max_length) for name in ("max_length", "query_max_length")}
    spec = dataclasses.replace(recipe.data, **lengths)
    tokenizer = model.tokenizer
    if spec.source == "queries":
        lessons, prefix = DistillationTargets.open(folder.lessons), model.prompt_text("query")
        return QueryBatches(lessons, tokenizer, spec, config.seed, prefix=prefix)
    passages = corpus.passages_below(spec.below)
    if spec.source == "pairs":
        miner = PairMiner(
            corpus.store,
            spec.pair_kinds,
            corpus.held_out,
            config.seed,
            tokenizer.mask_token,
            passages,
            spec.pairs_per_document,
        )
        query, passage = (model.prompt_text(kind) for kind in ("query", "document"))
        return PairBatches(miner, tokenizer, spec, query_prefix=query, passage_prefix=passage)
    store = open_token_store(folder.data, corpus.training_texts(), tokenizer, spec.max_length, spec.tagger)
    return PassageBatches(store, spec, config.seed, passages)


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
