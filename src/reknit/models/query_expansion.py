"""Queries that know a corpus's words: each word of a query pulls its vector towards the documents that hold the word.

A dense model has one vector for a query and no memory of the rare words of a corpus that it was not trained on. That
memory is a table here, made from the documents' vectors alone, without training: a word stands for the mean of the
documents that contain it, and so do two words that follow each other. A query's own vector is moved towards the terms
it is made of (global query expansion: Qiu and Frei, Concept based query expansion, SIGIR 1993,
https://doi.org/10.1145/160688.160713; a word as a vector in the space of documents, as in random indexing and in
Rocchio's feedback). Documents are left as they are.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from reknit.data.text.language import LANGUAGES, language_of
from reknit.data.text.words import Analyser
from reknit.encoders.model_files import read_json
from reknit.errors import ReknitError

FOLDER = "query_expansion"
DEFAULT_WEIGHT = 0.5
MOST_WORDS = 100_000
_RARITY_POWER = 1.5
_PAIR_SHARE = 0.5
_LEAST_HOLDERS_OF_PAIR = 2
_LEAST_LENGTH = 1e-4
_LEAST_REACH = 0.05
_BETWEEN = " "
_LARGEST = np.iinfo(np.int8).max
_SETTINGS, _TABLE = "config.json", "terms.safetensors"


class QueryExpansion:
    """terms: {word, or two words with a space between: row}. table: [terms, dim] int8 and scales: [terms] float32, the
    product of which is the direction of each term times its inverse document frequency to the power 1.5 (1 is BM25's,
    2 that of a tf-idf product; docs/adaptation.md), for two words half of it. weight: of the terms together beside 1
    for the query itself; 0 changes nothing. language: whose stemmer made the terms. Raises ReknitError when there is
    no such stemmer.
    """

    def __init__(
        self, terms: dict[str, int], table: np.ndarray, scales: np.ndarray, weight: float, language: str = "english"
    ) -> None:
        self.terms, self.table, self.scales, self.weight = terms, table, scales, weight
        self._analyser = Analyser(language)

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        vectors: np.ndarray,
        weight: float = DEFAULT_WEIGHT,
        most: int = MOST_WORDS,
        least_holders: int = 1,
    ) -> QueryExpansion:
        """The expansion by these documents.

        vectors: [texts, dim], of which only the direction counts. most: words kept, and pairs of words kept, those in
        most documents. least_holders: documents that a word must be in at least, and a pair, which must be in two. A
        term's direction is the mean of the unit vectors of the documents that contain it, less the mean of all, with
        length 1; its inverse document frequency is BM25's: log(1 + (N - n + 0.5) / (n + 0.5)) of n among N documents.
        """
        language = language_of(texts)
        holders = _holders(texts, Analyser(language), most, least_holders)
        unit = torch.nn.functional.normalize(torch.from_numpy(np.asarray(vectors, dtype=np.float32)), dim=-1)
        centred = (unit - unit.mean(dim=0)).numpy()
        table = np.zeros((len(holders), centred.shape[1]), dtype=np.int8)
        scales = np.zeros(len(holders), dtype=np.float32)
        for row, (term, documents) in enumerate(holders.items()):
            mean = centred[documents].mean(axis=0)
            length, largest = np.linalg.norm(mean), np.abs(mean).max(initial=0.0)
            rarity = np.log1p((len(texts) - len(documents) + 0.5) / (len(documents) + 0.5))
            # What is left of the mean of all documents, or nearly all, is rounding and no direction.
            if length > _LEAST_LENGTH:
                table[row] = np.round(mean * (_LARGEST / largest))
                share = _PAIR_SHARE if _BETWEEN in term else 1.0
                scales[row] = largest / _LARGEST / length * share * rarity**_RARITY_POWER
        return cls({term: row for row, term in enumerate(holders)}, table, scales, weight, language)

    def with_weight(self, weight: float) -> QueryExpansion:
        """The same terms with another weight."""
        return QueryExpansion(self.terms, self.table, self.scales, weight, self.language)

    @property
    def language(self) -> str:
        """The language whose stemmer the terms went through, as `language_of` names it."""
        return self._analyser.language

    def expand(self, texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
        """[texts, dim] vectors of queries -> float32 of the same shape and lengths, turned towards the queries' terms.

        vectors may have fewer dimensions than the table: then the first ones of both are used. A query without a known
        term, or whose terms pull apart, stays as it is. Raises ReknitError for vectors with more dimensions.
        """
        self.check_width(vectors.shape[1])
        if not self.weight:
            return vectors
        expanded = np.array(vectors, dtype=np.float32)
        for row, text in enumerate(texts):
            words = self._analyser.words(text)
            known = [self.terms[term] for term in (*words, *map(_BETWEEN.join, pairwise(words))) if term in self.terms]
            pulls = self.table[known, : expanded.shape[1]] * self.scales[known, None]
            pull = pulls.sum(axis=0)
            reach, length = np.linalg.norm(pull), np.linalg.norm(expanded[row])
            # Terms that pull apart leave rounding, which is no direction.
            if length and reach > _LEAST_REACH * np.linalg.norm(pulls, axis=1).sum():
                turned = expanded[row] / length + self.weight * pull / reach
                expanded[row] = turned * (length / np.linalg.norm(turned))
        return expanded

    def check_width(self, dims: int) -> None:
        """Raise ReknitError unless vectors of `dims` dimensions can be expanded."""
        if dims > self.table.shape[1]:
            raise ReknitError(
                f"the model's query expansion was made for {self.table.shape[1]} dimensions, so queries of {dims} "
                f"cannot be expanded: ask for {self.table.shape[1]} dims or fewer"
            )

    def save(self, folder: Path, dims: int | None = None) -> None:
        """Write the folder; it must exist. dims: keep the first dimensions only."""
        from safetensors.numpy import save_file

        settings = {"weight": self.weight, "language": self.language, "terms": list(self.terms)}
        (folder / _SETTINGS).write_text(json.dumps(settings, ensure_ascii=False) + "\n", encoding="utf-8")
        tensors = {"table": np.ascontiguousarray(self.table[:, :dims]), "scales": self.scales}
        save_file(tensors, folder / _TABLE)

    @classmethod
    def load(cls, folder: Path) -> QueryExpansion:
        """Read what `save` wrote. Raises ReknitError when it is missing or damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        settings = read_json(folder / _SETTINGS)
        try:
            terms, weight = [str(term) for term in settings["terms"]], float(settings["weight"])
            language = settings.get("language", "english")  # which older models do not say
            if language not in LANGUAGES:
                raise ValueError(f"no stemmer for {language!r}")
            tensors = load_file(folder / _TABLE)
            table, scales = tensors["table"], tensors["scales"]
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise ReknitError(f"{folder} does not hold a query expansion ({error}); make the model again") from error
        if table.ndim != 2 or not len(table) == len(scales) == len(terms) == len(set(terms)):
            raise ReknitError(
                f"{folder} has {len(set(terms))} terms and {len(scales)} scales but a table of shape "
                f"{list(table.shape)}"
            )
        if not 0.0 <= weight < 1.0:
            raise ReknitError(f"{folder} has the weight {weight}; a query expansion's is from 0 to below 1")
        return cls({term: row for row, term in enumerate(terms)}, table, scales, weight, language)


