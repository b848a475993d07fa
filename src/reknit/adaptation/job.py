"""The main job: a corpus in; a measured, exported and searchable model out."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reknit import catalogue
from reknit.adaptation.deliver import deliver
from reknit.adaptation.distillation import make_distillation_targets
from reknit.adaptation.expansion import make_expansion, with_expansion
from reknit.adaptation.hybrid_weight import choose_hybrid_weight
from reknit.adaptation.verdict import PROBE, decide
from reknit.adaptation.weight_interpolation import interpolate_weights
from reknit.data.retrieval_set import RetrievalSet
from reknit.data.text.corpus import Corpus
from reknit.errors import ReknitError
from reknit.evaluation.beir import load_beir
from reknit.evaluation.probe import drop_shared_words, retrieval_probe, subsample_documents
from reknit.evaluation.retrieval import Hybrid, evaluate_retrieval
from reknit.jobs.files import disk_full_explained
from reknit.jobs.interrupt import Interrupted, listen_for_stop
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.encode_texts import EncodeTexts, cached, encoder_function
from reknit.recipe import BudgetSpec
from reknit.retrieval.fusion import EQUAL_PARTS
from reknit.runs.config import DEFAULT_START, SCRATCH, ExpansionSpec, RunConfig, with_overrides
from reknit.runs.corpus import check_corpus_path, prepare_corpus
from reknit.runs.phases import check_batches, check_parts, chooses_weights, phases_of, train_phases
from reknit.runs.run_folder import RunFolder
from reknit.runs.start import build_start, check_start, load_start
from reknit.sources.queries import QuerySpec
from reknit.training.budget import parse_budget
from reknit.training.team import Team, join_team

logger = logging.getLogger("reknit")

# Published rates are for large batches and days of training. A run of minutes has a small model to fit from nothing,
# where many short steps of a shallow encoder that pools by the mean go furthest, or a trained model to move gently.
# From nothing, pre-training lowers what the tuning reaches within minutes; first weights by latent semantic analysis,
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
    config = with_overrides(config, defaults)
    return run(config, out, settings=settings, resume=resume, overwrite=overwrite)


def pretrain(
    recipe: str,
    corpus: str | Path,
    out: str | Path,
    *,
    start: str | Path = SCRATCH,
    budget: str | BudgetSpec | None = None,
    eval: Sequence[str | Path] = (),
    settings: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Train by one recipe as published and keep what the budget's end gives; otherwise like `adapt`.

    budget: the recipe's own when None.
    """
    found = catalogue.find(recipe)
    config = RunConfig(
        corpus=str(corpus),
        start=str(start),
        pretrain=found,
        budget=found.budget if budget is None else _budget(budget),
        keep="last",
        eval=tuple(str(folder) for folder in eval),
        expansion=ExpansionSpec(words=0),
    )
    return run(config, out, settings=settings, resume=resume, overwrite=overwrite)


