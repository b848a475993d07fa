"""The real command line, run inside the test's process or as a process of its own, and what it must keep to."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from reknit.cli.main import main

# The smallest run that goes through every part.
SETTINGS = {
    "pretrain.encoder.dim": 32,
    "pretrain.encoder.depth": 2,
    "pretrain.encoder.heads": 2,
    "pretrain.encoder.intermediate": 64,
    "pretrain.encoder.vocabulary": 300,
    "pretrain.data.tokens_per_batch": 256,
    "tune.data.pairs_per_batch": 8,
    "probe.queries": 10,
    "probe.per_phase": 1,
    "precision": "float32",
}


def settings(*, without: str | None = None, **changes: Any) -> list[str]:
    """`--set` words of a tiny run, but for names that begin with `without` or are changed to None."""
    every = {name: value for name, value in (SETTINGS | changes).items() if value is not None}
    given = {name: value for name, value in every.items() if not (without and name.startswith(without))}
    return [word for name, value in given.items() for word in ("--set", f"{name}={value}")]


def adapt(corpus: Path | str, out: Path | str, *more: str, budget: str = "3000tok", **changes: Any) -> list[str]:
    """The words of a tiny `reknit adapt`: from scratch and pre-trained, or from the model of a `--start` and not."""
    given = "--start" in more
    start = [] if given else ["--start", "scratch", "--recipe", "dupmae"]
    words = settings(without="pretrain" if given else None, **changes)
    return ["adapt", str(corpus), "--out", str(out), *start, "--budget", budget, *words, *more]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def complaint(self, code: int = 2) -> str:
        """The one line that says what was wrong: the last on standard error, and the only one of its kind."""
        assert self.code == code, f"exit code {self.code}\n{self.err}"
        lines = self.err.splitlines()
        assert lines, "nothing on standard error"
        assert [line for line in lines if line.startswith("reknit: ")] == [lines[-1]], self.err
        assert "Traceback" not in self.err, self.err
        assert "Error" not in "".join(lines[:-1]), self.err
        return lines[-1].removeprefix("reknit: ")

    def succeeded(self) -> Ended:
        assert self.code == 0, self.err
        assert "Traceback" not in self.err
        assert not any(line.startswith("reknit: ") for line in self.err.splitlines()), self.err
        return self


def reknit(*words: Any) -> Ended:
    """Run `reknit.cli.main.main` here: as the command does, without the seconds that its imports take."""
    out, err = io.StringIO(), io.StringIO()
    code: Any = None
    logger = logging.getLogger("reknit")
    handlers, complains = list(logger.handlers), logging.raiseExceptions
    try:
        with (
            mock.patch.object(sys, "argv", ["reknit", *map(str, words)]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            main()
    except SystemExit as end:
        code = end.code
    finally:
        logger.handlers[:], logging.raiseExceptions = handlers, complains
    assert isinstance(code, int), "the command line did not end with an exit code"
    return Ended(code, out.getvalue(), err.getvalue())


def command(*words: Any) -> list[str]:
    return [sys.executable, "-m", "reknit", *map(str, words)]


def process(*words: Any, **options: Any) -> Ended:
    """Run the command as a process, for what a signal or a limit does to it."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command(*words), capture_output=True, text=True, env=environment, timeout=120, **options)
    return Ended(done.returncode, done.stdout, done.stderr)


def write_lines(path: Path, records: list[Any]) -> Path:
    """JSON lines; a string is written as it stands."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read_result(run: Path) -> dict[str, Any]:
    return json.loads((run / "result.json").read_text(encoding="utf-8"))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes: equal before and after means that nothing was lost."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
