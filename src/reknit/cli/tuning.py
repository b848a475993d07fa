"""`reknit tune`: adapt a model to labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reknit.cli.options import Out, Overwrite, Set


def tune(
    model: Annotated[str, typer.Argument(help="Model folder, run folder or hub id.")],
    labels: Annotated[
        Path, typer.Argument(help="A .tsv with the columns label and text, or a folder with train.tsv and test.tsv.")
    ],
    out: Out,
    method: Annotated[
        str | None,
        typer.Option(help="An adapter such as lora (the default), bitfit or prefix; `reknit recipes` lists them."),
    ] = None,
    overwrite: Overwrite = False,
    set: Set = None,
) -> None:
    """Adapt a model to labelled texts by an adapter, and compare it with a linear layer on the unchanged model."""
    from rich.console import Console

    from reknit.tuning.job import tune as job
    from reknit.tuning.table import show

    result = job(model, labels, out, method=method, settings=set or (), overwrite=overwrite)
    show(result, Console())
    print(f"\nreport: {out / 'report.html'}   model: {out / 'model'}")
