"""In which order the tests run, and that no test depends on it."""

from __future__ import annotations

import gc
import os
import random
import sys

import pytest

# Sums in another order, by another number of threads, end in other digits. Processes that tests start keep to it too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Importing torch and its kin makes millions of objects that stay: looking through them again and again while they are
# made, and later with every test's, takes a good part of the time that the tests take.
gc.disable()

# Minutes each, the first two of a start that their whole file shares: begun first and at the head of one process's
# share, they are neither what all wait for at the end nor divided, which would make the start twice.
LONG = ("training/test_distributed.py", "test_documents.py", "runs/test_kill_and_resume.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long ones first; the others stay in their order."""
    items.sort(key=lambda item: next((n for n, name in enumerate(LONG) if str(item.path).endswith(name)), len(LONG)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Where a test or a fixture draws from the generators that all share, it draws the same after any other test."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
