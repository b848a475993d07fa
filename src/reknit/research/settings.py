"""The settings of `reknit adapt`, `pretrain`, `tune` and `compare`, as `reknit settings` lists them."""

from __future__ import annotations

import difflib
from typing import Any

from reknit import catalogue
from reknit.adaptation.job import adapt_config, pretrain_config
from reknit.errors import ReknitError
from reknit.recipe import BudgetSpec
from reknit.research.pretraining.config import ComparisonConfig
from reknit.runs import settings
from reknit.tuning.config import VERB as TUNE
from reknit.tuning.config import configured

COMPARE = "compare"
_HOW = "--set PATH=VALUE changes one."


def settings_listing(name: str | None = None, *, as_json: bool = False) -> str:
    """Path, default, type and help of every setting of `reknit adapt`; with the name of a recipe, of `reknit pretrain`
    by it; of a method of `reknit tune`, of that; with "compare", of `reknit compare`. Raises ReknitError that gives the
    nearest names for another name."""
    heading, config = _job(name)
    groups = settings.groups_of(config)
    return settings.as_json(groups) if as_json else f"{heading}\n\n{settings.as_text(groups)}"


def _job(name: str | None) -> tuple[str, Any]:
    if name is None:
        config = adapt_config(corpus="")
        assert config.tune is not None
        return (
            f"Settings of `reknit adapt` from a trained model, tuned by {config.tune.card.name}. {_HOW}\n"
            "With --start scratch the recipe is infonce-pairs; --recipe NAME adds another, as `pretrain`: `reknit "
            "settings NAME` lists the fields of a recipe.",
            config,
        )
    if name == COMPARE:
        return (
            f"Settings of `reknit compare`, which all arms share. {_HOW}\n"
            "An arm such as mlm:objective.ratio=0.3 changes its own recipe: `reknit settings NAME` lists the fields of "
            "a recipe.",
            ComparisonConfig(corpus="", budget=BudgetSpec()),
        )
    if name in catalogue.methods(TUNE):
        return f"Settings of `reknit tune --method {name}`. {_HOW}", configured("", "", name, ())
    if name not in catalogue.systems():
        known = (COMPARE, *catalogue.recipes())
        near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
        names = f"did you mean {', '.join(near)}?" if near else f"choose one of {', '.join(known)}"
        raise ReknitError(f"there is no recipe {name!r} to list the settings of; {names}")
    return f"Settings of `reknit pretrain {name}`. {_HOW}", pretrain_config(name, corpus="")
