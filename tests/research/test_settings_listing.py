"""`reknit settings` of the real jobs: complete, documented, true, and within the ranges that the fields declare."""

from __future__ import annotations

import inspect
import json
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, reduce
from typing import Any

import pytest
from command_line import reknit

from reknit import catalogue
from reknit.adaptation.job import adapt_config, pretrain_config
from reknit.errors import ReknitError
from reknit.explanation import config as explanation
from reknit.ranges import range_of
from reknit.recipe import BudgetSpec, Method, Recipe
from reknit.research.pretraining.config import ComparisonConfig
from reknit.research.settings import DEFAULT_METHODS, settings_listing
from reknit.runs.config import with_overrides
from reknit.runs.settings import field_texts, groups_of, written
from reknit.tuning import config as tuning
from reknit.vocabulary import config as vocabulary

FEWEST_WORDS = 3
# What a command is always given.
REQUIRED = ("corpus", "start", "labels", "model", "method")
# Words for what a house calls by another name: a reader of the help has only the help.
PRIVATE = re.compile(r"\b(likewise|coordinates?|hidden from|is hidden|are hidden|luck|lessons?|afresh|shares? of)\b")


@cache
def jobs() -> dict[str, Any]:
    """Configs that between them hold every settings class that a command reaches."""
    found = {"compare": ComparisonConfig(corpus="c", budget=BudgetSpec())}
    found |= {"adapt": adapt_config("c"), "adapt from scratch": adapt_config("c", "scratch", "dupmae")}
    found |= {f"tune by {name}": tuning.configured("m", "l", name, ()) for name in catalogue.methods("tune")}
    found |= {f"explain by {name}": explanation.configured("m", "c", name, ()) for name in catalogue.methods("explain")}
    found |= {
        f"vocabulary by {name}": vocabulary.configured("c", "m", name, "5ktok")
        for name in (*catalogue.methods("vocabulary"), "random")
    }
    return found | {name: pretrain_config(name, "c") for name in catalogue.recipes()}


def specs() -> list[type]:
    """Every settings class of the jobs."""

    def within(config: Any) -> Iterator[type]:
        yield type(config)
        for item in fields(config):
            if is_dataclass(getattr(config, item.name)) and item.name not in ("card", "check"):
                yield from within(getattr(config, item.name))

    return sorted({spec for config in jobs().values() for spec in within(config)}, key=lambda spec: spec.__name__)


def undocumented(config: Any) -> list[str]:
    """Settings whose help does not say more than their name."""
    return [
        one.path
        for group in groups_of(config)
        for one in group.settings
        if len(one.help.split()) < FEWEST_WORDS
        or set(re.findall("[a-z]+", one.help.lower())) <= set(one.path.lower().split(".")[-1].split("_"))
    ]


def without_a_range(spec: type) -> list[str]:
    """Fields that hold numbers and whose types say nothing of which."""

    def numbers(hint: Any) -> bool:
        return hint in (int, float) or any(numbers(part) for part in typing.get_args(hint))

    hints = typing.get_type_hints(spec, include_extras=True)
    return [item.name for item in fields(spec) if numbers(hints[item.name]) and range_of(hints[item.name]) is None]


@pytest.mark.parametrize("name", jobs())
def test_every_setting_is_listed_once_and_has_a_help(name: str) -> None:
    def leaves(config: Any, path: str) -> Iterator[str]:
        for item in fields(config):
            value = getattr(config, item.name)
            if is_dataclass(value):
                if item.name not in ("card", "check"):
                    yield from leaves(value, f"{path}{item.name}.")
            elif item.name not in ("card", "check", "after", "pretrain", "tune"):
                yield f"{path}{item.name}"

    config = jobs()[name]
    listed = [one.path for group in groups_of(config) for one in group.settings]
    assert sorted(listed) == sorted(leaves(config, ""))
    assert undocumented(config) == []


@dataclass(frozen=True)
class Undocumented:
    said: int = 1
    """How much of it is said."""
    unsaid: int = 1
    batch_size: int = 1
    """The batch size."""
    batch: int = 1
    """Batch batch batch."""
    unranged: float | None = None
    """Any number at all, it seems."""


def test_a_field_without_help_or_range_is_found() -> None:
    assert undocumented(Undocumented()) == ["unsaid", "batch"]
    assert without_a_range(Undocumented) == ["said", "unsaid", "batch_size", "batch", "unranged"]


