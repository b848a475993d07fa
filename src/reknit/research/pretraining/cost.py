"""About how much an arm computes, before anything is trained."""

from __future__ import annotations

from reknit.encoders.spec import TextEncoderSpec
from reknit.errors import ReknitError
from reknit.recipe import BudgetSpec
from reknit.research.pretraining.config import NO_TUNING, Arm, ComparisonConfig, shared_recipe

_FORWARD_AND_BACKWARD = 3
"""The backward pass takes two products for each of the forward pass."""


def training_flops(arm: Arm, comparison: ComparisonConfig) -> float:
    """FLOPs of an arm's training and tuning: the budget where it is in FLOPs, else counted from its tokens.

    Raises ReknitError for a budget in seconds, which says nothing of FLOPs.
    """
    recipe = shared_recipe(arm, comparison)
    training = 0.0
    if recipe is not None:
        assert isinstance(recipe.encoder, TextEncoderSpec), "what all arms share is an encoder of texts"
        training = _flops(comparison.budget, recipe.encoder, head=True)
    if comparison.tuning == NO_TUNING:
        return training
    return training + _flops(comparison.tuning_budget, comparison.encoder, head=False)


def flops_per_token(encoder: TextEncoderSpec, *, head: bool) -> float:
    """Of a training step: the matrix products of every block, and of a head over the vocabulary. Attention scores,
    which grow with the length, are left out."""
    feed_forward = 3 if encoder.family == "modernbert" else 2  # ModernBERT's is gated
    block = 4 * encoder.dim**2 + feed_forward * encoder.dim * encoder.intermediate
    weights = encoder.depth * block + (encoder.dim * (encoder.dim + encoder.vocabulary) if head else 0)
    return 2.0 * _FORWARD_AND_BACKWARD * weights


def _flops(budget: BudgetSpec, encoder: TextEncoderSpec, *, head: bool) -> float:
    limits = []
    if budget.flops is not None:
        limits.append(budget.flops)
    if budget.tokens is not None:
        limits.append(budget.tokens * flops_per_token(encoder, head=head))
    if not limits:
        raise ReknitError("a budget in seconds does not say how much is computed: give it in tokens or FLOPs")
    return min(limits)
