"""From a folder or hub id to a model: reknit's own where it can be, sentence-transformers' otherwise."""

from __future__ import annotations

import sys
from pathlib import Path

from reknit.adapters import FOLDER as ADAPTER
from reknit.encoders.huggingface.families import family_at
from reknit.encoders.huggingface.family import Family
from reknit.encoders.huggingface.loading import load_encoder
from reknit.encoders.model_files import local_folder, model_folder
from reknit.encoders.trained_pooling import FOLDER as TRAINED_POOLING
from reknit.encoders.trained_pooling import TrainedPooling
from reknit.errors import ReknitError
from reknit.models.embedder import Embedder, ForeignEmbedder, Similarity
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.onnx_file import onnx_file
from reknit.models.query_expansion import FOLDER as EXPANSION
from reknit.models.query_expansion import QueryExpansion
from reknit.models.sentence_folder import SentenceFolder, read_max_length, read_sentence_folder
from reknit.models.sentence_transformer_model import SentenceTransformerModel
from reknit.tokenizers.tokenizer import Tokenizer


def load_model(path_or_id: str | Path) -> Embedder:
    """Load a sentence-transformers folder, a plain transformers folder, a reknit run folder or a hub id.

    A plain transformers folder says nothing about pooling: mean and normalisation are used, and a line on stderr says
    so. A similarity other than cosine and dot product is taken for cosine, which a line on stderr says too. A folder
    with modules other than Transformer, Pooling and Normalize gives a `SentenceTransformerModel`, which encodes but
    cannot be trained or exported; a folder with an ONNX file and no safetensors an `OnnxModel`, of which the same is
    true; everything else an `EmbeddingModel`. A `trained_pooling/` in the folder makes the vectors. An `adapter/` in it
    is merged into the weights, or attached where it cannot be merged. Raises ReknitError as `load_encoder` and
    `attach_saved` do, and for a model that reads no texts.
    """
    folder, described = _described(path_or_id)
    similarity = _similarity(described.similarity, path_or_id)
    name = str(path_or_id).rstrip("/").rsplit("/", 1)[-1]
    if described.unsupported:
        print(
            f"note: {path_or_id} has {described.unsupported}; running it through sentence-transformers, "
            "so it can be measured but not trained",
            file=sys.stderr,
        )
        return SentenceTransformerModel(folder, name, described, similarity)
    if onnx_file(described.transformer) is not None:
        from reknit.models.onnx_model import OnnxModel

        return OnnxModel(described.transformer, name, described, similarity)
    encoder = load_encoder(described.transformer)
    tokenizer = Tokenizer.load(described.transformer)
    if tokenizer.vocabulary.size > encoder.table.shape[0]:
        raise ReknitError(
            f"{path_or_id}: the tokenizer has {tokenizer.vocabulary.size} tokens but the embedding table only "
            f"{encoder.table.shape[0]} rows; tokenizer and weights do not belong together"
        )
    pooling = described.pooling
    if (folder / TRAINED_POOLING).is_dir():
        encoder.pooler = TrainedPooling.load(folder / TRAINED_POOLING, encoder.dim, encoder.depth)
        pooling = encoder.pooler.kind
    if (folder / ADAPTER).is_dir():
        from reknit.adapters.files import with_saved

        encoder = with_saved(encoder, folder / ADAPTER)
    return EmbeddingModel(
        encoder,
        tokenizer,
        pooling=pooling,
        normalize=described.normalize,
        max_length=read_max_length(described.transformer),
        prompts=described.prompts,
        default_prompt=described.default_prompt,
        dims=described.dims,
        similarity=similarity,
        expansion=QueryExpansion.load(folder / EXPANSION) if (folder / EXPANSION).is_dir() else None,
        name=name,
    )


def load_embedding_model(path_or_id: str | Path) -> EmbeddingModel:
    """As `load_model`, for what needs the weights: training, cutting, exporting.

    Raises ReknitError also where only sentence-transformers can run the model, and where it has an adapter that cannot
    be merged into its weights.
    """
    model = load_model(path_or_id)
    if isinstance(model, ForeignEmbedder):
        raise ReknitError(
            f"{path_or_id} runs only through {model.runs_by}: reknit can encode with it and measure it, but not "
            "train, cut or export it; take a model of Transformer, Pooling and Normalize, or its plain encoder"
        )
    assert isinstance(model, EmbeddingModel), "the only kind that reknit runs itself"
    check_without_adapter(model, path_or_id)
    return model


def check_without_adapter(model: EmbeddingModel, path_or_id: str | Path) -> None:
    """Raise ReknitError for a model with an adapter that cannot be merged into its weights."""
    from reknit.adapters.encoder import AdaptedEncoder

    if isinstance(model.encoder, AdaptedEncoder):
        raise ReknitError(
            f"{path_or_id} has an adapter that stays beside the model ({model.encoder.adapter.cannot_merge}): reknit "
            "can encode and search with it, but not export, cut or train it; take the model that it was tuned from"
        )


def _described(path_or_id: str | Path) -> tuple[Path, SentenceFolder]:
    """The folder that holds the model, and what it says of itself."""
    folder = local_folder(path_or_id)
    family = family_at(model_folder(folder))
    if family is not None and family.reads != Family.reads:
        raise ReknitError(f"{path_or_id} is a model of {family.reads}, and this needs one of {Family.reads}")
    # A run folder has a config.json too, of another kind.
    if not (folder / "modules.json").exists() and (folder / "model" / "modules.json").exists():
        folder = folder / "model"
    if (folder / "modules.json").exists():
        return folder, read_sentence_folder(folder)
    print(
        f"note: {path_or_id} does not say how to make one vector per text; using mean pooling and normalising",
        file=sys.stderr,
    )
    return folder, SentenceFolder(transformer=folder)


def _similarity(said: str, path_or_id: str | Path) -> Similarity:
    if said == "dot":
        return "dot"
    if said != "cosine":
        print(f"note: {path_or_id} compares vectors by {said}; comparing them by cosine instead", file=sys.stderr)
    return "cosine"
