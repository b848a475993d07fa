"""The settings of `reknit adapt`, `pretrain`, `tune`, `explain`, `vocabulary` and `compare`, as `reknit settings` lists
them."""

from __future__ import annotations

import difflib
from typing import Any

from reknit import catalogue
from reknit.adaptation.job import adapt_config, pretrain_config
from reknit.errors import ReknitError
from reknit.explanation import config as explanation
from reknit.recipe import BudgetSpec, Method
from reknit.research.pretraining.config import ComparisonConfig
from reknit.runs import settings
from reknit.runs.config import DEFAULT_START
from reknit.tuning import config as tuning
from reknit.vocabulary import config as vocabulary

COMPARE = "compare"
DEFAULT_METHODS = {
    tuning.VERB: tuning.DEFAULT_METHOD,
    explanation.VERB: explanation.DEFAULT_METHOD,
    vocabulary.VERB: vocabulary.DEFAULT_METHOD,
}
"""The verbs that take a method, each with its default."""
_HOW = "--set PATH=VALUE changes one."


def settings_listing(name: str | None = None, *, as_json: bool = False) -> str:
    """Path, default, type and help of every setting of `reknit adapt`; with a name, of another job.

    name: a recipe (`reknit pretrain` by it), a method (its verb with it), "tune", "explain" or "vocabulary" (with their
    default methods), or "compare". Raises ReknitError that gives the nearest names for another name.
    """
    heading, config = _job(name)
    groups = settings.groups_of(config)
    return settings.as_json(groups) if as_json else f"{heading}\n\n{settings.as_text(groups)}"


def _job(name: str | None) -> tuple[str, Any]:
    if name is None:
        return _adapt()
    if name == COMPARE:
        return (
            f"Settings of `reknit compare`, which all arms share. {_HOW}\n"
            "An arm such as mlm:objective.ratio=0.3 changes its own recipe: `reknit settings NAME` lists the fields of "
            "a recipe.",
            ComparisonConfig(corpus="", budget=BudgetSpec()),
        )
    known = catalogue.systems()
    system = known.get(DEFAULT_METHODS.get(name, name))
    if isinstance(system, Method) and system.part.verb in DEFAULT_METHODS:
        return _with_method(system.part.verb, system.card.name)
    if system is None:
        names = (COMPARE, *DEFAULT_METHODS, *known)
        near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else f"choose one of {', '.join(names)}"
        raise ReknitError(f"there is no recipe or method {name!r} to list the settings of; {hint}")
    return f"Settings of `reknit pretrain {name}`. {_HOW}", pretrain_config(name, corpus="")


def _adapt() -> tuple[str, Any]:
    config = adapt_config(corpus="")
    assert config.tune is not None
    return (
        f"Settings of `reknit adapt` from a trained model, tuned by {config.tune.card.name}. {_HOW}\n"
        "With --start scratch the recipe is infonce-pairs. --recipe NAME pre-trains by a recipe first, as `pretrain`. "
        "`reknit settings NAME` lists the settings of another recipe, a method or a verb.",
        config,
    )


def _with_method(verb: str, name: str) -> tuple[str, Any]:
    heading = f"Settings of `reknit {verb} --method {name}`. {_HOW}"
    if verb == tuning.VERB:
        return heading, tuning.configured("", "", name, ())
    if verb == explanation.VERB:
        return heading, explanation.configured("", "", name, ())
    return (
        f"{heading}\nWith --budget, masked language modelling follows, as `pretrain`: `reknit settings mlm` lists it.",
        vocabulary.configured("", DEFAULT_START, name),
    )
