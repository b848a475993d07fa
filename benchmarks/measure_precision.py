"""What lower precision changes: retrieval quality in bfloat16, and the vectors that int8 products would give.

    python benchmarks/measure_precision.py [--out records/precision.json]

Quality: nDCG@10 of all-MiniLM on two collections of ../shared/data, in float32 and on the fast bfloat16 path.
int8: cosine to the float32 vector when every linear layer of the encoder rounds its weights (one scale an output
channel) and its inputs to int8; the rounding is simulated in float32, so these are the vectors, not the speed. "static"
takes one scale and zero point a layer from a calibration text, after SmoothQuant's scaling of the channels (Xiao et al.
2023, strength 0.5); "by token" makes scale and zero point anew for each token, which costs extra passes over it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from reknit.bench.material import natural_texts, start_model
from reknit.evaluation.beir import load_beir
from reknit.evaluation.probe import retrieval_probe
from reknit.jobs.files import write_json
from reknit.jobs.machine import machine, versions
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.encode_texts import encoder_function
from reknit.models.loading import load_embedding_model

COLLECTIONS = ("cranfield", "npl")
SHARED = Path(__file__).parents[2] / "shared" / "data" / "retrieval"
ALLOWED = 0.002
LAYERS = ("query_key_value", "attention_output", "up", "down")
LEVELS = 127


def quality(model: EmbeddingModel) -> dict[str, Any]:
    """nDCG@10 of each collection in both precisions, and the largest change."""
    found: dict[str, Any] = {}
    for name in COLLECTIONS:
        collection = load_beir(SHARED / name)
        scores = {
            precision: retrieval_probe(collection, encoder_function(model, precision, quiet=True))()["nDCG@10"]
            for precision in ("float32", "bfloat16")
        }
        found[name] = {**scores, "change": scores["bfloat16"] - scores["float32"], "queries": len(collection.queries)}
    return found


class Int8(nn.Module):
    """A linear layer with both factors rounded to int8 (in float32 numbers)."""

    def __init__(self, linear: nn.Linear, inputs: Tensor, scheme: str) -> None:
        super().__init__()
        weight, self.bias, self.scheme = linear.weight.detach(), linear.bias, scheme
        reach = inputs.abs().amax(dim=0).clamp(min=1e-5)
        smooth = scheme in ("static", "by token")
        self.factor = (reach / weight.abs().amax(dim=0).clamp(min=1e-5)).sqrt() if smooth else torch.ones_like(reach)
        scaled = weight * self.factor
        step = scaled.abs().amax(dim=1, keepdim=True) / LEVELS
        self.weight = (scaled / step).round() * step
        self.lowest, self.highest = (inputs / self.factor).aminmax()

    def forward(self, values: Tensor) -> Tensor:
        values = values / self.factor
        if self.scheme != "weights only":
            values = self._rounded(values)
        return functional.linear(values, self.weight, self.bias)

    def _rounded(self, values: Tensor) -> Tensor:
        lowest, highest = self.lowest, self.highest
        if self.scheme == "by token":
            lowest, highest = values.amin(dim=1, keepdim=True), values.amax(dim=1, keepdim=True)
        step = (highest - lowest) / (2 * LEVELS + 1)
        zero = (-lowest / step).round()
        return ((values / step + zero).round().clamp(0, 2 * LEVELS + 1) - zero) * step


def linear_layers(model: EmbeddingModel) -> Iterator[tuple[nn.Module, str]]:
    """Each block with the name of each of its linear layers."""
    for block in model.encoder.get_submodule("blocks").children():
        yield from ((block, name) for name in LAYERS)


def calibrate(model: EmbeddingModel, texts: list[str]) -> list[Tensor]:
    """The inputs of each linear layer on the texts."""
    inputs: list[list[Tensor]] = []
    handles = []
    for block, name in linear_layers(model):
        seen: list[Tensor] = []
        inputs.append(seen)
        keep: Callable[..., None] = lambda _module, given, seen=seen: seen.append(given[0].clone())  # noqa: E731
        handles.append(getattr(block, name).register_forward_pre_hook(keep))
    model.encode(texts)
    for handle in handles:
        handle.remove()
    return [torch.cat(seen) for seen in inputs]


@contextmanager
def replaced(model: EmbeddingModel, inputs: list[Tensor], scheme: str, only: str | None) -> Iterator[None]:
    """The model with int8 layers (all of them, or those called `only`), and as it was afterwards."""
    originals = [getattr(block, name) for block, name in linear_layers(model)]
    for (block, name), linear, seen in zip(linear_layers(model), originals, inputs, strict=True):
        if only in (None, name):
            setattr(block, name, Int8(linear, seen, scheme))
    yield
    for (block, name), linear in zip(linear_layers(model), originals, strict=True):
        setattr(block, name, linear)


def fidelity(model: EmbeddingModel) -> dict[str, Any]:
    """Least and mean cosine to float32 of bfloat16 and of each way to int8."""
    texts = natural_texts(model.max_length)
    passages, calibration = texts[::7][:150], texts[3::41][:64]
    exact = model.encode(passages)

    def cosines(vectors: np.ndarray) -> dict[str, float]:
        found = functional.cosine_similarity(torch.from_numpy(vectors), torch.from_numpy(exact), dim=1)
        return {"least": float(found.min()), "mean": float(found.mean())}

    rows = {"bfloat16": cosines(model.encode(passages, precision="bfloat16"))}
    inputs = calibrate(model, calibration)
    for scheme in ("weights only", "static", "by token"):
        for only in (None, *LAYERS):
            with replaced(model, inputs, scheme, only):
                rows[f"int8 {scheme}, {only or 'all layers'}"] = cosines(model.encode(passages))
    return rows


def main() -> None:
    """Measure, print, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="write the numbers to this file")
    asked = parser.parse_args()
    model = load_embedding_model(str(start_model()))
    model.max_length = 256
    with torch.no_grad():
        scores, cosines = quality(model), fidelity(model)
    largest = max(abs(one["change"]) for one in scores.values())
    found = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "quality": {"collections": scores, "largest_change": largest, "allowed": ALLOWED, "met": largest < ALLOWED},
        "cosine_to_float32": cosines,
    }
    print(json.dumps(found, indent=2))
    if asked.out:
        write_json(asked.out, found)


if __name__ == "__main__":
    main()
