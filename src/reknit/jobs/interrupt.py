"""Ctrl-C and SIGTERM end a run at the next step's end, with a checkpoint, instead of in the middle of one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupted(Exception):
    """The user asked to stop; everything up to the last finished step is saved."""


class EndedElsewhere(Exception):
    """Another process of the same run ended first, and has said why."""


class StopRequest:
    """Set when the user asked to stop."""

    def __init__(self) -> None:
        self.asked = False


@contextmanager
def listen_for_stop() -> Iterator[StopRequest]:
    """Catch the first Ctrl-C or SIGTERM as a request; a second one ends the process at once.

    Outside the main thread signals cannot be caught, and the request is never set.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def ask(number: int, frame: object) -> None:
        request.asked = True
        for caught in signals:
            signal.signal(caught, before[caught])

    for number in signals:
        signal.signal(number, ask)
    try:
        yield request
    finally:
        for number in signals:
            signal.signal(number, before[number])
