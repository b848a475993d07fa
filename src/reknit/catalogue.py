"""The catalogue of systems: found by walking a package, never by a list kept by hand."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from typing import TypeVar

from reknit.errors import ReknitError
from reknit.recipe import Method, Recipe, System

Found = TypeVar("Found", bound=System)

_KINDS: dict[str, type[System]] = {"RECIPE": Recipe, "SYSTEM": System}


def systems(package: str = "reknit_recipes") -> dict[str, System]:
    """Every module-level `RECIPE` and `SYSTEM` under `package`, by the name on its card, sorted by name.

    RECIPE is a `Recipe`; SYSTEM is a `Method`, or a plain `System` (a survey, an analysis). The package is imported by
    name, so that the library has no static import of recipes. Raises ReknitError when the package cannot be found,
    something else has one of these names, a module has both, or two modules use one name.
    """
    try:
        root = importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise ReknitError(f"the recipe package {package!r} cannot be imported ({error}); install it") from error
    found: dict[str, System] = {}
    origin: dict[str, str] = {}
    for info in pkgutil.walk_packages(getattr(root, "__path__", []), prefix=f"{package}."):
        module = importlib.import_module(info.name)
        listed = [_checked(module, name) for name in _KINDS if getattr(module, name, None) is not None]
        if len(listed) > 1:
            raise ReknitError(f"{info.name} has a RECIPE and a SYSTEM; keep one of them")
        for system in listed:
            name = system.card.name
            if name in found:
                raise ReknitError(f"two systems are named {name!r}: {origin[name]} and {info.name}; rename one")
            found[name], origin[name] = system, info.name
    return dict(sorted(found.items()))


def recipes(package: str = "reknit_recipes") -> dict[str, Recipe]:
    """The systems that are training objectives. Raises ReknitError as `systems` does."""
    return {name: system for name, system in systems(package).items() if isinstance(system, Recipe)}


def methods(verb: str, package: str = "reknit_recipes") -> dict[str, Method]:
    """The methods of a verb. Raises ReknitError as `systems` does."""
    return {
        name: system
        for name, system in systems(package).items()
        if isinstance(system, Method) and system.part.verb == verb
    }


def find_system(name: str, package: str = "reknit_recipes") -> System:
    """The system of that name. Raises ReknitError that names the nearest matches, or all when none is near."""
    return _find(name, systems(package), "system")


def find(name: str, package: str = "reknit_recipes") -> Recipe:
    """The recipe of that name. Raises ReknitError as `find_system` does, and for a system of another kind, with what
    that is used by."""
    known = systems(package)
    system = known.get(name)
    if system is not None and not isinstance(system, Recipe):
        raise ReknitError(f"{name} is not a recipe: {usage(system)}")
    found = {name: system for name, system in known.items() if isinstance(system, Recipe)}
    return _find(name, found, "recipe")


def find_method(name: str, verb: str, package: str = "reknit_recipes") -> Method:
    """The method of that name of a verb. Raises ReknitError as `find` does."""
    system = systems(package).get(name)
    if system is not None and not (isinstance(system, Method) and system.part.verb == verb):
        raise ReknitError(f"{name} is not a method of {verb}: {usage(system)}")
    return _find(name, methods(verb, package), f"method of {verb}")


def usage(system: System) -> str:
    """How the system is used, in a few words with a command."""
    name = system.card.name
    if isinstance(system, Recipe):
        return f"train by it with `reknit pretrain {name} --corpus {system.data.example} --out RUN`"
    if isinstance(system, Method):
        return f"it is a method ({system.part.role}), used with `{system.part.usage(name)}`"
    return f"measure it with `reknit claim {name}`"


def _checked(module: object, name: str) -> System:
    system = getattr(module, name)
    wanted = _KINDS[name]
    where = getattr(module, "__name__", "a module")
    if not isinstance(system, wanted):
        raise ReknitError(f"{name} in {where} is a {type(system).__name__}; it must be a reknit {wanted.__name__}")
    if name == "SYSTEM" and isinstance(system, Recipe):
        raise ReknitError(f"SYSTEM in {where} is a Recipe: call it RECIPE")
    return system


def _find(name: str, known: dict[str, Found], what: str) -> Found:
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    if near:
        raise ReknitError(f"there is no {what} {name!r}; did you mean {', '.join(near)}?")
    raise ReknitError(f"there is no {what} {name!r}; choose one of {', '.join(known)}")
