"""Write a model as a plain sentence-transformers folder that transformers, sentence-transformers and servers load.

How a size is written:
- fewer layers: the upper layers are left out of `model.safetensors` and config.json says how many there are;
- fewer dimensions (dims): a `2_Dense` module whose matrix keeps the first dimensions, without bias or activation,
  between pooling and normalisation. sentence-transformers 2 to 6 run it natively and normalise after it, so its vectors
  have length 1. The other form, `truncate_dim` in config_sentence_transformers.json, cuts after normalisation: its
  vectors would be too short and differ from everybody else's. Plain transformers users take `[:dims]` after pooling,
  then normalise. A server that skips Dense modules serves the full width; its first dims dimensions, normalised again,
  are the same vector.

A trained pooling, which only reknit runs, is written beside them to `trained_pooling/`; the Pooling module says "mean".
An encoder that only reknit runs (`encoder.mixer`) has the same folder, with a config.json that other libraries refuse.
"""

from __future__ import annotations

import json
import os
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from reknit.encoders.huggingface.automodel import AutoModelEncoder
from reknit.encoders.huggingface.loading import HuggingFaceEncoder, native_state_to_hf
from reknit.encoders.model_files import read_json
from reknit.encoders.native.encoder import NativeEncoder
from reknit.encoders.trained_pooling import FOLDER as TRAINED_POOLING
from reknit.errors import ReknitError
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.query_expansion import FOLDER as EXPANSION
from reknit.models.sentence_folder import modules_of, pooling_config

# The folder's form is the one that version 3 introduced; a newer number would make older versions warn.
_FORM_VERSION = "3.0.0"


