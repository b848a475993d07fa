"""`reknit recipes`, `settings`, `compare` and `claim`: the catalogue, and what is measured of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from reknit.cli.options import MaxBad, Overwrite, Processes, Resume, Set, settings_of


def recipes(
    name: Annotated[str | None, typer.Argument(help="Show this system's card.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the published systems by purpose, or show one of them."""
    from reknit.research.listing import describe, listing

    print(describe(name, as_json=as_json) if name else listing(as_json=as_json))


def settings(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Whose settings: a recipe, a method, compare, tune, explain or vocabulary; adapt by default."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List every setting that --set changes, with its default, its type and what it does."""
    from reknit.research.settings import settings_listing

    print(settings_listing(name, as_json=as_json))


def compare(
    recipes: Annotated[
        list[str],
        typer.Argument(
            help="Two or more arms: recipes (NAME:a.b=c sets one), your models (paths with a slash), or untrained."
        ),
    ],
    corpus: Annotated[str, typer.Option(help='Folder or file of texts, or "python-docs".')],
    out: Annotated[Path, typer.Option("--out", help="The folder to write; it keeps every trained model.")],
    budget: Annotated[str, typer.Option(help="Budget of each training: time (2m), tokens (5Mtok) or FLOPs (3Pflop).")],
    eval: Annotated[
        list[Path],
        typer.Option(
            "--eval", help="A labelled folder (search, classes, similarity or sentence pairs), or texts for perplexity."
        ),
    ],
    seeds: Annotated[int, typer.Option(help="Seeds: trainings of each recipe.")] = 3,
    processes: Processes = 1,
    resume: Resume = False,
    overwrite: Overwrite = False,
    max_bad: MaxBad = None,
    set: Set = None,
) -> None:
    """Compare objectives: same encoder, tokenizer, data order and budget; several seeds, with intervals."""
    from rich.console import Console

    from reknit.research.comparison import compare as job
    from reknit.research.table import show

    result = job(
        recipes,
        corpus,
        out,
        budget=budget,
        eval=eval,
        seeds=seeds,
        settings=settings_of(set, max_bad),
        resume=resume,
        overwrite=overwrite,
        processes=processes,
    )
    show(result, Console())
    print(f"\nreport: {out / 'report.html'}   models: {out / 'arms'}")


def claim(
    names: Annotated[list[str] | None, typer.Argument(help="Systems whose claims are measured.")] = None,
    size: Annotated[str, typer.Option(help="small (for two cores) or large (for one GPU).")] = "small",
    seeds: Annotated[
        int | None, typer.Option(help="Seeds: trainings of each arm; by default as many as the system's check names.")
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Budget of each training; by default that of the size.")] = None,
    data: Annotated[Path, typer.Option(help="The folder with the data sets.")] = Path("../shared/data"),
    out: Annotated[
        Path, typer.Option("--out", help="Folder of the trainings; a stopped measurement in it is resumed.")
    ] = Path("runs/claims"),
    device: Annotated[Literal["auto", "cpu"], typer.Option(help="auto takes a GPU where there is one.")] = "auto",
    records: Annotated[Path | None, typer.Option(help="Folder of the records; records/claims by default.")] = None,
    processes: Processes = 1,
    overwrite: Overwrite = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only print the estimated FLOPs and minutes; of all claims if none is named."),
    ] = False,
    fixtures: Annotated[
        bool,
        typer.Option("--fixtures", help="Train and measure the models that claims start from: all, or those in NAMES."),
    ] = False,
) -> None:
    """Measure the claims of published systems, with several seeds, a control, intervals and a verdict for each."""
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    from rich.console import Console

    from reknit.errors import ReknitError
    from reknit.research.claim_table import show_claim
    from reknit.research.claims import check_claims, checked_systems, plan_claim
    from reknit.research.forecast import show_forecast
    from reknit.research.listing import CLAIMS

    if fixtures and dry_run:
        raise ReknitError("--fixtures trains, and --dry-run does not: give one of them")
    if fixtures:
        from reknit.research.fixture_record import make_fixtures, shown

        for record in make_fixtures(names or [], data, out, records=records, processes=processes):
            print(shown(record))
        return
    if dry_run:
        show_forecast([plan_claim(name, size, seeds, budget) for name in names or checked_systems()], Console())
        return
    if not names:
        raise ReknitError("name the systems whose claims are to be measured; --dry-run lists them all")
    found = check_claims(
        names,
        data,
        out,
        size=size,
        seeds=seeds,
        budget=budget,
        records=records or CLAIMS,
        processes=processes,
        overwrite=overwrite,
    )
    for record in found:
        show_claim(record, Console())
