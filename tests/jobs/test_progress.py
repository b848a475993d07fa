"""Progress: plain lines on a stream, a bar on a terminal."""

import io
import os
import re
import select
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reknit.jobs.progress import Progress, format_count, format_duration, format_fact, format_rate


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def plain(every_seconds: float = 10.0) -> tuple[Progress, io.StringIO, Clock]:
    stream, clock = io.StringIO(), Clock()
    return Progress(stream, every_seconds=every_seconds, clock=clock), stream, clock


def test_a_plain_line_has_percentage_rate_time_left_and_facts():
    progress, stream, clock = plain()
    progress.start("pretrain", total=1_000_000, unit="tokens")
    for second in range(1, 31):
        clock.now += 1
        progress.update(12_300 * second, loss=5.3123, learning_rate=0.0001)
    lines = stream.getvalue().splitlines()
    assert lines == [
        "pretrain  12%  12,300 tokens/s  0:01:11 left  loss 5.312  learning rate 0.0001",
        "pretrain  24%  12,300 tokens/s  0:01:01 left  loss 5.312  learning rate 0.0001",
        "pretrain  36%  12,300 tokens/s  0:00:51 left  loss 5.312  learning rate 0.0001",
    ]


def test_lines_are_never_closer_than_asked_and_the_last_one_sums_up():
    progress, stream, clock = plain(every_seconds=5)
    progress.start("index", total=100, unit="passages")
    for done in range(1, 101):
        clock.now += 0.3
        progress.update(done)
    progress.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1 + 30 // 5 - 1
    assert lines[-1] == "index  100%  100 passages in 0:00:30  3.3 passages/s"


def test_without_a_total_it_counts():
    progress, stream, clock = plain(every_seconds=1)
    progress.start("reading", unit="documents")
    clock.now += 4
    progress.update(2000)
    progress.close()
    assert stream.getvalue().splitlines() == [
        "reading  2,000 documents  500 documents/s",
        "reading  2,000 documents in 0:00:04  500 documents/s",
    ]


def test_a_total_may_come_later_so_update_is_a_callback():
    progress, stream, clock = plain(every_seconds=1)
    progress.start("encode", unit="texts")
    clock.now += 2
    callback = progress.update
    callback(5, 10)
    assert stream.getvalue() == "encode  50%  2.5 texts/s  0:00:02 left\n"


def test_a_resumed_job_does_not_count_earlier_work_in_its_rate():
    progress, stream, clock = plain(every_seconds=1)
    progress.start("tune", total=1000, unit="tokens", done=900)
    clock.now += 10
    progress.update(950)
    progress.close()
    assert stream.getvalue().splitlines() == [
        "tune  95%  5.0 tokens/s  0:00:10 left",
        "tune  95%  950 tokens in 0:00:10  5.0 tokens/s",
    ]


def test_the_rate_follows_the_last_half_minute():
    progress, stream, clock = plain(every_seconds=1)
    progress.start("job", total=100_000, unit="items")
    done = 0
    for second in range(200):
        clock.now += 1
        done += 10 if second < 100 else 200
        progress.update(done)
    assert "  200 items/s" in stream.getvalue().splitlines()[-1]


def test_one_job_after_another_and_closing_twice():
    progress, stream, clock = plain()
    with progress:
        progress.start("first", total=2)
        clock.now += 1
        progress.update(2)
        progress.start("second", total=4)
        progress.update(1, loss=2)
        progress.close()
    progress.update(3)
    assert stream.getvalue().splitlines() == ["first  100%  2 in 0:00:01  2.0/s", "second  25%  1 in 0:00:00  loss 2"]


def test_jobs_inside_one_another_write_whole_lines():
    stream, clock = io.StringIO(), Clock()
    with Progress(stream, every_seconds=1, clock=clock) as outer:
        outer.start("outer", total=2)
        with Progress(stream, every_seconds=1, clock=clock) as inner:
            inner.start("inner", total=1)
            clock.now += 2
            inner.update(1)
        outer.update(1)
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["inner", "inner", "outer", "outer"]


def test_a_budget_in_seconds_has_no_rate():
    progress, stream, clock = plain(every_seconds=1)
    progress.start("tune", total=60, unit="seconds")
    clock.now += 15
    progress.update(15, loss=1.5)
    progress.close()
    assert stream.getvalue().splitlines() == ["tune  25%  0:00:45 left  loss 1.5", "tune  25%  in 0:00:15  loss 1.5"]


