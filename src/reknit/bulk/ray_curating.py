"""`curate_corpus` as a Ray Data job: the same documents in the same order.

Only keys travel between machines: of every document its position, its id and two hashes. Texts are read and screened
where a reader runs, kept in a shard there, and the shard is written again without what the keys say must go.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from reknit.bulk.curating import FACTS, CurationSpec, curation_facts, nothing_left
from reknit.bulk.pieces import Piece, corpus_pieces, read_piece
from reknit.bulk.ray_session import POSITIONS_PER_PIECE, merged_report, ray_session, save_report
from reknit.bulk.shards import new_folder, number_shards, write_documents, write_facts
from reknit.data.text.curation import Screen, hash_text, id_family, unique_id
from reknit.data.text.documents import Document, ReadReport
from reknit.data.text.hash_set import HashSet
from reknit.data.text.readers import empty_corpus
from reknit.jobs.files import disk_full_explained
from reknit.runs.corpus import check_corpus_path

ROWS_PER_SHARD = 16_384
BUCKETS_PER_CORE = 2


def curate_corpus_on_ray(
    spec: CurationSpec, out: str | Path, *, overwrite: bool = False, rows: int = ROWS_PER_SHARD
) -> dict[str, Any]:
    """As `curate_corpus`: of duplicates the first in corpus order stays, and equal ids are told apart in that order.

    The corpus and `out` must be paths that every machine of the cluster sees.
    """
    out = Path(out).resolve()
    check_corpus_path(spec.corpus, out)
    exclude = spec.excluded()
    with disk_full_explained(str(out)), new_folder(out, FACTS, overwrite=overwrite) as aside, ray_session() as ray:
        listing = ReadReport()
        pieces = corpus_pieces(spec.corpus, listing, max_bad=spec.max_bad)
        if not pieces:
            raise empty_corpus(Path(spec.corpus), listing)
        screened, final = aside / "screened", aside / "final"
        screened.mkdir()
        final.mkdir()
        buckets = max(2, BUCKETS_PER_CORE * int(ray.cluster_resources().get("CPU", 1)))
        reading = {"spec": spec, "exclude": exclude, "folder": screened, "rows": rows, "buckets": buckets}
        written = (
            ray.data.from_items([{"piece": piece} for piece in pieces], override_num_blocks=len(pieces))
            .map_batches(_read, batch_size=1, fn_kwargs=reading)
            .groupby("content_bucket", num_partitions=buckets)
            .map_groups(_first_of_each, batch_format="pandas")
            .groupby("family_bucket", num_partitions=buckets)
            .map_groups(_told_apart, batch_format="pandas")
            .groupby("shard", num_partitions=buckets)
            .map_groups(_write, batch_format="pandas", fn_kwargs={"screened": screened, "final": final})
            .take_all()
        )
        report = merged_report(screened, listing, max_bad=spec.max_bad)
        if not report.read:
            raise empty_corpus(Path(spec.corpus), report)
        if not written:
            raise nothing_left(spec.corpus)
        kept = sum(row["rows"] for row in written)
        report.duplicates, report.documents = report.documents - kept, kept
        shards = number_shards([row["shard"] for row in written], final, aside)
        shutil.rmtree(screened)
        shutil.rmtree(final)
        return write_facts(aside / FACTS, curation_facts(spec, len(shards), report))


def _read(
    batch: dict[str, Any], spec: CurationSpec, exclude: frozenset[str], folder: Path, rows: int, buckets: int
) -> Iterator[pa.Table]:
    """Screen one piece of the corpus into shards; yields the keys of their documents."""
    piece: Piece = batch["piece"][0]
    report = ReadReport()
    kept = _screened(piece, spec, Screen(exclude), report)
    first = piece.number * POSITIONS_PER_PIECE
    while some := list(islice(kept, rows)):
        shard = f"{first:020}.parquet"
        write_documents(folder / shard, [document for document, _ in some])
        contents = [content for _, content in some]
        families = [hash_text(id_family(document.id)) for document, _ in some]
        yield pa.table(
            {
                "position": pa.array(range(first, first + len(some)), pa.int64()),
                "shard": [shard] * len(some),
                "row": pa.array(range(len(some)), pa.int64()),
                "id": [document.id for document, _ in some],
                "content": pa.array(contents, pa.uint64()),
                "content_bucket": pa.array([content % buckets for content in contents], pa.int64()),
                "family_bucket": pa.array([family % buckets for family in families], pa.int64()),
            }
        )
        first += len(some)
    save_report(folder, piece.number, report)


def _screened(piece: Piece, spec: CurationSpec, screen: Screen, report: ReadReport) -> Iterator[tuple[Document, int]]:
    for document in read_piece(piece, report, max_bad=spec.max_bad):
        found = screen(document)
        if found == "empty":
            report.empty += 1
        elif found == "overlap":
            report.eval_overlaps += 1
        else:
            report.eval_overlaps += found.overlapped
            report.documents += 1
            yield found.document, found.content


def _first_of_each(keys: Any) -> Any:
    """Of documents of equal content the first in corpus order."""
    return keys.sort_values("position").drop_duplicates("content")


def _told_apart(keys: Any) -> Any:
    """Equal ids made different in corpus order. Ids of one family meet in one bucket, and no others can clash."""
    ordered = keys.sort_values("position")
    taken = HashSet()
    return ordered.assign(id=[unique_id(wanted, taken) for wanted in ordered["id"]])


def _write(keys: Any, screened: Path, final: Path) -> Any:
    """Write one shard again with the documents that stay, under their new ids."""
    import pyarrow.parquet as pq

    ordered = keys.sort_values("position")
    shard = ordered["shard"].iloc[0]
    records = pq.read_table(screened / shard).take(pa.array(ordered["row"])).to_pylist()
    documents = [Document(**record) for record in records]
    renamed = [dataclasses.replace(one, id=new) for one, new in zip(documents, ordered["id"], strict=True)]
    write_documents(final / shard, renamed)
    return {"shard": [shard], "rows": [len(renamed)]}
