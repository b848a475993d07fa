"""The checks of the role feature model, on every one that the catalogue has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import feature_checks as checks
import pytest

from reknit import catalogue
from reknit.interpretability.feature_model import FeatureModel, FeatureModelSpec

METHODS = {
    name: method.part
    for name, method in catalogue.methods("explain").items()
    if isinstance(method.part, FeatureModelSpec)
}


def toy_spec(name: str) -> FeatureModelSpec:
    """As published but for the size; features that are dead may all try."""
    sized = {"width": 20, "auxiliary_features": 4, **({"k": 5} if hasattr(METHODS[name], "k") else {})}
    return replace(METHODS[name], **sized)


def toy_model(name: str) -> FeatureModel:
    return toy_spec(name).build(checks.DIM, seed=3)


def test_there_are_feature_models() -> None:
    assert {"topk-sae", "batchtopk-sae", "top-afa-sae"} <= set(METHODS)
    assert all(part.role == "feature model" for part in METHODS.values())


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    "check",
    [checks.check_reconstruction, checks.check_sparsity, checks.check_standardisation, checks.check_independence],
)
def test_codes(name: str, check) -> None:
    check(toy_model(name))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("check", [checks.check_losses, checks.check_unit_rows])
def test_training(name: str, check) -> None:
    check(toy_model(name), toy_spec(name))


@pytest.mark.parametrize("name", METHODS)
def test_saving(name: str, tmp_path: Path) -> None:
    checks.check_saving(toy_model(name), name, toy_spec(name), tmp_path / "features")


@pytest.mark.parametrize("name", METHODS)
def test_the_seed_decides_the_first_directions(name: str) -> None:
    spec = toy_spec(name)
    first, again, other = (spec.build(checks.DIM, seed).decoder for seed in (1, 1, 2))
    assert first.equal(again)
    assert not first.equal(other)
