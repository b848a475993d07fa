"""Queries that know a corpus's words: each word of a query pulls its vector towards the documents that hold the word.

A dense model has one vector for a query and no memory of the rare words of a corpus that it was not trained on. That
memory is a table here, made from the documents' vectors alone, without training: a word stands for the mean of the
documents that contain it. A query's own vector is moved towards the words it is made of (global query expansion: Qiu
and Frei, Concept based query expansion, SIGIR 1993, https://doi.org/10.1145/160688.160713; a word as a vector in the
space of documents, as in random indexing and in Rocchio's feedback). Documents are left as they are.
"""

from __future__ import annotations

import json
from array import array
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
_RARITY_POWER = 1.5
_LEAST_LENGTH = 1e-4
_LEAST_REACH = 0.05
_SETTINGS, _TABLE = "config.json", "words.safetensors"


class QueryExpansion:
    """words: {word: row}. table: [words, dim] float16, the direction of each word times its inverse document frequency
    to the power 1.5 (1 is BM25's, 2 that of a tf-idf product; docs/adaptation.md). weight: of the words together beside
    1 for the query itself; 0 changes nothing.
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
        kept, holders = _holders(texts, most)
        unit = torch.nn.functional.normalize(torch.from_numpy(np.asarray(vectors, dtype=np.float32)), dim=-1)
        centred = (unit - unit.mean(dim=0)).numpy()
        table = np.zeros((len(kept), centred.shape[1]), dtype=np.float16)
        for row, documents in enumerate(holders):
            mean = centred[documents].mean(axis=0)
            length = np.linalg.norm(mean)
            rarity = np.log1p((len(texts) - len(documents) + 0.5) / (len(documents) + 0.5))
            # What is left of the mean of all documents, or nearly all, is rounding and no direction.
            if length > _LEAST_LENGTH:
                table[row] = mean / length * rarity**_RARITY_POWER
        return cls({word: row for row, word in enumerate(kept)}, table, weight)

    def with_weight(self, weight: float) -> QueryExpansion:
        """The same words with another weight."""
        return QueryExpansion(self.words, self.table, weight)

    def expand(self, texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
        """[texts, dim] vectors of queries -> float32 of the same shape and lengths, turned towards the queries' words.

        vectors may have fewer coordinates than the table: then the first ones of both are used. A query without a known
        word, or whose words pull apart, stays as it is. Raises ReknitError for vectors with more coordinates.
        """
        self.check_width(vectors.shape[1])
        if not self.weight:
            return vectors
        expanded = np.array(vectors, dtype=np.float32)
        for row, text in enumerate(texts):
            known = [self.words[word] for word in self._analyser.words(text) if word in self.words]
            pulls = self.table[known, : expanded.shape[1]].astype(np.float32)
            pull = pulls.sum(axis=0)
            reach, length = np.linalg.norm(pull), np.linalg.norm(expanded[row])
            # Words that pull apart leave rounding, which is no direction.
            if length and reach > _LEAST_REACH * np.linalg.norm(pulls, axis=1).sum():
                turned = expanded[row] / length + self.weight * pull / reach
                expanded[row] = turned * (length / np.linalg.norm(turned))
        return expanded

    def check_width(self, dims: int) -> None:
        """Raise ReknitError unless vectors of so many coordinates can be expanded."""
        if dims > self.table.shape[1]:
            raise ReknitError(
                f"the model's query expansion was made for {self.table.shape[1]} coordinates, so queries of {dims} "
                f"cannot be expanded: ask for {self.table.shape[1]} dims or fewer"
            )

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
        if table.ndim != 2 or len(table) != len(set(words)) or len(words) != len(set(words)):
            raise ReknitError(f"{folder} has {len(set(words))} words but a table of shape {list(table.shape)}")
        if not 0.0 <= weight < 1.0:
            raise ReknitError(f"{folder} has the weight {weight}; a query expansion's is from 0 to below 1")
        return cls({word: row for row, word in enumerate(words)}, table, weight)


def _holders(texts: Sequence[str], most: int) -> tuple[list[str], list[np.ndarray]]:
    """(words, for each the numbers of the texts that contain it): the `most` words that are in most texts."""
    analyser = Analyser(split_identifiers=True)
    numbers: dict[str, int] = {}
    of_word, of_text = array("i"), array("i")
    for place, text in enumerate(texts):
        found = {numbers.setdefault(word, len(numbers)) for word in analyser.words(text)}
        of_word.extend(found)
        of_text.extend([place] * len(found))
    order = np.argsort(np.array(of_word, dtype=np.int32), kind="stable")
    counts = np.bincount(np.array(of_word, dtype=np.int64), minlength=len(numbers))
    holders = np.split(np.array(of_text, dtype=np.int32)[order], np.cumsum(counts)[:-1]) if numbers else []
    kept = sorted(numbers, key=lambda word: (-counts[numbers[word]], word))[:most]
    return kept, [holders[numbers[word]] for word in kept]