def texts_by_lines(spec: type) -> dict[str, str]:
    """The naive twin of `field_texts`, of a class's own fields: line by line, from three quotes to three quotes."""
    found: dict[str, str] = {}
    lines = inspect.getsource(spec).splitlines()
    for number, line in enumerate(lines):
        name = re.match(r"    (\w+): ", line)
        if name and lines[number + 1].startswith('    """'):
            end = number + 1
            text = lines[end].strip().removeprefix('"""')
            while not text.endswith('"""'):
                end += 1
                text += " " + lines[end].strip()
            found[name[1]] = text.removesuffix('"""').strip()
    return found


@pytest.mark.parametrize("spec", specs(), ids=lambda spec: spec.__name__)
def test_the_texts_are_those_of_the_source_and_every_number_has_a_range(spec: type) -> None:
    texts = field_texts(spec)
    own = set(inspect.get_annotations(spec)) & {item.name for item in fields(spec)}
    assert {name: text for name, text in texts.items() if name in own} == texts_by_lines(spec)
    assert {name for name in texts if re.search(PRIVATE, texts[name])} == set()
    assert {name for name in texts if not texts[name].endswith(".")} == set()
    assert without_a_range(spec) == []


@pytest.mark.parametrize("name", jobs())
def test_the_defaults_are_those_of_the_job_and_what_set_reads(name: str) -> None:
    config = jobs()[name]
    checked = 0
    for group in groups_of(config):
        for one in group.settings:
            if one.required:
                assert one.path in REQUIRED
                continue
            assert one.default == reduce(getattr, one.path.split("."), config)
            assert with_overrides(config, (f"{one.path}={written(one.default)}",)) == config
            checked += 1
    assert checked >= 10


def test_the_verb_lists_adapt_a_recipe_or_the_comparison() -> None:
    rows = {
        name: {row["path"]: row for row in json.loads(reknit("settings", *name, "--json").succeeded().out)}
        for name in ((), ("electra",), ("compare",))
    }
    assert rows[()]["tune.objective.temperature"]["default"] == 0.05
    assert rows[()]["budget.seconds"]["default"] == 600
    assert not any(path.startswith("pretrain.") for path in rows[()])
    assert rows[("electra",)]["pretrain.objective.detection_weight"]["default"] == 50
    assert rows[("electra",)]["keep"]["default"] == "last"
    assert rows[("compare",)]["encoder.pooling"]["default"] == "mean"
    shown = reknit("settings", "compare").succeeded().out
    assert shown.startswith("Settings of `reknit compare`")
    assert all(f"\n  {path} " in shown for path in rows[("compare",)])


@pytest.mark.parametrize(
    ("name", "verb", "method", "path"),
    [
        ("tune", "tune", "lora", "part.rank"),
        ("bottleneck", "tune", "bottleneck", "training.learning_rates"),
        ("explain", "explain", "topk-sae", "part.k"),
        ("top-afa-sae", "explain", "top-afa-sae", "part.norm_weight"),
        ("vocabulary", "vocabulary", "wechsel", "part.vectors.dim"),
        ("wechsel", "vocabulary", "wechsel", "source_texts"),
    ],
)
def test_a_verb_that_takes_methods_is_listed_by_each_of_them(name: str, verb: str, method: str, path: str) -> None:
    shown = settings_listing(name)
    assert shown.startswith(f"Settings of `reknit {verb} --method {method}`. ")
    assert path in [row["path"] for row in json.loads(settings_listing(name, as_json=True))]
    assert f"\n  {path} = " in shown


def test_every_method_is_listed_or_says_how_it_is_set() -> None:
    for name, system in catalogue.systems().items():
        if isinstance(system, Method) and system.part.verb in DEFAULT_METHODS:
            assert f"--method {name}`" in settings_listing(name)
        elif not isinstance(system, Recipe):
            with pytest.raises(ReknitError, match=re.escape(catalogue.usage(system))):
                settings_listing(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("compar", "there is no recipe or method 'compar' to list the settings of; did you mean compare"),
        ("Retromea", "there is no recipe or method 'Retromea' to list the settings of; did you mean retromae"),
        ("nonsuch-at-all", "choose one of compare, tune, explain, vocabulary, 2dmse, ar2"),
    ],
)
def test_an_unknown_name_gives_the_nearest_ones_in_one_line(name: str, message: str) -> None:
    assert message in reknit("settings", name).complaint()
    with pytest.raises(ReknitError, match=re.escape(message)):
        settings_listing(name)
