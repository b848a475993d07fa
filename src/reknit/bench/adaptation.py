"""`reknit compare-adapt`: what adaptation gives on labelled collections, beside what else a user could do.

For every collection: BM25, the start model and their reciprocal rank fusion; `reknit adapt` with its defaults, once a
seed, which sees the documents only; and training methods of sentence-transformers at the same budget. The labels judge,
and nothing else: they also tell whether the label-free verdict of each run was right.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from operator import itemgetter
from pathlib import Path
from statistics import mean, median
from typing import Any

from reknit.api import load_embedder
from reknit.bench.peer_adaptation import ROUTES
from reknit.bench.places import Places, run_module
from reknit.data.retrieval_set import RetrievalSet
from reknit.errors import ReknitError
from reknit.evaluation.beir import load_beir
from reknit.evaluation.metrics import values_of
from reknit.evaluation.retrieval import dense_search
from reknit.jobs.files import check_json_path, read_json, write_json
from reknit.jobs.machine import machine, versions
from reknit.jobs.typed_json import to_plain
from reknit.models.encode_texts import encoder_function
from reknit.retrieval.bm25 import BM25
from reknit.retrieval.fusion import reciprocal_rank_fusion
from reknit.retrieval.ranking import Rankings
from reknit.runs.result import RunResult
from reknit.runs.run_folder import RunFolder
from reknit.training.budget import parse_budget

logger = logging.getLogger("reknit")

METRIC = "nDCG@10"
HYBRID, START_HYBRID = "bm25+adapted", "bm25+start"
BASELINES = ("bm25", "start", "rrf")
RESULTS = ("start_hybrid", "plain", "adapted", "hybrid", "named", "best")


def compare_adaptation(
    data: Sequence[str | Path],
    *,
    start: str | Sequence[str],
    budget: str = "10m",
    seeds: int = 3,
    against: Sequence[str] = (),
    json_file: Path | None = None,
    cores: int | None = None,
) -> dict[str, Any]:
    """Measure everything on every BEIR folder of `data`; returns what `json_file` holds.

    start: the start model, or several; the baselines and the training methods of other libraries take the first.
    against: training methods of sentence-transformers, run once each. cores: number of cores for each run, without GPU;
    as many runs go at a time as there are cores for. None: one after another, with all there is. What `json_file`
    already holds is not measured again, so that hours of work can be stopped and resumed. Raises ReknitError for
    an unknown route or folder, a budget that is not a time, more cores than there are, a record of other settings, and
    a run that fails.
    """
    seconds = parse_budget(budget).seconds
    if seconds is None:
        raise ReknitError(f"--budget is {budget}: this comparison needs a time, such as 10m")
    unknown = [route for route in against if route not in ROUTES]
    if unknown:
        raise ReknitError(f"there is no training method {unknown[0]!r}; choose from {', '.join(ROUTES)}")
    check_json_path(json_file)
    collections = {Path(folder): load_beir(folder) for folder in data}
    starts = [start] if isinstance(start, str) else list(start)
    settings = {"start": " and ".join(map(_shown, starts)), "budget": budget, "budget_covers": "run"}
    record = _opened(json_file, settings)
    _add_baselines(record, collections, starts[0], json_file)
    places = Places(cores)

    def measure(job: _Job) -> dict[str, Any]:
        with places.one() as place:
            logger.info("%s: %s", job.folder.name, job.said)
            if job.route is None:
                found = _adapted(job.folder, starts, budget, job.seed, place)
            else:
                found = _peer(job.folder, collections[job.folder], starts[0], seconds, job.route, place)
            return found | _where(place)

    with ThreadPoolExecutor(places.number) as pool:
        waiting = {pool.submit(measure, job): job for job in _left(record, list(collections), seeds, against)}
        try:
            for ended in as_completed(waiting):
                _add(record, waiting[ended], ended.result())
                _keep(record, json_file)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    record["summary"] = summary(record)
    _keep(record, json_file)
    return record


@dataclass(frozen=True)
class _Job:
    """One training on one collection: a run of reknit with a seed, or a training method of sentence-transformers."""

    folder: Path
    seed: int = 0
    route: str | None = None

    @property
    def said(self) -> str:
        return f"reknit adapt, seed {self.seed}" if self.route is None else f"sentence-transformers, {self.route}"


def _add_baselines(
    record: dict[str, Any], collections: dict[Path, RetrievalSet], start: str, json_file: Path | None
) -> None:
    """Measure what needs no training, where the record does not have it."""
    for folder, collection in collections.items():
        found = record["collections"].setdefault(folder.name, {"runs": [], "peers": {}})
        if "baselines" not in found:
            found |= {"queries": len(collection.queries), "documents": len(collection.documents)}
            found["baselines"] = _baselines(collection, start)
            _keep(record, json_file)


def _left(record: dict[str, Any], folders: list[Path], seeds: int, against: Sequence[str]) -> list[_Job]:
    """What the record does not have: every collection with one seed, then with the next, so that what is stopped early
    says something of all."""
    collected = record["collections"]
    done = {name: [run["seed"] for run in found["runs"]] for name, found in collected.items()}
    ours = [_Job(folder, seed) for seed, folder in product(range(seeds), folders) if seed not in done[folder.name]]
    return ours + [
        _Job(folder, route=route)
        for route, folder in product(against, folders)
        if route not in collected[folder.name]["peers"]
    ]


def _add(record: dict[str, Any], job: _Job, found: dict[str, Any]) -> None:
    collected = record["collections"][job.folder.name]
    if job.route is None:
        collected["runs"] = sorted([*collected["runs"], found], key=itemgetter("seed"))
    else:
        collected["peers"][job.route] = found


def columns(record: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    """{system: {collection: its values, one a seed}}, as far as they have been measured."""
    found = record["collections"]
    values = {name: {of: [one["baselines"][name]] for of, one in found.items()} for name in BASELINES}
    for route in sorted({route for one in found.values() for route in one["peers"]}):
        values[route] = {of: [one["peers"][route]["value"]] for of, one in found.items() if route in one["peers"]}
    for name in RESULTS:
        # Runs of older versions do not have all of them; a median over some of the seeds would be no row of the table.
        values[name] = {
            of: [run[name] for run in one["runs"]]
            for of, one in found.items()
            if one["runs"] and all(name in run for run in one["runs"])
        }
    return {name: of for name, of in values.items() if of}


def summary(record: dict[str, Any]) -> dict[str, Any]:
    """Means over the collections, of the medians over the seeds, and how often the label-free verdict was right."""
    found = list(record["collections"].values())
    whole = {name: values for name, values in columns(record).items() if len(values) == len(found)}
    runs = [run for one in found for run in one["runs"]]
    better = [run["adapted"] > one["baselines"]["start"] for one in found for run in one["runs"]]
    says = [run["probe_verdict"] == "adapted" for run in runs]
    return {
        "means": {name: mean(map(median, values.values())) for name, values in whole.items()},
        "best_of_three": mean(max(one["baselines"].values()) for one in found),
        "probe_verdicts": {
            "right": sum(a == b for a, b in zip(better, says, strict=True)),
            "adapted_though_worse": sum(b and not a for a, b in zip(better, says, strict=True)),
            "start_though_worse": sum(a and not b for a, b in zip(better, says, strict=True)),
            "runs": len(runs),
        },
    }


def _where(place: list[int]) -> dict[str, Any]:
    # A comparison of hours may be resumed on another machine.
    found = machine()
    return {
        "processor": found["processor"] if place else found.get("accelerator", found["processor"]),
        "cores": len(place) or found["cores"],
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _opened(json_file: Path | None, settings: dict[str, Any]) -> dict[str, Any]:
    if json_file is None or not json_file.exists():
        return {**settings, "collections": {}}
    record: dict[str, Any] = read_json(json_file)
    for name, value in settings.items():
        if record.get(name) != value:
            raise ReknitError(f"{json_file} holds a comparison with {name} {record.get(name)!r}: name another file")
    return record


def _keep(record: dict[str, Any], json_file: Path | None) -> None:
    record |= {
        "command": " ".join(["reknit", *sys.argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
    }
    if json_file is not None:
        write_json(json_file, record)


def _value(run: Rankings, collection: RetrievalSet) -> float:
    return mean(values_of(run, collection, METRIC))


def _dense(collection: RetrievalSet, model: str | Path) -> Rankings:
    return dense_search(collection, encoder_function(load_embedder(model)))


def _baselines(collection: RetrievalSet, start: str) -> dict[str, float]:
    # BM25 as other libraries have it: identifiers are words like any other.
    bm25 = BM25(collection.documents, split_identifiers=False).search(collection.queries)
    dense = _dense(collection, start)
    fused = reciprocal_rank_fusion([bm25, dense])
    return {name: _value(run, collection) for name, run in zip(BASELINES, (bm25, dense, fused), strict=True)}


def _shown(start: str) -> str:
    """A folder by its end: where it lies says something of this machine alone."""
    return "/".join(Path(start).parts[-2:]) if Path(start).exists() else start


def _adapted(folder: Path, starts: Sequence[str], budget: str, seed: int, place: list[int]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as made:
        out = Path(made) / "run"
        words = ["adapt", folder, "--out", out, "--budget", budget]
        words += [part for start in starts for part in ("--start", start)]
        seconds = run_module(["reknit", *words, "--set", f"seed={seed}", "--eval", folder], place)
        result = RunFolder(out).found()
    assert result is not None
    return {"seed": seed, **found_by_run(result), "seconds": seconds}


def found_by_run(result: RunResult) -> dict[str, Any]:
    """What the record holds of a run that was judged by one labelled collection."""
    probe, labelled, *_ = result.evaluations
    labels = {name: row[METRIC].value for name, row in labelled.rows.items()}
    named = result.probe_system_verdict
    assert result.verdict is not None
    assert result.probe_verdict is not None
    return {
        # Without an expansion both are one model.
        "plain": labelled.rows.get("plain", labelled.rows["adapted"])[METRIC].value,
        "adapted": labelled.rows["adapted"][METRIC].value,
        "hybrid": labelled.rows[HYBRID][METRIC].value,
        # Of several start models the best one's.
        "start_hybrid": max(value for name, value in labels.items() if _is_start_hybrid(name)),
        **({"named": labels[named.use], "named_system": named.use, "named_gain": named.difference} if named else {}),
        "student": _shown(result.start),
        "best": max(labels.values()),
        "best_system": max(labels, key=labels.__getitem__),
        "teacher": to_plain(result.teacher),
        "hybrid_weight": labelled.systems[HYBRID].vector_weight,
        "start_hybrid_weight": labelled.systems[START_HYBRID].vector_weight,
        # So that another way to choose the weight can be tried on this record.
        "hybrid_by_weight": {what: of.by_weight[HYBRID] for what, of in (("probe", probe), ("labels", labelled))},
        "query_expansion": to_plain(result.query_expansion),
        "kept_share": result.training.kept_share,
        "probe": {name: row[METRIC].value for name, row in probe.rows.items()},
        "labels": labels,
        "costs": to_plain(result.costs),
        "probe_verdict": result.probe_verdict.use,
        "verdict": result.verdict.use,
        "training_seconds": result.training.seconds,
    }


def _is_start_hybrid(name: str) -> bool:
    """Whether a system is words and one start model's vectors, as they are."""
    words, *models = name.split("+")
    if words != "bm25" or len(models) != 1:
        return False
    return models[0] not in ("adapted", "plain") and not models[0].endswith("_expanded")


def _peer(
    folder: Path, collection: RetrievalSet, start: str, budget: float, route: str, place: list[int]
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as made:
        out = Path(made) / "model"
        words = [route, folder, out, start, budget, 0]
        seconds = run_module(["reknit.bench.peer_adaptation", *words], place)
        return {"value": _value(_dense(collection, out), collection), "seconds": seconds}
