"""`reknit evaluate`, `search` and `export`: use a model or a run."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from reknit.cli.options import write_record
from reknit.errors import ReknitError


def evaluate(
    model: Annotated[str, typer.Argument(help="Model folder, run folder or hub id; reknit need not have made it.")],
    data: Annotated[list[Path], typer.Option(help="A labelled BEIR folder; may be repeated.")],
    baseline: Annotated[list[str] | None, typer.Option(help="Another model to compare with; may be repeated.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the numbers to this file.")] = None,
) -> None:
    """Measure a model on labelled data, compared with random order, BM25 and other models, with intervals."""
    from rich.console import Console

    from reknit.api import evaluate as measure
    from reknit.jobs.files import check_json_path
    from reknit.report.table import evaluation_tables

    check_json_path(json_file)
    found = measure(model, data, baselines=baseline or ())
    evaluation_tables(found, Console())
    write_record(json_file, {"model": model, "evaluations": [one.to_json() for one in found]})


def search(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    query: Annotated[str, typer.Argument(help="What to look for.")],
    top: Annotated[int, typer.Option(help="Number of results, at most.")] = 10,
    mode: Annotated[
        Literal["dense", "text", "hybrid"] | None,
        typer.Option(
            help="Search by the vectors of model/ (dense), by words (text) or by words and vectors (hybrid); by "
            "default as the run's verdict says."
        ),
    ] = None,
    layers: Annotated[int | None, typer.Option(help="Encode the query with the first LAYERS layers only.")] = None,
    dims: Annotated[
        int | None, typer.Option(help="Find candidates by the first DIMS dimensions, then rank them by all.")
    ] = None,
    binary: Annotated[
        bool,
        typer.Option(
            "--binary", help="Find candidates by the signs of all dimensions, then rank them by their values."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Search the index of a run; with an elastic model, also by fewer layers or dimensions."""
    if binary and dims is not None:
        raise ReknitError("--dims and --binary both choose candidates: give one of them")
    if mode == "text" and (binary or dims is not None or layers is not None):
        raise ReknitError("--mode text uses no vectors: leave --layers, --dims and --binary out")
    with _uncollected():
        from reknit.runs.search import search_run

        first_pass: Any = "binary" if binary else dims
        hits = search_run(run, query, top=top, mode=mode, layers=layers, first_pass=first_pass)
    if as_json:
        print(json.dumps(hits, ensure_ascii=False, indent=2))
        return
    for rank, hit in enumerate(hits, 1):
        text = " ".join(hit["text"].split())
        print(f"{rank:2}. {hit['score']:.4f}  [{hit['id']}] {hit['title']}")
        print(f"    {text[:200]}{'…' if len(text) > 200 else ''}")
    if not hits:
        print("nothing found")


def export(
    model: Annotated[str, typer.Argument(help="A run folder or a model.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    system: Annotated[
        str | None,
        typer.Option(
            help="Which model of a run: adapted, start, or another start model's name; that of model/ if none."
        ),
    ] = None,
    layers: Annotated[int | None, typer.Option(help="Keep only the first LAYERS layers.")] = None,
    dims: Annotated[int | None, typer.Option(help="Keep only the first DIMS dimensions.")] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Also write onnx/model.onnx.")] = False,
) -> None:
    """Write a model as a plain sentence-transformers folder, and check that three libraries give the same vectors."""
    from reknit.export.model import export_model
    from reknit.runs.search import folder_of

    model = str(folder_of(Path(model), system)) if system else model
    check = export_model(model, out, layers=layers, dims=dims, onnx=onnx)
    print(f"wrote {out}: largest difference {check.max_abs_diff:.1e}, cosine {check.cosine:.6f}")


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection within, nor of what is left, at exit: the imports of one search make a million lasting
    objects, and walking them again and again takes a quarter of its time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
