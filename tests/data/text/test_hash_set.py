"""The compact set against Python's own."""

from __future__ import annotations

import random

import pytest

from reknit.data.text import hash_set
from reknit.data.text.hash_set import HashSet


@pytest.mark.parametrize("recent", [1, 7, 1000])
def test_it_is_a_set(monkeypatch: pytest.MonkeyPatch, recent: int) -> None:
    monkeypatch.setattr(hash_set, "RECENT", recent)
    chance = random.Random(0)
    values = [chance.choice([chance.randrange(300), 2**64 - 1 - chance.randrange(300)]) for _ in range(2000)]
    small, plain = HashSet(), set()
    for value in values:
        assert (value in small) == (value in plain)
        assert small.add(value) == (value not in plain)
        plain.add(value)
        assert len(small) == len(plain)
    assert all(value in small for value in plain)
    assert 2**63 not in small
