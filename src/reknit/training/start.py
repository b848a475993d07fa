"""The model that a run starts from: a given one, or a new one with a tokenizer trained on the corpus."""

from __future__ import annotations

import logging

import torch

from reknit.encoders.embedding_model import EmbeddingModel
from reknit.encoders.huggingface import build_encoder
from reknit.errors import ReknitError
from reknit.recipe import EncoderSpec
from reknit.tokenizers.tokenizer import Tokenizer, train_tokenizer
from reknit.training.config import RunConfig
from reknit.training.corpus import Corpus
from reknit.training.run_folder import RunFolder

logger = logging.getLogger("reknit")


def load_start(config: RunConfig, folder: RunFolder, corpus: Corpus) -> EmbeddingModel:
    """The start model. A fresh copy at every call: training one does not change another.

    Raises ReknitError when the model cannot be loaded or is of a kind that reknit can run but not train.
    """
    if config.from_scratch:
        return _build(config, folder, corpus)
    model = EmbeddingModel.load(config.start)
    if not isinstance(model, EmbeddingModel):
        raise ReknitError(
            f"{config.start} has sentence-transformers modules that reknit can evaluate but not train: "
            "start from its plain encoder, or from a model of Transformer + Pooling"
        )
    return model


def _build(config: RunConfig, folder: RunFolder, corpus: Corpus) -> EmbeddingModel:
    spec = _encoder_spec(config)
    saved = folder.data / "tokenizer"
    if saved.exists():
        tokenizer = Tokenizer.load(saved)
    else:
        logger.info("training a tokenizer of up to %d pieces on the corpus", spec.vocabulary)
        tokenizer = train_tokenizer(corpus.training_texts(), spec.vocabulary, family=spec.family)
        tokenizer.save(saved)
    torch.manual_seed(config.seed)
    encoder = build_encoder(spec, tokenizer.vocabulary.size, pad=tokenizer.vocabulary.pad)
    return EmbeddingModel(
        encoder=encoder,
        tokenizer=tokenizer,
        pooling=spec.pooling,
        normalize=True,
        max_length=min(config.max_length, spec.max_positions),
        name=folder.path.name,
    )


def _encoder_spec(config: RunConfig) -> EncoderSpec:
    recipe = config.pretrain or config.tune
    if recipe is None:
        raise ReknitError("a run needs at least one phase: name a recipe to pre-train or to tune with")
    return recipe.encoder
