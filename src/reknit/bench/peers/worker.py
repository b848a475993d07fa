"""How a contestant of a benchmark talks to the one who times it: one JSON line out for each line in.

This folder's files run as plain scripts, so that a peer can live in a Python environment of its own without reknit.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# What contestants print on the way must not get between the lines of the conversation.
_ANSWERS = sys.stdout
sys.stdout = sys.stderr


def settings() -> dict[str, Any]:
    """What the one who times wrote for this contestant: the JSON file named on the command line."""
    settings: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    return settings


def texts(path: str) -> list[Any]:
    """The texts, or other values, of a JSONL file."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def answer(**facts: Any) -> None:
    """Report what was done since the last line, with the memory that this process has held at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    _ANSWERS.write(json.dumps({**facts, "peak_rss_mb": round(peak, 1)}) + "\n")
    _ANSWERS.flush()


def wait() -> bool:
    """Wait for the next turn; False when there is none."""
    return sys.stdin.readline().strip() == "go"


def serve(turn: Callable[[], dict[str, Any]], **ready: Any) -> None:
    """Say that all is loaded and warm, then take a turn for each line until there are no more."""
    answer(**ready)
    while wait():
        answer(**turn())
