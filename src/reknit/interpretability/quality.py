"""How well a feature model reconstructs states, with how many features, and how its norms relate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reknit.interpretability.activation_store import ActivationStore
from reknit.interpretability.feature_model import FeatureModel, FeatureModelSpec, standardise

_ROWS_AT_A_TIME = 4096


@dataclass(frozen=True)
class FeatureQuality:
    """What a feature model makes of some states. All of it is about standardised states.

    error: squared error of the reconstruction over that of the mean predictor, which gives the mean of the training
    states for every state: 0 is perfect, 1 no better than the mean. active: features of a state on average (L0).
    unused: fraction of the features that never fire. norm_gap: mean of | ||code|| - ||input - bias|| | / ||input -
    bias||. norm_bound: largest ratio, over the states, of | ||code @ decoder||^2 - ||code||^2 | to its closed-form
    bound epsilon * (n - 1) * ||code||^2, where n is the number of the state's active features and epsilon the largest
    absolute cosine of two directions: never above 1 but for rounding (Lee et al. 2025; 0 where no state has two
    features).
    """

    error: float
    active: float
    unused: float
    norm_gap: float
    norm_bound: float


def mean_input(store: ActivationStore, rows: int) -> Tensor:
    """[dim] mean of the first `rows` standardised states."""
    total = torch.zeros(store.dim, dtype=torch.float64)
    for numbers in _pieces(0, rows):
        total += standardise(store.rows(numbers)).inputs.double().sum(dim=0)
    return (total / rows).float()


def untrained(spec: FeatureModelSpec, mean: Tensor, seed: int) -> FeatureModel:
    """Random directions around the mean of the inputs, [dim]: the control that a trained model must be better than."""
    model = spec.build(len(mean), seed).eval()
    with torch.no_grad():
        model.bias.copy_(mean)
    return model


@torch.inference_mode()
def measure(model: FeatureModel, store: ActivationStore, first: int, last: int, mean: Tensor) -> FeatureQuality:
    """The quality on the states from `first` up to `last`. mean: [dim] of the training states, as `mean_input` gives
    it.

    `FeatureQuality` says what is measured.
    """
    error = spread = active = gap = 0.0
    bound, fired = 0.0, torch.zeros(model.width, dtype=torch.bool)
    epsilon = largest_cosine(model.decoder)
    for numbers in _pieces(first, last):
        states = store.rows(numbers).to(model.decoder.device)
        inputs = standardise(states).inputs
        code = model.encode(states)
        error += float((inputs - model.decode(code)).double().square().sum())
        spread += float((inputs.cpu() - mean).double().square().sum())
        active += float((code > 0).sum())
        fired |= (code > 0).any(dim=0).cpu()
        lengths = (inputs - model.bias).norm(dim=1)
        gap += float(((code.norm(dim=1) - lengths).abs() / lengths).sum())
        bound = max(bound, float(norm_ratios(code, model.decoder, epsilon).max()))
    count = last - first
    return FeatureQuality(error / spread, active / count, float((~fired).double().mean()), gap / count, bound)


def largest_cosine(decoder: Tensor) -> float:
    """The largest absolute cosine of two different rows of [width, dim] unit vectors; 0 for a single one."""
    cosines = (decoder @ decoder.T).abs()
    return float(cosines.fill_diagonal_(0.0).max())


def norm_ratios(code: Tensor, decoder: Tensor, epsilon: float) -> Tensor:
    """[B, width] codes -> [B] the ratio of the squared norms' difference to its bound, see `FeatureQuality`; 0 for
    codes with fewer than two features."""
    squared = code.double().square().sum(dim=1)
    decoded = (code.double() @ decoder.double()).square().sum(dim=1)
    bounds = epsilon * ((code > 0).sum(dim=1) - 1).double() * squared
    return torch.where(bounds > 0, (decoded - squared).abs() / bounds.clamp_min(1e-12), 0.0)


def _pieces(first: int, last: int) -> list[np.ndarray]:
    return [np.arange(start, min(start + _ROWS_AT_A_TIME, last)) for start in range(first, last, _ROWS_AT_A_TIME)]
