"""The outcomes of an experiment: each arm with each seed, written as soon as it is made."""

from __future__ import annotations

import logging
import re
import time
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from reknit.claim import Experiment, Outcome
from reknit.errors import ReknitError
from reknit.jobs.files import read_json, write_json
from reknit.jobs.folder import JobFolder
from reknit.jobs.interrupt import Interrupted, StopRequest
from reknit.research.processes import Job, run_in_processes
from reknit.runs.config import to_json

logger = logging.getLogger("reknit")


class ExperimentFolder(JobFolder):
    """material: what the experiment prepares and leaves. outcomes: a file for each arm and seed."""

    kind = "experiment"
    own = ("material", "outcomes", "logs", "config.json")

    def __init__(self, path: Path | str) -> None:
        super().__init__(path)
        self.material = self.path / "material"
        self.outcomes = self.path / "outcomes"
        self.logs = self.path / "logs"

    def outcome(self, job: Job) -> Path:
        """The file of one arm with one seed."""
        return self.outcomes / file_name(job.arm) / f"seed-{job.seed}.json"

    def open(self, experiment: Experiment, *, overwrite: bool) -> bool:
        """Make the folder ready for the experiment; returns whether it resumes what is there.

        Raises ReknitError when the folder holds something else, or another experiment.
        """
        resume = self.is_taken() and not overwrite
        self.check(resume=resume, overwrite=overwrite)
        wanted = {"experiment": describe(experiment)}
        if resume and read_json(self.config) != wanted:
            raise ReknitError(f"{self.path} holds another experiment: give another --out, or add --overwrite")
        self.make(overwrite=overwrite)
        for folder in (self.material, self.outcomes):
            folder.mkdir(exist_ok=True)
        write_json(self.config, wanted)
        return resume


@dataclass(frozen=True)
class Made:
    """An outcome and the seconds that training and measuring took (after a stop, since it was resumed)."""

    outcome: Outcome
    seconds: float


def describe(experiment: Experiment) -> dict[str, object]:
    """The experiment's kind and settings as plain JSON values."""
    return {"kind": type(experiment).__name__, **to_json(experiment)}


def file_name(arm: str) -> str:
    """A name for files of the arm, different for each arm."""
    plain = re.sub(r"[^\w.=-]", "_", arm)
    return plain if plain == arm else f"{plain}-{zlib.crc32(arm.encode()):08x}"


def run_experiment(
    experiment: Experiment,
    jobs: Sequence[Job],
    data: Path,
    folder: ExperimentFolder,
    stop: StopRequest,
    *,
    processes: int = 1,
    overwrite: bool = False,
) -> dict[Job, Made]:
    """Run the jobs of which `folder` has no outcome yet, and return all.

    Raises what the experiment raises, and Interrupted on a stop request: every outcome made so far is written.
    """
    resume = folder.open(experiment, overwrite=overwrite)
    missing = [job for job in jobs if not folder.outcome(job).exists()]
    if missing:
        with folder.preparing(resume=resume):
            experiment.prepare(data, folder.material, list(dict.fromkeys(job.arm for job in jobs)))
        begin = partial(_begin, experiment, data, folder.path)
        if processes > 1:
            run_in_processes(missing, begin, folder.logs, processes, stop)
        else:
            run = begin()
            for job in missing:
                if stop.asked:
                    raise Interrupted("stopped between two trainings")
                logger.info("seed %d, %s", job.seed, job.arm)
                run(job, stop)
    return {job: _read(folder.outcome(job)) for job in jobs}


class _Runner:
    """Runs jobs in one process, and writes each outcome when it is made."""

    def __init__(self, experiment: Experiment, data: Path, folder: ExperimentFolder) -> None:
        self.experiment, self.data, self.folder = experiment, data, folder

    def __call__(self, job: Job, stop: StopRequest) -> None:
        began = time.perf_counter()
        outcome = self.experiment.run(job.arm, job.seed, self.data, self.folder.material, stop)
        seconds = time.perf_counter() - began
        values = {name: None if value is None else float(value) for name, value in outcome.values.items()}
        outcome = replace(outcome, values=values)
        write_json(self.folder.outcome(job), {**asdict(job), **asdict(outcome), "seconds": seconds})


def _begin(experiment: Experiment, data: Path, folder: Path) -> _Runner:
    return _Runner(experiment, data, ExperimentFolder(folder))


def _read(path: Path) -> Made:
    stored = read_json(path)
    return Made(Outcome(stored["values"], stored["spent"], stored["curve"]), stored["seconds"])
