"""`reknit claim`: does the claim of a paper hold here, over several seeds, in an experiment that shows its control?"""

from __future__ import annotations

import json
import shlex
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any

from reknit import catalogue
from reknit.claim import SIZES, ClaimCheck, Experiment, Pair, Size
from reknit.errors import ReknitError
from reknit.jobs.files import check_json_path, write_json
from reknit.jobs.interrupt import Interrupted, StopRequest, listen_for_stop
from reknit.jobs.machine import machine, versions
from reknit.recipe import System
from reknit.research.fixtures import find_fixture, train_fixture
from reknit.research.listing import record_path
from reknit.research.outcomes import ExperimentFolder, Made, describe, run_experiment
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit.research.processes import Job
from reknit.research.verdict import judge_check

LEAST_SEEDS = 3
"""For an interval that says anything; exact bounds need one."""


@dataclass(frozen=True)
class Plan:
    """What measuring one claim takes.

    experiment: with the size and the budget given. controls: the pairs that must be seen. command: what made it.
    """

    system: System
    check: ClaimCheck
    experiment: Experiment
    controls: tuple[Pair, ...]
    size: Size
    seeds: int
    command: str

    @property
    def name(self) -> str:
        return self.system.card.name

    @property
    def arms(self) -> list[str]:
        """Every arm once."""
        named = [arm for pair in (*self.controls, *self.check.pairs) for arm in (pair.second, pair.first)]
        return list(dict.fromkeys((*named, *(bound.arm for bound in self.check.bounds))))

    @property
    def jobs(self) -> list[Job]:
        """Every arm with every seed, a seed at a time."""
        return [Job(arm, seed) for seed in range(self.seeds) for arm in self.arms]


def plan_claim(name: str, size: str = "small", seeds: int | None = None, budget: str | None = None) -> Plan:
    """What measuring the claim of a system takes.

    seeds: of each arm; the check's own when None. budget: of each training; the experiment's own when None. Raises
    ReknitError for an unknown name or size, a system without a check, and too few seeds.
    """
    chosen = next((known for known in SIZES if known == size), None)
    if chosen is None:
        raise ReknitError(f"--size is {size!r}: choose one of {', '.join(SIZES)}")
    system = catalogue.find_system(name)
    check = system.check
    if check is None:
        raise ReknitError(f"the claim of {name} has no check yet; those that have: {', '.join(checked_systems())}")
    experiment = (check.experiment or PretrainingExperiment()).at(chosen)
    if budget is not None:
        experiment = experiment.with_budget(budget)
    if check.control is not None:
        controls: tuple[Pair, ...] = (check.control,)
    else:
        controls = experiment.controls(check.pairs) if check.pairs else ()
    wanted = check.seeds if seeds is None else seeds
    least = LEAST_SEEDS if controls or check.pairs else 1
    if wanted < least:
        raise ReknitError(f"--seeds is {wanted}: {name} needs {least} or more, for an interval of its differences")
    command = ["reknit", "claim", name, "--size", chosen, "--seeds", str(wanted)]
    command += [] if budget is None else ["--budget", budget]
    return Plan(system, check, experiment, controls, chosen, wanted, shlex.join(command))


