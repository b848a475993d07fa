"""The folder of a comparison: started, gone on with, overwritten."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reknit.errors import ReknitError
from reknit.research.config import Arm, ComparisonConfig
from reknit.training.config import to_json
from reknit.training.files import read_json, remove, write_json

# config.json last: it is what makes a folder hold a comparison.
_OWN = ("data", "arms", "checkpoints", "result.json", "report.html", "config.json")
_ASIDE = ".replaced"


def open_folder(out: Path, config: ComparisonConfig, *, resume: bool, overwrite: bool) -> None:
    """Make the folder ready, or raise ReknitError when it is not free for what is asked."""
    stored, aside = out / "config.json", out / _ASIDE
    if aside.exists() and not stored.exists():
        # An overwriting call ended before it had written anything of its own.
        _move(aside, out)
    if resume and overwrite:
        raise ReknitError("--resume and --overwrite exclude each other: give one of them")
    if out.exists() and not out.is_dir():
        raise ReknitError(f"{out} is a file: give a folder with --out")
    if stored.exists():
        before = read_json(stored)
        if not isinstance(before, dict) or "comparison" not in before:
            raise ReknitError(f"{out} holds something else than a comparison: give a new folder with --out")
        if overwrite:
            if aside.exists():  # such a call was killed while it prepared: what is aside is the real one
                _remove_own(out)
            else:
                aside.mkdir()
                _move(out, aside)
        elif not resume:
            raise ReknitError(
                f"{out} already holds a comparison: add --resume to go on with it or --overwrite to replace it"
            )
        elif before["comparison"] != to_json(config):
            changed = [name for name, value in to_json(config).items() if before["comparison"].get(name) != value]
            raise ReknitError(
                f"{out} was started with another {', '.join(changed)}: repeat its command with --resume; only arms and "
                "seeds may be added"
            )
    elif resume:
        raise ReknitError(f"{out} holds no comparison to resume: leave --resume out to start one")
    elif out.exists() and any(out.iterdir()):
        raise ReknitError(f"{out} is not empty: give a new folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    write_json(stored, {"comparison": to_json(config)})


@contextmanager
def put_back_if_bad(out: Path, *, resume: bool) -> Iterator[None]:
    """When the block ends badly, the folder is left as `open_folder` found it; a resumed comparison stays as it is."""
    aside = out / _ASIDE
    try:
        yield
    except ReknitError:
        if not resume:
            _remove_own(out)
            if aside.exists():
                _move(aside, out)
            elif not any(out.iterdir()):
                out.rmdir()
        raise
    remove(aside)


def folder_of(arm: Arm) -> str:
    """The name of an arm's folder."""
    plain = re.sub(r"[^\w.=-]", "_", arm.name)
    return plain if plain == arm.name else f"{plain}-{zlib.crc32(arm.name.encode()):08x}"


def _remove_own(out: Path) -> None:
    for name in _OWN:
        remove(out / name)


def _move(here: Path, there: Path) -> None:
    for name in _OWN:
        if (here / name).exists():
            os.rename(here / name, there / name)
    if here.name == _ASIDE:
        here.rmdir()
