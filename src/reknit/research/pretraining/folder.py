"""The folder of a comparison: started, resumed, overwritten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reknit.errors import ReknitError
from reknit.jobs.files import read_json, write_json
from reknit.jobs.folder import JobFolder
from reknit.research.outcomes import file_name
from reknit.research.pretraining.config import Arm, ComparisonConfig
from reknit.runs.config import to_json
from reknit.runs.run_folder import RunFolder


class ComparisonFolder(JobFolder):
    """What the arms share, and a run folder for each arm and seed."""

    kind = "comparison"
    own = ("data", "arms", "logs", "result.json", "report.html", "config.json")

    def __init__(self, path: Path | str) -> None:
        super().__init__(path)
        self.data = self.path / "data"
        self.logs = self.path / "logs"
        self.result = self.path / "result.json"
        self.report = self.path / "report.html"

    def run(self, arm: Arm, seed: int) -> RunFolder:
        """The folder of one arm with one seed."""
        return RunFolder(self.path / "arms" / file_name(arm.name) / f"seed-{seed}", data=self.data)

    def open(self, config: ComparisonConfig, *, resume: bool, overwrite: bool) -> None:
        """Make the folder ready, or raise ReknitError when it is not free for what is asked."""
        if self.is_taken():
            stored = read_json(self.config)
            if not isinstance(stored, dict) or "comparison" not in stored:
                raise ReknitError(f"{self.path} holds something other than a comparison: give a new folder with --out")
        self.check(resume=resume, overwrite=overwrite)
        wanted = to_json(config)
        if resume:
            # What could not be set yet when the comparison began is as it would have been.
            unset = ComparisonConfig(config.corpus, config.budget)
            before = _filled(to_json(unset), read_json(self.config)["comparison"])
            changed = [name for name, value in wanted.items() if before.get(name) != value]
            if before != wanted:
                raise ReknitError(
                    f"{self.path} was started with another {', '.join(changed)}: repeat its command with --resume; "
                    "only arms and seeds may be added"
                )
        self.make(overwrite=overwrite)
        write_json(self.config, {"comparison": wanted})


def _filled(template: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    """What was stored, and below it, at every depth, the template's value where a field is younger."""
    filled = template | stored
    return {
        name: _filled(template[name], value)
        if isinstance(value, dict) and isinstance(template.get(name), dict)
        else value
        for name, value in filled.items()
    }
