"""Contestants do the same work in turns, each in a process of its own, and are compared pair by pair.

One run holds them all: the machine's speed drifts from minute to minute, and turns that alternate drift together.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import IO, Any, cast

from reknit.errors import ReknitError

logger = logging.getLogger("reknit")

PEERS = Path(__file__).parent / "peers"
# Names the Python that peers run with, when they live in an environment of their own.
PEER_PYTHON = "REKNIT_PEER_PYTHON"


@dataclass(frozen=True)
class Contestant:
    """One side: its name and what to run.

    script: a file of `peers/`, or a module of reknit ("reknit.bench...."). settings: what the script is given, as JSON.
    precision: the number format of its matrix products. older: whether it runs with the peers' own Python, where
        REKNIT_PEER_PYTHON names one.
    """

    name: str
    script: str
    settings: dict[str, Any]
    precision: str = "float32"
    older: bool = False

    def command(self) -> list[str]:
        """The interpreter and the script; the settings' file follows."""
        if self.script.startswith("reknit."):
            return [sys.executable, "-m", self.script]
        python = os.environ.get(PEER_PYTHON, sys.executable) if self.older else sys.executable
        return [python, str(PEERS / self.script)]


@dataclass
class Turns:
    """What one contestant did: a turn is {"seconds", "tokens", ...} as its script answered it."""

    contestant: Contestant
    ready: dict[str, Any]
    turns: list[dict[str, Any]] = field(default_factory=list)
    closing: dict[str, Any] = field(default_factory=dict)

    def rates(self, unit: str = "tokens") -> list[float]:
        """`unit` per second of each turn."""
        return [turn[unit] / turn["seconds"] for turn in self.turns]

    @property
    def peak_rss_mb(self) -> float:
        peak: float = max(line["peak_rss_mb"] for line in [self.ready, *self.turns])
        return peak


def hold(contestants: Sequence[Contestant], turns: int, folder: Path) -> list[Turns]:
    """Start all contestants, let each warm up alone, then give each `turns` turns, in alternating order.

    Raises ReknitError when a contestant's process fails, with the end of what it said.
    """
    processes: list[_Process] = []
    results: list[Turns] = []
    try:
        # One after the other: a process is started when the one before it is ready and at rest.
        for number, contestant in enumerate(contestants):
            processes.append(_Process(contestant, folder / f"contestant-{number}"))
            results.append(Turns(contestant, processes[-1].ready))
        pairs = list(zip(processes, results, strict=True))
        for number in range(turns):
            for process, result in pairs if number % 2 == 0 else reversed(pairs):
                result.turns.append(process.turn())
                logger.info("turn %d of %d, %s: %.2f s", number + 1, turns, process.contestant.name, _seconds(result))
        for process, result in pairs:
            result.closing = process.finish()
    finally:
        for process in processes:
            process.kill()
    return results


def ratios(ours: Turns, theirs: Turns, unit: str = "tokens") -> dict[str, float]:
    """Our rate over theirs, turn by turn: median, smallest and largest."""
    found = [a / b for a, b in zip(ours.rates(unit), theirs.rates(unit), strict=True)]
    return {"median": median(found), "least": min(found), "most": max(found)}


def _seconds(result: Turns) -> float:
    seconds: float = result.turns[-1]["seconds"]
    return seconds


class _Process:
    """A contestant's process; lines of JSON go both ways. It waits, loaded and warm, between its turns."""

    def __init__(self, contestant: Contestant, folder: Path) -> None:
        self.contestant = contestant
        folder.mkdir(parents=True)
        given = folder / "settings.json"
        given.write_text(json.dumps({**contestant.settings, "folder": str(folder)}), encoding="utf-8")
        self.said = folder / "said.txt"
        quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true", "PYTHONWARNINGS": "ignore"}
        with open(self.said, "w", encoding="utf-8") as said:
            self.process = subprocess.Popen(
                [*contestant.command(), str(given)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env={**os.environ, **quiet},
            )
        try:
            self.ready = self._read()
        except ReknitError:
            self.kill()
            raise

    def turn(self) -> dict[str, Any]:
        """Let it work once; what it did."""
        self._write("go")
        return self._read()

    def finish(self) -> dict[str, Any]:
        """End the process; what it says at the end, if anything."""
        self._write("stop")
        line = cast("IO[str]", self.process.stdout).readline()
        self.process.wait()
        return json.loads(line) if line else {}

    def kill(self) -> None:
        """End the process if it still runs, and close the pipes to it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):
                cast("IO[str]", pipe).close()

    def _read(self) -> dict[str, Any]:
        line = cast("IO[str]", self.process.stdout).readline()
        if not line:
            raise self._failure()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _write(self, line: str) -> None:
        pipe = cast("IO[str]", self.process.stdin)
        try:
            pipe.write(line + "\n")
            pipe.flush()
        except BrokenPipeError:
            raise self._failure() from None

    def _failure(self) -> ReknitError:
        self.process.wait()
        lines = [line.strip() for line in self.said.read_text(encoding="utf-8").splitlines() if line.strip()]
        hint = "; the peers need packages of their own: see benchmarks/peers.txt and `make bench`"
        missing = bool(lines) and "No module named" in lines[-1]
        said = lines[-1] if lines else "it said nothing"
        return ReknitError(f"{self.contestant.name} failed: {said}{hint if missing else ''}")
