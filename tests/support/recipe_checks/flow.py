"""Where gradients go: each loss to the encoder, some through the sentence vector alone, none to a teacher."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn
from toy_models import generator

from recipe_checks.shown import gradients_by_loss, shown_by
from reknit.data.batch import Batch, segments_of
from reknit.encoders.base import Encoded, Encoder
from reknit.objectives.base import FollowsProgress, Objective
from reknit.objectives.predictions import Predictions


def check_gradients_reach_encoder(objective: Objective, encoder: nn.Module, batch: Batch) -> None:
    """Each named loss alone sends a gradient to every block and to the table, but an auxiliary one to no block."""
    for name, gradients in gradients_by_loss(objective, encoder, batch).items():
        table = id(encoder.table)
        if name in objective.auxiliary:
            reached = sum(float(gradients[id(p)].abs().sum()) for p in encoder.blocks.parameters())
            assert reached == 0, f"loss {name!r} is auxiliary, but does reach the encoder's blocks"
            continue
        assert gradients[table].abs().sum() > 0, f"loss {name!r} does not reach the embedding table"
        for number, block in enumerate(encoder.blocks[:1] if name in objective.partial else encoder.blocks):
            reached = sum(float(gradients[id(p)].abs().sum()) for p in block.parameters() if id(p) in gradients)
            assert reached > 0, f"loss {name!r} does not reach block {number}"


def check_bottleneck(objective: Objective, encoder: Encoder, batch: Batch) -> None:
    """With "cls" pooling, each of the `vector_losses` reaches the encoder through the first row of every sequence, and
    through no other; every other loss reaches other rows, or it would have to be declared as one of them."""
    losses = objective(encoder, batch, generator(0)).losses
    for name in losses.keys() - objective.auxiliary:
        others, firsts = _rows_reached(objective, encoder, batch, name, 0)
        if name not in objective.vector_losses:
            assert others, f"loss {name!r} reaches sentence vectors alone: declare it in `vector_losses`"
            continue
        assert not others, f"loss {name!r} goes around the sentence vector"
        asked = _sequences_asked_about(objective, encoder, batch, name)
        step = 0
        while asked is None and not firsts.all() and (step := step + 1) < 40:
            # Where some of the texts are drawn in each step, each must be drawn some time.
            firsts = firsts | _rows_reached(objective, encoder, batch, name, step)[1]
        wanted = len(firsts) if asked is None else asked
        assert int(firsts.sum()) >= wanted, f"loss {name!r} does not reach the sentence vector of every sequence"


def _rows_reached(objective: Objective, encoder: Encoder, batch: Batch, name: str, step: int) -> tuple[int, Tensor]:
    """How many rows but first ones a loss reaches, and [N] bool, of the sequences of the pass of which it reaches most
    the ones whose first row it reaches."""
    with _kept_passes(encoder) as passes:
        objective(encoder, batch, generator(step)).losses[name].backward()
    encoder.zero_grad(), objective.zero_grad()
    others, firsts = 0, torch.zeros(0, dtype=torch.bool)
    for encoded in passes:
        gradients = [states.grad.abs().sum(dim=1) for states in encoded.states.values() if states.grad is not None]
        reached = sum(gradients, torch.zeros(len(encoded.last))) > 0
        first = torch.zeros_like(reached)
        first[encoded.cu_seqlens[:-1]] = True
        others += int(reached[~first].sum())
        firsts = max(firsts, reached[first], key=lambda rows: int(rows.sum()))
    return others, firsts


@contextmanager
def _kept_passes(encoder: Encoder) -> Iterator[list[Encoded]]:
    """What the encoder gives out within it: copies, so that a layer's gradient is not that of the layers above."""
    passes: list[Encoded] = []

    def keep(module: nn.Module, given: object, encoded: Encoded) -> Encoded:
        copies = {layer: states.clone() for layer, states in encoded.states.items()}
        for states in copies.values():
            if states.requires_grad:
                states.retain_grad()
        passes.append(replace(encoded, states=copies))
        return passes[-1]

    hook = encoder.register_forward_hook(keep)
    try:
        yield passes
    finally:
        hook.remove()


def _sequences_asked_about(objective: Objective, encoder: Encoder, batch: Batch, name: str) -> int | None:
    """How many sequences a loss of vectors asks something about in a step; None for all of them over many steps."""
    found = shown_by(objective, encoder, batch).get(name)
    if found is None:
        return None
    texts = segments_of(batch.cu_seqlens)[found.positions].unique() if isinstance(found, Predictions) else found.states
    assert len(texts) > batch.num_sequences // 3, f"loss {name!r} asks about too few sequences"
    return len(texts)


def check_untrained(objective: Objective, encoder: Encoder, batch: Batch) -> None:
    """No gradient trains what is declared as `untrained`, and nothing else; it changes when it says that it does."""
    weights = dict(objective.named_parameters())
    parts = {part: [name for name in weights if f"{name}.".startswith(f"{part}.")] for part in objective.untrained}
    frozen = {name for name, weight in weights.items() if not weight.requires_grad}
    assert frozen == {name for names in parts.values() for name in names}, (
        f"no gradient trains {sorted(frozen)}, but {sorted(objective.untrained)} are declared as `untrained`"
    )
    trained = [p for p in (*encoder.parameters(), *objective.parameters()) if p.requires_grad]
    optimiser = torch.optim.Adam(trained, lr=1e-2, fused=True)
    start = float(objective.progress) if isinstance(objective, FollowsProgress) else 0.0
    happened = {"never"} if start < 1.0 else {"never", "stage"}
    for step, progress in enumerate((start, 1.0, 1.0)):
        before = {name: weight.detach().clone() for name, weight in weights.items()}
        stage = objective.stage
        objective(encoder, batch, generator(step)).total.backward()
        optimiser.step(), optimiser.zero_grad()
        objective.after_step(encoder, progress)
        now = {"step"} if objective.stage == stage else {"step", "stage"}
        happened |= now
        for part, when in objective.untrained.items():
            changed = any(not torch.equal(weights[name], before[name]) for name in parts[part])
            assert changed or when not in now, f"{part!r} does not change after a {when}"
            assert not changed or when in now, f"{part!r} changes, though not after a {when}"
    assert happened >= set(objective.untrained.values()), "the stage never changes"
