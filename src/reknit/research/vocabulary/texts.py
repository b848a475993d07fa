"""The texts of the German experiment: what is trained on, what the loss is measured on, what aligns the languages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import zstandard

from reknit.data.text.passages import split_passages
from reknit.vocabulary.alignment import WordPair, word_pairs

STS, XQUAD, TATOEBA = "sts/stsb_{}", "retrieval/xquad_{}", "parallel/tatoeba"
ENGLISH = "text/mix_en.jsonl.zst"
NEEDS = (*(place.format(code) for place in (STS, XQUAD) for code in ("de", "en")), TATOEBA, ENGLISH)
_HELD_OUT_EVERY = 6  # of the paragraphs of XQuAD; of STS-B it is the test file
_ENGLISH_EVERY = 8  # of the documents of the English mix
_ENGLISH_CHARACTERS = 20_000  # of a document: one novel must not outweigh the encyclopaedia
_PASSAGE_WORDS = 60


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


def english_passages(data: Path) -> Iterator[str]:
    """What the English model is trained on: passages of the mix, and the sentences of STS-B."""
    with zstandard.open(data / ENGLISH, "rt", encoding="utf-8") as lines:
        for line in islice(lines, 0, None, _ENGLISH_EVERY):
            yield from split_passages(json.loads(line)["text"][:_ENGLISH_CHARACTERS], _PASSAGE_WORDS)
    yield from dict.fromkeys(_sentences(data, "en", ("train", "dev")))


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
