"""What a linear classifier finds in a model's vectors (the "linear probe" of Alain and Bengio 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reknit.errors import ReknitError
from reknit.evaluation.measure import Measure, Subject
from reknit.evaluation.tables import read_table
from reknit.models.encode_texts import EncodeTexts, encoder_function

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

LabelledText = tuple[str, str]
"""(label, text)"""

_MOST_STEPS = 1000


@dataclass(frozen=True)
class ClassificationSet:
    """Texts and their labels."""

    name: str
    train: list[LabelledText]
    test: list[LabelledText]


@dataclass(frozen=True)
class LinearProbeMeasure(Measure):
    """Accuracy of a linear classifier on the encoder as trained. texts: it learns from at most."""

    data: ClassificationSet
    texts: int

    @property
    def label(self) -> str:
        return f"{self.data.name} accuracy"

    def value(self, subject: Subject) -> float:
        encode = encoder_function(subject.trained, subject.precision, quiet=True)
        return float(linear_probe(self.data, encode, texts=self.texts).mean())


def holds_classes(folder: Path) -> bool:
    """Whether a folder has a test.tsv with labels."""
    if not (folder / "test.tsv").is_file():
        return False
    with (folder / "test.tsv").open(encoding="utf-8-sig", errors="replace") as file:
        return "label" in file.readline().strip().split("\t")


def load_classification(folder: Path | str) -> ClassificationSet:
    """The set in a folder with train.tsv and test.tsv, each with the columns "label" and "text".

    Raises ReknitError as `read_table` does, and when there is only one label to learn.
    """
    folder = Path(folder)
    train, test = (
        [(label, text) for label, text in read_table(folder / f"{split}.tsv", ("label", "text"))]
        for split in ("train", "test")
    )
    if len({label for label, _ in train}) < 2:
        raise ReknitError(f"{folder / 'train.tsv'} has only one label: there is nothing to learn")
    return ClassificationSet(folder.resolve().name, train, test)


def drawn_texts(data: ClassificationSet, texts: int, seed: int = 0) -> list[LabelledText]:
    """At most `texts` of the training texts, drawn by `seed`, in the order of the file."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(data.train))[:texts])
    return [data.train[place] for place in chosen.tolist()]


def linear_probe(data: ClassificationSet, encode: EncodeTexts, *, texts: int = 4000, seed: int = 0) -> np.ndarray:
    """[test] 1.0 where logistic regression on the vectors gives the right label, else 0.0.

    Trained on at most `texts` texts, drawn by `seed`: the same ones for every model.
    """
    train = drawn_texts(data, texts, seed)
    vectors, judging = (encode([text for _, text in rows], "document") for rows in (train, data.test))
    for made in (vectors, judging):
        if not np.isfinite(made).all():
            raise ReknitError(
                f"the model gives NaN or infinity for texts of {data.name}: the model is broken, do not use it"
            )
    classifier = fitted_probe(vectors, [label for label, _ in train])
    found = classifier.predict(judging)
    correct: np.ndarray = (found == np.array([label for label, _ in data.test])).astype(np.float64)
    return correct


def fitted_probe(vectors: np.ndarray, labels: Sequence[str]) -> Pipeline:
    """Logistic regression on the [texts, dim] vectors.

    Dimensions are standardised; the regularisation is scikit-learn's default (L2, C = 1).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_MOST_STEPS))
    return classifier.fit(vectors, list(labels))
