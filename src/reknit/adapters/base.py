"""What every adapter offers: attach, merge, count and save; an adapter's settings as a part of `reknit tune`."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import ClassVar, TypeVar, cast, get_type_hints

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from reknit.encoders.native.encoder import NativeEncoder
from reknit.errors import ReknitError
from reknit.part import Part
from reknit.ranges import range_of

M = TypeVar("M", bound=nn.Module)


class Adapter(nn.Module, ABC):
    """A few weights of its own that change what a frozen native encoder computes.

    changes_at_start: why the encoder's output changes when a new adapter is attached; empty where it does not.
    cannot_merge: why the weights cannot be added to the encoder's; empty where they can. rows: how many positions of
    the encoder it takes for itself in each sequence.
    """

    changes_at_start: str = ""
    cannot_merge: str = ""
    rows: int = 0

    @abstractmethod
    def attach(self, encoder: NativeEncoder) -> list[RemovableHandle]:
        """Hook the encoder's modules from outside; the removal of all handles leaves the encoder as it was."""

    def merge_into(self, encoder: NativeEncoder) -> None:
        """Add the weights to those of an encoder that nothing is attached to, in place.

        Its output then equals that of the adapted encoder up to rounding. Raises ReknitError where that cannot be.
        """
        raise ReknitError(f"this adapter cannot be merged: {self.cannot_merge}")

    @property
    def trained_weights(self) -> int:
        """How many numbers training changes."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    def tensors(self) -> dict[str, Tensor]:
        """{name: tensor}, what a file must hold so that `load_tensors` makes an adapter of the same output."""
        return {name: value.detach() for name, value in self.state_dict().items()}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take what `tensors` gave. Names and shapes must be those of this adapter's own `tensors`."""
        self.load_state_dict(tensors)


@dataclass(frozen=True)
class AdapterSpec(Part, ABC):
    """The settings of an adapter. Fields have defaults and say their ranges.

    kind: the name of the adapter in its folder. learning_rate: around which its training usually goes well. Raises
    ReknitError for a number out of its range.
    """

    role: ClassVar[str] = "adapter"
    verb: ClassVar[str] = "tune"
    kind: ClassVar[str]
    learning_rate: ClassVar[float] = 1e-3

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self), include_extras=True)
        for item in fields(self):
            allowed, value = range_of(hints[item.name]), getattr(self, item.name)
            if allowed is not None and (complaint := allowed.complaint(value)):
                raise ReknitError(f"{self.kind}: {item.name} is {value}: it must be {complaint}")

    @abstractmethod
    def build(self, encoder: NativeEncoder) -> Adapter:
        """A new adapter that fits the encoder, its weights drawn from torch's global generator.

        Raises ReknitError for an encoder that has no place for it.
        """


def members(modules: Iterable[nn.Module], kind: type[M]) -> list[M]:
    """The modules of a list, of the kind that was put into it."""
    return cast(list[M], list(modules))


class Handover:
    """What a hook leaves for a later hook of the same pass. Every thread has its own, as threads may share a model."""

    def __init__(self) -> None:
        self._left = threading.local()

    def __reduce__(self) -> tuple[type[Handover], tuple[()]]:
        # A copied or pickled model begins with nothing left: between two passes there is nothing.
        return Handover, ()

    def leave(self, value: Tensor) -> None:
        self._left.value = value

    def take(self) -> Tensor | None:
        """What was left, once; None where nothing was."""
        value: Tensor | None = getattr(self._left, "value", None)
        self._left.value = None
        return value
