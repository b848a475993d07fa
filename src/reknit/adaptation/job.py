"""The main job: a corpus in; a measured, exported and searchable model out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reknit import catalogue
from reknit.adaptation.dry_run import DryRun, dry_run
from reknit.adaptation.kinds import kind_of
from reknit.errors import ReknitError
from reknit.jobs.files import disk_full_explained
from reknit.jobs.interrupt import Interrupted
from reknit.recipe import BudgetSpec
from reknit.runs.config import (
    DEFAULT_START,
    SCRATCH,
    Answers,
    ExpansionSpec,
    Have,
    ProbeSpec,
    RunConfig,
    with_overrides,
)
from reknit.runs.corpus import check_corpus_path
from reknit.runs.kind import not_here
from reknit.runs.phases import check_batches
from reknit.runs.run_folder import RunFolder
from reknit.runs.start import check_start
from reknit.training.budget import parse_budget
from reknit.training.team import Team, join_team

# Published rates are for large batches and days of training. A run of minutes has a small model to fit from nothing,
# where many short steps of a shallow encoder that pools by the mean go furthest, or a trained model to move gently.
# From nothing, pre-training lowers what the tuning reaches within minutes; initial weights by latent semantic analysis,
# which take seconds, raise it (docs/adaptation.md).
_TUNED_FROM_SCRATCH = ("tune.optimiser.learning_rate=1e-3", "tune.data.max_length=64")
_SCRATCH = ("tune.encoder.depth=2", "tune.encoder.token_table=latent-semantic", *_TUNED_FROM_SCRATCH)
_PRETRAINED_FROM_SCRATCH = (
    "pretrain_share=0.13",
    "pretrain.optimiser.learning_rate=1e-3",
    "pretrain.encoder.depth=2",
    "pretrain.encoder.pooling=mean",
    *_TUNED_FROM_SCRATCH,
)
# Systems differ by less than models do; so many queries show it (docs/adaptation.md). A new model differs by more from
# what it starts as, and would only encode more passages.
_PROBE = ProbeSpec(queries=2000, documents=8000)
_TRAINED_START = ("pretrain.optimiser.learning_rate=2e-5",)


def adapt(
    corpus: str | Path,
    out: str | Path,
    *,
    start: str | Path | Sequence[str | Path] = DEFAULT_START,
    have: Have | None = None,
    queries: str | Path | None = None,
    pairs: str | Path | None = None,
    answers: Answers | None = None,
    teacher: str | Path | None = None,
    recipe: str | None = None,
    budget: str | BudgetSpec = "10m",
    eval: Sequence[str | Path] = (),
    settings: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Adapt `start` to the texts of `corpus`; returns what result.json holds.

    corpus: a folder or file of texts, or "python-docs" for the documentation that this Python carries. start: folder or
    hub id of an encoder, or "scratch", or several of them (`RunConfig.also_start`). have: what the user searches with
    today, "bm25", "start" or "hybrid", both together; None for the last, and for the first from scratch. queries: a log
    of what users asked, as `read_query_log` reads it. pairs: queries and what answers them, as `read_pairs` reads them.
    answers: how many documents usually answer a query (`RunConfig.answers`). teacher: a stronger model
    (`RunConfig.teacher`). recipe: a recipe to pre-train with; None for none, and then a new model begins with weights
    by latent semantic analysis. A trained start model then learns to rank the corpus as it does together with BM25
    ("hybrid-distillation"); a new one learns from mined pairs ("infonce-pairs"). budget: of time for the whole run,
    such as "10m", or of training alone, such as "5Mtok". eval: BEIR folders. settings: "a.b=c" changes to any field of
    RunConfig. Raises ReknitError on bad input, and Interrupted after Ctrl-C with everything saved for `resume`.
    """
    config = adapt_config(
        corpus,
        start,
        recipe,
        budget,
        eval,
        have=have,
        queries=queries,
        pairs=pairs,
        answers=answers,
        teacher=teacher,
    )
    return run(config, out, settings=settings, resume=resume, overwrite=overwrite)


def plan(config: RunConfig, out: str | Path, *, settings: Sequence[str] = ()) -> DryRun:
    """How `run` of the same arguments would spend its time; nothing is written or trained."""
    config = with_overrides(config, tuple(settings))
    with join_team() as team:
        _check(config, settings, team)
    return dry_run(config, Path(out), tuple(settings))


