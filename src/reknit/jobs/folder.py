"""A folder that one job fills: when it is free, how it is resumed, and how an older job in it is replaced."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from reknit.errors import ReknitError
from reknit.jobs.files import DiskFull, remove


class JobFolder:
    """The rules for starting, resuming and overwriting a job in the folder `path`.

    kind: what a job is called in messages. own: the names of all that it writes; config.json is what makes a folder
    hold one.
    """

    kind: ClassVar[str]
    own: ClassVar[tuple[str, ...]]

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.replaced = self.path / ".replaced"
        self._made = False

    def is_taken(self) -> bool:
        """Whether the folder holds a job."""
        return self.config.exists()

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Raise ReknitError when the folder is not free for what is asked.

        It is not when it holds a job and neither `resume` nor `overwrite` was asked for, when it holds other files than
        a job's, or when there is no job to resume.
        """
        if resume and overwrite:
            raise ReknitError("--resume and --overwrite exclude each other: give one of them")
        if self.replaced.exists() and not self.is_taken():
            # An overwriting job ended before it had written anything of its own.
            self._move_own(self.replaced, self.path)
            self.replaced.rmdir()
        if self.path.exists() and not self.path.is_dir():
            raise ReknitError(f"{self.path} is a file: give a folder with --out")
        if self.is_taken() and not (resume or overwrite):
            raise ReknitError(
                f"{self.path} already holds a {self.kind}: add --resume to continue it or --overwrite to replace it"
            )
        if resume and not self.is_taken():
            raise ReknitError(f"{self.path} holds no {self.kind} to resume: leave --resume out to start one")
        if self.is_taken() or not self.path.exists():
            return
        foreign = sorted(file.name for file in self.path.iterdir() if file != self.replaced)
        if foreign:
            raise ReknitError(f"{self.path} is not empty ({', '.join(foreign[:3])}): give a new folder with --out")

    def make(self, *, overwrite: bool) -> None:
        """Make the folder, and set a job that is overwritten aside until `preparing` has ended well.

        Raises ReknitError when the folder cannot be made.
        """
        if overwrite and self.is_taken():
            self._set_aside()
        self._made = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ReknitError(
                f"{self.path} cannot be made ({error.strerror}): give another folder with --out"
            ) from error

    @contextmanager
    def preparing(self, *, resume: bool) -> Iterator[None]:
        """Within the block the input may still turn out bad: then a fresh job leaves the folder as it found it.

        An overwritten job is put back; it is removed when the block ends well. A full disk or Ctrl-C leaves what there
        is, for a resume.
        """
        try:
            yield
        except DiskFull:
            raise
        except ReknitError:
            if not resume:
                self._put_back()
            raise
        shutil.rmtree(self.replaced, ignore_errors=True)

    def _set_aside(self) -> None:
        if self.replaced.exists():
            # An overwriting job was killed while it prepared: what is aside is the real one.
            self._remove_own()
            return
        self.replaced.mkdir(parents=True)
        self._move_own(self.path, self.replaced)

    def _put_back(self) -> None:
        self._remove_own()
        if self.replaced.exists():
            self._move_own(self.replaced, self.path)
            self.replaced.rmdir()
        elif self._made:
            self.path.rmdir()

    def _move_own(self, here: Path, there: Path) -> None:
        # config.json last: it is what makes a folder hold a job.
        for name in sorted(self.own, key=lambda name: name == self.config.name):
            if (here / name).exists():
                os.rename(here / name, there / name)

    def _remove_own(self) -> None:
        for name in self.own:
            remove(self.path / name)
