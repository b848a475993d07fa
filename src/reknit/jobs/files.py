"""Writing files so that a kill at any moment leaves either the old content or the new, never half of it."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from reknit.errors import ReknitError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DiskFull(ReknitError):
    """No space is left; what was written before stands, and the run can go on once there is space."""


@contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """A path beside `target` to write a file or folder to; it takes target's place when the block ends well."""
    aside = target.with_name(f".{target.name}.partial")
    remove(aside)
    aside.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield aside
        _synchronise(aside)
        if target.is_dir():
            remove(target)
        os.replace(aside, target)
    except BaseException:
        remove(aside)
        raise


def made_by_one(target: Path) -> FileLock:
    """To hold while looking whether `target` is there and making it, so that of several processes one does."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(target.with_name(f".{target.name}.lock"))


@contextmanager
def disk_full_explained(what: str) -> Iterator[None]:
    """Turn a full disk (or quota, or file-size limit) inside the block into one clear line."""
    try:
        yield
    except DiskFull:
        raise
    except Exception as error:  # libraries written in Rust raise errors of their own kinds, or bare ones
        codes = [f"os error {code}" for code in _FULL]
        if getattr(error, "errno", None) in _FULL or any(code in str(error) for code in codes):
            message = f"no space left while writing {what}: free some space, then go on with --resume"
            raise DiskFull(message) from error
        raise


def check_json_path(path: Path | None) -> None:
    """Raise ReknitError when `path` is a folder; to be asked before hours are spent on what is to be written there."""
    if path is not None and path.is_dir():
        raise ReknitError(f"{path} is a folder: give a file with --json")


def write_json(path: Path, value: Any) -> None:
    """Write JSON aside and rename. Numbers keep every digit. Raises ReknitError when `path` is a folder."""
    if path.is_dir():
        raise ReknitError(f"{path} is a folder: give a file to write to")
    with disk_full_explained(str(path)), written_aside(path) as aside:
        aside.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read JSON; a file that is not JSON is a ReknitError that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReknitError(f"{path} cannot be read as JSON ({error}): the run folder is damaged") from error


def _synchronise(path: Path) -> None:
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    for file in files:
        with open(file, "rb") as handle:
            os.fsync(handle.fileno())


def remove(path: Path) -> None:
    """Delete a file, a link (not what it points to) or a folder with all that it holds; nothing when there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
