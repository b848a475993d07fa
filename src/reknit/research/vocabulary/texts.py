"""The texts of the German experiment: what is trained on, what the loss is measured on, what aligns the languages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from reknit.vocabulary.alignment import WordPair, word_pairs

STS, XQUAD, TATOEBA = "sts/stsb_{}", "retrieval/xquad_{}", "parallel/tatoeba"
NEEDS = (*(place.format(code) for place in (STS, XQUAD) for code in ("de", "en")), TATOEBA)
_HELD_OUT_EVERY = 6  # of the paragraphs of XQuAD; of STS-B it is the test file


@dataclass(frozen=True)
class GermanTexts:
    """train: German texts without those that are `held_out`. english: their English translations, for word vectors.
    pairs: word pairs found in the translations."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    english: tuple[str, ...]
    pairs: tuple[WordPair, ...]


def german_texts(data: Path) -> GermanTexts:
    """Read from the data folder. A text that is in both halves is in `held_out` alone, and its translation nowhere."""
    german, english = (_sentences(data, code, ("train", "dev")) for code in ("de", "en"))
    paragraphs = {code: _paragraphs(data / XQUAD.format(code)) for code in ("de", "en")}
    names = sorted(set(paragraphs["de"]) & set(paragraphs["en"]))
    kept_out = names[::_HELD_OUT_EVERY]
    trained = [name for name in names if name not in set(kept_out)]
    tatoeba = [_lines(data / TATOEBA / f"tatoeba.deu-eng.{code}") for code in ("deu", "eng")]
    held_out = dict.fromkeys(_sentences(data, "de", ("test",)) + [paragraphs["de"][name] for name in kept_out])
    translated = [*zip(english, german, strict=True), *zip(tatoeba[1], tatoeba[0], strict=True)]
    sentences = [pair for pair in translated if pair[1] not in held_out]
    return GermanTexts(
        train=tuple(dict.fromkeys([*(own for _, own in sentences), *(paragraphs["de"][name] for name in trained)])),
        held_out=tuple(held_out),
        english=tuple(dict.fromkeys([*(own for own, _ in sentences), *(paragraphs["en"][name] for name in trained)])),
        pairs=tuple(word_pairs(sentences)),
    )


def _sentences(data: Path, code: str, splits: tuple[str, ...]) -> list[str]:
    found = []
    for split in splits:
        lines = _lines(data / STS.format(code) / f"{split}.tsv")
        found += [text for line in lines[1:] for text in line.split("\t")[1:3]]
    return found


def _paragraphs(folder: Path) -> dict[str, str]:
    return {record["_id"]: record["text"] for record in map(json.loads, _lines(folder / "corpus.jsonl"))}


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").removesuffix("\n").split("\n")
