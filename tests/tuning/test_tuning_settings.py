"""The settings of `reknit tune`: each has a help, each number a range, and `reknit settings` lists them."""

from __future__ import annotations

import dataclasses
import typing

import pytest
from command_line import reknit

from reknit.adapters.files import KINDS
from reknit.catalogue import methods
from reknit.ranges import range_of
from reknit.runs.settings import groups_of
from reknit.tuning.config import VERB, configured


@pytest.mark.parametrize("name", methods(VERB))
def test_every_setting_has_a_help_and_every_number_a_range(name: str) -> None:
    config = configured("model", "labels.tsv", name, ())
    groups = groups_of(config)
    assert {group.path for group in groups} >= {"", "training"}
    for group in groups:
        assert len(group.help.split()) > 3, group.path
        for one in group.settings:
            assert len(one.help.split()) > 3, one.path
    for spec in (type(config), type(config.part)):
        hints = typing.get_type_hints(spec, include_extras=True)
        for item in dataclasses.fields(spec):
            if isinstance(getattr(config if spec is type(config) else config.part, item.name), int | float):
                assert range_of(hints[item.name]) is not None, item.name


def test_the_catalogue_has_every_kind_of_adapter_once() -> None:
    parts = [type(method.part) for method in methods(VERB).values()]
    assert sorted(parts, key=str) == sorted(KINDS, key=str)
    assert all(name == method.part.kind for name, method in methods(VERB).items())


def test_reknit_settings_lists_those_of_a_method() -> None:
    listed = reknit("settings", "lora").succeeded().out
    assert listed.startswith("Settings of `reknit tune --method lora`.")
    assert "part.rank = 8  (int, above 0)" in listed
