"""Error, active features and norms of a feature model, beside loops; the closed-form bound of the norms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from feature_samples import small_store
from hypothesis import example, given, settings
from hypothesis import strategies as st
from naive_features import naive_inputs

from reknit.interpretability import quality
from reknit.interpretability.activation_store import ActivationStore
from reknit.interpretability.quality import largest_cosine, mean_input, measure, norm_ratios, untrained
from reknit.interpretability.top_afa import TopAFASpec
from reknit.interpretability.top_k import TopKSpec


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ActivationStore:
    return small_store(tmp_path_factory.mktemp("store"))


@pytest.mark.parametrize("spec", [TopKSpec(width=24, k=4), TopAFASpec(width=24)])
def test_the_quality_is_that_of_loops(store: ActivationStore, spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "_ROWS_AT_A_TIME", 37)
    model = spec.build(16, seed=1).eval()
    with torch.no_grad():
        model.bias.add_(0.2)
    inputs = naive_inputs(store.rows(np.arange(store.num_states)))
    mean = mean_input(store, 200)
    assert (mean - inputs[:200].mean(dim=0)).abs().max() < 1e-4
    found = measure(model, store, 200, store.num_states, mean)
    error = spread = active = gap = bound = 0.0
    fired = set()
    rows = model.decoder.tolist()
    epsilon = max(abs(np.dot(rows[i], rows[j])) for i in range(24) for j in range(24) if i != j)
    with torch.no_grad():
        for state in inputs[200:]:
            code = model.select(model.activations(state[None]), state[None])[0]
            features = [number for number, value in enumerate(code.tolist()) if value > 0]
            fired |= set(features)
            active += len(features)
            error += float((state - code @ model.decoder - model.bias).square().sum())
            spread += float((state - mean).square().sum())
            length = float((state - model.bias).norm())
            gap += abs(float(code.norm()) - length) / length
            squared, decoded = float(code.norm()) ** 2, float((code @ model.decoder).norm()) ** 2
            if len(features) > 1:
                bound = max(bound, abs(decoded - squared) / (epsilon * (len(features) - 1) * squared))
    count = store.num_states - 200
    assert found.error == pytest.approx(error / spread, rel=1e-3)
    assert found.active == pytest.approx(active / count, rel=1e-3)
    assert found.norm_gap == pytest.approx(gap / count, rel=1e-3)
    assert found.norm_bound == pytest.approx(bound, rel=1e-3)
    assert found.unused == pytest.approx(1 - len(fired) / 24, abs=1e-6)


def test_the_mean_predictor_has_error_one(store: ActivationStore) -> None:
    mean = mean_input(store, store.num_states)
    model = untrained(TopKSpec(width=24, k=4), mean, seed=0)
    with torch.no_grad():
        model.encoder.zero_()
    found = measure(model, store, 0, store.num_states, mean)
    assert found.error == pytest.approx(1.0, abs=1e-6)
    assert (found.active, found.unused, found.norm_bound) == (0.0, 1.0, 0.0)


CODES = st.lists(st.lists(st.sampled_from([0.0, 0.0, 0.5, 1.0, 3.0]), min_size=6, max_size=6), min_size=1, max_size=4)


@settings(max_examples=200, deadline=None)
@example([[0.0] * 6, [0.0] * 6, [0.0, 0.0, 0.5, 0.0, 0.0, 0.5]], 489, 3)  # the bound was rounded to float32
@given(CODES, st.integers(0, 10_000), st.integers(1, 5))
def test_norms_keep_to_their_bound(codes: list[list[float]], seed: int, dim: int) -> None:
    drawn = torch.randn(6, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    decoder = drawn / drawn.norm(dim=1, keepdim=True)
    code = torch.tensor(codes, dtype=torch.float64)
    ratios = norm_ratios(code, decoder, largest_cosine(decoder))
    assert bool((ratios <= 1 + 1e-9).all())
    assert bool((ratios[(code > 0).sum(dim=1) < 2] == 0).all())


def test_the_bound_is_reached_and_a_wrong_decoder_breaks_it() -> None:
    code = torch.tensor([[1.0, 1.0]])
    alike = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    assert float(norm_ratios(code, alike, largest_cosine(alike))) == pytest.approx(1.0)
    # Rows that are not of length 1, or a cosine that is too small.
    assert float(norm_ratios(code, 2 * alike, largest_cosine(alike))) > 1
    assert float(norm_ratios(code, alike, 0.5)) > 1
    assert largest_cosine(torch.tensor([[1.0, 0.0]])) == 0.0
