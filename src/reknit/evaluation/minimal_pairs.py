"""Pairs of sentences of which only one is acceptable (BLiMP; Warstadt et al. 2020)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from reknit.errors import ReknitError
from reknit.evaluation.measure import Measure, Subject
from reknit.evaluation.perplexity import Likelihood, likelihood_of
from reknit.evaluation.tables import read_lines

# Each sentence is read once for each of its tokens by a masked model.
_PAIRS_OF_A_PARADIGM = 100


@dataclass(frozen=True)
class MinimalPairs:
    """{paradigm: (acceptable, unacceptable) sentences}."""

    name: str
    paradigms: dict[str, list[tuple[str, str]]]


@dataclass(frozen=True)
class PairAccuracyMeasure(Measure):
    """The share of pairs of which the language model that was trained finds the acceptable sentence likelier."""

    of_language_models = True

    sentences: MinimalPairs

    @property
    def label(self) -> str:
        return f"{self.sentences.name} pair accuracy"

    def value(self, subject: Subject) -> float | None:
        likelihood = likelihood_of(subject)
        return None if likelihood is None else minimal_pair_accuracy(self.sentences, likelihood)


def opened(folder: Path) -> list[Measure] | None:
    """The measure of a folder of sentence pairs, the first 100 of each file; None for any other.

    Raises ReknitError as `load_minimal_pairs` does.
    """
    if (folder / "test.tsv").is_file() or not holds_minimal_pairs(folder):
        return None
    return [PairAccuracyMeasure(load_minimal_pairs(folder, _PAIRS_OF_A_PARADIGM))]


def holds_minimal_pairs(folder: Path) -> bool:
    """Whether the first line that is not blank of one of a folder's .jsonl files has a pair's sentence as a field."""
    for path in sorted(path for path in folder.glob("*.jsonl") if path.is_file()):
        with path.open(encoding="utf-8-sig", errors="replace") as lines:
            if '"sentence_good"' in next((line for line in lines if line.strip()), ""):
                return True
    return False


def load_minimal_pairs(folder: Path | str, at_most: int | None = None) -> MinimalPairs:
    """The pairs of a folder's .jsonl files, one a paradigm, with "sentence_good" and "sentence_bad" in every line.

    at_most: the first pairs of each paradigm. Raises ReknitError naming file and line when something is missing.
    """
    folder = Path(folder)
    paradigms = {path.stem: _pairs(path)[:at_most] for path in sorted(folder.glob("*.jsonl"))}
    if not paradigms:
        raise ReknitError(f"{folder} has no .jsonl files of sentence pairs")
    return MinimalPairs(folder.resolve().name, paradigms)


def minimal_pair_accuracy(data: MinimalPairs, likelihood: Likelihood) -> float:
    """The mean over the paradigms of the share of pairs whose acceptable sentence is the likelier one."""
    shares = []
    for pairs in data.paradigms.values():
        values, _ = likelihood([sentence for pair in pairs for sentence in pair])
        shares.append(sum(good > bad for good, bad in zip(values[0::2], values[1::2], strict=True)) / len(pairs))
    return sum(shares) / len(shares)


def _pairs(path: Path) -> list[tuple[str, str]]:
    found = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            found.append((str(record["sentence_good"]), str(record["sentence_bad"])))
        except (ValueError, KeyError, TypeError) as error:
            message = f'{path}:{number}: not a JSON object with "sentence_good" and "sentence_bad"'
            raise ReknitError(message) from error
    if not found:
        raise ReknitError(f"{path} holds no pairs")
    return found