def check_claims(
    names: Sequence[str],
    data: str | Path,
    out: str | Path,
    *,
    size: str = "small",
    seeds: int | None = None,
    budget: str | None = None,
    records: Path | None = None,
    processes: int = 1,
    overwrite: bool = False,
) -> list[dict[str, Any]]:
    """Measure the claims on the cards of systems, and return their records, which are also written to `records`.

    Claims that are measured alike (the same experiment) share a folder in `out`: an arm of several claims is trained
    once; finished outcomes are kept, or made anew with `overwrite`. data: the folder in which the experiments'
    inputs lie. processes: trainings at a time. Raises ReknitError as `plan_claim` and the experiments do and for
    missing data, and Interrupted after Ctrl-C with every finished outcome saved.
    """
    if processes < 1:
        raise ReknitError(f"--processes is {processes}: at least one is needed")
    plans = [plan_claim(name, size, seeds, budget) for name in dict.fromkeys(names)]
    data = Path(data)
    for plan in plans:
        if plan.check.start:
            find_fixture(plan.check.start)
    missing = [place for plan in plans for place in plan.experiment.inputs() if not (data / place).exists()]
    if missing:
        raise ReknitError(f"{data} has no {missing[0]}: name the folder that holds the data sets with --data")
    files = {plan.name: None if records is None else record_path(plan.name, size, records) for plan in plans}
    for file in files.values():
        check_json_path(file)
    found: dict[str, dict[str, Any]] = {}
    try:
        with listen_for_stop() as stop:
            plans = [started(plan, data, stop) for plan in plans]
            for name, members in measured_alike(plans).items():
                jobs = list(dict.fromkeys(chain.from_iterable(plan.jobs for plan in members)))
                made = run_experiment(
                    members[0].experiment,
                    sorted(jobs, key=lambda job: job.seed),
                    data,
                    ExperimentFolder(Path(out) / name),
                    stop,
                    processes=processes,
                    overwrite=overwrite,
                )
                for plan in members:
                    found[plan.name] = record_of(plan, made)
                    if (file := files[plan.name]) is not None:
                        write_json(file, found[plan.name])
    except KeyboardInterrupt:
        raise Interrupted("stopped") from None
    return [found[plan.name] for plan in plans]


def started(plan: Plan, data: Path, stop: StopRequest) -> Plan:
    """The plan with its arms starting from the fixture that the check names, which is trained where it is not there."""
    if not plan.check.start:
        return plan
    folder = train_fixture(find_fixture(plan.check.start), data, stop)
    return replace(plan, experiment=plan.experiment.with_start(folder / "model"))


def checked_systems() -> list[str]:
    """The systems whose claims can be checked."""
    return [name for name, system in catalogue.systems().items() if system.check is not None]


def measured_alike(plans: Sequence[Plan]) -> dict[str, list[Plan]]:
    """The plans that have the same experiment, by the name of the folder that they share."""
    alike: dict[str, list[Plan]] = {}
    for plan in plans:
        described = describe(plan.experiment)
        name = f"{described['kind']}-{plan.size}-{zlib.crc32(json.dumps(described).encode()):08x}"
        alike.setdefault(name, []).append(plan)
    return alike


def record_of(plan: Plan, made: Mapping[Job, Made]) -> dict[str, Any]:
    """What is kept of a claim that was measured: what was asked, what came of it, and every seed's values."""
    runs = {job: made[job] for job in plan.jobs}
    return {
        "name": plan.name,
        "size": plan.size,
        "claim": plan.system.card.claim,
        **judge_check(plan.check, plan.controls, values_of(runs), plan.experiment.lower_is_better),
        "measures": plan.check.measures,
        "second_arm": plan.check.second_arm,
        "needs": plan.check.needs,
        "start": plan.check.start,
        "seeds": plan.seeds,
        "experiment": describe(plan.experiment),
        "budget": plan.experiment.spends(),
        "arms": {arm: {"spent": _mean_spent(runs, arm)} for arm in plan.arms},
        "seconds": sum(one.seconds for one in runs.values()),
        "runs": [{**asdict(job), **asdict(one.outcome), "seconds": one.seconds} for job, one in runs.items()],
        "machine": machine(),
        "versions": versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": plan.command,
    }


def values_of(runs: Mapping[Job, Made]) -> dict[str, dict[str, list[float | None]]]:
    """{arm: {measure: [seeds]}}; None where a seed has no such measure."""
    by_arm: dict[str, list[dict[str, float | None]]] = {}
    for job in sorted(runs, key=lambda job: job.seed):
        by_arm.setdefault(job.arm, []).append(runs[job].outcome.values)
    labels = {arm: dict.fromkeys(chain.from_iterable(found)) for arm, found in by_arm.items()}
    return {arm: {label: [one.get(label) for one in found] for label in labels[arm]} for arm, found in by_arm.items()}


def _mean_spent(runs: Mapping[Job, Made], arm: str) -> dict[str, float]:
    spent = [one.outcome.spent for job, one in runs.items() if job.arm == arm]
    return {unit: fmean(one[unit] for one in spent) for unit in spent[0] if all(unit in one for one in spent)}
