"""metrics.jsonl: one line a step and one a probe, exact enough to compare two runs bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reknit.jobs.files import disk_full_explained, written_aside


class MetricsLog:
    """Appends JSON lines; on resume, lines after the resumed step of a phase are dropped first."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, **line: Any) -> None:
        with disk_full_explained(str(self.path)), open(self.path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")

    def rewind(self, phase: str, step: int, finished: tuple[str, ...]) -> None:
        """Keep the lines of `finished` phases and those of `phase` up to `step`; drop the rest."""
        kept = [
            line
            for line in self.read()
            if line["phase"] in finished or (line["phase"] == phase and line["step"] <= step)
        ]
        with written_aside(self.path) as aside:
            aside.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")

    def read(self) -> list[dict[str, Any]]:
        """All complete lines; a last line cut by a kill is left out."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]


class SilentLog(MetricsLog):
    """The log of a process whose steps another one writes down."""

    def write(self, **line: Any) -> None:
        pass

    def rewind(self, phase: str, step: int, finished: tuple[str, ...]) -> None:
        pass