def save(
    model: EmbeddingModel,
    out: str | Path,
    *,
    layers: int | None = None,
    dims: int | None = None,
    card: str | None = None,
) -> Path:
    """Write `model` to the folder `out`; a reader never sees it half written.

    layers: keep only the first `layers` layers; with fewer than all, a query expansion, which was made for all, is left
    out. dims: keep only the first `dims` dimensions of each vector (by default what `model.dims` says). card: the
    README, front matter included; a short one is made when None. A model folder that is already there is replaced.

    Returns `out`. Raises ReknitError for a size the model does not have, a model that cannot be exported, and an `out`
    that is something else than a model folder.
    """
    out = Path(out)
    encoder = model.encoder
    dims = model.dims if dims is None else dims
    if layers is not None and not 1 <= layers <= encoder.depth:
        raise ReknitError(
            f"cannot export {layers} layers of a model that has {encoder.depth}; use 1 to {encoder.depth}"
        )
    if layers not in (None, encoder.depth) and model.pools_by_training:
        raise ReknitError(
            f"cannot export {layers} layers of {model.name}: its {model.pooling} pooling was trained for all "
            f"{encoder.depth}"
        )
    if dims is not None and not 1 <= dims <= encoder.dim:
        raise ReknitError(f"cannot export {dims} dims of a model that has {encoder.dim}; use 1 to {encoder.dim}")
    expansion = model.expansion if layers in (None, encoder.depth) else None
    if expansion is not None:
        expansion.check_width(dims or encoder.dim)
    _check_replaceable(out)
    aside = out.with_name(f".{out.name}.writing-{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        _write_transformer(model, aside, layers)
        _write_modules(model, aside, None if dims == encoder.dim else dims)
        if expansion is not None:
            (aside / EXPANSION).mkdir()
            expansion.save(aside / EXPANSION, dims)
        if model.pools_by_training:
            assert encoder.pooler is not None, "the model was made with it"
            (aside / TRAINED_POOLING).mkdir()
            encoder.pooler.save(aside / TRAINED_POOLING)
        (aside / "README.md").write_text(card or _short_card(model, layers, dims), encoding="utf-8")
        _swap(aside, out)
    except OSError as error:
        raise ReknitError(f"cannot write the model to {out}: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return out


def only_here(model: EmbeddingModel) -> str:
    """Why only reknit runs the model, in one sentence; empty where other libraries can."""
    return model.encoder.only_here if isinstance(model.encoder, HuggingFaceEncoder) else ""


def _write_transformer(model: EmbeddingModel, folder: Path, layers: int | None) -> None:
    from safetensors.torch import save_file

    encoder = model.encoder
    if isinstance(encoder, NativeEncoder):
        config, tensors = native_state_to_hf(encoder, layers)
        _write_json(folder / "config.json", config)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    elif isinstance(encoder, AutoModelEncoder):
        if layers not in (None, encoder.depth):
            raise ReknitError(f"{model.name} runs through transformers; its layers cannot be cut at export")
        encoder.model.save_pretrained(folder)
    else:
        raise ReknitError(f"{model.name} has an encoder that cannot be exported ({type(encoder).__name__})")
    model.tokenizer.save(folder)
    _fit_tokenizer_config(folder / "tokenizer_config.json", model.max_length)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": model.max_length, "do_lower_case": False})


def _write_modules(model: EmbeddingModel, folder: Path, dims: int | None) -> None:
    kinds = ["Transformer", "Pooling"] + ["Dense"] * (dims is not None) + ["Normalize"] * model.normalize
    modules = modules_of(kinds)
    _write_json(folder / "modules.json", modules)
    for kind, path in zip(kinds[1:], (module["path"] for module in modules[1:]), strict=True):
        (folder / path).mkdir()
        if kind == "Pooling":
            pooling = model.without_trained_pooling().pooling
            _write_json(folder / path / "config.json", pooling_config(pooling, model.encoder.dim))
        elif kind == "Dense":
            assert dims is not None
            _write_truncation(folder / path, model.encoder.dim, dims)
        else:
            # An empty folder would be lost in git and in zip files.
            _write_json(folder / path / "config.json", {})
    _write_json(folder / "config_sentence_transformers.json", _general_config(model))


def _write_truncation(folder: Path, width: int, dims: int) -> None:
    from safetensors.torch import save_file

    config = {
        "in_features": width,
        "out_features": dims,
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    _write_json(folder / "config.json", config)
    save_file({"linear.weight": torch.eye(dims, width)}, folder / "model.safetensors", metadata={"format": "pt"})


def _general_config(model: EmbeddingModel) -> dict[str, Any]:
    import transformers

    versions = {
        "sentence_transformers": _FORM_VERSION,
        "transformers": transformers.__version__,
        "pytorch": torch.__version__,
        "reknit": version("reknit"),
    }
    return {
        "__version__": versions,
        "prompts": model.prompts,
        "default_prompt_name": model.default_prompt,
        "similarity_fn_name": model.similarity,
    }


def _fit_tokenizer_config(path: Path, max_length: int) -> None:
    """Make a plain AutoTokenizer truncate where the model does, and keep the file readable for transformers 4."""
    config = read_json(path)
    config["model_max_length"] = max_length
    for leftover in (
        "max_length",
        "stride",
        "truncation_strategy",
        "pad_to_multiple_of",
        "is_local",
        "local_files_only",
    ):
        config.pop(leftover, None)
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    _write_json(path, config)


def _short_card(model: EmbeddingModel, layers: int | None, dims: int | None) -> str:
    depth = layers or model.encoder.depth
    width = dims or model.encoder.dim
    alone = only_here(model)
    library = "reknit" if alone else "sentence-transformers"
    tags = dict.fromkeys([library, "feature-extraction", "sentence-similarity", "reknit"])
    load = 'model = SentenceTransformer("path/to/this/folder")'
    lines = [
        "---",
        f"library_name: {library}",
        "pipeline_tag: sentence-similarity",
        "tags:",
        *(f"- {tag}" for tag in tags),
        "---",
        "",
        f"# {model.name}",
        "",
        f"A sentence embedding model made with reknit: {depth} layers, {width} dimensions, {model.pooling} pooling, "
        f"at most {model.max_length} tokens.",
        "",
        *([alone, ""] if alone else []),
        "```python",
        "import reknit" if alone else "from sentence_transformers import SentenceTransformer",
        "",
        'model = reknit.load("path/to/this/folder")' if alone else load,
        'vectors = model.encode(["a text"])',
        "```",
        "",
    ]
    if model.pools_by_training:
        lines += [trained_pooling_note(model.pooling), ""]
    return "\n".join(lines)


def trained_pooling_note(pooling: str) -> str:
    """What a README must say of a model whose vectors other libraries cannot make."""
    return (
        f"`{TRAINED_POOLING}/` holds the {pooling} pooling that was trained with this model. Only reknit runs it "
        '(`reknit.load("path/to/this/folder")`). Other libraries take the mean of the tokens instead, which was not '
        "trained: their vectors are others, and do not fit an index that reknit made."
    )


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _check_replaceable(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()) and not ((out / "modules.json").exists() or (out / "config.json").exists()):
        raise ReknitError(f"{out} exists and is not a model folder; choose another folder")
    if out.exists() and not out.is_dir():
        raise ReknitError(f"{out} is a file; choose a folder")


def _swap(aside: Path, out: Path) -> None:
    """Put `aside` in the place of `out`; between the two renames there is no `out`, but never half a one."""
    old = out.with_name(f".{out.name}.replaced-{os.getpid()}")
    if out.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.rename(out, old)
    os.rename(aside, out)
    shutil.rmtree(old, ignore_errors=True)
