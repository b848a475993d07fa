"""`reknit explain`: what a model responds to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reknit.cli.options import MaxBad, Out, Overwrite, Resume, Set, settings_of


def explain(
    model: Annotated[str, typer.Argument(help="Model folder, run folder or hub id.")],
    corpus: Annotated[str, typer.Option(help='Folder or file of texts, or "python-docs".')],
    out: Out,
    method: Annotated[str, typer.Option(help="A feature model; `reknit recipes` lists them.")] = "topk-sae",
    query: Annotated[
        str | None, typer.Option(help="Also show which features contribute to the first hit of this query.")
    ] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    max_bad: MaxBad = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    set: Set = None,
) -> None:
    """Show what a model responds to: features with their words and passages, and whether these can be trusted."""
    import json

    from rich.console import Console

    from reknit.explanation.job import explain as job
    from reknit.explanation.table import show

    settings = settings_of(set, max_bad)
    result = job(model, corpus, out, method=method, query=query, settings=settings, resume=resume, overwrite=overwrite)
    if as_json:
        print(json.dumps(result.to_json(), ensure_ascii=False, indent=2))
        return
    show(result, Console())
    print(f"\nreport: {Path(out) / 'report.html'}   features: {Path(out) / 'features'}")
