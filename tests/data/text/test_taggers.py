"""Taggers never fail on any text, and find what they say they find."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reknit.data.text.passages import split_passages
from reknit.data.text.taggers import TAGGERS, code_spans, linguistic_spans, span_numbers, tagger_named
from reknit.errors import ReknitError

PIECES = st.sampled_from(
    [
        "def f(",
        "):\n",
        "    ",
        '"""',
        "'''",
        "'",
        '"',
        "#",
        "\\",
        "\n",
        "\r",
        "\x00",
        "é",
        "\ud800",
        "Ab",
        "(",
        "]",
        "x9",
    ]
)
any_text = st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=30).map("".join))


def words(spans: list[tuple[int, int]], text: str) -> list[str]:
    return [text[start:end] for start, end in spans]


@settings(max_examples=300, deadline=None)
@pytest.mark.parametrize("name", list(TAGGERS))
@given(text=any_text)
def test_spans_lie_in_the_text_in_order_and_apart(name: str, text: str) -> None:
    spans = TAGGERS[name](text)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert all(word.strip() == word for word in words(spans, text))
    assert TAGGERS[name](text) == spans


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We saw the Eiffel Tower in Paris.", ["Eiffel Tower", "Paris"]),
        # A capital that begins a sentence says nothing; a name's second word is still one.
        ("Alice met Bob. Yesterday Carol Smith left.", ["Bob", "Carol Smith"]),
        ("He flew to New\nYork City, France, by B12 on the 3rd at 9.", ["New\nYork City", "France", "B12", "3rd"]),
        ("The nation voted and the dogs were running home.", ["nation", "voted", "dogs", "running"]),
        ("Is this his class, thus a bus?", []),
        ("during something, they're under another; don't", []),
        ("the dog’s food, and it’s Mary’s", ["dog’s", "Mary’s"]),
        # Neither abbreviation ends a sentence, but the full stop parts the title from the name.
        ("Mr. Brown saw Dr. Novak.", ["Brown", "Dr", "Novak"]),
        ("", []),
    ],
)
def test_names_nouns_and_verbs(text: str, expected: list[str]) -> None:
    assert words(linguistic_spans(text), text) == expected


FUNCTION = '''def load_rows(path, limit=None):
    """Read the rows of a file (as text)."""
    rows = []  # what was read
    with open(path) as source:
        for row in source:
            rows.append(row.strip("end of row"))
    return rows[:limit]
'''
IDENTIFIERS = "load_rows path limit rows path source row source rows append row strip rows limit".split()  # noqa: SIM905


def test_identifiers_of_whole_source() -> None:
    assert words(code_spans(FUNCTION), FUNCTION) == IDENTIFIERS


@pytest.mark.parametrize("line", ["    )", "    'never closed", "x = 5 $ y", "  return rows"])
def test_source_that_does_not_tokenise_is_read_all_the_same(line: str) -> None:
    text = f"{FUNCTION}    if 1:\n        pass\n{line}"
    extra = {"x = 5 $ y": ["x", "y"], "  return rows": ["rows"]}.get(line, [])
    assert words(code_spans(text), text) == IDENTIFIERS + extra


@pytest.mark.parametrize("max_words", [12, 20, 40])
def test_passages_of_a_source_have_the_names_of_the_whole(max_words: int) -> None:
    found = [word for part in split_passages(FUNCTION, max_words) for word in words(code_spans(part), part)]
    assert found == IDENTIFIERS


def test_a_docstring_that_the_cut_has_parted_is_no_code() -> None:
    for text, expected in (
        ('the rows of a file.\n    """\n    rows = read(path)', ["rows", "read", "path"]),
        ('rows = read(path)\n    """Reads all the rows of', ["rows", "read", "path"]),
        ('of a file.\n"""\nrows = read(path)\ndef f(x):\n    """Give', ["rows", "read", "path", "f", "x"]),
        ('rows = r"""raw and', ["rows"]),
    ):
        assert words(code_spans(text), text) == expected


def test_tokens_are_in_the_span_that_they_share_a_character_with() -> None:
    spans = [(2, 5), (5, 6), (9, 12)]
    offsets = [(0, 0), (0, 2), (1, 3), (3, 5), (5, 6), (6, 9), (4, 6), (8, 20), (12, 13), (3, 3)]
    assert span_numbers(offsets, spans).tolist() == [-1, -1, 0, 0, 1, -1, 0, 2, -1, -1]
    assert span_numbers([], spans).tolist() == []
    assert span_numbers(offsets, []).tolist() == [-1] * len(offsets)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_span_numbers_equal_a_loop(data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, 30), max_size=12)))
    spans = list(zip(cuts[::2], cuts[1::2], strict=False))
    pairs = data.draw(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=12))
    offsets = [(min(pair), max(pair)) for pair in pairs]
    expected = [
        next((n for n, (start, end) in enumerate(spans) if max(start, first) < min(end, last)), -1)
        for first, last in offsets
    ]
    assert np.array_equal(span_numbers(offsets, spans), expected)


def test_taggers_by_name() -> None:
    assert tagger_named("none") is None
    assert tagger_named("code") is code_spans
    with pytest.raises(ReknitError, match="choose one of none, linguistic, code"):
        tagger_named("verbs")  # type: ignore[arg-type]
