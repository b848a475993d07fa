"""The model that a run starts from: a given one, or a new one with a tokenizer trained on the corpus."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from reknit.data.text.corpus import Corpus
from reknit.encoders.native.latent_semantic import begin_with, latent_semantic_table
from reknit.encoders.spec import TextEncoderSpec
from reknit.errors import ReknitError
from reknit.jobs.files import made_by_one, written_aside
from reknit.jobs.precision import best_device
from reknit.models.embedder import Embedder
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.loading import check_without_adapter, load_embedding_model, load_model
from reknit.models.sentence_folder import DOCUMENT_PROMPTS
from reknit.recipe import Recipe
from reknit.runs.config import SCRATCH, PromptSpec, RunConfig
from reknit.runs.phases import Phase, phases_of
from reknit.runs.run_folder import RunFolder
from reknit.tokenizers.tokenizer import Tokenizer, train_tokenizer

logger = logging.getLogger("reknit")

# A new tokenizer is trained on a sample of about so many words: its trainer keeps every distinct word it meets, so the
# memory would grow with the corpus, and the 30,000th piece of a sample of this size is still met often.
TOKENIZER_WORDS = 10_000_000
# What words have in common shows in so many; half a minute on two cores.
LATENT_SEMANTIC_PASSAGES = 60_000


def check_start(config: RunConfig, settings: Sequence[str]) -> None:
    """Raise ReknitError when no encoder can be built as `config` has it, or one of `settings`, which are of the form
    a.b=c, is about an encoder that is not built or about prompts of a model that has none."""
    built = None
    if config.from_scratch:
        built = _first_phase(config).setting
        _first_phase(config).recipe.encoder.check(f"{built}.encoder")
        if config.prompts != PromptSpec():
            raise ReknitError("prompts are for a trained start model, and a new one has none: leave them out")
    for setting in settings:
        phase, *field = setting.partition("=")[0].strip().split(".")
        if field[:1] == ["encoder"] and phase != built:
            reason = "a run from a trained model keeps its encoder"
            if built:
                reason = f"the encoder is the one of {built}: set {built}.{'.'.join(field)}"
            raise ReknitError(f"--set {setting} would change nothing: {reason}")


@dataclass(frozen=True)
class LoadedStart:
    """A start model that was given. path: as it was named. name: that its vectors go by, beside others."""

    path: str
    name: str
    model: Embedder


def load_starts(config: RunConfig) -> list[LoadedStart]:
    """Every start model that was given, as they were named; none where the run starts from scratch.

    The prompts of the configuration are those of the first. Raises ReknitError when one cannot be loaded, when two are
    the same, or when none of them can be trained.
    """
    paths = (config.start, *config.also_start)
    if len(paths) == 1:
        if config.student is not None:
            raise ReknitError(f"student={config.student}: there is one start model, which is trained; leave it out")
        only = load_start(config)
        return [] if only is None else [LoadedStart(config.start, only.name, only)]
    if SCRATCH in paths:
        raise ReknitError("--start scratch makes a new model, beside which no other can be given: leave one out")
    if len({str(Path(path).resolve()) for path in paths}) < len(paths):
        raise ReknitError("the same start model is given twice: name each once")
    models = [load_model(path) for path in paths]
    names = _side_names([_folder_name(Path(path).resolve()) for path in paths])
    loaded = [LoadedStart(*one) for one in zip(paths, names, models, strict=True)]
    for one in loaded:
        if isinstance(one.model, EmbeddingModel):
            check_without_adapter(one.model, one.path)
            _make_ready(one.model)
    if isinstance(models[0], EmbeddingModel):
        _give_prompts(models[0], config.prompts)
    elif config.prompts != PromptSpec():
        raise ReknitError(f"prompts are for the first start model, and {paths[0]} has its own: leave them out")
    trainable = [one.name for one in loaded if isinstance(one.model, EmbeddingModel)]
    if config.student is not None and config.student not in trainable:
        raise ReknitError(f"student={config.student}: the start models that can be trained are {', '.join(trainable)}")
    if not trainable:
        raise ReknitError(f"none of the start models {', '.join(paths)} can be trained: give one that can")
    return loaded


def load_teacher(path: str) -> Embedder:
    """A model that teaches; of any kind that can encode. Raises ReknitError when it cannot be loaded."""
    model = load_model(path)
    if isinstance(model, EmbeddingModel):
        _make_ready(model)
    return model


def _folder_name(path: Path) -> str:
    """Of a model in a run or a package, whose own folder is called "model", the name of what it is in."""
    return path.parent.name if path.name == "model" else path.name


def _side_names(names: Sequence[str]) -> list[str]:
    """Names for vectors: of letters, digits, dots and hyphens, none twice, none that a run uses itself."""
    taken = {"start", "adapted", "plain", "random", "bm25", "feedback", "teacher"}
    found = []
    for name in names:
        # What ends like this is a model's vectors with query expansion.
        plain = re.sub(r"[^\w.-]+", "-", name).strip("-.").removesuffix("_expanded") or "model"
        unique, copy = plain, 1
        while unique in taken:
            copy += 1
            unique = f"{plain}-{copy}"
        taken.add(unique)
        found.append(unique)
    return found


def load_start(config: RunConfig) -> EmbeddingModel | None:
    """The given start model; None when the run starts from scratch.

    Raises ReknitError when the model cannot be loaded or is of a kind that reknit can run but not train.
    """
    if config.from_scratch:
        return None
    model = load_embedding_model(config.start)
    _give_prompts(model, config.prompts)
    _make_ready(model)
    return model


def _make_ready(model: EmbeddingModel) -> None:
    """Read it whole, for the folder may belong to the run that this one replaces, and move it to the best device."""
    _ = model.tokenizer.hf
    model.encoder.to(best_device())


def _give_prompts(model: EmbeddingModel, given: PromptSpec) -> None:
    if given.query is not None:
        model.prompts["query"] = given.query
    if given.document is not None:
        # Its other names too, or the folder that is exported would still say what it was.
        named = {"document", *(name for name in DOCUMENT_PROMPTS if name in model.prompts)}
        model.prompts |= dict.fromkeys(named, given.document)


def build_start(
    config: RunConfig, folder: RunFolder, corpus: Corpus, spec: TextEncoderSpec | None = None
) -> EmbeddingModel:
    """A new model, its tokenizer trained on the corpus (once; a resumed run finds it).

    Its weights are random or, where the encoder's `token_table` says so, made of the corpus.

    spec: of a run without phases; else they say what it is.
    """
    spec = spec or _text_encoder(_first_phase(config).recipe)
    tokenizer = prepare_tokenizer(spec, folder, corpus, config.seed)
    torch.manual_seed(config.seed)
    encoder = spec.build(tokenizer.vocabulary.size, pad=tokenizer.vocabulary.pad)
    if spec.token_table == "latent-semantic":
        begin_with(encoder, _latent_semantic_table(spec, folder, corpus, tokenizer, config.seed))
    encoder.to(best_device())
    return EmbeddingModel(
        encoder=encoder,
        tokenizer=tokenizer,
        pooling=spec.pooling,
        normalize=True,
        max_length=min(config.max_length, spec.max_positions),
        name=folder.path.name,
    )


def _text_encoder(recipe: Recipe) -> TextEncoderSpec:
    if not isinstance(recipe.encoder, TextEncoderSpec):
        raise ReknitError(f"{recipe.card.name} does not train an encoder of texts: take another recipe for this corpus")
    return recipe.encoder


def prepare_tokenizer(spec: TextEncoderSpec, folder: RunFolder, corpus: Corpus, seed: int) -> Tokenizer:
    """The run's own tokenizer, trained on texts drawn by the seed; made once in the data folder."""
    saved = folder.data / "tokenizer"
    if saved.exists():
        return Tokenizer.load(saved)
    logger.info("training a tokenizer of up to %d pieces on the corpus", spec.vocabulary)
    texts = corpus.sampled_training_texts(TOKENIZER_WORDS, seed)
    tokenizer = train_tokenizer(texts, spec.vocabulary, family=spec.family)
    with written_aside(saved) as aside:
        tokenizer.save(aside)
    return tokenizer


