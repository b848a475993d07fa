"""Options that several verbs have, and what all of them do with theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=C", help="Change a setting; may be repeated. `reknit settings` lists them."),
]
Eval = Annotated[list[Path] | None, typer.Option("--eval", help="A labelled BEIR folder; may be repeated.")]
Out = Annotated[Path, typer.Option("--out", help="The run folder to write.")]
Resume = Annotated[bool, typer.Option("--resume", help="With the command of before: go on with what --out holds.")]
Processes = Annotated[int, typer.Option(help="Trainings at a time, each in a process of its own.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what --out holds.")]
MaxBad = Annotated[int | None, typer.Option(help="Unreadable records to skip before giving up; 100 by default.")]
Ray = Annotated[bool, typer.Option("--ray", help="As a Ray Data job, here or on the cluster of RAY_ADDRESS.")]
Budget = Annotated[str | None, typer.Option(help="Time (10m, 90s), tokens (5Mtok) or FLOPs (3Pflop) for training.")]


def settings_of(assignments: list[str] | None, max_bad: int | None) -> list[str]:
    """All changes to settings that the words of a command make."""
    return [*([f"max_bad={max_bad}"] if max_bad is not None else []), *(assignments or [])]


def write_record(json_file: Path | None, record: dict[str, Any]) -> None:
    """Write a record with the machine and versions it was made by, where a file is asked for."""
    from reknit.jobs.files import write_json
    from reknit.jobs.machine import machine, versions

    if json_file:
        write_json(json_file, {**record, "machine": machine(), "versions": versions()})