def _holders(texts: Sequence[str], analyser: Analyser, most: int, least: int) -> dict[str, np.ndarray]:
    """{term: the numbers of the texts that contain it, `least` of them at least}: the `most` words, and the `most`
    pairs, that are in most."""
    numbers: dict[str, int] = {}
    words, of_words, pairs, of_pairs = array("q"), array("i"), array("q"), array("i")
    for place, text in enumerate(texts):
        ids = [numbers.setdefault(word, len(numbers)) for word in analyser.words(text)]
        # Numbers for pairs too: there are many of them, most in one text only.
        for found, kept, of in ((set(ids), words, of_words), (set(map(_pair, ids, ids[1:])), pairs, of_pairs)):
            kept.extend(found)
            of.extend([place] * len(found))
    names = list(numbers)
    holders = {names[word]: documents for word, documents in _most_held(words, of_words, least, most)}
    for pair, documents in _most_held(pairs, of_pairs, max(least, _LEAST_HOLDERS_OF_PAIR), most):
        holders[_BETWEEN.join((names[pair >> 32], names[pair & 0xFFFFFFFF]))] = documents
    return holders


def _pair(first: int, second: int) -> int:
    return first << 32 | second


def _most_held(keys: array[int], texts: array[int], least: int, most: int) -> Iterator[tuple[int, np.ndarray]]:
    """(key, the texts beside it) of the `most` keys that are in most texts, and in `least` at least."""
    order = np.argsort(np.array(keys, dtype=np.int64), kind="stable")
    found, starts, counts = np.unique(np.array(keys, dtype=np.int64)[order], return_index=True, return_counts=True)
    of_text = np.array(texts, dtype=np.int32)[order]
    for group in np.argsort(-counts, kind="stable")[:most]:
        if counts[group] >= least:
            yield int(found[group]), of_text[starts[group] : starts[group] + counts[group]]