def adapt_config(
    corpus: str | Path,
    start: str | Path | Sequence[str | Path] = DEFAULT_START,
    recipe: str | None = None,
    budget: str | BudgetSpec = "10m",
    eval: Sequence[str | Path] = (),
    *,
    have: Have | None = None,
    queries: str | Path | None = None,
    pairs: str | Path | None = None,
    answers: Answers | None = None,
    teacher: str | Path | None = None,
) -> RunConfig:
    """The run that `adapt` makes of its arguments, before `settings`."""
    first, *more = [start] if isinstance(start, str | Path) else [*start] or [DEFAULT_START]
    scratch = str(first) == SCRATCH
    config = RunConfig(
        corpus=str(corpus),
        start=str(first),
        also_start=tuple(str(one) for one in more),
        have=have,
        queries=None if queries is None else str(queries),
        pairs=None if pairs is None else str(pairs),
        answers=answers,
        teacher=None if teacher is None else str(teacher),
        pretrain=None if recipe is None else catalogue.find(recipe),
        tune=catalogue.find("infonce-pairs" if scratch else "hybrid-distillation"),
        budget=_budget(budget),
        budget_covers="run",
        eval=tuple(str(folder) for folder in eval),
        probe=ProbeSpec() if scratch else _PROBE,
    )
    defaults: tuple[str, ...] = _TRAINED_START if recipe else ()
    if scratch:
        defaults = _PRETRAINED_FROM_SCRATCH if recipe else _SCRATCH
    if config.pretrain is not None and config.pretrain.encoder.pooling != "cls":
        # It is what the recipe is about.
        defaults = tuple(one for one in defaults if not one.startswith("pretrain.encoder.pooling="))
    return with_overrides(config, defaults)


def pretrain(
    recipe: str,
    corpus: str | Path,
    out: str | Path,
    *,
    start: str | Path = SCRATCH,
    budget: str | BudgetSpec | None = None,
    eval: Sequence[str | Path] = (),
    index: bool = False,
    settings: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Train by one recipe as published and export what the budget's end gives; otherwise like `adapt`.

    budget: the recipe's own when None. eval: BEIR folders; with some, the model is measured beside its start and there
    is a verdict. index: whether the corpus is indexed with the model, for search; a resume may ask for it too.
    """
    config = pretrain_config(recipe, corpus, start, budget, eval)
    settings = (*(["index=true"] if index else []), *settings)
    return run(config, out, settings=settings, resume=resume, overwrite=overwrite)


def pretrain_config(
    recipe: str,
    corpus: str | Path,
    start: str | Path = SCRATCH,
    budget: str | BudgetSpec | None = None,
    eval: Sequence[str | Path] = (),
) -> RunConfig:
    """The run that `pretrain` makes of its arguments, before `settings`."""
    found = catalogue.find(recipe)
    return RunConfig(
        corpus=str(corpus),
        start=str(start),
        pretrain=found,
        budget=found.budget if budget is None else _budget(budget),
        keep="last",
        eval=tuple(str(folder) for folder in eval),
        expansion=ExpansionSpec(words=0),
        verdict=bool(eval),
        index=False,
    )


def run(
    config: RunConfig,
    out: str | Path,
    *,
    settings: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Do the whole job of `config`, changed by `settings`, in the run folder `out`; returns what result.json holds.

    On resume the stored configuration holds, changed by `settings` only. Under `torchrun` all processes train and the
    first does everything else; the others return an empty dictionary.
    """
    with join_team() as team:
        if not team.is_rank_zero:
            _help_to_train(team, RunFolder(out))
            return {}
        return _run(team, config, out, settings, resume=resume, overwrite=overwrite)


def _run(
    team: Team, config: RunConfig, out: str | Path, settings: Sequence[str], *, resume: bool, overwrite: bool
) -> dict[str, Any]:
    folder, asked = RunFolder(out), config
    # What can be wrong without the corpus being read is found first, before anything is written.
    folder.check(resume=resume, overwrite=overwrite)
    stored = folder.resumable(asked) if resume else asked
    config = with_overrides(stored, tuple(settings))
    if resume:
        folder.check_changes(stored, config)
    _check(config, settings, team)
    run = kind_of(config)(config, folder)
    run.check(settings)
    if not resume:
        check_corpus_path(config.corpus, folder.path)
    run.load()
    folder.open(config, asked, settings, overwrite=overwrite)
    try:
        with folder.logging(), disk_full_explained(str(folder.path)):
            with folder.preparing(resume=resume):
                run.prepare()
            team.from_rank_zero(lambda: run.config)
            return run.train_and_deliver(team)
    except KeyboardInterrupt:
        raise Interrupted("stopped") from None


def _check(config: RunConfig, settings: Sequence[str], team: Team) -> None:
    """Raise ReknitError for what can be said of a configuration alone."""
    if config.budget == BudgetSpec():
        raise ReknitError("a run without a budget would never end: give one with --budget, such as 10m or 5Mtok")
    check_batches(config, team)
    check_start(config, settings)


def _help_to_train(team: Team, folder: RunFolder) -> None:
    """The whole part of a process that does not lead: wait until corpus and start are on disk, and train."""
    config = team.from_rank_zero(not_here)
    kind_of(config)(config, folder).help_to_train(team)
    team.leave()


def _budget(budget: str | BudgetSpec) -> BudgetSpec:
    return parse_budget(budget) if isinstance(budget, str) else budget
