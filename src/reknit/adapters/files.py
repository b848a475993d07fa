"""An adapter in its folder beside a model: config.json and model.safetensors."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from reknit.adapters.base import AdapterSpec
from reknit.adapters.bias import BiasSpec
from reknit.adapters.bottleneck import BottleneckSpec, ParallelSpec
from reknit.adapters.encoder import AdaptedEncoder, native
from reknit.adapters.low_rank import LoRASpec
from reknit.adapters.mixed import MixAndMatchSpec
from reknit.adapters.prefix import PrefixSpec
from reknit.adapters.prompt import PromptSpec
from reknit.adapters.scale import ScaleSpec
from reknit.adapters.shared_bottleneck import SharedBottleneckSpec
from reknit.encoders.base import TokenEncoder
from reknit.encoders.model_files import read_json, read_weights
from reknit.encoders.native.encoder import NativeEncoder
from reknit.errors import ReknitError

KINDS: tuple[type[AdapterSpec], ...] = (
    LoRASpec,
    BottleneckSpec,
    ParallelSpec,
    PromptSpec,
    PrefixSpec,
    ScaleSpec,
    BiasSpec,
    MixAndMatchSpec,
    SharedBottleneckSpec,
)
_SETTINGS, _WEIGHTS = "config.json", "model.safetensors"
_SAMPLED = 64  # numbers of each weight that a fingerprint is made of


def save_adapter(adapted: AdaptedEncoder, spec: AdapterSpec, folder: Path) -> None:
    """Write the adapter that `spec` built to the folder; it must exist."""
    from safetensors.torch import save_file

    settings = {
        "kind": spec.kind,
        "settings": dataclasses.asdict(spec),
        "trained_weights": adapted.adapter.trained_weights,
        "encoder": fingerprint(adapted.base),
    }
    (folder / _SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    tensors = {name: value.cpu().contiguous() for name, value in adapted.adapter.tensors().items()}
    save_file(tensors, folder / _WEIGHTS, metadata={"format": "pt"})


def attach_saved(encoder: TokenEncoder, folder: Path) -> AdaptedEncoder:
    """The encoder with the adapter that `save_adapter` wrote, in the mode (training or not) that it is in.

    Raises ReknitError when the folder is damaged, or the adapter was trained on another encoder.
    """
    base = native(encoder)
    stored = read_json(folder / _SETTINGS)
    spec = _spec_of(stored, folder)
    if stored.get("encoder") != fingerprint(base):
        raise ReknitError(
            f"{folder} was trained on another model than the one beside it: tune this model, or restore the other one"
        )
    with torch.random.fork_rng([]):  # what is drawn here is replaced at once
        adapter = spec.build(base)
    tensors, expected = read_weights(folder), adapter.tensors()
    if {name: value.shape for name, value in tensors.items()} != {n: value.shape for n, value in expected.items()}:
        raise ReknitError(f"{folder}: the weights do not fit config.json; tune the model again")
    adapter.load_tensors(tensors)
    return AdaptedEncoder(base, adapter)


def with_saved(encoder: TokenEncoder, folder: Path) -> TokenEncoder:
    """The encoder as `attach_saved` makes it, the adapter merged into its very weights where it can be: then it is as
    fast as before. Raises ReknitError as `attach_saved` does."""
    adapted = attach_saved(encoder, folder)
    if adapted.adapter.cannot_merge:
        return adapted
    base = adapted.detach()
    adapted.adapter.merge_into(base)
    return base


def fingerprint(encoder: NativeEncoder) -> str:
    """Tells encoders apart by some numbers of each of their weights, in whatever order these are."""
    samples = [
        hashlib.blake2b(weight.detach().flatten()[:_SAMPLED].float().cpu().numpy().tobytes(), digest_size=16).digest()
        for weight in encoder.parameters()
    ]
    return hashlib.blake2b(b"".join(sorted(samples)), digest_size=16).hexdigest()


def _spec_of(stored: dict[str, Any], folder: Path) -> AdapterSpec:
    kinds = {kind.kind: kind for kind in KINDS}
    kind = kinds.get(str(stored.get("kind")))
    if kind is None:
        raise ReknitError(
            f"{folder} holds an adapter of kind {stored.get('kind')!r}; this version reads {', '.join(kinds)}"
        )
    try:
        spec: AdapterSpec = _filled(kind(), stored["settings"])
        return spec
    except (KeyError, TypeError, AttributeError) as error:
        raise ReknitError(f"{folder / _SETTINGS} is damaged ({error!r}); tune the model again") from error


def _filled(spec: Any, settings: dict[str, Any]) -> Any:
    """The spec with stored settings, also of the specs within it."""
    changes = {}
    for name, value in settings.items():
        current = getattr(spec, name)
        nested = dataclasses.is_dataclass(current)
        changes[name] = _filled(current, value) if nested else tuple(value) if isinstance(value, list) else value
    return dataclasses.replace(spec, **changes)
