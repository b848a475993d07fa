"""Make docs/performance.md from the newest record of each job in records/bench/ (written by `reknit bench --json`).

python benchmarks/performance_page.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reknit.bench.result import Row
from reknit.bench.run import cells

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "records" / "bench"
PAGE = ROOT / "docs" / "performance.md"
HEAD = """# Performance

This page is made from `records/bench/` by `benchmarks/performance_page.py`; `make bench` measures again and rewrites
it. In each row, reknit and the other library did the same work on the same machine in one run, in turns. A ratio is the
median over pairs of turns, with the least and the greatest in brackets. Padding tokens are not counted. Batches come
from transformers' own samplers and are the same for both. Searches and `--help` are timed as new processes, with their
files in the page cache. `benchmarks/LOG.md` records what was tried, also what failed.
"""


def newest() -> list[dict[str, Any]]:
    """The newest record that holds rows of each job."""
    by_job: dict[str, dict[str, Any]] = {}
    records = [json.loads(path.read_text()) for path in RECORDS.glob("*.json")]
    for record in sorted(records, key=lambda one: one["date"]):
        for job in dict.fromkeys(row["job"] for row in record["rows"]):
            by_job[job] = {**record, "rows": [row for row in record["rows"] if row["job"] == job]}
    return list(by_job.values())


def section(record: dict[str, Any]) -> list[str]:
    """One job's table."""
    machine, rates = record["machine"], record["matrix_rate"]
    lines = [
        f"## {record['rows'][0]['job']}",
        "",
        f"{record['date'][:10]}; {machine['processor']}, {machine['cores']} cores, "
        f"{rates['float32'] / 1e9:.0f} GFLOP/s in float32 and {rates['bfloat16'] / 1e9:.0f} in bfloat16 (measured), "
        f"{record['turns']} turns a side; torch {record['versions']['torch']}. transformers' Trainer and "
        "sentence-transformers in float32 and bfloat16 run beside reknit ("
        + ", ".join(f"{name} {record['versions'][name]}" for name in ("transformers", "sentence-transformers"))
        + "); ONNX, OpenVINO and RetroMAE's collator, which need older ones, in an environment of their own ("
        + ", ".join(f"{name} {version}" for name, version in record["peer_versions"].items())
        + ").",
        "",
        "| work | reknit | peer | ratio | target | met | notes |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in record["rows"]:
        *figures, target, met = cells(Row.from_json(row))
        target = target.replace("<=", "at most").replace(">=", "at least")
        notes = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in row["notes"].items())
        lines.append(f"| {' | '.join((*figures, target, met.replace('no', '**no**')))} | {notes} |")
    return [*lines, ""]


def main() -> None:
    """Write the page."""
    PAGE.write_text("\n".join([HEAD, *(line for record in newest() for line in section(record))]), encoding="utf-8")


if __name__ == "__main__":
    main()
