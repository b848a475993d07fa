"""What a sentence-transformers folder says about itself, in the form of version 2 to 6."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from reknit.encoders.model_files import read_json, read_weights
from reknit.errors import ReknitError

DEFAULT_MAX_LENGTH = 512
# tokenizers without a limit say 1e30; no text encoder of today reads this many tokens
_NO_LIMIT = 1_000_000

_OLD_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_POOLING_KEYS = {
    "cls": "pooling_mode_cls_token",
    "mean": "pooling_mode_mean_tokens",
    "max": "pooling_mode_max_tokens",
    "mean_sqrt_len": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "last": "pooling_mode_lasttoken",
}
_KNOWN_MODES = {"cls": "cls", "max": "max", "mean": "mean", "lasttoken": "last"}
DOCUMENT_PROMPTS = ("document", "passage", "corpus")
_TRANSFORMER_CONFIGS = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)


@dataclass
class SentenceFolder:
    """transformer: folder of config.json and weights. dims: dimensions kept. similarity: in the folder's own word;
    "cosine" where it says nothing. unsupported: what reknit cannot run, if anything, in words."""

    transformer: Path
    pooling: str = "mean"
    normalize: bool = True
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    dims: int | None = None
    similarity: str = "cosine"
    unsupported: str = ""


def modules_of(kinds: Sequence[str]) -> list[dict[str, Any]]:
    """What modules.json says of modules of these kinds; the first one, the transformer, lies in the folder itself."""
    return [
        {
            "idx": number,
            "name": str(number),
            "path": f"{number}_{kind}" if number else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for number, kind in enumerate(kinds)
    ]


def pooling_config(pooling: str, width: int) -> dict[str, Any]:
    """The long boolean form: text-embeddings-inference refuses or mis-pools the short one of version 6."""
    modes = {key: mode == pooling for mode, key in _POOLING_KEYS.items()}
    return {"word_embedding_dimension": width, **modes, "include_prompt": True}


def read_sentence_folder(folder: Path) -> SentenceFolder:
    """Read modules.json and what it points to.

    Modules are known by the last part of their type, because version 6 moved them. A Dense module that only keeps the
    first dimensions (reknit's own form of a truncated export) is read as `dims`. Raises ReknitError for damaged files
    and for modules whose code would come from the folder.
    """
    modules = _read_modules(folder / "modules.json")
    described = SentenceFolder(transformer=folder, normalize=False)
    general = folder / "config_sentence_transformers.json"
    if general.exists():
        _read_general(read_json(general), described)
    kinds = [_kind(module, folder) for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"]:
        described.unsupported = f"the modules {', '.join(kinds)}"
        return described
    for kind, module in zip(kinds, modules, strict=True):
        place = _inside(folder, str(module.get("path", "")))
        if kind == "Transformer":
            described.transformer = place
            described.unsupported = described.unsupported or _unsupported_transformer(place)
        elif kind == "Pooling":
            mode, problem = _pooling_mode(read_json(place / "config.json"))
            described.pooling = mode
            described.unsupported = described.unsupported or problem
        elif kind == "Normalize":
            described.normalize = True
        elif kind == "Dense" and not described.normalize and (kept := _kept_coordinates(place)) is not None:
            described.dims = min(kept, described.dims or kept)
        else:
            described.unsupported = described.unsupported or f"a {kind} module"
    return described


def read_max_length(transformer: Path) -> int:
    """Tokens per text at most: sentence_bert_config.json, else tokenizer_config.json, else 512."""
    limits = [read_json(transformer / name).get("max_seq_length") for name in _present(transformer)]
    if (transformer / "tokenizer_config.json").exists():
        limits.append(read_json(transformer / "tokenizer_config.json").get("model_max_length"))
    for limit in limits:
        if isinstance(limit, (int, float)) and not isinstance(limit, bool) and 0 < limit < _NO_LIMIT:
            return int(limit)
    return DEFAULT_MAX_LENGTH


def is_truncation(weight: torch.Tensor) -> bool:
    """Whether a [out, in] matrix keeps the first `out` dimensions and does nothing else."""
    return bool(torch.equal(weight.float(), torch.eye(*weight.shape)))


def _read_modules(path: Path) -> list[dict[str, Any]]:
    try:
        modules = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ReknitError(f"{path} cannot be read as JSON ({error}); fetch the model again") from error
    if not isinstance(modules, list) or not modules or not all(isinstance(module, dict) for module in modules):
        raise ReknitError(f"{path} must be a list of modules; fetch the model again")
    return modules


def _kind(module: dict[str, Any], folder: Path) -> str:
    kind = str(module.get("type", ""))
    if not kind.startswith("sentence_transformers."):
        raise ReknitError(f"{folder} needs its own code ({kind}), which reknit does not run; use another model")
    return kind.rsplit(".", 1)[-1]


def _inside(folder: Path, path: str) -> Path:
    place = (folder / path).resolve()
    if not place.is_relative_to(folder.resolve()):
        raise ReknitError(f"{folder}/modules.json points outside the folder ({path}); do not trust this model")
    return folder / path if path else folder


def _present(transformer: Path) -> list[str]:
    return [name for name in _TRANSFORMER_CONFIGS if (transformer / name).exists()][:1]


def _unsupported_transformer(place: Path) -> str:
    for name in _present(place):
        config = read_json(place / name)
        if config.get("do_lower_case") and not _tokenizer_lower_cases(place):
            return "lower-casing outside its tokenizer"
        task = config.get("transformer_task", "feature-extraction")
        if task != "feature-extraction" or config.get("module_output_name", "token_embeddings") != "token_embeddings":
            return f"a transformer for {task}"
    return ""


def _tokenizer_lower_cases(place: Path) -> bool:
    """Whether the folder's tokenizer lower-cases by itself, so that `do_lower_case` adds nothing."""
    if not (place / "tokenizer.json").exists():
        return False
    normalizer = read_json(place / "tokenizer.json").get("normalizer") or {}
    steps = normalizer.get("normalizers", [normalizer])
    return any(step.get("type") == "Lowercase" or step.get("lowercase") is True for step in steps)


def _pooling_mode(config: dict[str, Any]) -> tuple[str, str]:
    """The mode in reknit's words, and what is unsupported about it if anything."""
    modes = config.get("pooling_mode")
    if modes is None:
        modes = [mode for key, mode in _OLD_MODES.items() if config.get(key)] or ["mean"]
    modes = [modes] if isinstance(modes, str) else list(modes)
    if len(modes) != 1 or modes[0] not in _KNOWN_MODES:
        return "mean", f"pooling by {' + '.join(map(str, modes))}"
    if config.get("include_prompt") is False:
        return "mean", "pooling that leaves the prompt out"
    return _KNOWN_MODES[modes[0]], ""


def _kept_coordinates(place: Path) -> int | None:
    config = read_json(place / "config.json")
    plain = (
        str(config.get("activation_function", "")).endswith(".Identity")
        and config.get("bias") is False
        and not config.get("use_residual")
        and config.get("module_input_name", "sentence_embedding") == "sentence_embedding"
        and config.get("module_output_name", "sentence_embedding") in (None, "sentence_embedding")
    )
    if not plain or not (place / "model.safetensors").exists():
        return None
    weight = read_weights(place).get("linear.weight")
    return weight.shape[0] if weight is not None and weight.ndim == 2 and is_truncation(weight) else None


def _read_general(config: dict[str, Any], described: SentenceFolder) -> None:
    prompts = config.get("prompts")
    if isinstance(prompts, dict):
        described.prompts = {str(name): text for name, text in prompts.items() if isinstance(text, str)}
        # E5 and its kin call it "passage"; sentence-transformers' own empty "document" must not hide it.
        named = (described.prompts.get(name) for name in DOCUMENT_PROMPTS)
        if document := next(filter(None, named), None):
            described.prompts["document"] = document
    default = config.get("default_prompt_name")
    described.default_prompt = default if isinstance(default, str) else None
    kept = config.get("truncate_dim")
    if isinstance(kept, int) and kept > 0:
        described.dims = kept
    similarity = config.get("similarity_fn_name")
    if isinstance(similarity, str):
        described.similarity = similarity
