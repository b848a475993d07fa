"""Dataclasses as JSON and back: what was written is read, and what does not fit is named."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reknit.jobs.typed_json import from_plain, to_plain


@dataclass(frozen=True)
class Leaf:
    kind: Literal["a", "b"]
    values: tuple[float, ...] = ()
    pair: tuple[int, str] = (0, "")


@dataclass(frozen=True)
class Tree:
    name: str
    leaf: Leaf | None = None
    leaves: dict[str, Leaf] = field(default_factory=dict)
    flag: bool = False
    free: Any = None


NUMBERS = st.floats(allow_nan=False)
LEAVES = st.builds(
    Leaf,
    st.sampled_from(["a", "b"]),
    st.lists(NUMBERS).map(tuple),
    st.tuples(st.integers(), st.text()),
)
TREES = st.builds(
    Tree,
    st.text(),
    st.none() | LEAVES,
    st.dictionaries(st.text(), LEAVES),
    st.booleans(),
    st.none() | st.dictionaries(st.text(), st.integers() | st.text()),
)


def written_by_hand(tree: Tree) -> dict[str, Any]:
    """The naive twin: every field by its name."""

    def leaf(one: Leaf) -> dict[str, Any]:
        return {"kind": one.kind, "values": list(one.values), "pair": [one.pair[0], one.pair[1]]}

    return {
        "name": tree.name,
        "leaf": None if tree.leaf is None else leaf(tree.leaf),
        "leaves": {name: leaf(one) for name, one in tree.leaves.items()},
        "flag": tree.flag,
        "free": tree.free,
    }


@given(TREES)
def test_what_was_written_is_read(tree: Tree) -> None:
    plain = to_plain(tree)
    assert plain == written_by_hand(tree)
    assert from_plain(Tree, json.loads(json.dumps(plain)), "tree") == tree


def test_missing_fields_get_their_defaults_and_unknown_ones_are_left_out() -> None:
    assert from_plain(Tree, {"name": "n", "younger": 1}, "tree") == Tree("n")


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({}, "tree has no name"),
        ([], r"tree is \[\], not an object"),
        ({"name": 1}, "tree.name is 1, not a text"),
        ({"name": None}, "tree.name is None, not a text"),
        ({"name": "n", "flag": 0}, "tree.flag is 0, not true or false"),
        ({"name": "n", "leaf": {"kind": "c"}}, "tree.leaf.kind is 'c', which is none of a, b"),
        ({"name": "n", "leaves": {"x": {"kind": "a", "values": [1, "2"]}}}, r"tree.leaves.x.values\[1\] is '2'"),
        ({"name": "n", "leaf": {"kind": "a", "values": [True]}}, r"values\[0\] is True, not a number"),
        ({"name": "n", "leaf": {"kind": "a", "pair": [1]}}, "tree.leaf.pair has 1 values, not 2"),
        ({"name": "n", "leaf": {"kind": "a", "pair": [1.5, ""]}}, r"pair\[0\] is 1.5, not a whole number"),
        ({"name": "n", "leaves": []}, r"tree.leaves is \[\], not an object"),
    ],
)
def test_what_does_not_fit_is_named(value: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        from_plain(Tree, value, "tree")
