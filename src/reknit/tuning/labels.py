"""Labelled texts as users have them: one file, or a folder with train.tsv and test.tsv."""

from __future__ import annotations

import hashlib
from pathlib import Path

from reknit.errors import ReknitError
from reknit.evaluation.classification import ClassificationSet, LabelledText, load_classification
from reknit.evaluation.tables import read_table

LEAST_TRAINED, LEAST_JUDGING = 20, 20


def load_labels(place: str | Path, test_fraction: float, seed: int) -> ClassificationSet:
    """The texts to learn from and those to judge by.

    place: a folder with train.tsv and test.tsv, or a file; tab-separated, with the columns "label" and "text". A single
    file is divided by a hash of the seed and the text, so that a text that occurs twice is on one side.

    Raises ReknitError as `read_table` does, and where a row is not complete, there is only one label, no label of the
    texts that judge is learnt, or there are too few texts.
    """
    place = Path(place)
    if place.is_dir():
        data = load_classification(place)
    else:
        rows = [(label, text) for label, text in read_table(place, ("label", "text"))]
        judging = [row for row in rows if is_held_out(row[1], test_fraction, seed)]
        data = ClassificationSet(
            place.stem, [row for row in rows if not is_held_out(row[1], test_fraction, seed)], judging
        )
    _check_filled(place, data)
    if len({label for label, _ in data.train}) < 2:
        raise ReknitError(f"{place} has only one label: there is nothing to learn")
    if len(data.train) < LEAST_TRAINED or len(data.test) < LEAST_JUDGING:
        raise ReknitError(
            f"{place} has {len(data.train)} texts to learn from and {len(data.test)} to test on: at least "
            f"{LEAST_TRAINED} and {LEAST_JUDGING} are needed, so give more labelled texts"
        )
    if not {label for label, _ in data.train} & {label for label, _ in data.test}:
        raise ReknitError(f"{place}: no text that judges has a label that was learnt: give several texts of each label")
    return data


def _check_filled(place: Path, data: ClassificationSet) -> None:
    empty = [(label, text) for label, text in (*data.train, *data.test) if not label.strip() or not text.strip()]
    if empty:
        label, text = empty[0]
        which = f"the text {text[:40]!r} has no label" if text.strip() else f"one of label {label!r} has no text"
        raise ReknitError(f"{place} has {len(empty)} rows without a text or a label ({which}): complete or remove them")


def is_held_out(text: str, fraction: float, seed: int) -> bool:
    """Whether a text is kept out of training; of many texts about this fraction is."""
    digest = hashlib.blake2b(f"{seed} {text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < fraction * 2**64


def notes_on(data: ClassificationSet) -> list[str]:
    """What a reader of the result should know of the labelled texts."""
    trained, known = {text for _, text in data.train}, {label for label, _ in data.train}
    seen = _count(data.test, lambda row: row[1] in trained)
    unknown = _count(data.test, lambda row: row[0] not in known)
    notes = []
    if seen:
        notes.append(f"{seen} of the texts that judge are also among those learnt from")
    if unknown:
        notes.append(
            f"{unknown} of the texts that judge have a label that no text learnt from has: they count as wrong"
        )
    return notes


def _count(rows: list[LabelledText], holds) -> int:  # type: ignore[no-untyped-def]
    return sum(map(holds, rows))
