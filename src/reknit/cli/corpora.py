"""`reknit encode` and `curate`: whole corpora in, Parquet out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from reknit.cli.options import Eval, MaxBad, Overwrite, Ray
from reknit.errors import ReknitError


def encode(
    model: Annotated[str, typer.Argument(help="Model folder, run folder or hub id.")],
    corpus: Annotated[str, typer.Argument(help='Folder or file of texts, or "python-docs".')],
    out: Annotated[Path, typer.Option("--out", help="The folder of Parquet shards to write.")],
    layers: Annotated[int | None, typer.Option(help="Use only the first LAYERS layers.")] = None,
    dims: Annotated[int | None, typer.Option(help="Keep only the first DIMS dimensions.")] = None,
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"], typer.Option(help="Number format of the computation.")
    ] = "auto",
    vectors: Annotated[
        Literal["float32", "float16"], typer.Option(help="Number format of the vectors in the files.")
    ] = "float32",
    passage_words: Annotated[
        int | None,
        typer.Option(help="Words of a passage, at most; by default as in the run's index, or 160 without one."),
    ] = None,
    ray: Ray = False,
    resume: Annotated[bool, typer.Option("--resume", help="Resume after the last complete shard.")] = False,
    overwrite: Overwrite = False,
    max_bad: MaxBad = None,
) -> None:
    """Encode every passage of a corpus and write the vectors as Parquet, for vector stores."""
    from reknit.bulk.encoding import EncodingSpec, encode_corpus, passage_words_of

    words = passage_words_of(model) if passage_words is None else passage_words
    bad = 100 if max_bad is None else max_bad
    spec = EncodingSpec(model, corpus, layers, dims, precision, vectors, words, bad)
    if ray:
        if resume:
            raise ReknitError(
                "--ray and --resume exclude each other: leave --resume out, as Ray repeats failed tasks itself"
            )
        from reknit.bulk.ray_session import check_ray

        check_ray()
        from reknit.bulk.ray_encoding import encode_corpus_on_ray

        facts = encode_corpus_on_ray(spec, out, overwrite=overwrite)
    else:
        facts = encode_corpus(spec, out, resume=resume, overwrite=overwrite)
    print(f"wrote {out}: {facts['passages']} passages, {facts['dims']} dimensions, {facts['shards']} shards")


def curate(
    corpus: Annotated[str, typer.Argument(help='Folder or file of texts, or "python-docs".')],
    out: Annotated[
        Path, typer.Option("--out", help="The folder of Parquet shards to write, which can be used as a corpus.")
    ],
    eval: Eval = None,
    ray: Ray = False,
    overwrite: Overwrite = False,
    max_bad: MaxBad = None,
) -> None:
    """Copy a corpus without empty documents, duplicates and evaluation queries, as `adapt` does before training."""
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
