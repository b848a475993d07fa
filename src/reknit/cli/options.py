"""Options that several verbs have, and what all of them do with theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="A.B=C", help="Change a setting; may be repeated. `reknit settings` lists all settings."
    ),
]
Eval = Annotated[list[Path] | None, typer.Option("--eval", help="A labelled BEIR folder; may be repeated.")]
Out = Annotated[Path, typer.Option("--out", help="The run folder to write.")]
Resume = Annotated[bool, typer.Option("--resume", help="Resume the run in --out; repeat its original command.")]
Processes = Annotated[int, typer.Option(help="Trainings that run at a time, each in a separate process.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what --out holds.")]
MaxBad = Annotated[int | None, typer.Option(help="Stop after more unreadable records than this; 100 by default.")]
Ray = Annotated[
    bool, typer.Option("--ray", help="Run as a Ray Data job, on this machine or the cluster at RAY_ADDRESS.")
]
Budget = Annotated[
    str | None, typer.Option(help="Budget of training: time (10m, 90s), tokens (5Mtok) or FLOPs (3Pflop).")
]


def settings_of(assignments: list[str] | None, max_bad: int | None) -> list[str]:
    """All changes to settings that the options of a command make."""
    return [*([f"max_bad={max_bad}"] if max_bad is not None else []), *(assignments or [])]


def write_record(json_file: Path | None, record: dict[str, Any]) -> None:
    """Write a record, with the machine and the versions, where a file is given."""
    from reknit.jobs.files import write_json
    from reknit.jobs.machine import machine, versions

    if json_file:
        write_json(json_file, {**record, "machine": machine(), "versions": versions()})
