"""The command line: fixed verbs; `--set a.b=c` reaches every field, and no flag is ever added for one recipe."""

from __future__ import annotations

import gc
import json
import logging
import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from reknit.errors import ReknitError
from reknit.training.interrupt import EndedElsewhere, Interrupted

app = typer.Typer(
    help="Unlabelled text in; a measured, exported, searchable encoder out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=C", help="Change a setting; may be repeated. config.json of a run lists them."),
]
Eval = Annotated[list[Path] | None, typer.Option("--eval", help="A labelled BEIR folder; may be repeated.")]
Out = Annotated[Path, typer.Option("--out", help="The run folder to write.")]
Resume = Annotated[bool, typer.Option("--resume", help="With the command of before: go on with what --out holds.")]
Processes = Annotated[int, typer.Option(help="Trainings at a time, each in a process of its own.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what --out holds.")]
MaxBad = Annotated[int | None, typer.Option(help="Unreadable records to skip before giving up; 100 by default.")]
Ray = Annotated[bool, typer.Option("--ray", help="As a Ray Data job, here or on the cluster of RAY_ADDRESS.")]
Budget = Annotated[str | None, typer.Option(help="Time (10m, 90s), tokens (5Mtok) or FLOPs (3Pflop) for training.")]


_HEAD_START = 5.0
"""Seconds that a process, which another one's error has ended, leaves that one to end first."""


@app.command()
def adapt(
    corpus: Annotated[str, typer.Argument(help='Folder or file of texts, or "python-docs".')],
    out: Out,
    start: Annotated[
        str | None, typer.Option(help='Folder or hub id, or "scratch"; all-MiniLM-L6-v2 of the hub by default.')
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Pre-train by this recipe first, such as dupmae.")] = None,
    budget: Budget = "10m",
    eval: Eval = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    max_bad: MaxBad = None,
    set: Set = None,
) -> None:
    """Adapt a search model to a corpus: train, judge, export, index, report."""
    from reknit.adaptation import adapt as job
    from reknit.training.config import DEFAULT_START

    result = job(
        corpus,
        out,
        start=start or DEFAULT_START,
        recipe=recipe,
        budget=budget or "10m",
        eval=eval or (),
        settings=_settings(set, max_bad),
        resume=resume,
        overwrite=overwrite,
    )
    _show(result, out)


@app.command()
def pretrain(
    recipe: Annotated[str, typer.Argument(help="A name from `reknit recipes`.")],
    corpus: Annotated[str, typer.Option(help='Folder or file of texts, or "python-docs".')],
    out: Out,
    start: Annotated[str, typer.Option(help='Encoder folder or hub id, or "scratch".')] = "scratch",
    budget: Budget = None,
    eval: Eval = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    max_bad: MaxBad = None,
    set: Set = None,
) -> None:
    """Train by one recipe alone and keep the result; `reknit recipes NAME` says how it differs from the paper."""
    from reknit.adaptation import pretrain as job

    result = job(
        recipe,
        corpus,
        out,
        start=start,
        budget=budget,
        eval=eval or (),
        settings=_settings(set, max_bad),
        resume=resume,
        overwrite=overwrite,
    )
    _show(result, out)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="Model folder, run folder or hub id; it need not be reknit's.")],
    data: Annotated[list[Path], typer.Option(help="A labelled BEIR folder; may be repeated.")],
    baseline: Annotated[list[str] | None, typer.Option(help="Another model to compare with; may be repeated.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the numbers to this file too.")] = None,
) -> None:
    """Measure a model beside random order, BM25 and other models, with intervals."""
    from rich.console import Console

    from reknit.api import evaluate as measure
    from reknit.report.table import results_table
    from reknit.training.files import check_json_path, write_json
    from reknit.training.machine import machine, versions

    check_json_path(json_file)
    found = {"evaluations": [one.to_json() for one in measure(model, data, baselines=baseline or ())]}
    results_table(found, Console())
    if json_file:
        write_json(json_file, {"model": model, **found, "machine": machine(), "versions": versions()})


