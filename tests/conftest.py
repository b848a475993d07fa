"""In which order the tests run."""

from __future__ import annotations

import gc

import pytest

# Importing torch and its kin makes millions of objects that stay: looking through them again and again while they are
# made, and later with every test's, takes a good part of the time that the tests take.
gc.disable()

# Minutes each, the first two of a start that their whole file shares: begun first and at the head of one process's
# share, they are neither what all wait for at the end nor divided, which would make the start twice.
LONG = ("training/test_distributed.py", "test_documents.py", "training/test_kill_and_resume.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long ones first; the others stay in their order."""
    items.sort(key=lambda item: next((n for n, name in enumerate(LONG) if str(item.path).endswith(name)), len(LONG)))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
