"""Ray, where it is installed: started and stopped, its errors made ours."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reknit.data.text.documents import MAX_PROBLEMS, ReadReport
from reknit.errors import ReknitError

# Blocks of this size go from the readers to the encoders: some ten thousand passages. Ray's own 128 MiB would leave
# most encoders of a small corpus without work.
BLOCK_BYTES = 16 * 2**20
# Positions in a corpus: (piece, document or passage in it) in one number that sorts.
POSITIONS_PER_PIECE = 2**40
_REPORTS = "reports"


def check_ray() -> None:
    """Raise ReknitError when Ray is not installed."""
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise ReknitError("--ray needs Ray, which is not installed: pip install 'reknit[ray]'") from error


@contextmanager
def ray_session() -> Iterator[Any]:
    """The module `ray`, connected: to the cluster of RAY_ADDRESS, to a Ray that runs already, or to one started here.

    What was started here is stopped at the end. A worker's ReknitError arrives as itself. Raises ReknitError when Ray
    is not installed or cannot be started.
    """
    # Ray reports its use to its makers unless told otherwise.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    check_ray()
    import ray

    started = not ray.is_initialized()
    if started:
        try:
            with _silent_stderr():
                ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # of many kinds: no cluster there, no room for the object store ...
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ReknitError(
                f"Ray cannot be started ({reason[:200]}): check RAY_ADDRESS and the space left"
            ) from error
    context = ray.data.DataContext.get_current()
    before = context.target_max_block_size, context.enable_progress_bars
    context.target_max_block_size, context.enable_progress_bars = BLOCK_BYTES, False
    data_log = logging.getLogger("ray.data")
    level = data_log.level
    data_log.setLevel(logging.CRITICAL)
    try:
        yield ray
    except Exception as error:
        cause = _reknit_error(error)
        if cause is None or cause is error:
            raise
        raise ReknitError(str(cause)) from error
    finally:
        data_log.setLevel(level)
        context.target_max_block_size, context.enable_progress_bars = before
        if started:
            ray.shutdown()


def _reknit_error(error: BaseException | None) -> ReknitError | None:
    """The ReknitError that a worker raised; Ray wraps it in classes made to look like it, with a traceback as text."""
    while error is not None:
        cause = getattr(error, "cause", None)
        if cause is None and isinstance(error, ReknitError):
            return error
        error = cause or error.__cause__
    return None


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Ray's C++ part announces its settings on the process's standard error, whatever sys.stderr is."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def workers(ray: Any) -> dict[str, Any]:
    """How many encoders the cluster has room for, as arguments of `map_batches`: one a GPU, else one a core.

    One core is left to the readers.
    """
    resources = ray.cluster_resources()
    gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 1))
    if gpus:
        return {"num_gpus": 1, "concurrency": (1, gpus)}
    return {"num_cpus": 1, "concurrency": (1, max(1, cpus - 1))}


def save_report(folder: Path, piece: int, report: ReadReport) -> None:
    """Leave a reader's report where `merged_report` finds it. A reader that Ray runs again writes the same file."""
    path = folder / _REPORTS / f"{piece}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(asdict(report)), encoding="utf-8")


def merged_report(folder: Path, listing: ReadReport, *, max_bad: int) -> ReadReport:
    """The reports of all readers and of the listing of files in one.

    Raises ReknitError when more than `max_bad` records could not be read.
    """
    total = ReadReport()
    saved = sorted((folder / _REPORTS).glob("*.json"), key=lambda path: int(path.stem))
    for report in (listing, *(ReadReport(**json.loads(path.read_text(encoding="utf-8"))) for path in saved)):
        for name in ("read", "documents", "duplicates", "empty", "unreadable", "eval_overlaps"):
            setattr(total, name, getattr(total, name) + getattr(report, name))
        total.problems = (total.problems + report.problems)[:MAX_PROBLEMS]
    if total.unreadable > max_bad:
        first = "; ".join(total.problems[:5])
        raise ReknitError(f"more than {max_bad} unreadable records, the first are: {first}; repair or remove them")
    return total
