"""What a trained encoder is measured by, each of a labelled folder or of texts that the user names."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Literal

from reknit.errors import ReknitError
from reknit.evaluation.beir import load_beir
from reknit.evaluation.classification import ClassificationSet, linear_probe, load_classification
from reknit.evaluation.fine_tuning import NO_FINE_TUNING, FineTuningSpec, fine_tuned_accuracy, learning_and_held_out
from reknit.evaluation.metrics import values_of
from reknit.evaluation.minimal_pairs import holds_minimal_pairs, load_minimal_pairs, minimal_pair_accuracy
from reknit.evaluation.perplexity import Likelihood, load_unseen_texts, perplexity
from reknit.evaluation.retrieval import dense_search
from reknit.evaluation.similarity import load_similarity, spearman
from reknit.jobs.precision import PrecisionChoice
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.encode_texts import EncodeTexts
from reknit.objectives.elastic import parse_size

# Each sentence is read once for each of its tokens by a masked model.
_PAIRS_OF_A_PARADIGM = 100
_UNSEEN_PASSAGES = 100
_PARTS_OF_LABELLED_FOLDERS = ("queries.jsonl", "qrels", "train.tsv", "dev.tsv", "test.tsv")

logger = logging.getLogger("reknit")

PSEUDO_PERPLEXITY, PERPLEXITY = "pseudo-perplexity", "perplexity"

FineTuned = Callable[[EmbeddingModel, int, PrecisionChoice], float]
"""(model, seed, precision) -> what a copy of the model reaches that is trained further."""


@dataclass(frozen=True)
class Measure:
    """One number of an encoder, the higher the better but for perplexities (`lower_is_better`).

    name: of the folder or file. metric: what it is. of: whether the encoder is measured as trained or after the tuning.
    score: from an `Encode` to the number. unseen: texts that training must not see. size: (layers, coordinates) that
    the encoder is cut to, None for all of it. likelihood: in place of `score`, from a language model's likelihoods of
    texts to the number. causal: whether it is of language models that read from left to right, or of those that read
    both sides; None for both. fine_tuned: in place of `score`, from a model, which stays as it is, and a seed.
    """

    name: str
    metric: str
    of: Literal["trained", "tuned"]
    score: Callable[[EncodeTexts], float] | None
    unseen: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    likelihood: Callable[[Likelihood], float | None] | None = None
    causal: bool | None = None
    fine_tuned: FineTuned | None = None

    @property
    def label(self) -> str:
        return f"{self.name} {self.metric}" + ("" if self.size is None else f" at {self.size[0]}x{self.size[1]}")


def lower_is_better(label: str) -> bool:
    """Whether a measure, by its label, is one of which less is more."""
    return label.endswith(PERPLEXITY)


def open_measures(
    folders: Sequence[str | Path],
    classified_texts: int,
    sizes: Sequence[str] = (),
    fine_tuning: FineTuningSpec = NO_FINE_TUNING,
) -> list[Measure]:
    """The measures of each place, told by what it holds.

    corpus.jsonl: a BEIR folder, nDCG@10 of the tuned encoder. train.tsv and test.tsv with labels: accuracy of a linear
    classifier on the encoder as trained, and of that encoder fine-tuned where `fine_tuning` has texts. .jsonl files of
    sentence pairs: accuracy of the language model, where the objective trains one, on the first 100 pairs of each
    file. test.tsv with scores: Spearman's correlation of the tuned encoder's cosines. A file, or a folder of other
    texts: 100 passages' perplexity by a language model that reads from left to right, pseudo-perplexity by one that
    reads both sides. sizes: "LAYERSxDIMS", at which search and similarity are measured besides. Raises ReknitError for
    what is none of these, broken files, two places of one name, and labels that cannot be fine-tuned on.
    """
    found: list[Measure] = []
    for folder in folders:
        opened = _open(Path(folder), classified_texts, fine_tuning)
        if {measure.label for measure in opened} & {measure.label for measure in found}:
            raise ReknitError(f"two places of --eval are both named {opened[0].name!r}: rename one")
        logger.info("%s: measured by %s", folder, " and ".join(measure.metric for measure in opened))
        found += opened
    cut = [replace(measure, size=parse_size(size)) for size in sizes for measure in found if measure.of == "tuned"]
    return [*found, *cut]


def _open(folder: Path, classified_texts: int, fine_tuning: FineTuningSpec) -> list[Measure]:
    if (folder / "corpus.jsonl").is_file():
        collection = load_beir(folder)

        def searched(encode: EncodeTexts) -> float:
            return fmean(values_of(dense_search(collection, encode), collection))

        return [Measure(collection.name, "nDCG@10", "tuned", searched, tuple(collection.queries.values()))]
    if not (folder / "test.tsv").is_file() and holds_minimal_pairs(folder):
        sentences = load_minimal_pairs(folder, _PAIRS_OF_A_PARADIGM)

        def accepted(likelihood: Likelihood) -> float:
            return minimal_pair_accuracy(sentences, likelihood)

        return [Measure(sentences.name, "pair accuracy", "trained", None, likelihood=accepted)]
    if not (folder / "test.tsv").is_file():
        return _unseen(folder)
    with (folder / "test.tsv").open(encoding="utf-8-sig", errors="replace") as file:
        header = file.readline().strip().split("\t")
    if "label" in header:
        return _classification(load_classification(folder), classified_texts, fine_tuning)
    pairs = load_similarity(folder)
    return [Measure(pairs.name, "Spearman", "tuned", lambda encode: spearman(pairs, encode))]


def _unseen(place: Path) -> list[Measure]:
    inside = [path for path in (place, *place.rglob("*")) if path.name in _PARTS_OF_LABELLED_FOLDERS]
    try:
        if inside:
            raise ReknitError(
                f"{inside[0]} is a part of a labelled folder, but what is named is not that folder, whole"
            )
        texts = load_unseen_texts(place, _UNSEEN_PASSAGES)
    except ReknitError as error:
        raise ReknitError(
            f"--eval {place} is nothing to measure by: {error}. Give a folder with corpus.jsonl (BEIR), with train.tsv "
            "and test.tsv (label, text), with test.tsv (score, sentence1, sentence2), with .jsonl files of sentence "
            "pairs, or texts for perplexity"
        ) from error

    def predicted(likelihood: Likelihood) -> float | None:
        return perplexity(texts.passages, likelihood)

    masked = Measure(
        texts.name, PSEUDO_PERPLEXITY, "trained", None, texts.sentences, likelihood=predicted, causal=False
    )
    return [masked, replace(masked, metric=PERPLEXITY, causal=True)]


def _classification(data: ClassificationSet, classified_texts: int, fine_tuning: FineTuningSpec) -> list[Measure]:
    def classified(encode: EncodeTexts) -> float:
        return float(linear_probe(data, encode, texts=classified_texts).mean())

    measures = [Measure(data.name, "accuracy", "trained", classified)]
    if fine_tuning.texts:
        # What cannot be learnt from would else be found after hours of training.
        learning_and_held_out(data, fine_tuning)

        def fine_tuned(model: EmbeddingModel, seed: int, precision: PrecisionChoice) -> float:
            return fine_tuned_accuracy(data, model, fine_tuning, seed, precision)

        measures.append(Measure(data.name, "fine-tuned accuracy", "trained", None, fine_tuned=fine_tuned))
    return measures
