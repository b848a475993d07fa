"""The checks of the role feature model find the bugs that are planted here."""

from __future__ import annotations

from pathlib import Path

import feature_checks as checks
import pytest
import torch
from torch import Tensor

from reknit.interpretability import feature_model, features_folder, training
from reknit.interpretability.feature_model import FeatureModel, Standardised
from reknit.interpretability.top_afa import TopAFA
from reknit.interpretability.top_k import BatchTopK, BatchTopKSpec, TopK, TopKSpec

WIDTH = 20
SPEC = TopKSpec(width=WIDTH, k=5, auxiliary_features=4, norm_weight=0.1)


def top_k(kind: type[TopK] = TopK) -> TopK:
    return kind(checks.DIM, WIDTH, 5, seed=3)


class OneTooMany(TopK):
    """Keeps one more than it says."""

    def select(self, activations: Tensor, inputs: Tensor) -> Tensor:
        return torch.zeros_like(activations).scatter(1, *_largest(activations, self.k + 1))


class Smallest(TopK):
    """Keeps the smallest instead of the largest."""

    def select(self, activations: Tensor, inputs: Tensor) -> Tensor:
        ranked, order = activations.sort(dim=1)
        kept = ranked * (torch.arange(self.width) < self.k)
        return torch.zeros_like(activations).scatter(1, order, kept)


class WithoutBias(TopK):
    """Does not add the bias again."""

    def decode(self, code: Tensor) -> Tensor:
        return code @ self.decoder


class OwnUnits(TopK):
    """Gives standardised states back, not states."""

    def reconstruct(self, states: Tensor) -> Tensor:
        return self.decode(self.encode(states))


class Raw(TopK):
    """Reads states as they are."""

    def encode(self, states: Tensor) -> Tensor:
        return self.select(self.activations(states), states)


class Detached(TopK):
    """The encoder gets no gradient."""

    def select(self, activations: Tensor, inputs: Tensor) -> Tensor:
        return TopK.select(self, activations, inputs).detach()


class LongRows(TopK):
    """The decoder's rows are never brought back to length 1."""

    def normalise_decoder(self) -> None:
        if not hasattr(self, "first"):
            self.first = True
            TopK.normalise_decoder(self)


class Unlearnt(TopK):
    """The decoder keeps its directions."""

    def project_gradient(self) -> None:
        self.decoder.grad = None


class OfTheBatch(BatchTopK):
    """Chooses over the batch in evaluation too."""

    def counts(self, ranked: Tensor, centred: Tensor) -> Tensor:
        places = ranked.detach().flatten().topk(self.k * len(ranked)).indices
        return torch.bincount(places // self.width, minlength=len(ranked))


class OneTooFew(TopAFA):
    """Forgets the + 1 behind argmin."""

    def counts(self, ranked: Tensor, centred: Tensor) -> Tensor:
        return TopAFA.counts(self, ranked, centred) - 1


class HalfLength(TopAFA):
    """Compares the code's length with half of the input's."""

    def counts(self, ranked: Tensor, centred: Tensor) -> Tensor:
        return TopAFA.counts(self, ranked, centred / 2)


def _largest(activations: Tensor, count: int) -> tuple[Tensor, Tensor]:
    values, places = activations.topk(count, dim=1)
    return places, values


@pytest.mark.parametrize(
    ("check", "broken", "complaint"),
    [
        (checks.check_sparsity, lambda: top_k(OneTooMany), "not as many features"),
        (checks.check_sparsity, lambda: top_k(Smallest), "not"),
        (checks.check_reconstruction, lambda: top_k(Smallest), "planted"),
        (checks.check_reconstruction, lambda: top_k(OwnUnits), "not given back"),
        (checks.check_reconstruction, lambda: OneTooFew(checks.DIM, WIDTH), "planted"),
        (checks.check_reconstruction, lambda: HalfLength(checks.DIM, WIDTH), "planted"),
        (checks.check_standardisation, lambda: top_k(Raw), "scale or mean"),
        (checks.check_independence, lambda: OfTheBatch(checks.DIM, WIDTH, 5), "depends on the batch"),
    ],
)
def test_codes(check, broken, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check(broken())


@pytest.mark.parametrize(
    ("check", "broken", "complaint"),
    [
        (checks.check_losses, Detached, "gradient"),
        (checks.check_losses, WithoutBias, "what loops give"),
        (checks.check_unit_rows, LongRows, "after training"),
        (checks.check_unit_rows, Unlearnt, "do not learn"),
    ],
)
def test_training(check, broken: type[TopK], complaint: str) -> None:
    model = top_k(broken)
    with torch.no_grad():
        model.bias.add_(0.3)
    with pytest.raises(AssertionError, match=complaint):
        check(model, SPEC)


def test_a_spread_that_is_not_of_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    def biased(states: Tensor) -> Standardised:
        means = states.mean(dim=-1, keepdim=True)
        spreads = (states - means).std(dim=-1, keepdim=True, correction=0)
        return Standardised((states - means) / spreads, means, spreads)

    monkeypatch.setattr(checks, "standardise", biased)
    with pytest.raises(AssertionError):
        checks.check_standardisation(top_k())


@pytest.mark.parametrize(
    ("bug", "complaint"),
    [
        (lambda losses: losses | {"norm": losses["norm"] * 2}, "norm is not"),
        (lambda losses: {name: loss for name, loss in losses.items() if name != "auxiliary"}, "losses"),
        (
            lambda losses: losses | {"reconstruction": losses["reconstruction"].detach() + 0 * losses["norm"]},
            "gradient",
        ),
    ],
)
def test_losses(bug, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = training.feature_losses
    monkeypatch.setattr(checks, "feature_losses", lambda *given: bug(right(*given)))
    with pytest.raises(AssertionError, match=complaint):
        checks.check_losses(top_k(), SPEC)


def test_a_threshold_that_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = features_folder.save_tensors

    def forgetful(tensors: dict[str, Tensor], path: Path) -> None:
        save(tensors | {name: torch.zeros_like(one) for name, one in tensors.items() if name == "threshold"}, path)

    monkeypatch.setattr(features_folder, "save_tensors", forgetful)
    spec = BatchTopKSpec(width=WIDTH, k=5)
    with pytest.raises(AssertionError, match="another code"):
        checks.check_saving(spec.build(checks.DIM), "batchtopk-sae", spec, tmp_path / "features")


def test_the_twins_are_no_copies() -> None:
    """The checks above pass for the real ones, so that what they find is what was planted."""
    checks.check_sparsity(top_k())
    checks.check_losses(top_k(), SPEC)
    assert issubclass(TopK, FeatureModel)
    assert feature_model.standardise is checks.standardise
