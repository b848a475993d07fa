"""`reknit compare`: objectives at one budget, with everything else the same."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from reknit.claim import EVERY_MEASURE
from reknit.errors import ReknitError
from reknit.evaluation.measures import lower_is_better
from reknit.jobs.files import write_json
from reknit.jobs.interrupt import Interrupted, StopRequest, listen_for_stop
from reknit.jobs.machine import machine, versions
from reknit.research.page import write_page
from reknit.research.pretraining.arm import run_arm
from reknit.research.pretraining.config import Arm, ComparisonConfig, parse_arm, parse_arms
from reknit.research.pretraining.folder import ComparisonFolder
from reknit.research.pretraining.material import Material, prepare_comparison
from reknit.research.processes import Job, RunJob, run_in_processes
from reknit.research.statistics import interval, mean_ranks, paired_interval
from reknit.runs.config import to_json, with_overrides
from reknit.training.budget import format_budget, parse_budget

logger = logging.getLogger("reknit")


def compare(
    recipes: Sequence[str],
    corpus: str | Path,
    out: str | Path,
    *,
    budget: str,
    eval: Sequence[str | Path],
    seeds: int = 3,
    settings: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    processes: int = 1,
) -> dict[str, Any]:
    """Train every recipe with every seed, measure all, and return what result.json in the folder `out` holds.

    recipes: arms as `parse_arms` reads them; the first is what the others are compared with. budget: of each training,
    such as "2m", "5Mtok" or "3Pflop"; FLOPs count generators, teachers and decoders. eval: what to measure by, see
    `open_measures`. settings: `a.b=c` changes to any field of ComparisonConfig. resume: continue what `out` holds, to
    which arms and seeds may be added. processes: trainings at a time, see `run_in_processes`. Raises ReknitError on bad
    input, and Interrupted after Ctrl-C with everything saved.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ReknitError("a comparison trains in one process: start it without torchrun")
    out, arms = Path(out), parse_arms(recipes)
    config = ComparisonConfig(str(corpus), parse_budget(budget), tuple(str(folder) for folder in eval))
    config = with_overrides(config, tuple(settings))
    if not config.eval:
        raise ReknitError("a comparison needs something to measure by: name labelled folders or texts with --eval")
    if processes < 1:
        raise ReknitError(f"--processes is {processes}: at least one is needed")
    if seeds < 1:
        raise ReknitError(f"--seeds is {seeds}: at least one is needed")
    folder = ComparisonFolder(out)
    try:
        with listen_for_stop() as stop:
            material = prepare_comparison(arms, config, folder, resume=resume, overwrite=overwrite)
            jobs = [Job(arm.name, seed) for seed in range(seeds) for arm in arms]
            if processes > 1:
                runs = run_in_processes(jobs, partial(_begin, config, folder.path), folder.logs, processes, stop)
            else:
                runs = [_run(config, folder, material, job, stop) for job in jobs]
    except KeyboardInterrupt:
        raise Interrupted("stopped") from None
    names = [arm.name for arm in arms]
    result = {
        "command": _command(arms, config, out, seeds, settings),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": to_json(config),
        "arms": names,
        "seeds": seeds,
        "corpus": material.size,
        "machine": machine(),
        "versions": versions(),
        "runs": runs,
        "summary": summary(runs, names),
    }
    write_page(folder.report, result)
    write_json(folder.result, result)
    return result


def summary(runs: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """For each arm the mean of each measure over the seeds, its difference to the first arm seed by seed, and ranks.

    "all" is the mean over the measures that every arm has, without perplexities, and ranks are by all that every arm
    has. A measure that an arm does not have (there is no language model) is None there.
    """
    common = common_labels(runs)
    values = {
        name: {label: measured(runs, name, label) for label in (*runs[0]["values"], EVERY_MEASURE)} for name in names
    }
    first = values[names[0]]
    ranks = mean_ranks(
        np.array([[values[name][label] for label in common] for name in names]), [*map(lower_is_better, common)]
    )
    return {
        name: {
            "values": {label: _summed(found) for label, found in values[name].items()},
            "against_first": {label: _compared(found, first[label]) for label, found in values[name].items()},
            "mean_rank": float(rank),
            "spent": {
                unit: mean(run["training"][unit] for run in runs if run["arm"] == name)
                for unit in ("tokens", "flops", "seconds")
            },
        }
        for name, rank in zip(names, ranks, strict=True)
    }


def measured(runs: Sequence[dict[str, Any]], arm: str, label: str) -> list[float | None]:
    """[seeds] the values of one arm in the order of the seeds, or their means (EVERY_MEASURE) over what all have.

    Perplexities have no upper end and are better when lower: they are not among what the mean is of.
    """
    own = sorted((run for run in runs if run["arm"] == arm), key=lambda run: run["seed"])
    if label != EVERY_MEASURE:
        return [run["values"][label] for run in own]
    common = [found for found in common_labels(runs) if not lower_is_better(found)]
    return [mean(run["values"][name] for name in common) for run in own]


def common_labels(runs: Sequence[dict[str, Any]]) -> list[str]:
    """The measures that every run has."""
    return [label for label in runs[0]["values"] if all(run["values"][label] is not None for run in runs)]


def _begin(config: ComparisonConfig, folder: Path) -> RunJob[dict[str, Any]]:
    """In a process of its own: what all its jobs share, opened once."""
    found = ComparisonFolder(folder)
    return partial(_run, config, found, Material.prepared(config, found))


def _run(
    config: ComparisonConfig, folder: ComparisonFolder, material: Material, job: Job, stop: StopRequest
) -> dict[str, Any]:
    if stop.asked:
        raise Interrupted("stopped between two trainings")
    logger.info("seed %d, %s", job.seed, job.arm)
    arm = parse_arm(job.arm)
    return run_arm(arm, config, job.seed, folder.run(arm, job.seed), material, stop)


def _summed(values: list[float | None]) -> dict[str, Any] | None:
    there = [value for value in values if value is not None]
    return interval(there).to_json() if len(there) == len(values) else None


def _compared(values: list[float | None], first: list[float | None]) -> dict[str, Any] | None:
    pairs = [(a, b) for a, b in zip(values, first, strict=True) if a is not None and b is not None]
    if len(pairs) < len(values):
        return None
    return paired_interval([a for a, _ in pairs], [b for _, b in pairs]).to_json()


def _command(arms: Sequence[Arm], config: ComparisonConfig, out: Path, seeds: int, settings: Sequence[str]) -> str:
    words = ["reknit", "compare", *(arm.name for arm in arms), "--corpus", config.corpus, "--out", str(out)]
    words += ["--budget", format_budget(config.budget), "--seeds", str(seeds)]
    for name, values in (("--eval", config.eval), ("--set", settings)):
        words += [part for value in values for part in (name, value)]
    return shlex.join(words)
