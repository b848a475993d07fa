"""The catalogue of recipes: found by walking a package, never by a list kept by hand."""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from reknit.errors import ReknitError
from reknit.recipe import Recipe


def recipes(package: str = "reknit_recipes") -> dict[str, Recipe]:
    """Every module-level `RECIPE` under `package`, by the name on its card, sorted by name.

    The package is imported by name, so that the library has no static import of recipes. Raises ReknitError when the
    package cannot be found, a `RECIPE` is not a `Recipe`, or two modules use one name.
    """
    try:
        root = importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise ReknitError(f"the recipe package {package!r} cannot be imported ({error}); install it") from error
    found: dict[str, Recipe] = {}
    origin: dict[str, str] = {}
    for info in pkgutil.walk_packages(getattr(root, "__path__", []), prefix=f"{package}."):
        recipe = getattr(importlib.import_module(info.name), "RECIPE", None)
        if recipe is None:
            continue
        if not isinstance(recipe, Recipe):
            raise ReknitError(f"RECIPE in {info.name} is a {type(recipe).__name__}; it must be a reknit Recipe")
        name = recipe.card.name
        if name in found:
            raise ReknitError(f"two recipes are named {name!r}: {origin[name]} and {info.name}; rename one")
        found[name], origin[name] = recipe, info.name
    return dict(sorted(found.items()))


def find(name: str, package: str = "reknit_recipes") -> Recipe:
    """The recipe of that name. Raises ReknitError that names the nearest matches, or all recipes when none is near."""
    known = recipes(package)
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    if near:
        raise ReknitError(f"there is no recipe {name!r}; did you mean {', '.join(near)}?")
    raise ReknitError(f"there is no recipe {name!r}; choose one of {', '.join(known)}")
