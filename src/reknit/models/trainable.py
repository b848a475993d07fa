"""What training asks of a model, whatever it reads."""

from __future__ import annotations

from typing import Protocol

from reknit.data.batch import Vocabulary
from reknit.encoders.base import Encoder


class Trainable(Protocol):
    """encoder: what is trained, in place. vocabulary: of its batches. pooling: how its vectors are made of states."""

    @property
    def encoder(self) -> Encoder: ...

    @property
    def vocabulary(self) -> Vocabulary: ...

    @property
    def pooling(self) -> str: ...
