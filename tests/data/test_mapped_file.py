"""A mapped file reads as itself, and lets go of what was read."""

from __future__ import annotations

from pathlib import Path

import pytest

from reknit.data.mapped_file import BYTES_PER_TOUCH, TOUCHED_AT_MOST, MappedFile


def mapped_kilobytes(path: Path) -> int:
    """How much of a file this process has in memory, from /proc/self/smaps."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.endswith(str(path)))
    return next(int(line.split()[1]) for line in lines[start:] if line.startswith("Rss:"))


def test_it_lets_go_of_what_was_read(tmp_path: Path) -> None:
    if not Path("/proc/self/smaps").exists():
        pytest.skip("needs Linux")
    path = tmp_path / "file"
    content = bytes(range(256)) * 16 * 1024
    path.write_bytes(content)
    file = MappedFile(path)
    assert file.buffer[:] == content
    assert mapped_kilobytes(path) == 4096
    file.touch(size=TOUCHED_AT_MOST - BYTES_PER_TOUCH)
    assert mapped_kilobytes(path) == 4096, "not before it is worth it"
    file.touch()
    assert mapped_kilobytes(path) == 0
    assert file.buffer[:] == content


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    file = MappedFile(tmp_path / "file")
    file.touch(size=2 * TOUCHED_AT_MOST)
    assert file.buffer == b""
