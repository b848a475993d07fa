"""The run folder of `reknit tune`: written aside and renamed when it is whole."""

from __future__ import annotations

from pathlib import Path

from reknit.errors import ReknitError
from reknit.jobs.files import read_json
from reknit.tuning.result import KIND

RESULT, CONFIG, REPORT, MODEL = "result.json", "config.json", "report.html", "model"


def check_free(path: Path, *, overwrite: bool) -> None:
    """Raise ReknitError when the folder must not be written to."""
    if path.exists() and not path.is_dir():
        raise ReknitError(f"{path} is a file: give a folder with --out")
    if not path.exists() or not any(path.iterdir()):
        return
    stored = read_json(path / RESULT) if (path / RESULT).is_file() else {}
    if not isinstance(stored, dict) or stored.get("kind") != KIND:
        raise ReknitError(f"{path} is not empty and holds no tuned model: give a new folder with --out")
    if not overwrite:
        raise ReknitError(f"{path} already holds a tuned model: add --overwrite to replace it, or give another --out")
