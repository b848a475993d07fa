"""Nothing that is to be predicted is seen: neither by what training reaches on noise, nor by a change of one token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn
from toy_models import amplify, generator
from twins import twin_of
from twins.base import passes

from reknit.data.batch import Batch
from reknit.encoders.base import Encoder
from reknit.objectives.base import Objective
from reknit.objectives.predictions import Decisions, Matches, Predictions, ReconstructionObjective

AVERAGED = 15  # of the last steps


def check_entropy_floor(
    objective: Objective,
    encoder: nn.Module,
    fresh_batch: Callable[[int], Batch],
    floors: dict[str, float] | None = None,
    *,
    steps: int = 60,
    learning_rate: float = 1e-2,
    tolerance: float = 0.06,
) -> None:
    """On random data, fresh each step, training cannot push a loss below chance.

    floors: of some losses; by default those that the objective declares, which must be of all its losses.
    """
    if floors is None and not _declares_a_floor(objective, encoder, fresh_batch(0)):
        return
    optimiser = torch.optim.Adam([*encoder.parameters(), *objective.parameters()], lr=learning_rate, fused=True)
    objective.train(), encoder.train()
    reached: dict[str, list[float]] = {}
    lowest: dict[str, list[float]] = {}
    torch.manual_seed(1)
    for step in range(steps):
        batch = fresh_batch(step)
        output = objective(encoder, batch, generator(step))
        optimiser.zero_grad()
        output.total.backward()
        optimiser.step()
        if step >= steps - AVERAGED:
            for name, floor in (floors or _declared(objective, encoder, batch, step)).items():
                # Where chance decides what a step is about, it need not have every loss.
                if name in output.losses and not isinstance(floor, str):
                    reached.setdefault(name, []).append(float(output.losses[name].detach()))
                    lowest.setdefault(name, []).append(floor)
    assert reached, "the last steps have no loss with a floor"
    assert floors is None or reached.keys() == floors.keys(), f"the last steps have no loss but {sorted(reached)}"
    for name, losses in reached.items():
        mean, floor = sum(losses) / len(losses), sum(lowest[name]) / len(losses)
        assert mean > floor - tolerance, f"loss {name!r} reached {mean:.3f} on noise; chance is {floor:.3f}"


def _declares_a_floor(objective: Objective, encoder: Encoder, batch: Batch) -> bool:
    """Whether any loss has one. Each must have one, or say why not."""
    declared = _declared(objective, encoder, batch, 0)
    losses = objective.eval()(encoder.eval(), batch, generator(0)).losses
    assert set(declared) == set(losses), f"`floors` tells of {sorted(declared)}, the losses are {sorted(losses)}"
    assert all(declared.values()), f"no floor may be empty or 0: {declared}"
    return any(not isinstance(floor, str) for floor in declared.values())


@torch.no_grad()
def _declared(objective: Objective, encoder: nn.Module, batch: Batch, step: int) -> dict[str, float | str]:
    training = objective.training
    objective.eval(), encoder.eval()
    found = objective.floors(encoder, batch, generator(step))
    objective.train(training), encoder.train(training)
    return found


def check_no_peek(objective: Objective, encoder: Encoder, batch: Batch, probes: int = 6) -> None:
    """Change a token that is predicted unseen; its prediction must not move. Likewise what is decided about a token
    without seeing it, and what is guessed of hidden vectors.

    Where sequences of tokens are predicted whole, one is put in the place of another. A loss that asks about nothing
    unseen must be declared as `visible`, with the reason.
    """
    objective.eval(), encoder.eval()
    amplify(objective, encoder)
    probed = set()
    with torch.no_grad(), twin_of(objective).same_units(objective, batch):
        losses = objective(encoder, batch, generator(0)).losses
        for name, before in twin_of(objective).predictions(objective, encoder, batch, generator(0)).items():
            _probe_predictions(objective, encoder, batch, name, before, probes)
            probed.add(name)
        if isinstance(objective, ReconstructionObjective):
            for name, matches in objective.matches(encoder, batch, generator(0)).items():
                _probe_matches(objective, encoder, batch, name, matches, probes)
                probed.add(name)
            for name, decided in objective.decisions(encoder, batch, generator(0)).items():
                if _probe_decisions(objective, encoder, batch, name, decided, probes):
                    probed.add(name)
    unasked = losses.keys() - probed
    assert all(objective.visible.get(name) for name in unasked), (
        f"nothing shows that {sorted(unasked)} see no answers: show what they predict, or say why in `visible`"
    )


def _probe_predictions(
    objective: Objective, encoder: Encoder, batch: Batch, name: str, before: Predictions, probes: int
) -> None:
    unseen, seen = (rows.nonzero().squeeze(1) for rows in (before.unseen, ~before.unseen))
    assert unseen.numel() > 0, f"loss {name!r} predicts no token unseen"
    # What is called seen counts for nothing in the floor of a loss, so it must be.
    for rows, wanted in ((unseen, probes), (seen, probes // 2)):
        for row in rows[:: max(1, rows.numel() // wanted)].tolist():
            changed, target = twin_of(objective).put_another(batch, int(before.positions[row]), before.choices)
            after = twin_of(objective).predictions(objective, encoder, changed, generator(0))[name]
            assert bool((after.targets[row] == target).all()), (
                f"loss {name!r} does not ask for the token at its position"
            )
            moved = float((after.states[row] - before.states[row]).abs().max())
            if rows is unseen:
                assert moved < 1e-6, f"the prediction of a hidden token moves by {moved:.2g} with it ({name})"
            else:
                assert moved > 1e-6, f"a token is called seen, but its prediction does not move with it ({name})"


def _probe_decisions(
    objective: ReconstructionObjective, encoder: Encoder, batch: Batch, name: str, before: Decisions, probes: int
) -> int:
    """Change a token in whose place the encoder sees another one, which stays: the decision must not move.

    Returns how many there were.
    """
    with passes(encoder) as seen:
        objective.decisions(encoder, batch, generator(0))
    done, rows = 0, before.targets.nonzero().squeeze(1)
    for row in rows[:: max(1, rows.numel() // (2 * probes))].tolist():
        place = int(before.positions[row])
        for other in range(5, 15):
            tokens = batch.tokens.clone()
            tokens[place] = other
            with passes(encoder) as now:
                after = objective.decisions(encoder, replace(batch, tokens=tokens), generator(0))[name]
            same = all(torch.equal(a.tokens, b.tokens) for (a, _), (b, _) in zip(seen, now, strict=True))
            if same and other != int(batch.tokens[place]) and bool(after.targets[row]):
                moved = float((after.states[row] - before.states[row]).abs())
                assert moved < 1e-6, f"the decision about a hidden token moves by {moved:.2g} with it ({name})"
                done += 1
                break
    return done


def _probe_matches(
    objective: ReconstructionObjective, encoder: Encoder, batch: Batch, name: str, before: Matches, probes: int
) -> None:
    """Change a token of what is hidden: the vector to be found moves, and the guess at it does not.

    Where nothing is hidden, because guess and vector are readings of one text, both move and none of another text does.
    """
    # A token that ends a sentence may decide what is hidden at all.
    ends = torch.tensor(batch.vocabulary.sentence_ends)
    rows = (~torch.isin(batch.tokens[before.positions], ends)).nonzero().squeeze(1)
    assert rows.numel() > 0, f"loss {name!r} hides nothing"
    moved = 0.0
    for row in rows[:: max(1, rows.numel() // probes)].tolist():
        tokens = batch.tokens.clone()
        place = int(before.positions[row])
        tokens[place] = 5 if tokens[place] != 5 else 6
        after = objective.matches(encoder, replace(batch, tokens=tokens), generator(0))[name]
        differences = (after.states - before.states).abs().amax(dim=1)
        if before.unseen:
            difference = float(differences[row])
            assert difference < 1e-6, f"the guess at a hidden vector moves by {difference:.2g} with it ({name})"
        else:
            moving = differences + (after.targets - before.targets).abs().amax(dim=1) > 1e-6
            assert moving.nonzero().squeeze(1).tolist() == [row], f"other texts' vectors move ({name})"
            assert differences[row] > 1e-4, f"loss {name!r} has vectors of a text that do not tell of it"
        moved = max(moved, float((after.targets[row] - before.targets[row]).abs().max()))
    # Of one that is masked besides, the vector cannot tell; but not all are.
    assert moved > 1e-4, f"loss {name!r} does not ask for the vector at its position"
