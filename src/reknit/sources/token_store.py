"""Tokenise once: token ids of a corpus in memory-mapped files, gathered into packed batches without a Python loop.

A store is a folder: tokens.bin (uint16, or uint32 for a vocabulary above 65,536), flags.bin (uint8: bit 0 word start,
bit 1 special, bit 2 in a tagged span, bit 3 first token of a tagged span), offsets.bin (int64 [n + 1]) and store.json.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from reknit.data.batch import Batch, Vocabulary, span_starts
from reknit.data.mapped_file import MappedFile
from reknit.data.text.taggers import TaggerName
from reknit.errors import ReknitError

FORMAT = 1
TEXTS_PER_CHUNK = 1000
LENGTHS_AT_A_TIME = 2**16
_WORD_START, _SPECIAL, _TAGGED, _SPAN_START = 1, 2, 4, 8


class _Tokenised(Protocol):
    @property
    def tokens(self) -> np.ndarray: ...
    @property
    def special(self) -> np.ndarray: ...
    @property
    def word_starts(self) -> np.ndarray: ...
    @property
    def tagged(self) -> np.ndarray | None: ...


class BatchTokenizer(Protocol):
    """What the store needs of a tokenizer; `reknit.tokenizers.tokenizer.Tokenizer` is one."""

    @property
    def vocabulary(self) -> Vocabulary: ...
    def encode_batch(
        self, texts: Sequence[str], max_length: int, *, tagger: TaggerName = "none"
    ) -> Sequence[_Tokenised]: ...


class TokenStore:
    """Read-only tokenised sequences; sequence i is the i-th text that the store was built from.

    lengths: [n] int32 tokens of each sequence, special tokens included. vocabulary: of the tokenizer that built it.
    max_length: tokens of a sequence at most. tagger: whose spans are marked; batches of a store without one ("none")
    have no `tagged`.
    """

    def __init__(self, path: Path, header: dict[str, Any]):
        self.path = path
        self.max_length = int(header["max_length"])
        self.tagger: TaggerName = header.get("tagger", "none")  # a store from before there were taggers has none
        fields: dict[str, Any] = {name: _as_tuple(value) for name, value in header["vocabulary"].items()}
        self.vocabulary = Vocabulary(**fields)
        self._files = [MappedFile(path / name) for name in ("tokens.bin", "flags.bin", "offsets.bin")]
        tokens, flags, offsets = (file.buffer for file in self._files)
        self._tokens = np.frombuffer(tokens, dtype=header["dtype"])
        self._flags = np.frombuffer(flags, dtype=np.uint8)
        self._offsets = np.frombuffer(offsets, dtype=np.int64)
        self.lengths: np.ndarray = np.empty(len(self._offsets) - 1, dtype=np.int32)
        for first in range(0, len(self.lengths), LENGTHS_AT_A_TIME):
            stop = first + LENGTHS_AT_A_TIME
            self._files[2].touch(size=8 * LENGTHS_AT_A_TIME)
            self.lengths[first:stop] = np.diff(self._offsets[first : stop + 1])

    @classmethod
    def build(
        cls,
        texts: Iterable[str],
        tokenizer: BatchTokenizer,
        path: Path,
        *,
        max_length: int,
        tagger: TaggerName = "none",
    ) -> TokenStore:
        """Tokenise texts (truncated to `max_length` tokens each) into the folder `path`, which is replaced.

        tagger: whose spans are marked.

        Written aside and renamed. Raises ReknitError when there are no texts.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.{os.getpid()}.partial")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        try:
            header = _write(texts, tokenizer, aside, max_length, tagger)
            (aside / "store.json").write_text(json.dumps(header), encoding="utf-8")
            shutil.rmtree(path, ignore_errors=True)
            os.replace(aside, path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> TokenStore:
        """Map a store written by `build`. Raises ReknitError when it is missing, damaged or of another version."""
        path = Path(path)
        try:
            header = json.loads((path / "store.json").read_text(encoding="utf-8"))
            if header["format"] != FORMAT:
                raise ReknitError(
                    f"{path} is a token store of version {header['format']}, need {FORMAT}; build it again"
                )
            expected = {
                "tokens.bin": header["tokens"] * np.dtype(header["dtype"]).itemsize,
                "flags.bin": header["tokens"],
                "offsets.bin": (header["sequences"] + 1) * 8,
            }
            for name, size in expected.items():
                if (path / name).stat().st_size != size:
                    raise ReknitError(f"{path / name} is not {size} bytes long: the store is damaged; build it again")
            return cls(path, header)
        except FileNotFoundError as error:
            raise ReknitError(f"no token store at {path}; build it first") from error
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise ReknitError(f"{path} is damaged or not a token store ({error}); build it again") from error

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def num_tokens(self) -> int:
        return len(self._tokens)

    def sequence(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """(tokens int64, special bool, word_starts bool), each [length], of one sequence."""
        batch = self.batch([index])
        return batch.tokens, batch.special, batch.word_starts

    def batch(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """Gather sequences, in the order given, into a packed batch."""
        rows = np.asarray(indices, dtype=np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"sequence numbers must be within 0 and {len(self) - 1}, got {rows.min()} to {rows.max()}")
        for file in self._files:
            file.touch(len(rows))
        lengths = self.lengths[rows].astype(np.int64)
        cu_seqlens = np.concatenate(([0], np.cumsum(lengths)))
        places = np.arange(cu_seqlens[-1]) + np.repeat(self._offsets[rows] - cu_seqlens[:-1], lengths)
        flags = self._flags[places]

        def flagged(bit: int) -> Tensor:
            return torch.from_numpy((flags & bit) != 0)

        tagged = None
        if self.tagger != "none":
            tagged = (flagged(_SPAN_START).cumsum(0) - 1).masked_fill(~flagged(_TAGGED), -1)
        return Batch(
            tokens=torch.from_numpy(self._tokens[places].astype(np.int64)),
            cu_seqlens=torch.from_numpy(cu_seqlens),
            special=flagged(_SPECIAL),
            word_starts=flagged(_WORD_START),
            vocabulary=self.vocabulary,
            tagged=tagged,
        )


def _write(
    texts: Iterable[str], tokenizer: BatchTokenizer, folder: Path, max_length: int, tagger: TaggerName
) -> dict[str, Any]:
    vocabulary = tokenizer.vocabulary
    dtype = np.dtype(np.uint16 if vocabulary.size <= 2**16 else np.uint32)
    sequences, total = 0, 0
    with (
        open(folder / "tokens.bin", "wb") as tokens,
        open(folder / "flags.bin", "wb") as flags,
        open(folder / "offsets.bin", "wb") as offsets,
    ):
        offsets.write(np.int64(0).tobytes())
        for chunk in _chunks(texts, TEXTS_PER_CHUNK):
            encoded = tokenizer.encode_batch(chunk, max_length, tagger=tagger)
            lengths = np.cumsum([len(text.tokens) for text in encoded], dtype=np.int64)
            ends = total + lengths
            sequences, total = sequences + len(encoded), int(ends[-1])
            offsets.write(ends.tobytes())
            tokens.write(np.concatenate([text.tokens for text in encoded]).astype(dtype).tobytes())
            special = np.concatenate([text.special for text in encoded])
            word_starts = np.concatenate([text.word_starts for text in encoded])
            marks = special * np.uint8(_SPECIAL) | word_starts * np.uint8(_WORD_START)
            if tagger != "none":
                marks |= _span_marks(encoded, lengths)
            flags.write(marks.astype(np.uint8).tobytes())
    if not sequences:
        raise ReknitError("there is nothing to tokenise: no texts were given")
    return {
        "format": FORMAT,
        "dtype": dtype.name,
        "tokens": total,
        "sequences": sequences,
        "max_length": max_length,
        "tagger": tagger,
        "vocabulary": asdict(vocabulary),
    }


def _span_marks(encoded: Sequence[_Tokenised], ends: np.ndarray) -> np.ndarray:
    """[T] uint8, the two bits of tagged spans, for texts that end at `ends` [n] on one axis."""
    numbers = torch.from_numpy(np.concatenate([text.tagged for text in encoded if text.tagged is not None]))
    starts = span_starts(numbers, torch.from_numpy(np.concatenate(([0], ends))))
    marks = (numbers >= 0).to(torch.uint8) * _TAGGED + starts.to(torch.uint8) * _SPAN_START
    return marks.numpy()


def _chunks(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    iterator = iter(texts)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
