"""How well a model's similarities agree with people's (semantic textual similarity; Agirre et al. 2012)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from reknit.errors import ReknitError
from reknit.evaluation.measure import Measure, Size, Subject, shown_size
from reknit.evaluation.tables import read_table
from reknit.models.encode_texts import EncodeTexts, encoder_function


@dataclass(frozen=True)
class SimilaritySet:
    """Pairs of sentences and how similar people find them: lists of one length."""

    name: str
    first: list[str]
    second: list[str]
    scores: list[float]


@dataclass(frozen=True)
class SimilarityMeasure(Measure):
    """Spearman's correlation of the tuned encoder's cosines with people's scores.

    size: that the encoder is cut to; None for all of it.
    """

    pairs: SimilaritySet
    size: Size | None = None

    @property
    def label(self) -> str:
        return f"{self.pairs.name} Spearman{shown_size(self.size)}"

    def value(self, subject: Subject) -> float:
        layers, dims = self.size or (None, None)
        return spearman(
            self.pairs, encoder_function(subject.tuned, subject.precision, quiet=True, layers=layers, dims=dims)
        )

    def at(self, size: Size) -> SimilarityMeasure:
        return replace(self, size=size)


def opened(folder: Path) -> list[Measure] | None:
    """The measure of a folder with a test.tsv; None for any other. Raises ReknitError as `load_similarity` does."""
    return [SimilarityMeasure(load_similarity(folder))] if (folder / "test.tsv").is_file() else None


def load_similarity(folder: Path | str, split: str = "test") -> SimilaritySet:
    """The pairs of a folder's <split>.tsv, with the columns "score", "sentence1" and "sentence2".

    Raises ReknitError as `read_table` does, and for scores that are no numbers or all the same.
    """
    path = Path(folder) / f"{split}.tsv"
    rows = read_table(path, ("score", "sentence1", "sentence2"))
    try:
        scores = [float(score) for score, _, _ in rows]
    except ValueError as error:
        raise ReknitError(f"{path}: a score is not a number ({error}): repair or remove the line") from error
    if not np.isfinite(scores).all() or len(set(scores)) < 2:
        raise ReknitError(f"{path}: the scores must be finite and not all the same")
    return SimilaritySet(Path(folder).resolve().name, [a for _, a, _ in rows], [b for _, _, b in rows], scores)


def spearman(data: SimilaritySet, encode: EncodeTexts) -> float:
    """Spearman's rank correlation of cosines and scores, -1 to 1; 0 where all cosines are equal."""
    from scipy.stats import spearmanr

    first, second = (
        functional.normalize(torch.from_numpy(np.asarray(encode(texts, "document"), dtype=np.float32)), dim=1)
        for texts in (data.first, data.second)
    )
    cosines = (first * second).sum(dim=1).numpy()
    return 0.0 if np.ptp(cosines) == 0 else float(spearmanr(cosines, data.scores).statistic)
