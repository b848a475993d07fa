"""`reknit bench`: run the jobs asked for, print a table, keep the figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from reknit.bench.contest import PEER_PYTHON
from reknit.bench.data import NAMES as DATA_PEERS
from reknit.bench.data import bench_data
from reknit.bench.encode import NAMES as ENCODE_PEERS
from reknit.bench.encode import bench_encode
from reknit.bench.index import bench_index
from reknit.bench.machine_rate import matrix_rate
from reknit.bench.result import Row, Side
from reknit.bench.train import NAMES as TRAIN_PEERS
from reknit.bench.train import bench_train
from reknit.errors import ReknitError
from reknit.jobs.files import check_json_path, write_json
from reknit.jobs.machine import machine, versions

_PEER_PACKAGES = (
    "torch",
    "transformers",
    "accelerate",
    "sentence-transformers",
    "onnxruntime",
    "openvino",
    "optimum-intel",
    "FlagEmbedding",
)
Bench = Callable[[tuple[str, ...], int], list[Row]]
JOBS: dict[str, tuple[Bench, tuple[str, ...]]] = {
    "train": (bench_train, TRAIN_PEERS),
    "encode": (bench_encode, ENCODE_PEERS),
    "data": (bench_data, DATA_PEERS),
    "index": (bench_index, ()),
}


def bench(job: str, against: Sequence[str] = (), *, turns: int = 5, json_file: Path | None = None) -> list[Row]:
    """Run one job, or "all", against the named peers (all that the job knows by default).

    The figures are written to `json_file`, where one is named, with machine, versions and date. Raises ReknitError
    for an unknown job or peer, and for a peer that fails (the line says with what).
    """
    if job != "all" and job not in JOBS:
        raise ReknitError(f"there is no benchmark {job!r}; choose from {', '.join(JOBS)} or all")
    if job == "all" and against:
        raise ReknitError("--against needs one job: name train, encode or data instead of all")
    if turns < 1:
        raise ReknitError(f"--turns is {turns}; it must be at least 1")
    check_json_path(json_file)
    rows: list[Row] = []
    for name in JOBS if job == "all" else [job]:
        run, peers = JOBS[name]
        rows += run(tuple(against) or peers, turns)
        if json_file is not None:  # after each job, so that a later one that fails loses nothing
            write_json(json_file, _record(rows, turns))
    return rows


def _record(rows: list[Row], turns: int) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "turns": turns,
        "seed": 0,
        "machine": machine(),
        "matrix_rate": {precision: matrix_rate(precision) for precision in ("float32", "bfloat16")},
        "versions": versions(),
        "peer_versions": _peer_versions(),
        "rows": [row.to_json() for row in rows],
    }


def _peer_versions() -> dict[str, str]:
    """Versions of what the peers need, as their own Python sees them."""
    names = "{d.metadata['Name']: d.version for d in m.distributions()}"
    code = f"import importlib.metadata as m, json; print(json.dumps({names}))"
    python = os.environ.get(PEER_PYTHON, sys.executable)
    found = json.loads(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout)
    return {name: found[name] for name in _PEER_PACKAGES if name in found}


def show(rows: Sequence[Row], console: Console) -> None:
    """A table of the rows."""
    table = Table("work", "reknit", "peer", "ratio", "target", "met")
    for row in rows:
        table.add_row(*cells(row))
    console.print(table)


def cells(row: Row) -> tuple[str, str, str, str, str, str]:
    """A row as texts: work, our figure, the peer's, the ratio with its range, the target, whether it is met."""
    ratio = "" if not row.ratio else "{median:.2f} ({least:.2f} to {most:.2f})".format(**row.ratio)
    target = "" if row.target is None else f"{'<=' if row.lower else '>='} {row.target:g}"
    met = {None: "", True: "yes", False: "no"}[row.met]
    return row.work, _figure(row.ours, row.unit), _figure(row.theirs, row.unit), ratio, target, met


def _figure(side: Side | None, unit: str) -> str:
    if side is None:
        return ""
    digits = 0 if side.median >= 10 else 2 if side.median >= 0.1 else 4
    share = "" if side.share is None else f", {side.share:.0%} of the matrix rate"
    memory = "" if side.peak_rss_mb is None else f", {side.peak_rss_mb / 1024:.1f} GB"
    return f"{side.name}: {side.median:,.{digits}f} {unit}{share}{memory}"
