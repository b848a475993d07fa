"""`encode_corpus` as a Ray Data job, for corpora and models beyond one machine: the same rows in the same order."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from reknit.bulk.encoding import FACTS, EncodingSpec, PassageEncoder, encoding_facts, without_text
from reknit.bulk.pieces import Piece, corpus_pieces, read_piece
from reknit.bulk.ray_session import merged_report, ray_session, save_report, workers
from reknit.bulk.shards import new_folder, number_shards, write_facts, write_vectors
from reknit.data.text.documents import ReadReport
from reknit.data.text.passage_store import Passage, cut_document
from reknit.data.text.readers import empty_corpus
from reknit.jobs.files import disk_full_explained
from reknit.runs.corpus import check_corpus_path

ROWS_PER_BLOCK = 2048


def encode_corpus_on_ray(spec: EncodingSpec, out: str | Path, *, overwrite: bool = False) -> dict[str, Any]:
    """As `encode_corpus`: same rows, same order (of shards by name), vectors equal up to rounding.

    Files of the corpus are read in parallel; a pool of encoders, one a GPU or core, writes a shard of every block. The
    corpus, the model and `out` must be paths that every machine of the cluster sees. Nothing is kept of a job that
    fails; what Ray repeats, it overwrites.
    """
    out = Path(out).resolve()
    check_corpus_path(spec.corpus, out)
    model = Path(spec.model)
    seen = dataclasses.replace(spec, model=str(model.resolve()) if model.exists() else spec.model)
    # The model is loaded here too: bad input ends the job before Ray starts.
    encoder = PassageEncoder(seen)
    with disk_full_explained(str(out)), new_folder(out, FACTS, overwrite=overwrite) as aside, ray_session() as ray:
        listing = ReadReport()
        pieces = corpus_pieces(spec.corpus, listing, max_bad=spec.max_bad)
        if not pieces:
            raise empty_corpus(Path(spec.corpus), listing)
        folder = aside / "unordered"
        folder.mkdir()
        written = (
            ray.data.from_items([{"piece": piece} for piece in pieces], override_num_blocks=len(pieces))
            # Half a core, unlike an encoder, so that Ray does not fuse the two: one file goes to many encoders.
            .map_batches(_read, batch_size=1, num_cpus=0.5, fn_kwargs={"spec": spec, "folder": folder})
            .map_batches(
                _ShardEncoder,
                batch_size=None,
                batch_format="pyarrow",
                fn_constructor_args=(seen, folder),
                **workers(ray),
            )
            .take_all()
        )
        report = merged_report(folder, listing, max_bad=spec.max_bad)
        if not report.read:
            raise empty_corpus(Path(spec.corpus), report)
        if not written:
            raise without_text(spec.corpus)
        shards = number_shards([row["shard"] for row in written], folder, aside)
        shutil.rmtree(folder)
        passages = sum(row["rows"] for row in written)
        return write_facts(
            aside / FACTS, encoding_facts(spec, encoder.model, encoder.dim, passages, len(shards), report)
        )


def _read(batch: dict[str, Any], spec: EncodingSpec, folder: Path) -> Iterator[pa.Table]:
    """The passages of one piece of the corpus, with the piece's number and their own in it."""
    piece: Piece = batch["piece"][0]
    report = ReadReport()
    rows: list[dict[str, Any]] = []
    number = 0
    for document in read_piece(piece, report, max_bad=spec.max_bad):
        for passage in cut_document(document, spec.passage_words):
            rows.append({"piece": piece.number, "row": number, **dataclasses.asdict(passage)})
            number += 1
            if len(rows) == ROWS_PER_BLOCK:
                yield pa.Table.from_pylist(rows)
                rows = []
    if rows:
        yield pa.Table.from_pylist(rows)
    save_report(folder, piece.number, report)


class _ShardEncoder:
    """One of the pool: its model encodes a block of passages and writes it as a shard."""

    def __init__(self, spec: EncodingSpec, folder: Path) -> None:
        self.encoder = PassageEncoder(spec)
        self.folder = folder

    def __call__(self, block: pa.Table) -> pa.Table:
        if not block.num_rows:
            return pa.table({"shard": pa.array([], pa.string()), "rows": pa.array([], pa.int64())})
        records = block.to_pylist()
        # Names that sort as the corpus does, for blocks are consecutive passages; Ray may finish them in any order.
        name = f"{records[0]['piece']:08}-{records[0]['row']:012}.parquet"
        passages = [Passage(**{k: v for k, v in record.items() if k not in ("piece", "row")}) for record in records]
        write_vectors(self.folder / name, passages, self.encoder(passages), self.encoder.spec.vectors)
        return pa.table({"shard": [name], "rows": [len(passages)]})
