"""Model folders on disk and on the hub: config.json and safetensors, never a pickle."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from torch import Tensor

from reknit.errors import ReknitError

_SHARD_INDEX = "model.safetensors.index.json"
_SINGLE_FILE = "model.safetensors"
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack")


def local_folder(path_or_id: str | Path) -> Path:
    """A local folder as it is, or the hub repository of that id downloaded to the cache (safetensors, json, txt only).

    Raises ReknitError for a path that does not exist and an id that cannot be downloaded.
    """
    path = Path(path_or_id)
    if path.is_dir():
        return path
    if path.exists():
        raise ReknitError(f"{path} is a file; give the folder that holds config.json")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", str(path_or_id)) or str(path_or_id).startswith("."):
        raise ReknitError(f"model folder {path_or_id} does not exist")
    import huggingface_hub

    try:
        return Path(
            huggingface_hub.snapshot_download(
                str(path_or_id), allow_patterns=["*.safetensors", "*.json", "*.txt", "*.model"]
            )
        )
    except Exception as error:  # the hub client raises a dozen unrelated kinds when offline or refused
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ReknitError(
            f"{path_or_id} is neither a local folder nor a model that could be downloaded ({reason[:160]})"
        ) from error


def model_folder(folder: Path) -> Path:
    """The folder of a model: where a run's folder is given, the model in it (a run has a config.json of its own)."""
    inner = folder / "model"
    return inner if (inner / "config.json").exists() else folder


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises ReknitError when it is missing, damaged or something else than an object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ReknitError(f"{path.parent} has no {path.name}; this is not a model folder") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ReknitError(f"{path} cannot be read as JSON ({error}); fetch the model again") from error
    if not isinstance(value, dict):
        raise ReknitError(f"{path} must hold a JSON object, found a {type(value).__name__}")
    return value


def read_weights(folder: Path) -> dict[str, Tensor]:
    """{name: tensor} from model.safetensors or its shards. Raises ReknitError when absent, damaged or pickle only."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if (folder / _SHARD_INDEX).exists():
        weight_map = read_json(folder / _SHARD_INDEX).get("weight_map")
        if not isinstance(weight_map, dict):
            raise ReknitError(f"{folder / _SHARD_INDEX} has no weight_map; fetch the model again")
        files = [folder / Path(name).name for name in sorted(set(weight_map.values()))]
    elif (folder / _SINGLE_FILE).exists():
        files = [folder / _SINGLE_FILE]
    else:
        pickles = [name for name in _PICKLES if (folder / name).exists()]
        if pickles:
            raise ReknitError(
                f"{folder} has its weights only as {pickles[0]}, a format that can run code when loaded; "
                "convert the model to safetensors first"
            )
        raise ReknitError(f"{folder} has no {_SINGLE_FILE}; there are no weights to load")
    weights: dict[str, Tensor] = {}
    for file in files:
        if not file.exists():
            raise ReknitError(f"{folder} is incomplete: {file.name} is named in {_SHARD_INDEX} but absent")
        try:
            weights |= load_file(file)
        except (SafetensorError, OSError) as error:
            raise ReknitError(f"{file} is damaged ({error}); fetch the model again") from error
    return weights
