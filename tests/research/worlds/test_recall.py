"""The world of keys: seeded, consistent, and with bugs planted in it found out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from world_checks import check_follows_the_seed, check_truth

from reknit.data.batch import Batch
from reknit.errors import ReknitError
from reknit.research.worlds.recall import RecallWorld

WORLD = RecallWorld(length=40, keys=3, values=4, fillers=5, binds=0.3, asks=0.4)


def read(world: RecallWorld, tokens: list[int]) -> tuple[list[int], list[int]]:
    """A reader with a notebook: the answer to each question, and how often its key was bound."""
    bound: dict[int, list[int]] = {}
    answers, times = [], []
    for token in tokens:
        number = token - 1
        answer, count = -1, 0
        if 0 <= number < world.keys * world.values:
            bound.setdefault(number // world.values, []).append(number % world.values)
        elif 0 <= number - world.keys * world.values < world.keys:
            known = bound.get(number - world.keys * world.values, [])
            answer, count = (known[-1], len(known)) if known else (-1, 0)
        answers.append(answer)
        times.append(count)
    return answers, times


def test_it_follows_the_seed() -> None:
    check_follows_the_seed(WORLD.batch)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), keys=st.integers(1, 5), values=st.integers(1, 4), length=st.integers(2, 50))
def test_answers_are_those_of_a_reader(seed: int, keys: int, values: int, length: int) -> None:
    world = replace(WORLD, keys=keys, values=values, length=length)
    batch = world.batch(3, seed)
    answers, times = world.answers(batch)
    for begin in range(0, 3 * length, length):
        expected = read(world, batch.tokens[begin : begin + length].tolist())
        assert (answers[begin : begin + length].tolist(), times[begin : begin + length].tolist()) == expected


def test_tokens_are_drawn_as_said() -> None:
    tokens = WORLD.batch(200, 0).tokens.view(200, -1)
    assert (tokens[:, 0] == WORLD.vocabulary.cls).all()
    rest = tokens[:, 1:]
    pairs, questions = WORLD.keys * WORLD.values, WORLD.keys
    binds, asks = (rest <= pairs).float().mean(), ((rest > pairs) & (rest <= pairs + questions)).float().mean()
    assert float(binds) == pytest.approx(0.3, abs=0.03)
    assert float(asks) == pytest.approx(0.4, abs=0.03)
    assert set(rest.unique().tolist()) == set(range(1, WORLD.vocabulary.size))


def test_a_world_that_cannot_be() -> None:
    for change in ({"keys": 0}, {"length": 1}, {"asks": 0.8}):
        with pytest.raises(ReknitError, match="a world needs keys"):
            replace(WORLD, **change)


# Planted bugs.


def first_binding(batch: Batch) -> list[int]:
    """The value that a key was bound to first."""
    found = []
    for text in batch.tokens.view(-1, WORLD.length).tolist():
        known: dict[int, int] = {}
        for token in text:
            number = token - 1
            if 0 <= number < 12:
                known.setdefault(number // 4, number % 4)
            found.append(known.get(number - 12, -1) if 12 <= number < 15 else -1)
    return found


def over_texts(batch: Batch) -> list[int]:
    """Bindings of one text answer questions of the next."""
    world = replace(WORLD, length=batch.num_tokens)
    return world.answers(batch)[0].tolist()


def test_bugs_are_caught() -> None:
    batch = WORLD.batch(4, 1)
    check_truth(lambda batch: WORLD.answers(batch)[0].tolist(), lambda text: read(WORLD, text)[0], batch)
    for bug in (first_binding, over_texts):
        with pytest.raises(AssertionError, match="by reading"):
            check_truth(bug, lambda text: read(WORLD, text)[0], batch)
    with pytest.raises(AssertionError, match="nothing has an answer"):
        check_truth(lambda batch: [-1] * batch.num_tokens, lambda text: read(WORLD, text)[0], batch)
    with pytest.raises(AssertionError, match="another seed gives the same texts"):
        check_follows_the_seed(lambda texts, *seed: WORLD.batch(texts, 0))
    with pytest.raises(AssertionError, match="all the same"):
        check_follows_the_seed(lambda texts, *seed: _copied(WORLD.batch(1, *seed), texts))
    state = iter(range(100))
    with pytest.raises(AssertionError, match="the same seed gives other texts"):
        check_follows_the_seed(lambda texts, *seed: WORLD.batch(texts, *seed, next(state)))


def _copied(batch: Batch, texts: int) -> Batch:
    tokens = batch.tokens.repeat(texts)
    return replace(batch, tokens=tokens, cu_seqlens=torch.arange(0, len(tokens) + 1, batch.num_tokens))
