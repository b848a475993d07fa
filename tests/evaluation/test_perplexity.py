"""Perplexity of texts: read, spread, computed, and refused with a reason."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import zstandard

from reknit.errors import ReknitError
from reknit.evaluation.perplexity import load_unseen_texts, perplexity


def test_perplexity_is_of_tokens_and_not_of_texts() -> None:
    """A model that knows every letter with probability 1/4, but "b" with 1/2."""
    asked: list[int] = []

    def likelihood(texts: list[str]) -> tuple[list[float], list[int]]:
        asked.append(len(texts))
        logs = [sum(math.log(0.5 if letter == "b" else 0.25) for letter in text) for text in texts]
        return logs, [len(text) for text in texts]

    assert perplexity(["a", "cc", "ddd"], likelihood) == pytest.approx(4.0)
    assert perplexity(["bbb", "a"], likelihood) == pytest.approx(2 ** (5 / 4))
    assert perplexity(["a"] * 20, likelihood) == pytest.approx(4.0)
    assert sum(asked) == 3 + 2 + 20
    assert max(asked) < 20
    assert math.isfinite(perplexity(["a"], lambda texts: ([-1e9], [1])))
    assert perplexity(["a"], lambda texts: ([0.0], [0])) is None


def test_passages_are_spread_over_all_documents(tmp_path: Path) -> None:
    rows = [{"text": f"Document {number} is short."} for number in range(10)]
    (tmp_path / "news.2024.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    found = load_unseen_texts(tmp_path / "news.2024.jsonl", 4)
    assert found.name == "news.2024"
    assert found.passages == tuple(rows[number]["text"] for number in (0, 2, 5, 7))
    assert load_unseen_texts(tmp_path, 100).passages == tuple(row["text"] for row in rows)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "corpus.jsonl").write_text('{"_id": "a", "text": "A text."}\n')
    assert load_unseen_texts(tmp_path / "one" / "corpus.jsonl", 4).name == "one"
    (tmp_path / "one" / "corpus.jsonl").unlink()
    (tmp_path / "one" / "long.txt").write_text("A word. " * 1000)
    cut = load_unseen_texts(tmp_path / "one", 100)
    assert len(cut.passages) > 5
    assert all(len(passage.split()) <= 160 for passage in cut.passages)
    assert cut.sentences == ("A word.",)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("wiki.en", "wiki.en"),
        ("wiki.de.txt", "wiki.de"),
        ("wiki.fr.jsonl.zst", "wiki.fr"),
        ("deep/corpus.jsonl", "deep"),
    ],
)
def test_names_of_places(tmp_path: Path, place: str, name: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".en":
        path.mkdir()
        path = path / "a.txt"
    data = b'{"text": "A first text."}\n'
    path.write_bytes(zstandard.compress(data) if path.suffix == ".zst" else data)
    assert load_unseen_texts(tmp_path / place, 4).name == name


def test_places_without_text(tmp_path: Path) -> None:
    with pytest.raises(ReknitError, match="there is no such file or folder"):
        load_unseen_texts(tmp_path / "none", 4)
    (tmp_path / "blank.jsonl").write_text('{"text": " "}\n')
    with pytest.raises(ReknitError, match="holds no text"):
        load_unseen_texts(tmp_path, 4)
    (tmp_path / "blank.jsonl").write_text('{"text": "a"}\nnonsense\n')
    with pytest.raises(ReknitError, match="more than 0 unreadable records"):
        load_unseen_texts(tmp_path, 4)
