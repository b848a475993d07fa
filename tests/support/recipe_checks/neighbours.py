"""A text's results depend neither on the texts it is packed with nor on padding."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import torch
from torch import Tensor, nn
from toy_models import amplify, generator
from twins import twin_of

from recipe_checks.shown import comparable, difference, gradients_by_loss, rows_before, shown_by
from reknit.data.batch import Batch
from reknit.encoders.attention import layout
from reknit.encoders.base import Encoder
from reknit.objectives.base import EmbeddingObjective, Objective


def check_packing_invariance(objective: Objective, encoder: Encoder, batch: Batch, other: Batch) -> None:
    """What is computed for the first example of `batch` is the same beside other neighbours.

    `other` must start with the same example and go on with neighbours of other lengths.
    """
    length = int(batch.cu_seqlens[batch.sequences_per_example])
    assert torch.equal(batch.tokens[:length], other.tokens[:length])
    objective.eval(), encoder.eval()
    amplify(objective, encoder)
    with torch.no_grad(), twin_of(objective).alone():
        results = [_first_sequence(objective, encoder, each, length) for each in (batch, other)]
    assert any(values.numel() for values in results[0].values()), "nothing is computed for the first sequence"
    for name, here in results[0].items():
        there = results[1][name]
        assert here.shape == there.shape, f"{name!r}: {here.shape} here, {there.shape} beside other neighbours"
        moved = difference(here, there)
        assert moved < 1e-5, f"{name!r} of a sequence moves by {moved:.2g} with its neighbours"


def check_padding_invariance(objective: Objective, encoder: nn.Module, batch: Batch) -> None:
    """Every token's state, every loss and every gradient are the same without padding and with all of it.

    Without: each sequence is attended to alone. With: all are padded to the longest, as plain batches are.
    """
    objective.eval(), encoder.eval()
    amplify(objective, encoder)
    alone = _all_results(objective, encoder, batch, lambda lengths: [(n, n + 1) for n in range(len(lengths))])
    padded = _all_results(objective, encoder, batch, lambda lengths: [(0, len(lengths))])
    for name, expected in alone.items():
        moved = difference(padded[name], expected)
        assert moved < 1e-5, f"{name} moves by {moved:.2g} with padding"


def _first_sequence(objective: Objective, encoder: Encoder, batch: Batch, length: int) -> dict[str, Tensor]:
    shown = shown_by(objective, encoder, batch)
    found = {name: comparable(rows_before(one, length)) for name, one in shown.items()}
    if isinstance(objective, EmbeddingObjective):
        found["embedding"] = objective.embed(encoder, batch, generator(0))[0]
    return found


def _all_results(
    objective: Objective, encoder: nn.Module, batch: Batch, buckets: Callable[[list[int]], list[tuple[int, int]]]
) -> dict[str, Tensor]:
    """What an objective computes on the way and in the end, with sequences padded together as `buckets` says."""
    with mock.patch.object(layout, "_bucket_bounds", buckets):
        shown = shown_by(objective, encoder, batch)
        results = {f"a state of {name!r}": comparable(found) for name, found in shown.items()}
        if isinstance(objective, EmbeddingObjective):
            results["the embedding"] = objective.embed(encoder, batch, generator(0))
        losses = objective(encoder, batch, generator(0)).losses
        results |= {f"loss {name!r}": loss for name, loss in losses.items()}
        gradients = gradients_by_loss(objective, encoder, batch, training=False)
    found = {key: value.detach() for key, value in results.items()}
    for name, by_parameter in gradients.items():
        found[f"the gradient of {name!r}"] = torch.cat([gradient.flatten() for gradient in by_parameter.values()])
    return found
