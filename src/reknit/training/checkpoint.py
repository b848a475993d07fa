"""Checkpoints: safetensors and JSON only, written aside and renamed, the newest whole one is what a resume finds."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from reknit.errors import ReknitError
from reknit.jobs.files import disk_full_explained, read_json, write_json, written_aside

_KEPT = 2


class CheckpointFolder:
    """One phase's `step-00001234/` (whole training state), `best-00001200/` (encoder only) and `final/` (encoder and,
    of the last step, the objective's heads)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(
        self,
        step: int,
        encoder: nn.Module,
        objective: nn.Module,
        optimiser: torch.optim.Optimizer,
        state: dict[str, Any],
    ) -> None:
        """Write the whole training state; older checkpoints but one are removed after the new one is in place."""
        target = self.folder / f"step-{step:08d}"
        with disk_full_explained(str(target)), written_aside(target) as aside:
            aside.mkdir()
            save_tensors(encoder.state_dict(), aside / "encoder.safetensors")
            save_tensors(objective.state_dict(), aside / "objective.safetensors")
            save_tensors(_flatten(optimiser), aside / "optimiser.safetensors")
            write_json(aside / "state.json", state)
        for old in self._steps()[:-_KEPT]:
            shutil.rmtree(old)
        self._prune_best()

    def load_newest(
        self, encoder: nn.Module, objective: nn.Module, optimiser: torch.optim.Optimizer
    ) -> dict[str, Any] | None:
        """Put the newest checkpoint's tensors in place and return its state; None when there is no checkpoint."""
        steps = self._steps()
        if not steps:
            return None
        newest = steps[-1]
        _put(newest / "encoder.safetensors", encoder)
        _put(newest / "objective.safetensors", objective)
        _restore(optimiser, load_file(newest / "optimiser.safetensors"))
        state: dict[str, Any] = read_json(newest / "state.json")
        return state

    def newest_step(self) -> int | None:
        """The step of the newest checkpoint; None when there is none."""
        steps = self._steps()
        return _step_of(steps[-1]) if steps else None

    def drop(self, first: int) -> None:
        """Remove the checkpoints of step `first` and later ones."""
        for folder in self._steps():
            if _step_of(folder) >= first:
                shutil.rmtree(folder)

    def save_best(self, step: int, encoder: nn.Module) -> None:
        """Write the encoder as the best one so far. Earlier ones stay while a checkpoint may be gone on from that
        names them as its best."""
        self.save_encoder(_best(step), encoder)

    def load_best(self, step: int, encoder: nn.Module) -> None:
        self.load_encoder(_best(step), encoder)

    def save_encoder(self, name: str, encoder: nn.Module, objective: nn.Module | None = None) -> None:
        """Write the encoder under `name`, such as "final", and its heads beside it where `objective` is given."""
        target = self.folder / name
        with disk_full_explained(str(target)), written_aside(target) as aside:
            aside.mkdir()
            save_tensors(encoder.state_dict(), aside / "encoder.safetensors")
            if objective is not None:
                save_tensors(objective.state_dict(), aside / "objective.safetensors")

    def load_encoder(self, name: str, encoder: nn.Module) -> None:
        _put(self.folder / name / "encoder.safetensors", encoder)

    def load_objective(self, name: str, objective: nn.Module) -> None:
        """Of a checkpoint that `save_encoder` wrote with its objective."""
        _put(self.folder / name / "objective.safetensors", objective)

    def finish(self, result: dict[str, Any]) -> None:
        """Mark the phase as done and drop what only a resume of it would need."""
        write_json(self.folder / "done.json", result)
        for folder in [*self._steps(), *self.folder.glob("best-*")]:
            shutil.rmtree(folder)

    def finished(self) -> dict[str, Any] | None:
        """What `finish` was given, or None while the phase is not done."""
        done = self.folder / "done.json"
        return read_json(done) if done.exists() else None

    def _prune_best(self) -> None:
        oldest = read_json(self._steps()[0] / "state.json").get("best_step")
        for folder in self.folder.glob("best-*"):
            if oldest is not None and folder.name < _best(oldest):
                shutil.rmtree(folder)

    def _steps(self) -> list[Path]:
        return sorted(self.folder.glob("step-*")) if self.folder.exists() else []


def _best(step: int) -> str:
    return f"best-{step:08d}"


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write tensors to a safetensors file; tensors that share memory are written once each."""
    seen: set[int] = set()
    contiguous = {}
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        contiguous[name] = own.clone() if own.data_ptr() in seen else own
        seen.add(own.data_ptr())
    save_file(contiguous, path)


def _flatten(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimiser.state_dict()["state"]
    return {f"{index}.{name}": torch.as_tensor(value) for index, slot in state.items() for name, value in slot.items()}


def _put(file: Path, module: nn.Module) -> None:
    """Load a module's tensors. Raises ReknitError where they are of another module."""
    try:
        module.load_state_dict(load_file(file))
    except RuntimeError as error:
        raise ReknitError(
            f"{file} does not fit the recipe as it is now (written by another version of reknit?): start a new run"
        ) from error


def _restore(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
