"""Training on stored states: every state once an epoch, the same weights after a stop, the seed decides all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from feature_samples import small_store

from reknit.data.order import EpochOrder
from reknit.errors import ReknitError
from reknit.interpretability import training
from reknit.interpretability.activation_store import ActivationStore
from reknit.interpretability.feature_model import FeatureModel
from reknit.interpretability.top_k import BatchTopKSpec, TopKSpec
from reknit.interpretability.training import IdleFeatures, train_features
from reknit.jobs.interrupt import Interrupted, StopRequest

SPEC = BatchTopKSpec(width=24, k=4, states_per_batch=64, auxiliary_features=4)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ActivationStore:
    return small_store(tmp_path_factory.mktemp("store"))


def trained(store: ActivationStore, folder: Path, **options) -> FeatureModel:
    return train_features(SPEC, store, folder / "training", **{"states": 640} | options)


def same(first: FeatureModel, second: FeatureModel) -> bool:
    return all(
        torch.equal(one, other)
        for one, other in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_the_seed_decides(store: ActivationStore, tmp_path: Path) -> None:
    first = trained(store, tmp_path)
    assert same(first, trained(store, tmp_path))
    assert not same(first, trained(store, tmp_path, seed=1))
    assert not first.training
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("steps", [1, 4, 9])
def test_a_stopped_training_ends_with_the_same_weights(store: ActivationStore, tmp_path: Path, steps: int) -> None:
    stop = StopRequest()
    seen: list[float] = []

    def tell(done: float, **facts: float) -> None:
        seen.append(done)
        stop.asked = len(seen) == steps

    with pytest.raises(Interrupted, match=f"after {steps} of 10"):
        trained(store, tmp_path, stop=stop, on_progress=tell)
    resumed: list[float] = []
    found = trained(store, tmp_path, on_progress=lambda done, **facts: resumed.append(done))
    assert resumed == [64.0 * step for step in range(steps + 1, 11)]
    assert same(found, trained(store, tmp_path / "whole"))


def test_every_state_comes_once_an_epoch() -> None:
    order = EpochOrder(103, seed=5)
    numbers = np.concatenate([training._batch(order, 103, 10, step) for step in range(31)])
    assert {len(training._batch(order, 103, 10, step)) for step in range(31)} == {10}
    for epoch in range(3):
        assert sorted(numbers[103 * epoch : 103 * (epoch + 1)].tolist()) == list(range(103))
    assert numbers[:103].tolist() != numbers[103:206].tolist()


def test_rows_beyond_the_first_are_not_trained_on(store: ActivationStore, tmp_path: Path, monkeypatch) -> None:
    asked: list[int] = []
    rows = ActivationStore.rows
    monkeypatch.setattr(
        ActivationStore, "rows", lambda self, numbers: asked.extend(numbers.tolist()) or rows(self, numbers)
    )
    trained(store, tmp_path, rows=100)
    assert set(asked) == set(range(100))


def test_idle_features_are_counted() -> None:
    idle = IdleFeatures(3)
    for fired in ([1, 0, 0], [0, 0, 2], [1, 0, 0]):
        idle.update(torch.tensor([fired, [0, 0, 0]], dtype=torch.float32))
    assert idle.steps.tolist() == [0, 3, 1]


def test_too_little_to_train_on(store: ActivationStore, tmp_path: Path) -> None:
    with pytest.raises(ReknitError, match="too few"):
        trained(store, tmp_path, rows=1)


@pytest.mark.parametrize("k", [0, 25])
def test_more_features_than_there_are(k: int) -> None:
    with pytest.raises(ReknitError, match=f"part.k is {k}: it must be from 1 to part.width, which is 24"):
        replace(TopKSpec(width=24), k=k).check()
    TopKSpec(width=24, k=24).check()
