"""`reknit bench`, `compare-adapt` and `frontier`: speed and quality, measured side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reknit.cli.options import write_record


def bench(
    job: Annotated[str, typer.Argument(help="What to measure: train, encode, data, index or all.")],
    against: Annotated[list[str] | None, typer.Option(help="A library to compare with; may be repeated.")] = None,
    turns: Annotated[int, typer.Option(help="Measurements of each library, taken in turns.")] = 5,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
) -> None:
    """Measure speed compared with other libraries, on this machine."""
    from rich.console import Console

    from reknit.bench.run import bench as measure
    from reknit.bench.run import show

    show(measure(job, against or (), turns=turns, json_file=json_file), Console())


def compare_adapt(
    data: Annotated[list[Path], typer.Argument(help="Labelled BEIR folders; the labels are used for evaluation only.")],
    start: Annotated[
        list[str] | None, typer.Option(help="Start model: folder or hub id; may be repeated, as for adapt.")
    ] = None,
    budget: Annotated[str, typer.Option(help="Time of each run.")] = "10m",
    seeds: Annotated[int, typer.Option(help="Runs of reknit adapt on each collection.")] = 3,
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="A training method of sentence-transformers: simcse, tsdae, mlm-simcse or title-body; may be repeated."
        ),
    ] = None,
    cores: Annotated[
        int | None, typer.Option(help="Cores of each run; as many runs at a time as fit (Linux only, without GPU).")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="File to write; if it exists, the comparison in it is resumed.")
    ] = None,
) -> None:
    """Measure what adaptation gains on labelled collections, compared with BM25, fusion and sentence-transformers."""
    from rich.console import Console

    from reknit.bench.adaptation import compare_adaptation
    from reknit.bench.adaptation_table import comparison_table
    from reknit.runs.config import DEFAULT_START

    record = compare_adaptation(
        data,
        start=start or DEFAULT_START,
        budget=budget,
        seeds=seeds,
        against=against or (),
        json_file=json_file,
        cores=cores,
    )
    comparison_table(record, Console())


def frontier(
    model: Annotated[str, typer.Argument(help="Model folder, run folder or hub id.")],
    data: Annotated[Path, typer.Option(help="A labelled BEIR folder.")],
    layers: Annotated[
        list[int] | None,
        typer.Option(help="Number of layers to measure; may be repeated. By default up to six, evenly spaced."),
    ] = None,
    dims: Annotated[
        list[int] | None,
        typer.Option(
            help="Number of dimensions to measure; may be repeated. By default all, half, a quarter ... down to 32."
        ),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the numbers to this file.")] = None,
) -> None:
    """Measure a model cut to fewer layers and dimensions: quality, speed and bytes of each size."""
    from rich.console import Console

    from reknit.bench.frontier import frontier as measure
    from reknit.bench.frontier import frontier_table
    from reknit.jobs.files import check_json_path
    from reknit.report.table import print_whole

    check_json_path(json_file)
    found = measure(model, data, layers or (), dims or ())
    print_whole(frontier_table(found), Console())
    write_record(json_file, found)
