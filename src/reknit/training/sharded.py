"""Training in slices: FSDP2, for models whose weights, gradients and moments do not fit on one device."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from reknit.collectives import whole
from reknit.data.batch import Batch
from reknit.encoders.base import Encoder
from reknit.objectives.base import Objective, StepOutput
from reknit.recipe import OptimiserSpec
from reknit.training.team import Team
from reknit.training.trained import Pair, Trained


class Sharded(Trained):
    """Slices of weights, gradients and moments on every process, whole layers only while they compute.

    The modules given wait in the processor's memory; they are filled for checkpoints, probes and the phase's end.
    """

    def __init__(self, encoder: Encoder, objective: Objective, team: Team) -> None:
        device = next(encoder.parameters()).device
        self._leads = team.is_rank_zero
        self._whole = Pair(encoder, objective).cpu()
        self._pair = copy.deepcopy(self._whole)
        super().__init__(self._pair.encoder, self._pair.objective)
        mesh = init_device_mesh(device.type, (team.size,))
        for layer in _layers(self._pair):
            fully_shard(layer, mesh=mesh)
        # The rest is one group that stays whole through a step: heads read the encoder's table from outside of it.
        fully_shard(self._pair, mesh=mesh, reshard_after_forward=False)

    def step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        return StepOutput(*self._pair(batch, rng))

    def optimiser(self, spec: OptimiserSpec) -> torch.optim.Optimizer:
        """An optimiser whose saved state holds whole moments, so that any number of processes can resume from it."""
        optimiser = super().optimiser(spec)
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        optimiser.register_state_dict_post_hook(lambda _, state: _mapped(state, lambda value, _: self._kept(value)))
        optimiser.register_load_state_dict_pre_hook(
            lambda _, state: _mapped(state, lambda value, index: _slice_of(value, parameters[index]))
        )
        return optimiser

    def _kept(self, value: Any) -> Any:
        """A slot's value put together by all, and kept by rank 0 alone, off the device, where it may not fit."""
        value = whole(value)
        return value.cpu() if self._leads else value.new_empty(0)

    @torch.no_grad()
    def collect(self) -> None:
        for target, source in zip(_tensors(self._whole), _tensors(self._pair), strict=True):
            target.copy_(whole(source))

    @torch.no_grad()
    def spread(self) -> None:
        for target, source in zip(_tensors(self._pair), _tensors(self._whole), strict=True):
            target.copy_(_slice_of(source, target))


def _layers(pair: nn.Module) -> list[nn.Module]:
    """The layers of every encoder inside (teachers too), innermost first."""
    encoders = [module for module in pair.modules() if isinstance(module, Encoder)]
    stacks = [stack for encoder in encoders for stack in encoder.modules() if isinstance(stack, nn.ModuleList)]
    return list(dict.fromkeys(layer for stack in reversed(stacks) for layer in stack))


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _slice_of(value: Tensor, like: Tensor) -> Tensor:
    """This process's slice of a whole tensor, cut as `like` is; step counters and what is not sliced stay whole."""
    if not isinstance(like, DTensor) or value.shape != like.shape:
        return value
    # Every process has the whole tensor, so nobody needs to send slices.
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def _mapped(state: dict[str, Any], change: Callable[[Any, int], Any]) -> dict[str, Any]:
    """An optimiser's state_dict with each value of each parameter's slot changed by `change(value, parameter)`."""
    slots = {
        index: {name: change(value, index) for name, value in slot.items()} for index, slot in state["state"].items()
    }
    return {**state, "state": slots}
