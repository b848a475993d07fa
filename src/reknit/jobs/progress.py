"""How far a long job is: a bar with rate and time left on a terminal, a plain line now and then everywhere else."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from numbers import Integral
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

WINDOW_SECONDS = 30.0
"""The rate shown is that of the last half minute, so that it follows a slower phase but not every step."""

REDRAW_SECONDS = 0.1

Fact = float | int | str


class Progress:
    """Progress of one job after another, on standard error.

    ```python
    with Progress() as progress:
        progress.start("pretrain", total=5_000_000, unit="tokens")
        for step in ...:
            progress.update(tokens_so_far, loss=5.31)
        progress.start("index", total=len(passages), unit="passages")
        build_index(..., on_progress=progress.update)
    ```

    stream: where to write; standard error when None. every_seconds: seconds between two plain lines at least, when the
    stream is no terminal. quiet: write nothing at all. clock: seconds from a monotonic clock.

    A job inside another one gets its own `Progress()`: the terminal belongs to the outer bar then, and the inner one
    writes plain lines above it.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        every_seconds: float = 10.0,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stream = stream
        self.every_seconds = every_seconds
        self.quiet = quiet
        self.clock = clock
        self.description = ""
        self.unit = ""
        self.total: float | None = None
        self.done = 0.0
        self.facts: dict[str, Fact] = {}
        self._running = False
        self._first = 0.0
        self._began = 0.0
        self._written = 0.0
        self._samples: deque[tuple[float, float]] = deque()
        self._display: RichProgress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self, description: str, total: float | None = None, unit: str = "", *, done: float = 0) -> None:
        """Begin a job; a job still running is closed first.

        total: how much there is to do, in `unit` ("tokens", "passages", "seconds" ...); None when nobody knows.
        done: what was done before (a resumed run); it counts for the percentage and not for the rate.
        """
        self.close()
        self.description, self.total, self.unit = description, total, unit
        self.done = self._first = done
        self.facts = {}
        self._began = self._written = self.clock()
        self._samples = deque([(self._began, done)])
        self._running = True
        if not self.quiet:
            self._open_display()

    def update(self, done: float, total: float | None = None, /, **facts: Fact) -> None:
        """Say how much is done in all. It may be called at every step: what is not due costs next to nothing.

        total: a better idea of how much there is; this makes `progress.update` itself an `on_progress` callback.
        facts: what else to show (`loss=5.31`); a fact stays until the next value of the same name.
        """
        self.done = done
        if total is not None:
            self.total = total
        self.facts.update(facts)
        if not self._running or self.quiet:
            return
        now = self.clock()
        due = REDRAW_SECONDS if self._display else self.every_seconds
        if now - self._written < due:
            return
        self._written = now
        self._samples.append((now, done))
        while len(self._samples) > 2 and now - self._samples[1][0] > WINDOW_SECONDS:
            self._samples.popleft()
        if self._display is not None and self._task is not None:
            self._display.update(self._task, completed=self.done, total=self.total, line=self._line(skip_percent=True))
        else:
            self._print(self._line())

    def close(self) -> None:
        """End the job and leave one line that says how much was done and how fast. Closing twice does nothing."""
        if not self._running:
            return
        self._running = False
        if self._display is not None:
            self._display.stop()
            self._display = self._task = None
        if not self.quiet:
            self._print(self._summary())

    def _open_display(self) -> None:
        stream = self.stream or sys.stderr
        # A stream that rich has wrapped belongs to a live display already; two of them on one terminal garble it.
        if hasattr(stream, "rich_proxied_file") or not getattr(stream, "isatty", lambda: False)():
            return
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as RichProgress

        console = Console(file=stream)
        if not console.is_terminal or console.is_dumb_terminal:
            return
        self._display = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[line]}", markup=False),
            console=console,
            transient=True,
            refresh_per_second=4,
        )
        self._display.start()
        self._task = self._display.add_task(self.description, total=self.total, completed=int(self.done), line="")

    def _print(self, line: str) -> None:
        print(line, file=self.stream or sys.stderr, flush=True)

    def _percent(self) -> str:
        return f"{min(100, int(100 * self.done / self.total))}%" if self.total else ""

    def _amount(self) -> str:
        return f"{format_count(self.done)} {self.unit}".rstrip()

    def _rate(self) -> float:
        (began, first), (now, last) = self._samples[0], self._samples[-1]
        return (last - first) / (now - began) if now > began else 0.0

    def _facts(self) -> list[str]:
        return [f"{name.replace('_', ' ')} {format_fact(value)}" for name, value in self.facts.items()]

    def _line(self, *, skip_percent: bool = False) -> str:
        parts = [] if skip_percent else [self.description, self._percent()]
        if not self.total:
            parts.append(self._amount())
        rate = self._rate()
        if rate > 0:
            parts.append(format_rate(rate, self.unit))
            if self.total:
                parts.append(f"{format_duration(max(0.0, self.total - self.done) / rate)} left")
        return "  ".join(part for part in parts + self._facts() if part)

    def _summary(self) -> str:
        seconds = max(0.0, self.clock() - self._began)
        worked = self.done - self._first
        parts = [self.description, self._percent()]
        if self.unit == "seconds":
            parts.append(f"in {format_duration(seconds)}")
        else:
            parts.append(f"{self._amount()} in {format_duration(seconds)}")
            if seconds > 0 and worked > 0:
                parts.append(format_rate(worked / seconds, self.unit))
        return "  ".join(part for part in parts + self._facts() if part)


def format_duration(seconds: float) -> str:
    """Hours, minutes and seconds as `0:01:12`; days before them when there are any (`2 d 3:00:00`)."""
    if not seconds < 1e10:
        return "?"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"{f'{days} d ' if days else ''}{hour}:{minute:02d}:{second:02d}"


def format_count(value: float) -> str:
    """A count with thousands separators; three digits of it for small fractions."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"


def format_rate(per_second: float, unit: str) -> str:
    """`12,300 tokens/s`; rates below one a second as `4.0 s per step`. A rate in seconds says nothing and is empty."""
    if unit == "seconds" or per_second <= 0:
        return ""
    if per_second < 1:
        single = unit.removesuffix("s") or "item"
        return f"{1 / per_second:.1f} s per {single}"
    shown = f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.1f}"
    return f"{shown} {unit}/s" if unit else f"{shown}/s"


def format_fact(value: Fact) -> str:
    """A float with four significant digits, an integer with thousands separators, text as it is."""
    if isinstance(value, bool | str):
        return str(value)
    return f"{value:,.0f}" if isinstance(value, Integral) or 1000 <= abs(value) < 1e12 else f"{value:.4g}"
