"""The experiment on long texts, tiny: its arms, its measures, and that it goes on where it was."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from reknit import catalogue
from reknit.data.attention_rules import Both, Window, causal
from reknit.encoders.mixers import gated_linear
from reknit.errors import ReknitError
from reknit.jobs.interrupt import StopRequest
from reknit.research.length import experiment, growth
from reknit.research.length.experiment import (
    AGAIN,
    BYTES,
    EXACT,
    LOSS,
    ONCE,
    RECALL,
    SECONDS,
    WEIGHTS,
    WINDOW,
    LengthExperiment,
)
from reknit.research.length.recall_objective import RecallObjective
from reknit.research.worlds.recall import RecallWorld

TINY = LengthExperiment(
    RecallWorld(length=70, keys=2, values=3, fillers=3), dim=16, depth=1, heads=2, steps=2, texts=2, held_out=8
)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts for which growth shows in a moment."""
    monkeypatch.setattr(growth, "SHORT", 32)
    monkeypatch.setattr(growth, "LONG", 256)
    monkeypatch.setattr(experiment, "LONG", 256)
    monkeypatch.setattr(experiment, "_MANY_CHUNKS", 200)


def run(arm: str, folder: Path, seed: int = 0) -> dict[str, float | None]:
    return TINY.run(arm, seed, folder, folder, StopRequest()).values


@pytest.mark.parametrize("arm", ["attention", "gla", "retention", "linear", WINDOW])
def test_every_arm_has_its_measures(arm: str, tmp_path: Path) -> None:
    TINY.prepare(tmp_path, tmp_path, [arm])
    values = run(arm, tmp_path)
    assert set(values) == {RECALL, AGAIN, ONCE, LOSS, EXACT, SECONDS, BYTES, WEIGHTS}
    missing = {name for name, value in values.items() if value is None}
    assert missing == {"attention": {EXACT}, WINDOW: {EXACT, SECONDS, BYTES}}.get(arm, set())
    for name in (RECALL, AGAIN, ONCE):
        assert 0.0 <= values[name] <= 1.0
    if arm not in ("attention", WINDOW):
        assert 0 < values[EXACT] < 1e-4


def test_the_same_seed_gives_the_same_and_what_is_trained_is_not_trained_again(tmp_path: Path) -> None:
    first = run("gla", tmp_path / "one")
    again = run("gla", tmp_path / "two")
    other = run("gla", tmp_path / "one", seed=1)
    timed = {SECONDS}
    assert {k: v for k, v in first.items() if k not in timed} == {k: v for k, v in again.items() if k not in timed}
    assert first[LOSS] != other[LOSS]
    log = (tmp_path / "one/arms/gla/seed-0/log.jsonl").read_text()
    assert {**run("gla", tmp_path / "one"), SECONDS: 0.0} == {**first, SECONDS: 0.0}
    assert (tmp_path / "one/arms/gla/seed-0/log.jsonl").read_text() == log


def test_a_broken_chunk_shows_in_the_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = run("gla", tmp_path)
    # Every chunk begins with an empty memory.
    monkeypatch.setattr(gated_linear, "_states", lambda decays, added: torch.zeros_like(added))
    assert good[EXACT] < 1e-4 < run("gla", tmp_path)[EXACT]


def test_a_memory_that_ends_after_one_chunk_shows_in_the_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trained encoder reads two chunks at most, and two are right."""
    monkeypatch.setattr(
        gated_linear, "_states", lambda decays, added: torch.nn.functional.pad(added, (0,) * 4 + (1, 0))[:, :-1]
    )
    assert run("gla", tmp_path)[EXACT] > 1e-4
    monkeypatch.setattr(experiment, "_MANY_CHUNKS", 128)
    assert run("gla", tmp_path)[EXACT] < 1e-4


def test_answers_are_read_from_their_questions() -> None:
    """A state that holds the answer answers all; one that is moved by a place does not."""
    world = TINY.world
    batch = world.batch(8, 3)
    answers, times = world.answers(batch)
    objective = RecallObjective(world.values, world, causal)
    with torch.no_grad():
        objective.head.weight.copy_(torch.eye(world.values))
        objective.head.bias.zero_()

    class Knowing:
        def __init__(self, shift: int) -> None:
            self.shift = shift

        def __call__(self, view):  # type: ignore[no-untyped-def]
            assert view.attention is causal
            states = 20.0 * torch.nn.functional.one_hot(answers.clamp(min=0), world.values).float()
            return type("Encoded", (), {"last": states.roll(self.shift, dims=0)})

    losses, right, counted = objective.answered(Knowing(0), batch)
    assert right.all()
    assert float(losses.detach().max()) < 1e-3
    assert counted.tolist() == times[answers >= 0].tolist()
    assert not objective.answered(Knowing(1), batch)[1].all()


def test_the_window_reaches_no_further() -> None:
    encoder = TINY._spec(WINDOW).build(TINY.world.vocabulary.size).eval()
    batch = TINY.world.batch(1, 0)
    objective = RecallObjective(TINY.dim, TINY.world, Both(causal, Window(experiment._REACH)))
    view = partial(experiment.View.clean, attention=objective.rule)
    changed = replace(batch, tokens=batch.tokens.index_fill(0, torch.tensor([20]), 1))
    assert int(batch.tokens[20]) != 1
    with torch.no_grad():
        moved = (encoder(view(batch)).last - encoder(view(changed)).last).abs().amax(dim=1) > 0
    assert moved.nonzero().flatten().tolist() == list(range(20, 25))


def test_growth_of_bytes_is_of_what_is_kept() -> None:
    """A recurrence keeps as much for a long text as for several short ones; scores of all pairs would not be."""
    encoder = replace(TINY._spec("gla"), max_positions=256).build(9)
    assert growth.bytes_growth(encoder, 9) == pytest.approx(1.0, abs=0.5)
    dense = replace(TINY._spec("attention"), max_positions=256, dropout=0.5).build(9)
    assert growth.bytes_growth(dense, 9) > 2.0


def test_unknown_arms() -> None:
    with pytest.raises(ReknitError, match="no arm 'wind': choose from window, attention, gla"):
        TINY.prepare(Path(), Path(), ["gla", "wind"])


def test_the_check_of_gla_asks_what_the_experiment_gives() -> None:
    check = catalogue.find_system("gla").check
    assert check is not None
    assert isinstance(check.experiment, LengthExperiment)
    known = {RECALL, AGAIN, ONCE, LOSS, EXACT, SECONDS, BYTES, WEIGHTS}
    assert {pair.measure for pair in check.pairs} | {bound.measure for bound in check.bounds} <= known
    for arm in {arm for pair in check.pairs for arm in (pair.first, pair.second)}:
        check.experiment.at("large").prepare(Path(), Path(), [arm])
