"""The settings of a config: the texts under its fields, their types in words, and values as --set reads them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reknit.errors import ReknitError
from reknit.ranges import Fraction, PositiveFloat, PositiveInt, Range
from reknit.runs.config import with_overrides
from reknit.runs.settings import as_json, as_text, field_texts, groups_of, kind_of, written


@dataclass(frozen=True)
class Part:
    """A part.

    More of it.
    """

    width: PositiveInt = 4
    """Width of the part,
    in dimensions.
    """
    depth: int = 2
    kinds: ClassVar[tuple[str, ...]] = ("a",)
    """Of the class, and no field."""


@dataclass(frozen=True)
class WiderPart(Part):
    """A part with a name."""

    width: PositiveInt = 8
    name: str = " x"
    """Name of the part."""
    "Nothing is under this."
    depth: int = 3
    """Depth of the wider part."""


@dataclass(frozen=True)
class Job:
    """A job."""

    corpus: str
    """What the job reads."""
    share: Fraction = 0.5
    """Fraction of it."""
    rates: tuple[PositiveFloat, ...] = (0.1, 1e-06)
    """Rates to try."""
    part: Part = field(default_factory=WiderPart)
    """The part that is used."""
    other: Part = field(default_factory=Part)
    """Another part."""
    absent: Part | None = None
    """A part that this job does not have."""
    limit: PositiveInt | None = None
    """A limit, or none."""


def test_texts_stand_under_their_fields_and_bases_give_those_that_are_missing() -> None:
    assert field_texts(Part)["width"] == "Width of the part, in dimensions."
    assert "depth" not in field_texts(Part)
    assert field_texts(WiderPart) == {
        "width": "Width of the part, in dimensions.",
        "kinds": "Of the class, and no field.",
        "name": "Name of the part.",
        "depth": "Depth of the wider part.",
    }


def test_groups_follow_the_dataclasses_that_fields_hold() -> None:
    groups = groups_of(Job("texts"))
    assert [(group.path, group.help) for group in groups] == [
        ("", "A job."),
        ("part", "The part that is used. A part with a name."),
        ("other", "Another part."),
    ]
    assert [one.path for group in groups for one in group.settings] == [
        *("corpus", "share", "rates", "limit"),
        *("part.width", "part.depth", "part.name"),
        *("other.width", "other.depth"),
    ]
    rows = {one.path: (one.default, one.required, one.kind, one.help) for group in groups for one in group.settings}
    assert rows["corpus"] == (None, True, "text", "What the job reads.")
    assert rows["share"] == (0.5, False, "float, 0 to 1", "Fraction of it.")
    assert rows["part.width"] == (8, False, "int, above 0", "Width of the part, in dimensions.")
    assert rows["other.depth"] == (2, False, "int", "")


def test_both_forms_show_every_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    groups = groups_of(Job("texts"))
    text = as_text(groups)
    assert "A job.\n  corpus required  (text)\n      What the job reads.\n" in text
    assert "\npart: The part that is used. A part with a name.\n  part.width = 8  (int, above 0)\n" in text
    assert '  part.name = " x"  (text)\n      Name of the part.' in text
    rows = json.loads(as_json(groups))
    assert [row["path"] for row in rows] == [one.path for group in groups for one in group.settings]
    assert rows[2] == {
        "path": "rates",
        "group": "",
        "default": [0.1, 1e-06],
        "required": False,
        "type": "list of float, above 0",
        "help": "Rates to try.",
    }


def test_the_text_keeps_to_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Long:
        """A job."""

        one: int = 1
        """A text of many words, which does not fit into a single line of a terminal that is as narrow as this one."""

    monkeypatch.setenv("COLUMNS", "40")
    lines = as_text(groups_of(Long())).splitlines()
    assert len(lines) > 4
    assert max(map(len, lines)) <= 40


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int, "int"),
        (str | None, "text, or none"),
        (bool, "true or false"),
        (PositiveInt | None, "int, above 0, or none"),
        (Annotated[float, Range()], "float, any number"),
        (Literal["a", "b"], "one of a, b"),
        (tuple[str, ...], "list of text"),
        (tuple[PositiveFloat, ...], "list of float, above 0"),
    ],
)
def test_types_in_words(hint: Any, words: str) -> None:
    assert kind_of(hint) == words


@dataclass(frozen=True)
class Values:
    number: Annotated[int, Range()] = 0
    real: Annotated[float, Range()] = 0.0
    switch: bool = False
    text: str = ""
    names: tuple[str, ...] = ()
    either: PositiveInt | None = None


TEXTS = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Zs")), max_size=8)
VALUES = st.builds(
    Values,
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    TEXTS.filter(lambda text: text[:1] != '"'),
    st.lists(st.sampled_from(["a", "2x64", "es/news"])).map(tuple),
    st.none() | st.integers(1),
)


@given(VALUES)
def test_set_reads_what_is_written(values: Values) -> None:
    assignments = tuple(f"{name}={written(value)}" for name, value in vars(values).items())
    assert with_overrides(Values(), assignments) == values


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("share=1.5", "--set share: 1.5 must be at most 1"),
        ("limit=0", "--set limit: 0 must be above 0"),
        ("rates=0.1,0", "--set rates: 0.0 must be above 0"),
        ("other.depth=-1", "--set other.depth: -1 must be 0 or more"),
    ],
)
def test_a_field_is_checked_by_its_own_range_and_by_0_or_more_without_one(assignment: str, message: str) -> None:
    with pytest.raises(ReknitError, match=f"^{re.escape(message)}$"):
        with_overrides(Job("texts"), (assignment,))
