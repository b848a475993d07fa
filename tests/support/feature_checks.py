"""What every feature model must keep to, whatever its method; each check raises AssertionError for one that does
not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from naive_features import naive_inputs, naive_losses, naive_topk_code
from torch import Tensor

from reknit.interpretability.feature_model import FeatureModel, FeatureModelSpec, standardise
from reknit.interpretability.features_folder import SavedFeatures
from reknit.interpretability.training import IdleFeatures, feature_losses, train_step

DIM, ACTIVE = 16, 3


def random_states(seed: int, count: int = 24, dim: int = DIM) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3.0 * torch.randn(count, dim, generator=generator) + 5.0 * torch.randn(count, 1, generator=generator)


def planted(model: FeatureModel, seed: int, count: int = 40) -> tuple[Tensor, Tensor]:
    """Give the model an exact dictionary, and return states that are sums of `ACTIVE` of its directions, with their
    code.

    The directions are orthogonal to one another and to the vector of ones, so that a sum of them is standardised but
    for its length; a model wider than there are such directions has copies of none: the others point nowhere.
    """
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.cat((torch.ones(DIM, 1), torch.randn(DIM, DIM - 1, generator=generator)), dim=1))[0]
    directions = basis[:, 1:].T
    with torch.no_grad():
        model.bias.zero_()
        model.encoder.zero_()
        model.encoder[:, : DIM - 1] = directions.T
        model.decoder[: DIM - 1] = directions
    code = torch.zeros(count, model.width)
    for row in range(count):
        places = torch.randperm(DIM - 1, generator=generator)[:ACTIVE]
        code[row, places] = 0.5 + torch.rand(ACTIVE, generator=generator)
    code *= (DIM - 1) ** 0.5 / code.norm(dim=1, keepdim=True)
    states = 0.3 * (code @ model.decoder) + torch.randn(count, 1, generator=generator)
    return states.detach(), code


def check_reconstruction(model: FeatureModel) -> None:
    """A wide enough exact dictionary gives planted sparse states back, and their code."""
    states, code = planted(model.eval(), seed=1)
    assert (model.encode(states) - code).abs().max() < 1e-3, "the planted code is not found"
    assert (model.reconstruct(states) - states).abs().max() < 1e-3, "planted states are not given back"


def check_sparsity(model: FeatureModel) -> None:
    """The code is the activations, but for all except the largest ones, as many as the model says it keeps."""
    inputs = naive_inputs(random_states(2))
    with torch.no_grad():
        activations = torch.relu((inputs - model.bias) @ model.encoder)
        ranked = activations.sort(dim=1, descending=True).values
        claimed = model.counts(ranked, inputs - model.bias)
        code = model.select(model.activations(inputs), inputs)
    wanted = naive_topk_code(activations, claimed.tolist())
    positive = (activations > 0).sum(dim=1)
    assert (activations > 0).any(), "nothing is active, so nothing was checked"
    assert torch.equal((code > 0).sum(dim=1), torch.minimum(claimed, positive)), "not as many features as claimed"
    assert (code - wanted).abs().max() < 1e-5, "not the largest activations"


def check_standardisation(model: FeatureModel) -> None:
    """What is added to all numbers of a state, and what multiplies them, does not change the code."""
    states = random_states(3)
    inputs, means, spreads = standardise(states)
    assert (inputs - naive_inputs(states)).abs().max() < 1e-4
    assert (inputs * spreads + means - states).abs().max() < 1e-4
    assert (model.eval().encode(4.0 * states - 7.0) - model.encode(states)).abs().max() < 1e-3, "scale or mean matters"


def check_independence(model: FeatureModel) -> None:
    """In evaluation, after training, a state's code does not depend on the other states of its batch."""
    states = random_states(4)
    with torch.no_grad():
        for seed in range(5):
            inputs = standardise(random_states(seed)).inputs
            model.train().select(model.activations(inputs), inputs)
        together = model.eval().encode(states)
        alone = torch.cat([model.encode(state[None]) for state in states])
    assert (together > 0).any(), "nothing is active, so nothing was checked"
    assert (together - alone).abs().max() < 1e-5, "the code depends on the batch"


def check_losses(model: FeatureModel, spec: FeatureModelSpec) -> None:
    """Losses and gradients are those of plain loops, with dead features and without; all weights learn."""
    model.train()
    for idle_steps in (0, spec.dead_after):
        states, idle = random_states(5, count=6), IdleFeatures(model.width)
        idle.steps[::2] = idle_steps
        found = feature_losses(model, spec, states, idle)
        wanted = naive_losses(model, spec, states, idle.steps.tolist())
        assert set(found) == set(wanted), f"losses {sorted(found)}, not {sorted(wanted)}"
        for name, loss in found.items():
            assert abs(float(loss.detach()) - float(wanted[name].detach())) < 1e-4, f"{name} is not what loops give"
            parameters = dict(model.named_parameters())
            gradients = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True, allow_unused=True)
            others = torch.autograd.grad(wanted[name], list(parameters.values()), retain_graph=True, allow_unused=True)
            for which, one, other in zip(parameters, gradients, others, strict=True):
                one, other = (torch.zeros(1) if each is None else each for each in (one, other))
                assert (one - other).abs().max() < 1e-4, f"the gradient of {name} for {which} is not what loops give"
        whole = torch.autograd.grad(sum(found.values()), list(model.parameters()))
        assert all(bool(gradient.abs().sum() > 0) for gradient in whole), "a weight never learns"


def check_unit_rows(model: FeatureModel, spec: FeatureModelSpec) -> None:
    """The decoder's rows have length 1 at the start and after steps, and steps do change them."""
    before = model.decoder.detach().clone()
    assert (before.norm(dim=1) - 1).abs().max() < 1e-5, "rows are not of length 1 at the start"
    # Far enough that rows which are only turned would grow.
    spec = replace(spec, optimiser=replace(spec.optimiser, learning_rate=50.0))
    optimiser, idle = torch.optim.SGD(model.parameters()), IdleFeatures(model.width)
    for seed in range(3):
        train_step(model.train(), spec, random_states(seed), idle, optimiser, 0.5)
    assert (model.decoder.norm(dim=1) - 1).abs().max() < 1e-5, "rows are not of length 1 after training"
    assert (model.decoder.detach() - before).abs().max() > 1e-4, "the directions do not learn"


def check_saving(model: FeatureModel, method: str, spec: FeatureModelSpec, folder: Path) -> None:
    """A trained model that is saved and loaded again gives the same codes and reconstructions."""
    with torch.no_grad():
        for seed in range(3):
            inputs = standardise(random_states(seed)).inputs
            model.train().select(model.activations(inputs), inputs)
        model.eval().bias.add_(0.1)
    SavedFeatures(model, method, spec, 1, "toy").save(folder)
    loaded = SavedFeatures.load(folder)
    assert (loaded.method, loaded.layer, loaded.of) == (method, 1, "toy")
    states = random_states(6)
    assert torch.equal(loaded.model.encode(states), model.encode(states)), "the loaded model has another code"
    assert torch.equal(loaded.model.reconstruct(states), model.reconstruct(states)), "it reconstructs otherwise"
