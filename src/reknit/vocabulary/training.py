"""What may follow a transfer: masked language modelling on the corpus, all weights, for a budget."""

from __future__ import annotations

from reknit.data.text.corpus import Corpus
from reknit.evaluation.probe import drop_shared_words, retrieval_probe, subsample
from reknit.jobs.interrupt import StopRequest
from reknit.jobs.typed_json import from_plain, to_plain
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.encode_texts import encoder_function
from reknit.runs.phases import train_phases
from reknit.runs.result import Training
from reknit.training.team import Team
from reknit.vocabulary.config import VocabularyConfig
from reknit.vocabulary.folder import VocabularyFolder


def train_on(
    config: VocabularyConfig, folder: VocabularyFolder, corpus: Corpus, model: EmbeddingModel, stop: StopRequest
) -> Training | None:
    """Train `model` in place on the corpus by the phase of `config`; None where there is none.

    The prediction head is a new one, tied to the new table: a head that the start folder may have is not read.
    """
    if config.pretrain is None:
        return None
    encode = encoder_function(model, config.precision)
    watched = subsample(drop_shared_words(corpus.held_out.dev), documents=config.probe.training_documents)
    found = train_phases(config, folder, corpus, model, retrieval_probe(watched, encode), stop, Team())
    training: Training = from_plain(Training, to_plain(found), "training")
    return training
