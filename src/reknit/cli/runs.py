"""`reknit adapt` and `pretrain`: train a model on a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from reknit.cli.options import Budget, Eval, MaxBad, Out, Overwrite, Resume, Set, settings_of
from reknit.errors import ReknitError


def adapt(
    corpus: Annotated[str, typer.Argument(help='Folder or file of texts, or "python-docs".')],
    out: Out,
    start: Annotated[
        list[str] | None,
        typer.Option(
            help='Start model: folder, hub id, or "scratch" for a new one; all-MiniLM-L6-v2 by default. May be '
            "repeated: the best is trained, and the best of the others is searched with beside it."
        ),
    ] = None,
    have: Annotated[
        Literal["bm25", "start", "hybrid"] | None,
        typer.Option(help="What you search with today: words, the start model, or both (the default)."),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="A stronger model that teaches and is not searched with: folder or hub id.")
    ] = None,
    answers: Annotated[
        Literal["one", "many"] | None,
        typer.Option(
            help="How many documents usually answer a query; with many, a second search takes up the first hits."
        ),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(help="Log of what users asked: .txt, .tsv or .jsonl, a query a line, perhaps a count."),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(help="Clicks or labels: .tsv or .jsonl of a query, a document's id, perhaps a weight."),
    ] = None,
    show_queries: Annotated[
        bool, typer.Option("--show-queries", help="Show some of the users' queries in the report.")
    ] = False,
    recipe: Annotated[str | None, typer.Option(help="Pre-train by this recipe first, such as dupmae.")] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Time for the whole run (10m, 90s), or what training may spend (5Mtok, 3Pflop)."),
    ] = "10m",
    eval: Eval = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only read the corpus and print how the time would be spent.")
    ] = False,
    max_bad: MaxBad = None,
    set: Set = None,
) -> None:
    """Adapt a search model to a corpus: train, give a verdict, export, index, report."""
    from reknit.adaptation.job import adapt_config, plan, run
    from reknit.adaptation.kinds import show_result
    from reknit.runs.config import DEFAULT_START

    settings = settings_of(set, max_bad) + (["show_queries=true"] if show_queries else [])
    config = adapt_config(
        corpus,
        start or DEFAULT_START,
        recipe,
        budget or "10m",
        eval or (),
        have=have,
        queries=queries,
        pairs=pairs,
        answers=answers,
        teacher=teacher,
    )
    if not dry_run:
        show_result(run(config, out, settings=settings, resume=resume, overwrite=overwrite), out)
    elif resume or overwrite:
        raise ReknitError("--dry-run writes nothing: leave --resume and --overwrite out")
    else:
        print("\n".join(plan(config, out, settings=settings).lines()))


def pretrain(
    recipe: Annotated[str, typer.Argument(help="A name from `reknit recipes`.")],
    corpus: Annotated[str, typer.Option(help='Folder or file of what the recipe reads, or "python-docs".')],
    out: Out,
    start: Annotated[str, typer.Option(help='Start model: folder, hub id, or "scratch" for a new one.')] = "scratch",
    budget: Budget = None,
    eval: Eval = None,
    index: Annotated[bool, typer.Option("--index", help="Also index the texts, for `reknit search`.")] = False,
    resume: Resume = False,
    overwrite: Overwrite = False,
    max_bad: MaxBad = None,
    set: Set = None,
) -> None:
    """Train an encoder by one recipe and export it; `reknit recipes NAME` says how the recipe differs from the paper.

    With --eval the model is compared with the one it started from, which gives a verdict.
    """
    from reknit.adaptation.job import pretrain as job
    from reknit.adaptation.kinds import show_result

    result = job(
        recipe,
        corpus,
        out,
        start=start,
        budget=budget,
        eval=eval or (),
        index=index,
        settings=settings_of(set, max_bad),
        resume=resume,
        overwrite=overwrite,
    )
    show_result(result, out)