def test_quiet_writes_nothing_and_updates_before_a_start_are_harmless():
    stream = io.StringIO()
    with Progress(stream, quiet=True) as progress:
        progress.update(1)
        progress.start("job", total=1)
        progress.update(1)
    assert stream.getvalue() == ""


def test_an_error_inside_still_leaves_the_last_line():
    progress, stream, _ = plain()
    with pytest.raises(RuntimeError), progress:  # noqa: PT012 - the error must come while the job runs
        progress.start("job", total=10)
        progress.update(4)
        raise RuntimeError
    assert stream.getvalue() == "job  40%  4 in 0:00:00\n"


def test_it_writes_to_standard_error_by_default(capsys):
    with Progress() as progress:
        progress.start("job", total=1)
        progress.update(1)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("job  100%")


NESTED = """
import time
from reknit.jobs.progress import Progress
with Progress() as outer:
    outer.start("outer [bold]", total=20, unit="steps")
    for step in range(20):
        time.sleep(0.03)
        outer.update(step + 1, loss=1.25)
        if step == 10:
            with Progress(every_seconds=0.05) as inner:
                inner.start("inner", total=3)
                for done in range(3):
                    time.sleep(0.06)
                    inner.update(done + 1)
"""


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
def test_on_a_terminal_a_bar_is_drawn_and_one_line_stays():
    main, side = os.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
    process = subprocess.Popen([sys.executable, "-c", NESTED], stderr=side, env=environment)
    os.close(side)
    written = b""
    while True:
        if not select.select([main], [], [], 20)[0]:
            break
        try:
            chunk = os.read(main, 65536)
        except OSError:
            break
        if not chunk:
            break
        written += chunk
    os.close(main)
    assert process.wait(timeout=20) == 0
    text = written.decode()
    assert "━" in text
    visible = _screen(text)
    assert re.fullmatch(r"outer \[bold\]  100%  20 steps in [\d:]+  [\d.]+ \S.*  loss 1\.25", visible[-1])
    assert [line.split()[0] for line in visible] == ["inner", "inner", "inner", "inner", "outer"]


def _screen(text: str) -> list[str]:
    """What stays on a terminal: a screen that knows the few codes that rich's live display uses."""
    lines, row, column = [""], 0, 0
    for code, final, plain_text in re.findall(r"\x1b\[([?\d;]*)([A-Za-z])|([^\x1b])", text):
        if plain_text == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif plain_text == "\r":
            column = 0
        elif plain_text:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + plain_text + line[column + 1 :]
            column += 1
        elif final == "A":
            row = max(0, row - int(code or 1))
        elif final == "K":
            lines[row] = "" if code == "2" else lines[row][:column]
    return [line.rstrip() for line in lines if line.strip()]


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with Progress(stream) as progress:
        progress.start("job", total=1)
        progress.update(1)
    assert re.fullmatch(r"job  100%  1 in 0:00:00[^\x1b]*\n", stream.getvalue())


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0:00:00"),
        (71.6, "0:01:12"),
        (3600, "1:00:00"),
        (90_061, "1 d 1:01:01"),
        (float("inf"), "?"),
        (float("nan"), "?"),
    ],
)
def test_durations(seconds, shown):
    assert format_duration(seconds) == shown


def test_counts_rates_and_facts():
    assert [format_count(v) for v in (3, 1234567, 0.1234, 1234.5)] == ["3", "1,234,567", "0.123", "1,234"]
    assert [format_rate(v, "steps") for v in (12_345.6, 3.21, 0.25, 0)] == [
        "12,346 steps/s",
        "3.2 steps/s",
        "4.0 s per step",
        "",
    ]
    assert [format_fact(v) for v in (5.31234, 12345, 123456.7, 1e-05, "x", True)] == [
        "5.312",
        "12,345",
        "123,457",
        "1e-05",
        "x",
        "True",
    ]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 100), st.integers(0, 10**9)), max_size=20),
    st.one_of(st.none(), st.integers(0, 10**9)),
    st.floats(0.5, 30),
)
def test_any_history_gives_whole_lines_no_closer_than_asked(history, total, every_seconds):
    progress, stream, clock = plain(every_seconds)
    progress.start("job", total=total, unit="items")
    for seconds, done in history:
        clock.now += seconds
        progress.update(done)
    progress.close()
    lines = stream.getvalue().splitlines()
    assert all(line.startswith("job  ") for line in lines)
    assert len(lines) - 1 <= sum(seconds for seconds, _ in history) / every_seconds
