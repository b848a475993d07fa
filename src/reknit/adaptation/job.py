"""The main job: a corpus in; a measured, exported and searchable model out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reknit import catalogue
from reknit.adaptation.candidate import Candidate
from reknit.adaptation.deliver import FinishedRun, deliver
from reknit.adaptation.distillation import make_distillation_targets
from reknit.adaptation.hybrid_weight import weigh
from reknit.adaptation.judge import judge
from reknit.adaptation.probe_roles import ProbeRoles
from reknit.adaptation.train import train
from reknit.data.retrieval_set import RetrievalSet
from reknit.data.text.corpus import Corpus
from reknit.data.text.holdout import PROBE
from reknit.errors import ReknitError
from reknit.evaluation.beir import load_beir
from reknit.jobs.files import disk_full_explained
from reknit.jobs.interrupt import Interrupted, listen_for_stop
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.encode_texts import EncodeTexts, cached, encoder_function
from reknit.recipe import BudgetSpec
from reknit.runs.config import DEFAULT_START, SCRATCH, ExpansionSpec, RunConfig, with_overrides
from reknit.runs.corpus import check_corpus_path, prepare_corpus
from reknit.runs.phases import check_batches, check_parts, phases_of, train_phases
from reknit.runs.result import RunResult
from reknit.runs.run_folder import RunFolder
from reknit.runs.start import build_start, check_start, load_start
from reknit.sources.queries import QuerySpec
from reknit.training.budget import parse_budget
from reknit.training.team import Team, join_team

logger = logging.getLogger("reknit")

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
_TRAINED_START = ("pretrain.optimiser.learning_rate=2e-5",)


def adapt(
    corpus: str | Path,
    out: str | Path,
    *,
    start: str | Path = DEFAULT_START,
    recipe: str | None = None,
    budget: str | BudgetSpec = "10m",
    eval: Sequence[str | Path] = (),
    settings: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Adapt `start` to the texts of `corpus`; returns what result.json holds.

    corpus: a folder or file of texts, or "python-docs" for the documentation that this Python carries. start: folder or
    hub id of an encoder, or "scratch". recipe: a recipe to pre-train with; None for none, and then a new model begins
    with weights by latent semantic analysis. A trained start model then learns to rank the corpus as it does together
    with BM25 ("hybrid-distillation"); a new one learns from mined pairs ("infonce-pairs"). budget: for all phases, such
    as "10m" or "5Mtok". eval: BEIR folders. settings: "a.b=c" changes to any field of RunConfig. Raises ReknitError on
    bad input, and Interrupted after Ctrl-C with everything saved for `resume`.
    """
    config = adapt_config(corpus, start, recipe, budget, eval)
    return run(config, out, settings=settings, resume=resume, overwrite=overwrite)


