"""Token states of one layer, on disk: streamed there once, then mapped and read at random in bounded memory.

A store is a folder: `tokens/` (a `TokenStore` of the same texts), states.bin (float16 or float32 [states, dim], a row
for each token of the token store in its order, special tokens included) and states.json.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import torch
from torch import Tensor

from reknit.data.batch import Batch, View
from reknit.data.mapped_file import MappedFile
from reknit.errors import ReknitError
from reknit.jobs.files import disk_full_explained, read_json, write_json, written_aside
from reknit.jobs.memory import MemoryKeeper
from reknit.models.embedding_model import EmbeddingModel
from reknit.sources.token_store import TokenStore

FORMAT = 1
TOKENS_PER_BATCH = 4096

Stored = Literal["float16", "float32"]


@dataclass(frozen=True)
class Block:
    """Some texts of a store in a row.

    first: number of the first text. batch: their tokens. states: [T, dim] float32, a row for each token.
    """

    first: int
    batch: Batch
    states: Tensor


class ActivationStore:
    """Read-only token states of one layer. tokens: the tokens they belong to. dim: numbers of a state. layer: as
    `Encoded.states` counts them."""

    def __init__(self, path: Path, tokens: TokenStore, dim: int, layer: int, stored: Stored) -> None:
        self.path, self.tokens, self.dim, self.layer = path, tokens, dim, layer
        self._file = MappedFile(path / "states.bin")
        self._states = np.frombuffer(self._file.buffer, dtype=stored).reshape(-1, dim)
        # [texts + 1] int64, the row at which each text's states begin.
        self.offsets: np.ndarray = np.concatenate(([0], np.cumsum(tokens.lengths, dtype=np.int64)))

    @classmethod
    def build(
        cls,
        model: EmbeddingModel,
        texts: Sequence[str],
        path: Path,
        *,
        layer: int,
        stored: Stored = "float16",
        on_progress: Callable[[int, int], None] | None = None,
    ) -> ActivationStore:
        """Encode texts, as the model encodes them without a prompt, and write the states of layer `layer` to the folder
        `path`, which is replaced; it appears whole or not at all.

        stored: float16 takes half of the space; states that it cannot hold raise ReknitError. on_progress: called with
        (tokens done, tokens). Raises ReknitError for a layer that the model does not have, and when there are no texts.
        """
        check_layer(model, layer)
        with disk_full_explained(str(path)), written_aside(path) as aside:
            aside.mkdir()
            tokens = TokenStore.build(texts, model.tokenizer, aside / "tokens", max_length=model.max_length)
            with open(aside / "states.bin", "wb") as file:
                _write_states(model, tokens, layer, stored, file, on_progress)
            facts = {"format": FORMAT, "dim": model.encoder.dim, "layer": layer, "stored": stored}
            write_json(aside / "states.json", facts)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> ActivationStore:
        """Map a store written by `build`. Raises ReknitError when it is missing, damaged or of another version."""
        facts = read_json(path / "states.json")
        if not isinstance(facts, dict) or facts.get("format") != FORMAT:
            raise ReknitError(f"{path} holds no token states of this version: delete it and build it again")
        tokens = TokenStore.open(path / "tokens")
        wanted = tokens.num_tokens * int(facts["dim"]) * np.dtype(facts["stored"]).itemsize
        if (path / "states.bin").stat().st_size != wanted:
            raise ReknitError(f"{path}/states.bin is not {wanted} bytes long: delete the folder and build it again")
        return cls(path, tokens, int(facts["dim"]), int(facts["layer"]), facts["stored"])

    def __len__(self) -> int:
        """Number of texts."""
        return len(self.tokens)

    @property
    def num_states(self) -> int:
        return len(self._states)

    def rows(self, numbers: np.ndarray) -> Tensor:
        """[n] numbers of states -> [n, dim] float32, in the order given."""
        self._file.touch(len(numbers))
        # In ascending order the disk is read forwards.
        order = np.argsort(numbers, kind="stable")
        found = np.empty((len(numbers), self.dim), dtype=np.float32)
        found[order] = self._states[numbers[order]]
        return torch.from_numpy(found)

    def blocks(self, first: int = 0, last: int | None = None, tokens: int = 8 * TOKENS_PER_BATCH) -> Iterator[Block]:
        """The texts from `first` up to `last` in order, in blocks of about so many tokens."""
        last = len(self) if last is None else last
        while first < last:
            end = int(np.searchsorted(self.offsets, self.offsets[first] + tokens, side="right")) - 1
            end = min(max(end, first + 1), last)
            start, stop = int(self.offsets[first]), int(self.offsets[end])
            self._file.touch(size=(stop - start) * self.dim * self._states.itemsize)
            states = torch.from_numpy(self._states[start:stop].astype(np.float32))
            yield Block(first, self.tokens.batch(np.arange(first, end)), states)
            first = end


def sample_texts(
    count: int, text: Callable[[int], str], length: Callable[[str], int], states: int, seed: int
) -> list[int]:
    """Numbers of texts out of `count`, in random order, just enough that their tokens come to `states`; all, where the
    texts have fewer. text: of a number. length: tokens of a text. The same seed gives the same sample."""
    found: list[int] = []
    total = 0
    for number in np.random.default_rng(seed).permutation(count).tolist():
        if total >= states:
            break
        found.append(number)
        total += length(text(number))
    return found


def check_layer(model: EmbeddingModel, layer: int) -> None:
    """Raise ReknitError unless the model has the layer; 0 is its input."""
    if not 0 <= layer <= model.encoder.depth:
        raise ReknitError(f"{model.name} has the layers 0 to {model.encoder.depth}: layer={layer} is not one of them")


def _write_states(
    model: EmbeddingModel,
    tokens: TokenStore,
    layer: int,
    stored: Stored,
    file: BinaryIO,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    keep_memory, done = MemoryKeeper(), 0
    device = model.encoder.table.device
    was_training = model.encoder.training
    model.encoder.eval()
    try:
        for numbers in _in_batches(tokens.lengths):
            keep_memory()
            batch = tokens.batch(numbers)
            with torch.inference_mode():
                states = model.encoder(View.clean(batch.to(device)), layers=[layer]).states[layer].float().cpu().numpy()
            if not np.isfinite(states).all():
                raise ReknitError(
                    f"the model gives NaN or infinity in the states of layer {layer}: it is broken, do not use it"
                )
            with np.errstate(over="ignore"):
                written = states.astype(stored)
            if not np.isfinite(written).all():
                raise ReknitError(f"the states of layer {layer} are too large for {stored}: set stored=float32")
            file.write(written.tobytes())
            done += batch.num_tokens
            if on_progress is not None:
                on_progress(done, tokens.num_tokens)
    finally:
        model.encoder.train(was_training)


def _in_batches(lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Numbers of sequences in order, cut where `TOKENS_PER_BATCH` is reached."""
    first, total = 0, 0
    for number, length in enumerate(lengths.tolist()):
        if number > first and total + length > TOKENS_PER_BATCH:
            yield np.arange(first, number)
            first, total = number, 0
        total += length
    if first < len(lengths):
        yield np.arange(first, len(lengths))
