"""Index and command line: passages indexed a second, and new processes for a search of 10,000 documents and --help.

Files are in the page cache: what a disk adds to the first search after a restart is not measured.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from statistics import median

from reknit.bench.material import natural_texts, start_model
from reknit.bench.result import Row, Side
from reknit.errors import ReknitError

ROWS = 10_000
HELP_SECONDS, SEARCH_SECONDS = 0.3, 2.5


def bench_index(against: tuple[str, ...], turns: int) -> list[Row]:
    """Seconds of new processes, files in the page cache. Nothing is compared: raises ReknitError for any name."""
    if against:
        raise ReknitError(f"index is not compared with other libraries; leave out --against {against[0]}")
    with tempfile.TemporaryDirectory() as made:
        run = Path(made) / "run"
        built = _build(run)
        start = _time("reknit --help", ["--help"], turns, HELP_SECONDS)
        search = _time(
            f"reknit search, {ROWS:,} passages", ["search", str(run), "read a file line by line"], turns, SEARCH_SECONDS
        )
    return [built, start, search]


def _build(run: Path) -> Row:
    from reknit.export.sentence_transformers import save
    from reknit.models.encode_texts import encoder_function
    from reknit.models.loading import load_embedding_model
    from reknit.retrieval.build import build_index

    texts = list(islice(natural_texts(128), ROWS))
    model = load_embedding_model(start_model())
    save(model, run / "model")
    encode = encoder_function(model, quiet=True)
    started = time.perf_counter()
    build_index(
        run / "index",
        [(str(number), "", text) for number, text in enumerate(texts)],
        lambda batch: encode(batch, "document"),
        dim=model.dim,
        details={"model": "../model"},
    )
    rate = len(texts) / (time.perf_counter() - started)
    ours = Side("reknit", "auto", median=rate, least=rate, most=rate)
    return Row("index", f"encode with all-MiniLM and index {len(texts):,} passages", "passages/s", ours, None, {})


def _time(work: str, arguments: list[str], turns: int, target: float) -> Row:
    """Seconds of a new process from its start to its end, the first one left out."""
    seconds = []
    for _ in range(turns + 1):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "reknit", *arguments], check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    warm = seconds[1:]
    ours = Side("reknit", "auto", median=median(warm), least=min(warm), most=max(warm))
    return Row("index", work, "s", ours, None, {}, target=target, lower=True, notes={"first_run": seconds[0]})
