"""What a model of the tokens' frequencies alone loses on the corpus of the claims about objectives.

    python benchmarks/measure_unigram.py [--data ../shared/data] [--out records/compare/unigram.json]

A language model that does not lose less has learnt nothing from contexts.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from reknit.jobs.files import write_json
from reknit.jobs.interrupt import StopRequest
from reknit.jobs.machine import machine, versions
from reknit.research.outcomes import describe
from reknit.research.pretraining.config import LOSS, UNIGRAM
from reknit.research.pretraining.experiment import PretrainingExperiment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("records/compare/unigram.json"))
    given = parser.parse_args()
    experiment = PretrainingExperiment().at("small")
    with tempfile.TemporaryDirectory() as folder:
        experiment.prepare(given.data, Path(folder), [UNIGRAM])
        loss = experiment.run(UNIGRAM, 0, given.data, Path(folder), StopRequest()).values[LOSS]
    assert loss is not None
    record = {
        "nats_per_token": loss,
        "perplexity": math.exp(loss),
        "experiment": describe(experiment),
        "machine": machine(),
        "versions": versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": "python benchmarks/measure_unigram.py",
    }
    write_json(given.out, record)
    print(f"{loss:.3f} nats a token, perplexity {math.exp(loss):,.0f}")


if __name__ == "__main__":
    main()
