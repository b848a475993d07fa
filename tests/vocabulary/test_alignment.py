"""Word pairs of translations, and the rotation that joins two spaces."""

from __future__ import annotations

import tempfile
from pathlib import Path

import naive_vocabulary as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reknit.errors import ReknitError
from reknit.vocabulary.alignment import read_pairs, rotation, seed_pairs, word_pairs
from reknit.vocabulary.word_vectors import WordVectors, unit_rows

SIDE = st.lists(st.sampled_from(list("abcdef")), min_size=2, max_size=5)


@settings(deadline=None)
@given(st.lists(st.tuples(SIDE, SIDE), max_size=12))
def test_word_pairs_of_sentences(sentences: list[tuple[list[str], list[str]]]) -> None:
    found = word_pairs((" ".join(left), " ".join(right)) for left, right in sentences)
    assert set(found) == naive.mutual_best([(set(left), set(right)) for left, right in sentences])


def test_single_words_are_pairs_as_they_stand() -> None:
    assert word_pairs([("House", "Haus"), ("bank", "Bank"), ("bank", "Ufer")]) == [
        ("bank", "bank"),
        ("bank", "ufer"),
        ("house", "haus"),
    ]


def vectors(words: list[str], rows: np.ndarray) -> WordVectors:
    return WordVectors(tuple(words), len(words), unit_rows(rows), dict.fromkeys(words, 1))


def test_words_written_alike_count_unless_the_dictionary_knows_better() -> None:
    source, target = (
        vectors(words, np.eye(len(words))) for words in (["die", "1999", "cat"], ["die", "1999", "sterben"])
    )
    assert seed_pairs(source, target, []) == [("1999", "1999"), ("die", "die")]
    assert seed_pairs(source, target, [("die", "sterben"), ("dog", "hund")]) == [("1999", "1999"), ("die", "sterben")]


def test_a_planted_rotation_is_found() -> None:
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    words = [f"w{number}" for number in range(30)]
    source = vectors(words, rng.standard_normal((30, 5)))
    target = vectors(words, source.vectors @ turn)
    found = rotation(source, target, [(word, word) for word in words])
    assert np.allclose(found, turn)
    assert np.allclose(source.turned(found).vectors, target.vectors)


def test_no_other_rotation_is_nearer() -> None:
    rng = np.random.default_rng(1)
    words = [f"w{number}" for number in range(20)]
    source, target = (vectors(words, rng.standard_normal((20, 4))) for _ in range(2))
    found = rotation(source, target, [(word, word) for word in words])
    assert np.allclose(found @ found.T, np.eye(4))
    distance = np.linalg.norm(source.vectors @ found - target.vectors)
    for _ in range(50):
        other = np.linalg.qr(rng.standard_normal((4, 4)))[0]
        assert np.linalg.norm(source.vectors @ other - target.vectors) >= distance - 1e-9


def test_too_few_pairs() -> None:
    one = vectors(["a"], np.eye(1))
    with pytest.raises(ReknitError, match="only 1 words of the corpus have a known translation"):
        rotation(one, one, [("a", "a")])


def test_a_file_of_translations(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text(
        "\ufeffhouse\tHaus\n\nno cat runs\teine Katze rennt\na dog runs\tein Hund rennt\n", encoding="utf-8"
    )
    assert read_pairs(path) == [("house", "haus"), ("runs", "rennt")]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("house\n", "line 1: a source and a target"), ("a\tb\tc\n", "line 1: a source"), ("\n", "holds no translations")],
)
def test_a_broken_file_of_translations(content: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ReknitError, match=complaint):
        read_pairs(path)
    with pytest.raises(ReknitError, match="cannot be read as a table"):
        read_pairs(tmp_path / "absent.tsv")


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=("Cs",)), max_size=12), max_size=5))
def test_any_file_is_read_or_complained_of(lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pairs.tsv")
        path.write_text("\n".join(lines), encoding="utf-8")
        if all(line.count("\t") == 1 for line in lines if line.strip()) and any(line.strip() for line in lines):
            found = read_pairs(path)
            assert found == sorted(set(found))
            assert all(word == word.lower() for pair in found for word in pair)
        else:
            with pytest.raises(ReknitError, match=r"pairs\.tsv.*(a tab between them|it is empty)"):
                read_pairs(path)