def run(
    config: RunConfig,
    out: str | Path,
    *,
    settings: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Do the whole job of `config`, changed by `settings`, in the run folder `out`.

    On resume the stored configuration holds, changed by `settings` only. Under `torchrun` all processes train and the
    first does everything else; the others return an empty dictionary.
    """
    with join_team() as team:
        if not team.is_rank_zero:
            return _help_to_train(team, RunFolder(out))
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
                corpus = prepare_corpus(config, folder, _query_texts(collections), indexed=True, reader=given)
                check_parts(config, corpus)
                start = given or build_start(config, folder, corpus)
            return _train_and_deliver(team, config, folder, corpus, start, collections)
    except KeyboardInterrupt:
        raise Interrupted("stopped") from None


def _help_to_train(team: Team, folder: RunFolder) -> dict[str, Any]:
    """The whole part of a process that does not lead: wait until corpus and start are on disk, and train."""
    config = team.from_rank_zero(_not_here)
    corpus = prepare_corpus(config, folder, ())
    model = load_start(config) or build_start(config, folder, corpus)
    with listen_for_stop() as stop:
        train_phases(config, folder, corpus, model, _not_here, stop, team)
    team.leave()
    return {}


def _not_here() -> Any:
    raise AssertionError("the first process does this")


def _train_and_deliver(
    team: Team,
    config: RunConfig,
    folder: RunFolder,
    corpus: Corpus,
    start: EmbeddingModel,
    collections: list[RetrievalSet],
) -> dict[str, Any]:
    team.from_rank_zero(lambda: config)
    before = "".join(f", {kind} prompt {text!r}" for kind, text in start.side_prompts.items())
    logger.info("start: %s, %d layers of width %d%s", config.start, start.encoder.depth, start.encoder.dim, before)

    adapted = copy.deepcopy(start)
    adapted.expansion = None  # of the corpus that the start model was adapted to before, if it was
    encode_start = cached(encoder_function(start, config.precision))
    encode_adapted = encoder_function(adapted, config.precision)
    _teach(config, folder, corpus, encode_start)
    dev = drop_shared_words(corpus.held_out.dev)
    watched = retrieval_probe(subsample_documents(dev, config.probe.training_documents), encode_adapted)
    if chooses_weights(config):
        choosing, judging = dev, drop_shared_words(corpus.held_out.test)
    else:
        choosing = drop_shared_words(corpus.held_out.whole)
        judging = replace(choosing, notes=(*choosing.notes, _chosen_here(config)))
    # In the middle of a step a stop would lose the step; before and after training Ctrl-C ends the run at once.
    with listen_for_stop() as stop:
        training = train_phases(config, folder, corpus, adapted, watched, stop, team)
    team.leave()
    if stop.asked:
        raise Interrupted("stopped after training")

    if config.keep == "best" and not chooses_weights(config):
        training["kept_share"], encode_plain = interpolate_weights(
            start, adapted, encode_start, encode_adapted, choosing, config.expansion
        )
    else:
        encode_plain = cached(encode_adapted)
    expansion = make_expansion(corpus, encode_plain, config.expansion, choosing, config.seed)
    encode_adapted = with_expansion(encode_plain, expansion)
    models = {"start": encode_start, "adapted": encode_adapted}
    if expansion is not None:
        models["plain"] = encode_plain
    # A model made of nothing but this corpus has to show that it is any better than words are.
    prior = 0.0 if config.from_scratch else EQUAL_PARTS
    weight, reached = choose_hybrid_weight(choosing, encode_adapted, prior)
    start_weight, _ = choose_hybrid_weight(choosing, encode_start, prior)
    hybrids = {"start_hybrid": Hybrid("start", start_weight), "hybrid": Hybrid("adapted", weight)}
    by_weight = ", ".join(f"{one:.1f} {value:.3f}" for one, value in reached.items())
    logger.info(
        "hybrid: weight of the vectors %.1f (start model's %.1f); nDCG@10 of the probe by weight: %s",
        weight,
        start_weight,
        by_weight,
    )
    evaluations = []
    for collection in (judging, *collections):
        logger.info("evaluating on %s (%d documents)", collection.name, len(collection.documents))
        evaluations.append(
            evaluate_retrieval(
                collection,
                models,
                hybrids=hybrids,
                # The probe's queries are cut out of documents.
                split_identifiers=collection is not judging,
                seed=config.seed,
            )
        )
    verdict = decide(evaluations, seed=config.seed)
    plain = None if expansion is None else decide(evaluations, system="plain", seed=config.seed)
    logger.info("verdict: %s", verdict.sentence)

    rest = (training, evaluations, verdict, plain)
    if config.keep == "best" and verdict.use == "start":
        # The index is searched with the start model, so the weight must be that model's.
        return deliver(config, folder, corpus, start, encode_start, "start", *rest, start_weight, expansion)
    adapted.expansion = expansion
    return deliver(config, folder, corpus, adapted, encode_plain, "adapted", *rest, weight, expansion)


def _chosen_here(config: RunConfig) -> str:
    """What is chosen by the queries that judge, where no checkpoint is and so all of them do both."""
    chosen = ["the share of the training that is kept"] if config.keep == "best" else []
    chosen += ["the weight of the query expansion"] if config.expansion.wanted else []
    return f"{', '.join([*chosen, 'the weights of the hybrids'])}: chosen on these queries too"


def _teach(config: RunConfig, folder: RunFolder, corpus: Corpus, encode_start: EncodeTexts) -> None:
    """Make the lessons of the phase that learns from a teacher, if there is one."""
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
