"""Queries that know a corpus's words: each word of a query pulls its vector towards the documents that hold the word.

A dense model has one vector for a query and no memory of the rare words of a corpus that it was not trained on. That
memory is a table here, made from the documents' vectors alone, without training: a word stands for the mean of the
documents that contain it. A query's own vector is moved towards the words it is made of (global query expansion: Qiu
and Frei, Concept based query expansion, SIGIR 1993, https://doi.org/10.1145/160688.160713; a word as a vector in the
space of documents, as in random indexing and in Rocchio's feedback). Documents are left as they are.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from reknit.data.words import Analyser
from reknit.encoders.model_files import read_json
from reknit.errors import ReknitError

FOLDER = "query_expansion"
DEFAULT_WEIGHT = 0.4
MOST_WORDS = 100_000
_LEAST_LENGTH = 1e-4
_SETTINGS, _TABLE = "config.json", "words.safetensors"


class QueryExpansion:
    """words: {word: row}. table: [words, dim] float16, the direction of each word times the square of its inverse
    document frequency (once for the query's side of a tf-idf product and once for the documents'). weight: of the words
    together beside 1 for the query itself; 0 changes nothing.
    """

    def __init__(self, words: dict[str, int], table: np.ndarray, weight: float) -> None:
        self.words, self.table, self.weight = words, table, weight
        self._analyser = Analyser(split_identifiers=True)

    @classmethod
    def of(
        cls, texts: Sequence[str], vectors: np.ndarray, weight: float = DEFAULT_WEIGHT, most: int = MOST_WORDS
    ) -> QueryExpansion:
        """The expansion by these documents.

        vectors: [texts, dim], of which only the direction counts. most: words kept, those in most documents. A word's
        direction is the mean of the unit vectors of the documents that contain it, less the mean of all, with length 1;
        its inverse document frequency is BM25's: log(1 + (N - n + 0.5) / (n + 0.5)) of n among N documents.
        """
        analyser = Analyser(split_identifiers=True)
        held = [sorted(set(analyser.words(text))) for text in texts]
        counts = Counter(word for of_text in held for word in of_text)
        kept = sorted(counts, key=lambda word: (-counts[word], word))[:most]
        words = {word: row for row, word in enumerate(kept)}
        places = [(words[word], column) for column, of_text in enumerate(held) for word in of_text if word in words]
        unit = torch.nn.functional.normalize(torch.from_numpy(np.asarray(vectors, dtype=np.float32)), dim=-1)
        indices = torch.tensor(places, dtype=torch.int64).reshape(-1, 2).t()
        contains = torch.sparse_coo_tensor(
            indices, torch.ones(indices.shape[1]), (len(words), len(texts)), check_invariants=False
        )
        holding = torch.tensor([[counts[word]] for word in kept], dtype=torch.float32).reshape(-1, 1)
        means = torch.sparse.mm(contains, unit - unit.mean(dim=0)) / holding
        lengths = means.norm(dim=-1, keepdim=True)
        # What is left of the mean of all documents, or nearly all, is rounding and no direction.
        directions = torch.where(lengths > _LEAST_LENGTH, means / lengths.clamp_min(_LEAST_LENGTH), 0.0)
        rarity = torch.log1p((len(texts) - holding + 0.5) / (holding + 0.5))
        return cls(words, (directions * rarity**2).half().numpy(), weight)

    def with_weight(self, weight: float) -> QueryExpansion:
        """The same words with another weight."""
        return QueryExpansion(self.words, self.table, weight)

    def expand(self, texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
        """[texts, dim] vectors of queries -> float32 of the same shape and lengths, turned towards the queries' words.

        vectors may have fewer coordinates than the table: then the first ones of both are used. A query without a known
        word stays as it is.
        """
        if not self.weight:
            return vectors
        expanded = np.array(vectors, dtype=np.float32)
        for row, text in enumerate(texts):
            known = [self.words[word] for word in self._analyser.words(text) if word in self.words]
            pull = self.table[known, : expanded.shape[1]].astype(np.float32).sum(axis=0)
            length = np.linalg.norm(expanded[row])
            if length and pull.any():
                turned = expanded[row] / length + self.weight * pull / np.linalg.norm(pull)
                expanded[row] = turned * (length / np.linalg.norm(turned))
        return expanded

    def save(self, folder: Path, dims: int | None = None) -> None:
        """Write the folder; it must exist. dims: keep the first coordinates only."""
        from safetensors.numpy import save_file

        settings = {"weight": self.weight, "words": list(self.words)}
        (folder / _SETTINGS).write_text(json.dumps(settings, ensure_ascii=False) + "\n", encoding="utf-8")
        save_file({"words": np.ascontiguousarray(self.table[:, :dims])}, folder / _TABLE)

    @classmethod
    def load(cls, folder: Path) -> QueryExpansion:
        """Read what `save` wrote. Raises ReknitError when it is missing or damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        settings = read_json(folder / _SETTINGS)
        try:
            words, weight = [str(word) for word in settings["words"]], float(settings["weight"])
            table = load_file(folder / _TABLE)["words"]
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ReknitError(f"{folder} does not hold a query expansion ({error}); make the model again") from error
        if table.ndim != 2 or len(table) != len(words):
            raise ReknitError(f"{folder} has {len(words)} words but a table of shape {list(table.shape)}")
        return cls({word: row for row, word in enumerate(words)}, table, weight)
