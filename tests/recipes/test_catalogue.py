"""Recipes are found by walking a package."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest

from reknit.catalogue import find, recipes
from reknit.errors import ReknitError
from reknit.recipe import Recipe

SOURCE = """
from dataclasses import replace
from reknit.catalogue import find
BASE = find("mlm")
RECIPE = replace(BASE, card=replace(BASE.card, name="{name}"))
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
    assert len(files) == len(recipes())
    for path in files:
        assert len(path.read_text().splitlines()) <= 60, f"{path.name}: an objective is hiding in it"


def test_a_new_package_is_walked(package) -> None:
    name = package({"family/one.py": SOURCE.format(name="one"), "two.py": SOURCE.format(name="two"), "help.py": ""})
    assert list(recipes(name)) == ["one", "two"]
    assert isinstance(find("one", name), Recipe)


def test_duplicate_names(package) -> None:
    name = package({"one.py": SOURCE.format(name="same"), "two.py": SOURCE.format(name="same")})
    with pytest.raises(ReknitError, match=r"two recipes are named 'same': .*one and .*two"):
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
