"""The English masked language model that the German arms begin with, trained once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from reknit.encoders.spec import TextEncoderSpec
from reknit.jobs.interrupt import listen_for_stop
from reknit.objectives.causal_language_model import CausalLanguageModelSpec
from reknit.research.vocabulary.masked_model import MaskedModel, Schedule, store_of, train
from reknit.research.vocabulary.texts import english_passages
from reknit.tokenizers.tokenizer import train_tokenizer


@dataclass(frozen=True)
class StartSchedule:
    """causal, then masked: masking alone is slow to leave the words' frequencies behind, which a causal model of the
    same weights and the same head does within a few hundred steps."""

    causal: Schedule
    masked: Schedule


def make_start(data: Path, folder: Path, spec: TextEncoderSpec, schedule: StartSchedule) -> Path:
    """The folder of the model, trained with seed 0 unless it is there; a training that was stopped goes on."""
    made, work = folder / "start", folder / "start-training"
    if made.exists():
        return made
    work.mkdir(parents=True, exist_ok=True)
    passages = list(english_passages(data))
    tokenizer = train_tokenizer(passages, spec.vocabulary, family=spec.family)
    store = store_of(work, passages, tokenizer)
    model = MaskedModel.fresh(spec, tokenizer, 0)
    causal = CausalLanguageModelSpec().build(model.encoder, tokenizer.vocabulary, "mean")
    causal.head.load_state_dict(model.objective.head.state_dict())
    with listen_for_stop() as stop:
        train("causal", model.encoder, causal, store, schedule.causal, work, 0, stop)
        model.objective.head.load_state_dict(causal.head.state_dict())
        train("masked", model.encoder, model.objective, store, schedule.masked, work, 0, stop)
    model.save(made)
    shutil.rmtree(work)
    return made
