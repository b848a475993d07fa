"""Whether a fixture has learnt: its loss beside the unigram entropy, and itself beside an untrained encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reknit.claim import Pair
from reknit.jobs.files import write_json
from reknit.jobs.interrupt import Interrupted, StopRequest, listen_for_stop
from reknit.jobs.machine import machine, versions
from reknit.research.claims import values_of
from reknit.research.fixtures import FIXTURES, Fixture, facts_of, find_fixture, train_fixture
from reknit.research.outcomes import ExperimentFolder, describe, run_experiment
from reknit.research.pretraining.config import UNTRAINED
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit.research.processes import Job
from reknit.research.verdict import judge_control

RECORDS = Path("records") / "fixtures"
"""Where `reknit claim --fixtures` keeps its records, below the current folder."""

SEEDS = 3


def make_fixtures(
    names: Sequence[str], data: Path, out: Path, *, records: Path | None = None, processes: int = 1
) -> list[dict[str, Any]]:
    """Train the fixtures that are not in the cache, all of them when none is named, and measure each.

    out: where the comparison with an untrained encoder is trained, and resumed. records: where to write, RECORDS when
    None. Raises ReknitError as `train_fixture` does, and Interrupted after Ctrl-C with everything saved.
    """
    fixtures = [find_fixture(name) for name in names or FIXTURES]
    found = []
    try:
        with listen_for_stop() as stop:
            for fixture in fixtures:
                found.append(measure_fixture(fixture, data, out, stop, processes=processes))
                write_json((records or RECORDS) / f"{fixture.name}.json", found[-1])
    except KeyboardInterrupt:
        raise Interrupted("stopped") from None
    return found


def measure_fixture(
    fixture: Fixture,
    data: Path,
    out: Path,
    stop: StopRequest,
    *,
    processes: int = 1,
    experiment: PretrainingExperiment | None = None,
) -> dict[str, Any]:
    """The record of a fixture: what it is, its loss, and the difference to an untrained encoder of its shape.

    Both are tuned on the same pairs and measured alike, with SEEDS seeds of the tuning and of the random weights.
    experiment: how; the one of the claims about objectives, on the fixture's corpus, when None.
    """
    folder = train_fixture(fixture, data, stop)
    facts = facts_of(folder)
    experiment = experiment or PretrainingExperiment(corpus=fixture.corpus, settings=fixture.settings)
    trained = str(folder / "model")
    pair = Pair(trained, UNTRAINED)
    jobs = [Job(arm, seed) for seed in range(SEEDS) for arm in (UNTRAINED, trained)]
    made = run_experiment(experiment, jobs, data, ExperimentFolder(out / folder.name), stop, processes=processes)
    against = judge_control(pair, values_of(made), experiment.lower_is_better)
    return {
        "name": fixture.name,
        "folder": folder.name,
        "loss": facts["loss"],
        "unigram_entropy": facts["unigram_entropy"],
        "below_unigram": facts["loss"] is not None and facts["loss"] < facts["unigram_entropy"],
        "against_untrained": {name: against[name] for name in ("seen", "difference", "ci95")},
        "training": facts,
        "experiment": describe(experiment),
        "seeds": SEEDS,
        "runs": [
            {**asdict(job), "arm": fixture.name if job.arm == trained else job.arm, **asdict(one.outcome)}
            for job, one in made.items()
        ],
        "machine": machine(),
        "versions": versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": f"reknit claim --fixtures {fixture.name}",
    }


def shown(record: dict[str, Any]) -> str:
    """Whether the fixture has learnt, in two lines."""
    where = "below" if record["below_unigram"] else "not below"
    against, (low, high) = record["against_untrained"], record["against_untrained"]["ci95"]
    better = "better than" if against["seen"] else "not shown to be better than"
    return (
        f"{record['name']}: loss {record['loss']:.3f} nats a token, {where} the unigram entropy of "
        f"{record['unigram_entropy']:.3f}\n  {better} an untrained encoder: {against['difference']:+.3f} "
        f"[{low:+.3f}, {high:+.3f}] (mean of all measures, {record['seeds']} seeds)"
    )
