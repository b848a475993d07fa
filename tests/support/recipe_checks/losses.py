"""Losses are those of loops, prefer what is right, fall, and begin where they began before."""

from __future__ import annotations

import torch
from torch import nn
from toy_models import amplify, generator
from twins import VectorTwin, twin_of

from reknit.data.batch import Batch
from reknit.encoders.base import Encoder
from reknit.objectives.base import EmbeddingObjective, Objective


def check_against_naive(objective: Objective, encoder: Encoder, batch: Batch) -> None:
    """The losses of the objective are those of loops, over its predictions or over random vectors."""
    objective.eval(), encoder.eval()
    with torch.no_grad():
        losses, expected = twin_of(objective).compare(objective, encoder, batch)
    assert losses, "there is no loss"
    assert set(expected) == set(losses), f"losses {sorted(losses)}, expected {sorted(expected)}"
    for name, value in expected.items():
        assert torch.allclose(losses[name], value, atol=1e-5, rtol=1e-5), (
            f"loss {name!r} is {float(losses[name]):.6f}; loops give {float(value):.6f}"
        )


def check_positives(objective: EmbeddingObjective, batch: Batch) -> None:
    """Vectors that are equal within pairs and orthogonal across them score better than the same ones out of step.

    A ranker that teaches the vectors knows the pairs.
    """
    twin = twin_of(objective)
    assert isinstance(twin, VectorTwin)
    perfect = torch.eye(batch.num_sequences // 2, 32).repeat_interleave(2, dim=0)
    shifted = perfect.clone()
    shifted[1::2] = perfect[1::2].roll(1, dims=0)
    with twin.knowing(objective):
        good, bad = (float(objective.score(twin.shaped(vectors), batch).total) for vectors in (perfect, shifted))
    assert good < 0.1 < bad, f"true pairs lose {good:.3f}, wrong pairs {bad:.3f}"


def check_loss_falls(objective: Objective, encoder: nn.Module, batch: Batch, progress: float = 0.0) -> None:
    """On one fixed batch every loss is finite and falls, while this share of the training is over."""
    optimiser = torch.optim.Adam([*encoder.parameters(), *objective.parameters()], lr=5e-3, fused=True)
    objective.train(), encoder.train()
    torch.manual_seed(2)
    steps = twin_of(objective).steps_to_fall
    history: dict[str, list[float]] = {}
    for step in range(steps):
        output = objective(encoder, batch, generator(step))
        optimiser.zero_grad()
        output.total.backward()
        optimiser.step()
        objective.after_step(encoder, progress)
        for name, loss in output.losses.items():
            history.setdefault(name, []).append(float(loss.detach()))
        assert all(torch.isfinite(loss) for loss in output.losses.values()), f"step {step}: {output.losses}"
        if step >= 10 and all(late < 0.9 * early for early, late in map(_early_and_late, history.values())):
            break  # no need to see them fall on
    assert history, "there is no loss"
    for name, values in history.items():
        early, late = _early_and_late(values)
        assert late < 0.97 * early, f"loss {name!r} went from {early:.4f} to {late:.4f}"


def _early_and_late(losses: list[float]) -> tuple[float, float]:
    return sum(losses[:3]) / 3, sum(losses[-5:]) / 5


def first_losses(objective: Objective, encoder: Encoder, batch: Batch) -> dict[str, float]:
    """Losses of the amplified, untrained model without dropout, to be held against the golden ones."""
    objective.eval(), encoder.eval()
    amplify(objective, encoder)
    with torch.no_grad():
        return {name: float(loss) for name, loss in objective(encoder, batch, generator(5)).losses.items()}