def adapt_config(
    corpus: str | Path,
    start: str | Path = DEFAULT_START,
    recipe: str | None = None,
    budget: str | BudgetSpec = "10m",
    eval: Sequence[str | Path] = (),
) -> RunConfig:
    """The run that `adapt` makes of its arguments, before `settings`."""
    scratch = str(start) == SCRATCH
    config = RunConfig(
        corpus=str(corpus),
        start=str(start),
        pretrain=None if recipe is None else catalogue.find(recipe),
        tune=catalogue.find("infonce-pairs" if scratch else "hybrid-distillation"),
        budget=_budget(budget),
        eval=tuple(str(folder) for folder in eval),
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
        return _run(team, config, out, settings, resume=resume, overwrite=overwrite).to_json()


def _run(
    team: Team, config: RunConfig, out: str | Path, settings: Sequence[str], *, resume: bool, overwrite: bool
) -> RunResult:
    folder, asked = RunFolder(out), config
    # What can be wrong without the corpus being read is found first, before anything is written.
    folder.check(resume=resume, overwrite=overwrite)
    stored = folder.resumable(asked) if resume else asked
    config = with_overrides(stored, tuple(settings))
    if resume:
        folder.check_changes(stored, config)
    if config.budget == BudgetSpec():
        raise ReknitError("a run without a budget would never end: give one with --budget, such as 10m or 5Mtok")
    check_batches(config, team)
    check_start(config, settings)
    if not resume:
        check_corpus_path(config.corpus, folder.path)
    collections = _named_apart([load_beir(path) for path in config.eval])
    given = load_start(config)
    folder.open(config, asked, settings, overwrite=overwrite)
    try:
        with folder.logging(), disk_full_explained(str(folder.path)):
            with folder.preparing(resume=resume):
                corpus = prepare_corpus(config, folder, _query_texts(collections), indexed=config.index, reader=given)
                check_parts(config, corpus)
                start = given or build_start(config, folder, corpus)
            return _train_and_deliver(team, config, folder, corpus, start, collections)
    except KeyboardInterrupt:
        raise Interrupted("stopped") from None


def _help_to_train(team: Team, folder: RunFolder) -> None:
    """The whole part of a process that does not lead: wait until corpus and start are on disk, and train."""
    config = team.from_rank_zero(_not_here)
    corpus = prepare_corpus(config, folder, ())
    model = load_start(config) or build_start(config, folder, corpus)
    with listen_for_stop() as stop:
        train_phases(config, folder, corpus, model, _not_here, stop, team)
    team.leave()


def _not_here() -> Any:
    raise AssertionError("the first process does this")


def _train_and_deliver(
    team: Team,
    config: RunConfig,
    folder: RunFolder,
    corpus: Corpus,
    model: EmbeddingModel,
    collections: list[RetrievalSet],
) -> RunResult:
    team.from_rank_zero(lambda: config)
    before = "".join(f", {kind} prompt {text!r}" for kind, text in model.side_prompts.items())
    logger.info("start: %s, %d layers of width %d%s", config.start, model.encoder.depth, model.encoder.dim, before)
    start = Candidate("start", model, cached(encoder_function(model, config.precision)))
    roles = ProbeRoles(config, corpus.held_out)

    _teach(config, folder, corpus, start.encode)
    adapted, training = train(config, folder, corpus, start, roles, team)
    if config.verdict or config.index:
        start, adapted = weigh(start, adapted, roles.choosing, config)
    judgement = judge(start, adapted, roles.judging, collections, config.seed) if config.verdict else None
    keeps_start = config.keep == "best" and judgement is not None and judgement.verdict.use == "start"
    chosen = start if keeps_start else adapted
    return deliver(FinishedRun(config, folder, corpus, adapted, chosen, training, roles.judged_by_all, judgement))


def _teach(config: RunConfig, folder: RunFolder, corpus: Corpus, encode_start: EncodeTexts) -> None:
    """Make the distillation targets of the phase that learns from a teacher, if there is one."""
    for phase in phases_of(config):
        if isinstance(phase.recipe.data, QuerySpec):
            spec, limit = phase.recipe.data.teacher, config.budget.seconds
            seconds = None if limit is None else spec.time_share * limit
            make_distillation_targets(
                folder.distillation_targets, corpus, encode_start, spec, seconds=seconds, seed=config.seed
            )


def _query_texts(collections: Iterable[RetrievalSet]) -> set[str]:
    return {text for collection in collections for text in collection.queries.values()}


def _named_apart(collections: list[RetrievalSet]) -> list[RetrievalSet]:
    """The same collections, none of them named like another or like the corpus's own probe."""
    taken = {PROBE}
    for place, collection in enumerate(collections):
        name, copy = collection.name, 1
        while name in taken:
            copy += 1
            name = f"{collection.name} ({copy})"
        taken.add(name)
        collections[place] = replace(collection, name=name)
    return collections


def _budget(budget: str | BudgetSpec) -> BudgetSpec:
    return parse_budget(budget) if isinstance(budget, str) else budget