def _latent_semantic_table(
    spec: TextEncoderSpec, folder: RunFolder, corpus: Corpus, tokenizer: Tokenizer, seed: int
) -> Tensor:
    """Made once in the data folder: a sum in another order, with another number of threads, ends in other digits."""
    saved = folder.data / f"latent-semantic-{spec.dim}-{seed}.safetensors"
    with made_by_one(saved):
        if not saved.exists():
            logger.info("initial weights by latent semantic analysis of up to %d passages", LATENT_SEMANTIC_PASSAGES)
            drawn = np.random.default_rng([seed, 3]).permutation(len(corpus.store))[:LATENT_SEMANTIC_PASSAGES]
            tokens = _tokens_of(corpus, np.sort(drawn), tokenizer, spec.max_positions)
            table = latent_semantic_table(tokens, tokenizer.is_special, spec.dim, seed)
            with written_aside(saved) as aside:
                save_file({"table": table}, aside)
    return load_file(saved)["table"]


def _tokens_of(corpus: Corpus, numbers: np.ndarray, tokenizer: Tokenizer, max_length: int) -> Iterator[np.ndarray]:
    for some in np.array_split(numbers, len(numbers) // 1000 + 1):
        texts = [corpus.training_text(number) for number in some.tolist()]
        yield from (text.tokens for text in tokenizer.encode_batch(texts, max_length))


def _first_phase(config: RunConfig) -> Phase:
    """The phase that says what a new encoder is."""
    phases = phases_of(config)
    if not phases:
        raise ReknitError("a run needs at least one phase: name a recipe to pre-train or to tune with")
    return phases[0]
