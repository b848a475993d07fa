"""One arm of a comparison with one seed: trained, tuned, measured, kept."""

from __future__ import annotations

import copy
from statistics import fmean
from typing import Any

from reknit.claim import Outcome
from reknit.data.text.corpus import Corpus
from reknit.evaluation.measure import Subject
from reknit.evaluation.probe import retrieval_probe, subsample
from reknit.export.sentence_transformers import save
from reknit.jobs.files import read_json, write_json
from reknit.jobs.interrupt import StopRequest
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.encode_texts import encoder_function
from reknit.objectives.base import Objective
from reknit.research.pretraining.config import (
    LOSS,
    UNIGRAM,
    Arm,
    ComparisonConfig,
    shared_run,
    training_config,
    tuning_config,
)
from reknit.research.pretraining.folder import ComparisonFolder
from reknit.research.pretraining.material import Material
from reknit.research.pretraining.unigram import unigram_entropy
from reknit.runs.config import RunConfig
from reknit.runs.phases import phases_of, train_phases
from reknit.runs.run_folder import RunFolder
from reknit.runs.start import build_start, load_start
from reknit.sources.passages import open_token_store
from reknit.training.log import MetricsLog
from reknit.training.team import Team

LANGUAGE_MODEL_LOSSES = ("masked", "causal")
"""Of the encoder itself: a generator's or a decoder's loss says nothing of what the encoder has learnt."""


def run_arm(
    arm: Arm,
    comparison: ComparisonConfig,
    seed: int,
    folder: RunFolder,
    material: Material,
    stop: StopRequest,
) -> dict[str, Any]:
    """Train and measure, or read what an earlier call has done; resumes where that was stopped.

    folder: of this arm and seed, its `data` shared by all. Leaves model/ (as trained) and, after a tuning, tuned/ in
    it. Returns plain data: what was spent, the value of each measure by its label, the curve of the retrieval probe.
    """
    if folder.result.exists():
        result: dict[str, Any] = read_json(folder.result)
        return result
    config, tuning_run = training_config(arm, comparison, seed), tuning_config(comparison, seed)
    if arm.recipe:
        trained, training = _phase(config, folder, material.corpus, stop, None)
    else:
        trained, training = untrained(config, folder, material.corpus, comparison)
    tuned, tuning = trained, None
    if tuning_run is not None:
        # A folder of its own: a run's log keeps the phases of one configuration.
        tuned, tuning = _phase(
            tuning_run, RunFolder(folder.path / "tuning", folder.data), material.corpus, stop, trained
        )
    objective = _objective(config, folder, trained) if arm.recipe else None
    subject = Subject(trained, tuned, objective, seed, comparison.precision, comparison.max_length)
    values = {measure.label: measure.value(subject) for measure in material.measures}
    save(trained, folder.model)
    if tuned is not trained:
        save(tuned, folder.path / "tuned")
    result = {
        "arm": arm.name,
        "recipe": arm.recipe and arm.recipe.card.name,
        "seed": seed,
        "training": training,
        "tuning": tuning,
        "values": values,
        "curve": _curve(folder),
    }
    write_json(folder.result, result)
    return result


def outcome_of(result: dict[str, Any], folder: RunFolder) -> Outcome:
    """What `run_arm` returned as an outcome, with the loss that the training ended at."""
    spent = {unit: float(result["training"][unit]) for unit in ("tokens", "flops", "seconds")}
    return Outcome(result["values"] | {LOSS: _final_loss(folder)}, spent, result["curve"])


def unigram_outcome(comparison: ComparisonConfig, folder: ComparisonFolder, material: Material) -> Outcome:
    """What a model of the tokens' frequencies alone would lose on what the arms are trained on."""
    run = folder.run(Arm(UNIGRAM, None), 0)
    model, _ = untrained(shared_run(comparison, 0), run, material.corpus, comparison)
    texts = material.corpus.training_texts()
    return Outcome({LOSS: unigram_entropy(open_token_store(run.data, texts, model.tokenizer, model.max_length))})


def _final_loss(folder: RunFolder) -> float | None:
    """The mean loss of a predicted token over the last tenth of the last phase's steps; None where no language model
    is trained."""
    lines = [line for line in MetricsLog(folder.metrics).read() if "losses" in line]
    steps = [line["losses"] for line in lines if line["phase"] == lines[-1]["phase"]]
    steps = steps[-max(1, len(steps) // 10) :]
    named = [name for name in LANGUAGE_MODEL_LOSSES if steps and all(name in losses for losses in steps)]
    return fmean(losses[named[0]] for losses in steps) if named else None


def _objective(config: RunConfig, folder: RunFolder, model: EmbeddingModel) -> Objective:
    """The training's objective with its heads as they ended."""
    phase = phases_of(config)[-1]
    objective = phase.recipe.objective.build(model.encoder, model.tokenizer.vocabulary, model.pooling)
    folder.phase(phase.name).load_objective("final", objective)
    return objective.to(next(model.encoder.parameters()).device).eval()


def untrained(
    config: RunConfig, folder: RunFolder, corpus: Corpus, comparison: ComparisonConfig
) -> tuple[EmbeddingModel, dict[str, Any]]:
    """(model, what was spent: nothing)."""
    model = _cut_to(config, load_start(config) or build_start(config, folder, corpus, comparison.encoder))
    model.encoder.eval()
    return model, {"tokens": 0, "seconds": 0.0, "flops": 0.0}


def _phase(
    config: RunConfig, folder: RunFolder, corpus: Corpus, stop: StopRequest, given: EmbeddingModel | None
) -> tuple[EmbeddingModel, dict[str, Any]]:
    """(model, what was spent) of the run's one phase, which begins with a copy of `given` or with the start."""
    folder.path.mkdir(parents=True, exist_ok=True)
    model = copy.deepcopy(given) or _cut_to(config, load_start(config) or build_start(config, folder, corpus))
    probe = retrieval_probe(
        subsample(corpus.held_out.dev, documents=config.probe.training_documents),
        encoder_function(model, config.precision, quiet=True),
    )
    facts = train_phases(config, folder, corpus, model, probe, stop, Team())
    model.encoder.eval()
    return model, facts


def _cut_to(config: RunConfig, model: EmbeddingModel) -> EmbeddingModel:
    """All arms read texts of one length at most, whatever their start could read."""
    model.max_length = min(model.max_length, config.max_length)
    return model


def _curve(folder: RunFolder) -> list[dict[str, float]]:
    """The probe's values along the training, by what had been spent."""
    lines = [line for line in MetricsLog(folder.metrics).read() if "probe" in line and line["phase"] == "pretrain"]
    return [{"tokens": line["tokens"], "flops": line["flops"], "nDCG@10": line["probe"]["nDCG@10"]} for line in lines]
