"""Recipes are found by walking a package."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest

from reknit.catalogue import find, find_method, find_system, methods, recipes, systems, usage
from reknit.errors import ReknitError
from reknit.recipe import CAPABILITIES, Method, Recipe, System

SOURCE = """
from dataclasses import replace
from reknit.catalogue import find
BASE = find("mlm")
RECIPE = replace(BASE, card=replace(BASE.card, name="{name}"))
"""
METHOD = """
from dataclasses import dataclass, replace
from typing import ClassVar
from reknit.catalogue import find
from reknit.recipe import Method, Part

@dataclass(frozen=True)
class Prompt(Part):
    role: ClassVar[str] = "adapter"
    verb: ClassVar[str] = "tune"
    length: int = 8

SYSTEM = Method(card=replace(find("mlm").card, name="{name}"), part=Prompt())
"""
SURVEY = """
from dataclasses import replace
from reknit.catalogue import find
from reknit.recipe import System
SYSTEM = System(card=replace(find("mlm").card, name="{name}"))
"""
NUMBER = itertools.count()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that writes a recipe package of {module path: source} and gives its name."""
    name = f"toy_recipes_{next(NUMBER)}"
    monkeypatch.syspath_prepend(tmp_path)

    def write(modules: dict[str, str]) -> str:
        for path, source in {"__init__.py": "", **modules}.items():
            place = tmp_path / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(source)
            (place.parent / "__init__.py").touch()
        return name

    yield write
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]


def test_the_published_recipes_are_there() -> None:
    found = recipes()
    assert {"mlm", "clm", "retromae", "dupmae", "simcse", "mirror-bert", "infonce-pairs"} <= set(found)
    assert list(found) == sorted(found)
    assert all(name == recipe.card.name for name, recipe in found.items())


def test_every_recipe_file_is_found_and_short() -> None:
    import reknit_recipes

    root = Path(next(iter(reknit_recipes.__path__)))
    files = [path for path in root.rglob("*.py") if path.name != "__init__.py"]
    assert len(files) == len(systems())
    for path in files:
        assert len(path.read_text().splitlines()) <= 80, f"{path.name}: an objective is hiding in it"


def test_every_card_says_what_the_system_is_for() -> None:
    assert {name: system.card.capability for name, system in systems().items() if not system.card.capability} == {}
    assert {system.card.capability for system in systems().values()} <= set(CAPABILITIES)


def test_a_new_package_is_walked(package) -> None:
    name = package({"family/one.py": SOURCE.format(name="one"), "two.py": SOURCE.format(name="two"), "help.py": ""})
    assert list(recipes(name)) == ["one", "two"]
    assert isinstance(find("one", name), Recipe)


def test_methods_and_surveys_are_listed_and_are_no_recipes(package) -> None:
    sources = {"one.py": SOURCE, "two.py": METHOD, "three.py": SURVEY}
    name = package({file: source.format(name=file[:-3]) for file, source in sources.items()})
    assert list(systems(name)) == ["one", "three", "two"]
    assert list(recipes(name)) == ["one"]
    assert list(methods("tune", name)) == ["two"]
    assert methods("reshape", name) == {}
    assert isinstance(find_system("two", name), Method)
    assert type(find_system("three", name)) is System
    assert find_method("two", "tune", name).part.role == "adapter"
    with pytest.raises(
        ReknitError, match=r"two is not a recipe: .*method \(adapter\), used with `reknit tune --method two"
    ):
        find("two", name)
    with pytest.raises(ReknitError, match="three is not a recipe: measure it with `reknit claim three`"):
        find("three", name)
    with pytest.raises(ReknitError, match="two is not a method of reshape: it is a method"):
        find_method("two", "reshape", name)
    with pytest.raises(ReknitError, match="one is not a method of tune: train by it with `reknit pretrain one"):
        find_method("one", "tune", name)
    with pytest.raises(ReknitError, match=r"there is no method of tune 'tow'; did you mean two\?"):
        find_method("tow", "tune", name)
    assert usage(find("one", name)) == "train by it with `reknit pretrain one --corpus CORPUS --out RUN`"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (SOURCE.replace("RECIPE", "SYSTEM"), "is a Recipe: call it RECIPE"),
        (METHOD.replace("SYSTEM", "RECIPE"), "is a Method; it must be a reknit Recipe"),
        (SOURCE + SURVEY, "has a RECIPE and a SYSTEM"),
    ],
)
def test_files_that_call_things_by_the_wrong_name(package, source: str, message: str) -> None:
    with pytest.raises(ReknitError, match=message):
        systems(package({"one.py": source.format(name="one")}))


def test_duplicate_names(package) -> None:
    name = package({"one.py": SOURCE.format(name="same"), "two.py": SURVEY.format(name="same")})
    with pytest.raises(ReknitError, match=r"two systems are named 'same': .*one and .*two"):
        recipes(name)


def test_something_else_called_recipe(package) -> None:
    with pytest.raises(ReknitError, match="must be a reknit Recipe"):
        recipes(package({"one.py": "RECIPE = 3"}))


def test_missing_package() -> None:
    with pytest.raises(ReknitError, match="cannot be imported"):
        recipes("no_such_recipes")


def test_unknown_names_get_a_hint() -> None:
    with pytest.raises(ReknitError, match="did you mean retromae"):
        find("RetroMEA")
    with pytest.raises(ReknitError, match=r"choose one of .*clm, .*dupmae"):
        find("zzz")
