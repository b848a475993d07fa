"""`reknit vocabulary`: a model with a tokenizer trained on the corpus."""

from __future__ import annotations

from typing import Annotated

import typer

from reknit.cli.options import Eval, MaxBad, Out, Overwrite, Resume, Set, settings_of


def vocabulary(
    corpus: Annotated[str, typer.Argument(help='Folder or file of texts, or "python-docs".')],
    out: Out,
    start: Annotated[
        str | None, typer.Option(help="Start model: folder or hub id; all-MiniLM-L6-v2 by default.")
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="How embeddings of new tokens are made: a tokenizer transfer (see `reknit recipes`), or random."
        ),
    ] = "wechsel",
    budget: Annotated[
        str | None,
        typer.Option(help="Budget of masked language modelling after the transfer (10m, 5Mtok); none by default."),
    ] = None,
    eval: Eval = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    max_bad: MaxBad = None,
    set: Set = None,
) -> None:
    """Give a model a tokenizer trained on the corpus, and measure tokens per text and search before and after."""
    from rich.console import Console

    from reknit.runs.config import DEFAULT_START
    from reknit.vocabulary.job import vocabulary as job
    from reknit.vocabulary.table import show

    result = job(
        corpus,
        out,
        start=start or DEFAULT_START,
        method=method,
        budget=budget,
        eval=eval or (),
        settings=settings_of(set, max_bad),
        resume=resume,
        overwrite=overwrite,
    )
    show(result, Console())
    print(f"\nreport: {out / 'report.html'}   model: {out / 'model'}")
