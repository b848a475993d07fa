"""Encoding speed with all-MiniLM against sentence-transformers' backends: passages in bulk, and single queries."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from reknit.bench.contest import Contestant, Turns, hold
from reknit.bench.material import check_names, natural_texts, short_queries, start_model, token_lengths, write_texts
from reknit.bench.result import Row, compared, side

# Backend and precision of each peer, and the ratio to reach.
PEERS = {
    "sentence-transformers-float32": ("torch", "float32", 4.0),
    "sentence-transformers-bfloat16": ("torch", "bfloat16", 1.8),
    "sentence-transformers-onnx-int8": ("onnx", "int8", 1.2),
    "sentence-transformers-openvino": ("openvino", "auto", 1.2),
    "sentence-transformers-openvino-int8": ("openvino", "int8", 1.2),
}
NAMES = tuple(PEERS)
LATENCY_TARGET = 0.7
OWN_PRECISIONS = ("float32", "bfloat16")
MAX_LENGTH = 256
PASSAGES = 500
QUERIES = 100


def bench_encode(against: tuple[str, ...], turns: int) -> list[Row]:
    """Passages in bulk and single queries. Raises ReknitError for an unknown name or a peer that is not installed."""
    check_names("encode", against, NAMES)
    return _bulk(against, turns) + _latency(against, turns)


def _bulk(against: tuple[str, ...], turns: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        results = hold(contestants(against, "passages", Path(folder)), turns, Path(folder))
        vectors = [np.load(Path(folder) / f"contestant-{number}" / "vectors.npy") for number in range(len(results))]
    exact, ours = results[0], _fastest(results[: len(OWN_PRECISIONS)])
    notes = {"cosine_to_float32": _cosine(vectors[results.index(ours)], vectors[results.index(exact)])}
    rows = []
    for number, theirs in enumerate(results[len(OWN_PRECISIONS) :], len(OWN_PRECISIONS)):
        target = PEERS[theirs.contestant.name][2]
        row = compared("encode", f"passages up to {MAX_LENGTH} tokens", ours, theirs, unit="texts", target=target)
        peer_cosine = _cosine(vectors[number], vectors[results.index(exact)])
        rows.append(replace(row, notes={**notes, "peer_cosine_to_float32": peer_cosine}))
    return rows


def _latency(against: tuple[str, ...], turns: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        results = hold(contestants(against, "queries", Path(folder)), turns, Path(folder))
    ours = min(results[: len(OWN_PRECISIONS)], key=lambda one: _percentile(one, 50))
    rows = []
    for theirs in results[len(OWN_PRECISIONS) :]:
        for percent in (50, 99):
            pairs = [a / b for a, b in zip(_by_turn(ours, percent), _by_turn(theirs, percent), strict=True)]
            ratio = {"median": median(pairs), "least": min(pairs), "most": max(pairs)}
            work = f"one short query, p{percent} in ms"
            first, second = (
                replace(side(one, "texts"), median=_percentile(one, percent), least=min(found), most=max(found))
                for one, found in ((ours, _by_turn(ours, percent)), (theirs, _by_turn(theirs, percent)))
            )
            rows.append(Row("encode", work, "ms", first, second, ratio, target=LATENCY_TARGET, lower=True))
    return rows


def contestants(against: tuple[str, ...], work: str, folder: Path) -> list[Contestant]:
    """reknit in each precision, then the peers."""
    texts = natural_texts(MAX_LENGTH)[::7][:PASSAGES]
    settings: dict[str, Any] = {
        "model": str(start_model()),
        "texts": str(write_texts(texts, folder / "texts.jsonl")),
        "queries": str(write_texts(short_queries(QUERIES), folder / "queries.jsonl")),
        "max_length": MAX_LENGTH,
        "tokens": int(token_lengths(texts, start_model(), MAX_LENGTH).sum()),
        "work": work,
    }
    own = [
        Contestant(f"reknit-{name}", "reknit.bench.sides.encode", {**settings, "precision": name}, name)
        for name in OWN_PRECISIONS
    ]
    script = "sentence_transformers_encode.py"
    peers = [
        # The ONNX and OpenVINO backends come with optimum, which still needs transformers 4.
        Contestant(name, script, {**settings, "backend": backend, "precision": kind}, kind, older=backend != "torch")
        for name, (backend, kind, _) in PEERS.items()
        if name in against
    ]
    return own + peers


def _fastest(results: list[Turns]) -> Turns:
    return max(results, key=lambda one: median(one.rates("texts")))


def _cosine(vectors: np.ndarray, exact: np.ndarray) -> float:
    """Least cosine of a row to its float32 twin."""
    products = (vectors * exact).sum(axis=1)
    return float((products / np.linalg.norm(vectors, axis=1) / np.linalg.norm(exact, axis=1)).min())


def _percentile(turns: Turns, percent: int) -> float:
    return float(np.percentile(np.concatenate([turn["latencies"] for turn in turns.turns]), percent) * 1e3)


def _by_turn(turns: Turns, percent: int) -> list[float]:
    return [float(np.percentile(turn["latencies"], percent) * 1e3) for turn in turns.turns]