@app.command()
def frontier(
    model: Annotated[str, typer.Argument(help="Model folder, run folder or hub id.")],
    data: Annotated[Path, typer.Option(help="A labelled BEIR folder.")],
    layers: Annotated[
        list[int] | None, typer.Option(help="So many layers; may be repeated. By default, up to six even steps.")
    ] = None,
    dims: Annotated[
        list[int] | None, typer.Option(help="So many dimensions; may be repeated. By default, halves down to 32.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the numbers to this file too.")] = None,
) -> None:
    """Measure a model cut to fewer layers and dimensions: quality, speed and bytes of each size."""
    from rich.console import Console

    from reknit.bench.frontier import frontier as measure
    from reknit.bench.frontier import frontier_table
    from reknit.report.table import print_whole
    from reknit.training.files import check_json_path, write_json
    from reknit.training.machine import machine, versions

    check_json_path(json_file)
    found = measure(model, data, layers or (), dims or ())
    print_whole(frontier_table(found), Console())
    if json_file:
        write_json(json_file, {**found, "machine": machine(), "versions": versions()})


@app.command()
def search(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    query: Annotated[str, typer.Argument(help="What to look for.")],
    top: Annotated[int, typer.Option(help="Results at most.")] = 10,
    mode: Annotated[Literal["dense", "text", "hybrid"], typer.Option(help="How to search.")] = "hybrid",
    layers: Annotated[int | None, typer.Option(help="Encode the query with the first so many layers.")] = None,
    dims: Annotated[int | None, typer.Option(help="Choose by the first so many dimensions, then by all.")] = None,
    binary: Annotated[bool, typer.Option("--binary", help="Choose by the signs of all dimensions first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Search the index of a run; an elastic model's also by a part of it."""
    if binary and dims is not None:
        raise ReknitError("--dims and --binary are two ways to choose first: give one of them")
    if mode == "text" and (binary or dims is not None or layers is not None):
        raise ReknitError("--mode text uses no vectors: leave --layers, --dims and --binary out")
    with _uncollected():
        from reknit.retrieval.search import search_run

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


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="A run folder or a model.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    layers: Annotated[int | None, typer.Option(help="Keep only the first so many layers.")] = None,
    dims: Annotated[int | None, typer.Option(help="Keep only the first so many dimensions.")] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write onnx/model.onnx too.")] = False,
) -> None:
    """Write a model as a plain sentence-transformers folder, and check its vectors in three libraries."""
    from reknit.export.model import export_model

    check = export_model(model, out, layers=layers, dims=dims, onnx=onnx)
    print(f"wrote {out}: largest difference {check.max_abs_diff:.1e}, cosine {check.cosine:.6f}")


@app.command()
def encode(
    model: Annotated[str, typer.Argument(help="Model folder, run folder or hub id.")],
    corpus: Annotated[str, typer.Argument(help='Folder or file of texts, or "python-docs".')],
    out: Annotated[Path, typer.Option("--out", help="The folder of Parquet shards to write.")],
    layers: Annotated[int | None, typer.Option(help="Use only the first so many layers.")] = None,
    dims: Annotated[int | None, typer.Option(help="Keep only the first so many dimensions.")] = None,
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"], typer.Option(help="Number format to compute in.")
    ] = "auto",
    vectors: Annotated[Literal["float32", "float16"], typer.Option(help="Number format to store.")] = "float32",
    passage_words: Annotated[
        int | None,
        typer.Option(help="Most words of a passage; by default as in the run's index, else 160."),
    ] = None,
    ray: Ray = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last whole shard.")] = False,
    overwrite: Overwrite = False,
    max_bad: MaxBad = None,
) -> None:
    """Encode every passage of a corpus into Parquet, as vector stores load it."""
    from reknit.bulk.encoding import EncodingSpec, encode_corpus, passage_words_of

    words = passage_words_of(model) if passage_words is None else passage_words
    bad = 100 if max_bad is None else max_bad
    spec = EncodingSpec(model, corpus, layers, dims, precision, vectors, words, bad)
    if ray:
        if resume:
            raise ReknitError("--ray and --resume exclude each other: Ray repeats what fails by itself")
        from reknit.bulk.ray_session import check_ray

        check_ray()
        from reknit.bulk.ray_encoding import encode_corpus_on_ray

        facts = encode_corpus_on_ray(spec, out, overwrite=overwrite)
    else:
        facts = encode_corpus(spec, out, resume=resume, overwrite=overwrite)
    print(f"wrote {out}: {facts['passages']} passages, {facts['dims']} dimensions, {facts['shards']} shards")


@app.command()
def curate(
    corpus: Annotated[str, typer.Argument(help='Folder or file of texts, or "python-docs".')],
    out: Annotated[Path, typer.Option("--out", help="The folder of Parquet shards to write; a corpus itself.")],
    eval: Eval = None,
    ray: Ray = False,
    overwrite: Overwrite = False,
    max_bad: MaxBad = None,
) -> None:
    """Copy a corpus without empty documents, duplicates and queries of evaluations, as `adapt` does for itself."""
    from reknit.bulk.curating import CurationSpec, curate_corpus

    spec = CurationSpec(corpus, tuple(map(str, eval or ())), 100 if max_bad is None else max_bad)
    if ray:
        from reknit.bulk.ray_session import check_ray

        check_ray()
        from reknit.bulk.ray_curating import curate_corpus_on_ray as job
    else:
        job = curate_corpus
    facts = job(spec, out, overwrite=overwrite)
    print(
        f"wrote {out}: {facts['documents']} documents of {facts['read']}; dropped {facts['duplicates']} duplicates, "
        f"{facts['empty']} empty; {facts['eval_overlaps']} overlaps with evaluation queries removed"
    )


@app.command()
def recipes(
    name: Annotated[str | None, typer.Argument(help="Show this recipe's card.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the recipes, or show one."""
    from reknit.report.recipes import describe, listing

    print(describe(name, as_json=as_json) if name else listing(as_json=as_json))


@app.command()
def bench(
    job: Annotated[str, typer.Argument(help="train, encode, data, index or all.")],
    against: Annotated[list[str] | None, typer.Option(help="A peer to compare with; may be repeated.")] = None,
    turns: Annotated[int, typer.Option(help="Turns of each side.")] = 5,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file too.")] = None,
) -> None:
    """Measure speed side by side with other libraries, on this machine."""
    from rich.console import Console

    from reknit.bench.run import bench as measure
    from reknit.bench.run import show

    show(measure(job, against or (), turns=turns, json_file=json_file), Console())


@app.command()
def compare(
    recipes: Annotated[
        list[str],
        typer.Argument(
            help="Two or more: recipes (NAME:a.b=c changes one), models of yours (with a slash), untrained."
        ),
    ],
    corpus: Annotated[str, typer.Option(help='Folder or file of texts, or "python-docs".')],
    out: Annotated[Path, typer.Option("--out", help="The folder to write; every trained model stays in it.")],
    budget: Annotated[str, typer.Option(help="Of each training: time (2m), tokens (5Mtok) or FLOPs (3Pflop).")],
    eval: Annotated[
        list[Path],
        typer.Option(
            "--eval", help="A labelled folder (search, classes, similarity or sentence pairs), or texts for perplexity."
        ),
    ],
    seeds: Annotated[int, typer.Option(help="Trainings of each recipe.")] = 3,
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
        settings=_settings(set, max_bad),
        resume=resume,
        overwrite=overwrite,
        processes=processes,
    )
    show(result, Console())
    print(f"\nreport: {out / 'report.html'}   models: {out / 'arms'}")


@app.command()
def claim(
    names: Annotated[list[str], typer.Argument(help="Recipes whose cards' claims are to be measured.")],
    size: Annotated[str, typer.Option(help="small: for two cores; large: for one GPU.")] = "small",
    seeds: Annotated[int, typer.Option(help="Trainings of each arm; three at least.")] = 3,
    budget: Annotated[str | None, typer.Option(help="Of each training, instead of the size's own.")] = None,
    data: Annotated[Path, typer.Option(help="The folder with the data sets.")] = Path("../shared/data"),
    out: Annotated[Path, typer.Option("--out", help="Where to train; what is there is gone on with.")] = Path(
        "runs/claims"
    ),
    device: Annotated[Literal["auto", "cpu"], typer.Option(help="auto takes a GPU where there is one.")] = "auto",
    records: Annotated[Path | None, typer.Option(help="Where to write; records/claims by default.")] = None,
    processes: Processes = 1,
    overwrite: Overwrite = False,
) -> None:
    """Measure published claims: their arms at equal budget, with intervals and a verdict each."""
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    from rich.console import Console

    from reknit.report.recipes import CLAIMS
    from reknit.research.claims import check_claims
    from reknit.research.table import show_claim

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


@app.command("compare-adapt")
def compare_adapt(
    data: Annotated[list[Path], typer.Argument(help="Labelled BEIR folders; only the labels judge.")],
    start: Annotated[str | None, typer.Option(help="Encoder folder or hub id.")] = None,
    budget: Annotated[str, typer.Option(help="Training time of each run.")] = "10m",
    seeds: Annotated[int, typer.Option(help="Runs of reknit adapt on each collection.")] = 3,
    against: Annotated[
        list[str] | None, typer.Option(help="simcse, tsdae, mlm-simcse or title-body; may be repeated.")
    ] = None,
    cores: Annotated[
        int | None, typer.Option(help="Cores of each run (then without GPU; Linux); as many run at a time as fit.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write here, and go on with what is here.")] = None,
) -> None:
    """Measure what adaptation gives on labelled collections, beside BM25, fusion and sentence-transformers."""
    from rich.console import Console

    from reknit.bench.adaptation import compare_adaptation
    from reknit.bench.adaptation_table import comparison_table
    from reknit.training.config import DEFAULT_START

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


def _settings(assignments: list[str] | None, max_bad: int | None) -> list[str]:
    return [*([f"max_bad={max_bad}"] if max_bad is not None else []), *(assignments or [])]


def _show(result: dict[str, Any], out: Path) -> None:
    if not result:
        return  # one of several processes that train together, and not the one that tells
    from rich.console import Console

    from reknit.report.table import results_table

    results_table(result, Console())
    for search in result["searches"]:
        print(f"\nsearch: {search['query']}")
        for hit in search["hits"]:
            print(f"  {hit['score']:.4f}  {hit['title'] or hit['text'][:80]!r}")
    print(f'\nmodel: {out / "model"}   report: {out / "report.html"}   search: reknit search {out} "..."')


def main() -> None:
    """Run the command line. Bad input exits with 2 and one line, Ctrl-C with 130."""
    # Set before any import of a Hugging Face library: their own bars and advice would drown ours.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    if "WORLD_SIZE" in os.environ:
        # Under torchrun, every process would say that DDP looked for unused weights and found none.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    logger = logging.getLogger("reknit")
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.StreamHandler(sys.stderr))
    # A full disk must not fill the terminal with complaints about train.log: the run says it once.
    logging.raiseExceptions = False
    sys.exit(_run())


def _run() -> int:
    try:
        code = app(standalone_mode=False)
    except ReknitError as error:
        return _end(f"{error}", 2)
    except typer.TyperException as error:
        return _end(f"{' '.join(error.format_message().split())}; see reknit COMMAND --help", 2)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _end(f"{place}{error.strerror or error}; check the path, its permissions and the space left", 2)
    except Interrupted as stop:
        asked = [word for word in sys.argv[1:] if word not in ("--resume", "--overwrite")]
        resume = [] if asked[:1] == ["claim"] else ["--resume"]  # a claim goes on with what it finds
        return _end(f"{stop}; what was finished is saved. Go on with: {shlex.join(['reknit', *asked, *resume])}", 130)
    except EndedElsewhere as end:
        if isinstance(end.__cause__, Interrupted):
            return 130
        # torchrun reports the first process that it sees ending: let that be the one that knows the reason.
        time.sleep(_HEAD_START)
        return 2
    except KeyboardInterrupt:
        return _end("stopped", 130)
    # Typer catches Ctrl-C itself and returns 130; a command returns None.
    return _end("stopped", 130) if code == 130 else int(code or 0)


def _end(line: str, code: int) -> int:
    print(f"reknit: {' '.join(line.splitlines())}", file=sys.stderr)
    return code
