"""Tab-separated files with a header, as labelled sentences are shared in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reknit.errors import ReknitError


def read_table(path: Path, columns: Sequence[str]) -> list[list[str]]:
    """The named columns of every row, in the order asked for.

    The file is UTF-8, its first line names the columns, others than those asked for are left out, and quotes are
    ordinary characters. Raises ReknitError naming file and line when it is missing, no UTF-8, lacks a column, has a row
    of another width or no rows at all.
    """
    lines = read_lines(path)
    header = lines[0].rstrip("\r").split("\t")
    missing = [name for name in columns if name not in header]
    if missing:
        raise ReknitError(f"{path} has no column {missing[0]!r}: its first line must name {', '.join(columns)}")
    places = [header.index(name) for name in columns]
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = line.rstrip("\r").split("\t")
        if len(cells) != len(header):
            raise ReknitError(f"{path}:{number}: {len(cells)} columns, but the header has {len(header)}")
        rows.append([cells[place].strip() for place in places])
    if not rows:
        raise ReknitError(f"{path} holds no rows below its header")
    return rows


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file with or without a byte order mark. Raises ReknitError when it cannot be read as one."""
    try:
        # Not `splitlines`, which also cuts at characters that may stand in a text.
        return path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ReknitError(f"{path} is not UTF-8 text (byte {error.start}): convert it") from error
    except OSError as error:
        raise ReknitError(f"{path} cannot be read: {error.strerror}") from error
