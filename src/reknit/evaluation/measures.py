"""What a trained encoder is measured by, each of a labelled folder or of texts that the user names."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from reknit.errors import ReknitError
from reknit.evaluation import fine_tuning as classes
from reknit.evaluation import minimal_pairs, perplexity, retrieval, similarity
from reknit.evaluation.fine_tuning import NO_FINE_TUNING, FineTuningSpec
from reknit.evaluation.measure import Measure
from reknit.evaluation.perplexity import PERPLEXITY
from reknit.objectives.elastic import parse_size

logger = logging.getLogger("reknit")


def lower_is_better(label: str) -> bool:
    """Whether a measure, by its label in a stored result, is one of which less is better."""
    return label.endswith(PERPLEXITY)


def open_measures(
    folders: Sequence[str | Path],
    classified_texts: int,
    sizes: Sequence[str] = (),
    fine_tuning: FineTuningSpec = NO_FINE_TUNING,
) -> list[Measure]:
    """The measures of each place, told by what it holds: the first kind that knows it wins.

    corpus.jsonl: a BEIR folder, nDCG@10 of the tuned encoder. .jsonl files of sentence pairs: accuracy of the language
    model, where the objective trains one, on the first 100 pairs of each file. train.tsv and test.tsv with labels:
    accuracy of a linear classifier on the encoder as trained, and of that encoder fine-tuned where `fine_tuning` has
    texts. test.tsv with scores: Spearman's correlation of the tuned encoder's cosines. A file, or a folder of other
    texts: 100 passages' perplexity by a language model that reads from left to right, pseudo-perplexity by one that
    reads both sides. sizes: "LAYERSxDIMS", at which search and similarity are measured besides. Raises ReknitError for
    what is none of these, broken files, two places of one name, and labels that cannot be fine-tuned on.
    """
    found: list[Measure] = []
    for folder in folders:
        opened = _opened(Path(folder), classified_texts, fine_tuning)
        if {measure.label for measure in opened} & {measure.label for measure in found}:
            raise ReknitError(f"two paths of --eval have the measure {opened[0].label!r}: rename one")
        logger.info("%s: measured by %s", folder, " and ".join(measure.label for measure in opened))
        found += opened
    cut = [measure.at(parse_size(size)) for size in sizes for measure in found]
    return [*found, *(measure for measure in cut if measure is not None)]


def _opened(folder: Path, classified_texts: int, fine_tuning: FineTuningSpec) -> list[Measure]:
    measures = (
        retrieval.opened(folder)
        or minimal_pairs.opened(folder)
        or classes.opened(folder, classified_texts, fine_tuning)
        or similarity.opened(folder)
    )
    if measures:
        return measures
    try:
        return perplexity.opened(folder)
    except ReknitError as error:
        raise ReknitError(
            f"--eval {folder} cannot be used for evaluation: {error}. Give a folder with corpus.jsonl (BEIR), with "
            "train.tsv and test.tsv (label, text), with test.tsv (score, sentence1, sentence2), with .jsonl files of "
            "sentence pairs, or texts for perplexity"
        ) from error
