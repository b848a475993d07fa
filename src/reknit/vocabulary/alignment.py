"""Two languages' word vectors in one space: pairs of words that mean the same, and the rotation that joins them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from reknit.errors import ReknitError
from reknit.vocabulary.word_vectors import WordVectors, split_words

WordPair = tuple[str, str]
"""A word of the source's language and one of the target's."""

LEAST_PAIRS = 10
_TIMES_TOGETHER = 2  # sentences that two words must share: those that occur once share it with all its words


def read_pairs(path: Path | str) -> list[WordPair]:
    """The word pairs of a file with a source and a target a line, a tab between them: words, or sentences.

    A line of two single words is a pair; from lines of sentences `word_pairs` finds them. Raises ReknitError for a file
    that cannot be read, and for a line without exactly one tab.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ReknitError(f"{path} cannot be read as a table of translations ({error})") from error
    pairs = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        parts = line.rstrip("\r").split("\t")
        if len(parts) != 2:
            raise ReknitError(f"{path}, line {number}: a source and a target with a tab between them are needed")
        pairs.append((parts[0], parts[1]))
    if not pairs:
        raise ReknitError(f"{path} holds no translations: it is empty")
    return word_pairs(pairs)


def word_pairs(translations: Iterable[tuple[str, str]]) -> list[WordPair]:
    """The word pairs that translations give, in lower case, each once, sorted.

    Two single words are a pair. Of sentences, two words are one where each is the other's best by the Dice coefficient
    of the sentences they are in, 2 both / (one + other), and they share two sentences at least (Melamed, "Models of
    translational equivalence", 2000, has such measures).
    """
    single: set[WordPair] = set()
    sentences: list[tuple[set[str], set[str]]] = []
    for source, target in translations:
        left, right = ([word.lower() for word in split_words(side)] for side in (source, target))
        if len(left) == len(right) == 1:
            single.add((left[0], right[0]))
        elif left and right:
            sentences.append((set(left), set(right)))
    return sorted(single | _mutual_best(sentences))


def _mutual_best(sentences: Sequence[tuple[set[str], set[str]]]) -> set[WordPair]:
    if not sentences:
        return set()
    sources, left = _incidence([side for side, _ in sentences])
    targets, right = _incidence([side for _, side in sentences])
    both = (left.T @ right).tocoo()
    enough = both.data >= _TIMES_TOGETHER
    rows, columns, count = both.row[enough], both.col[enough], both.data[enough]
    alone = [np.asarray(side.sum(axis=0)).ravel() for side in (left, right)]
    dice = 2 * count / (alone[0][rows] + alone[1][columns])
    # Of equally good ones the first in the order of the alphabet.
    of_row = dict(zip(*(axis[np.lexsort((-columns, dice))] for axis in (rows, columns)), strict=True))
    of_column = dict(zip(*(axis[np.lexsort((-rows, dice))] for axis in (columns, rows)), strict=True))
    return {(sources[a], targets[b]) for a, b in of_row.items() if of_column[b] == a}


def _incidence(sides: Sequence[set[str]]):  # type: ignore[no-untyped-def]  # scipy has no types
    """The words of one side, sorted, and [sentences, words] sparse ones where a sentence has a word."""
    from scipy.sparse import csr_matrix

    words = sorted(set().union(*sides))
    number = {word: place for place, word in enumerate(words)}
    columns = [number[word] for side in sides for word in side]
    ends = np.cumsum([0, *map(len, sides)])
    ones = np.ones(len(columns), dtype=np.int64)
    return words, csr_matrix((ones, columns, ends), shape=(len(sides), len(words)))


def seed_pairs(source: WordVectors, target: WordVectors, dictionary: Iterable[WordPair]) -> list[WordPair]:
    """The pairs of words that an alignment starts from, sorted; both shape their spaces.

    They are those of the dictionary, and the words that both languages write alike (names, numbers, punctuation) unless
    the dictionary has another translation of them ("die" is no English "die").
    """
    old, new = (set(words.words[: words.shaping]) for words in (source, target))
    given = {(a, b) for a, b in dictionary if a in old and b in new}
    translated = {a for a, _ in given} | {b for _, b in given}
    alike = {(word, word) for word in (old & new) - translated}
    return sorted(given | alike)


def rotation(source: WordVectors, target: WordVectors, pairs: Sequence[WordPair]) -> np.ndarray:
    """[dim, dim] the orthogonal matrix that takes the pairs' source vectors nearest to their target vectors (Schönemann
    1966; for translation Xing et al. 2015 and Artetxe et al. 2016).

    Raises ReknitError for fewer than LEAST_PAIRS pairs.
    """
    from scipy.linalg import orthogonal_procrustes

    if len(pairs) < LEAST_PAIRS:
        raise ReknitError(
            f"only {len(pairs)} words of the corpus have a known translation in the source texts, fewer than "
            f"{LEAST_PAIRS}: give translations with --set translations=FILE"
        )
    left = source.vectors[[source.row_of[a] for a, _ in pairs]]
    right = target.vectors[[target.row_of[b] for _, b in pairs]]
    turn: np.ndarray = orthogonal_procrustes(left, right)[0]
    return turn
