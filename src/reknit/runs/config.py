"""The whole setting of a run as one typed value: printed, stored, and reached field by field with `--set a.b=c`."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from reknit import catalogue
from reknit.errors import ReknitError
from reknit.jobs.precision import PrecisionChoice
from reknit.recipe import BudgetSpec, Recipe
from reknit.training.team import ParallelChoice

SCRATCH = "scratch"
DEFAULT_START = "sentence-transformers/all-MiniLM-L6-v2"

# Numbers are 0 or more everywhere; these must be above 0, and those below 1.
_ABOVE_ZERO = (
    "pairs_per_batch",
    "pairs_per_document",
    "passage_words",
    "dim",
    "depth",
    "heads",
    "latents",
    "intermediate",
    "tokens",
    "flops",
    "seconds",
    "corpus_share",
    "classified_texts",
)
_BELOW_ONE = ("pretrain_share", "warmup_ratio", "dropout", "adam_beta1", "adam_beta2")

Config = TypeVar("Config")


@dataclass(frozen=True)
class ProbeSpec:
    """The retrieval probe cut from the corpus itself.

    queries: held-out queries at most, half for choosing checkpoints and half for the verdict, or all for it where no
    checkpoint is chosen. documents: passages in the verdict's collection at most. training_documents: passages in the
    smaller one that is searched while training. per_phase: probes in a phase at most. time_share: with a time budget,
    probes may take this share of it, a quarter of it where no checkpoint is chosen. patience: probes in a row without
    a new best that end a phase.
    """

    queries: int = 400
    documents: int = 2000
    training_documents: int = 500
    per_phase: int = 8
    time_share: float = 0.2
    patience: int = 3


@dataclass(frozen=True)
class ExpansionSpec:
    """What an adapted model's queries know of the corpus's words (`reknit.models.query_expansion`).

    words: kept at most, those in most passages, and as many pairs of words; 0 for no expansion. documents: passages
    that it is made from at most.
    """

    words: int = 100_000
    documents: int = 20_000

    @property
    def wanted(self) -> bool:
        """Whether there is anything to expand queries by."""
        return bool(self.words and self.documents)


@dataclass(frozen=True)
class PromptSpec:
    """What a trained start model expects before queries and documents; None for what its folder says.

    For models whose folders do not say it, as E5's: "query: " and "passage: ". Pre-training reads texts without.
    """

    query: str | None = None
    document: str | None = None


@dataclass(frozen=True)
class RunConfig:
    """One run of `adapt` or `pretrain`.

    corpus, start, eval: paths or names as given. pretrain, tune: the recipes of the two phases, None to leave one out.
    pretrain_share: share of the budget for the first phase when there are two. keep: "best" keeps the best weights by
    the probe and may end with the start model; "last" keeps what the budget's end gives. passage_words: longer
    documents are cut into passages of at most so many words; None for 160, or as many as the start model reads where
    that is less. corpus_share: of the documents, drawn by their ids, that
    are read; the others are as if they were not there. prompts: of the start model, and so of the adapted one.
    expansion: of an adapted model's queries.
    verdict: whether the model is measured beside its start in the end, by the collections of `eval` or else by the
    probe. index: whether the passages are indexed for search. checkpoint_minutes: between two checkpoints.
    parallel: several processes train on a copy of the model each ("ddp") or hold a slice each ("fsdp"), for models that
    do not fit.
    """

    corpus: str
    start: str = DEFAULT_START
    pretrain: Recipe | None = None
    tune: Recipe | None = None
    budget: BudgetSpec = field(default_factory=lambda: BudgetSpec(seconds=600.0))
    pretrain_share: float = 0.3
    keep: Literal["best", "last"] = "best"
    eval: tuple[str, ...] = ()
    seed: int = 0
    precision: PrecisionChoice = "auto"
    max_bad: int = 100
    passage_words: int | None = None
    corpus_share: float = 1.0
    max_length: int = 256
    probe: ProbeSpec = field(default_factory=ProbeSpec)
    prompts: PromptSpec = field(default_factory=PromptSpec)
    expansion: ExpansionSpec = field(default_factory=ExpansionSpec)
    verdict: bool = True
    index: bool = True
    checkpoint_minutes: float = 2.0
    parallel: ParallelChoice = "ddp"

    @property
    def from_scratch(self) -> bool:
        return self.start == SCRATCH


def with_overrides(config: Config, assignments: tuple[str, ...]) -> Config:
    """Apply `a.b=c` assignments in order. A text keeps the spaces at its end; one in double quotes, all of them.

    Raises ReknitError when an assignment has no "=", names a field that does not exist (the fields there are listed),
    or gives a value that does not fit the field's type.
    """
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise ReknitError(f"--set {assignment!r} has no '=': write --set field.subfield=value")
        config = _assign(config, path.strip().split("."), text.lstrip(), path.strip())
    return config


def to_json(config: Any) -> Any:
    """A config as plain JSON values."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {item.name: to_json(getattr(config, item.name)) for item in dataclasses.fields(config)}
    if isinstance(config, (tuple, list)):
        return [to_json(item) for item in config]
    return config


def from_json(value: dict[str, Any]) -> RunConfig:
    """The RunConfig that `to_json` wrote; recipes are found by name, then given the stored settings."""
    pretrain, tune = (
        catalogue.find(value[phase]["card"]["name"]) if value[phase] else None for phase in ("pretrain", "tune")
    )
    for phase in ("pretrain", "tune"):
        if value[phase]:
            # What a system is checked by and which stages come before it is its own: no setting changes it.
            value = value | {phase: {name: of for name, of in value[phase].items() if name not in ("check", "after")}}
        # Before sources had settings of their own, the teacher's were the recipe's.
        if value[phase] and "teacher" in value[phase]:
            data = {"teacher": value[phase]["teacher"]} | value[phase]["data"]
            value = value | {phase: value[phase] | {"data": data}}
    # A run that began before there was an expansion goes on without one.
    value = {"expansion": {"words": 0}} | value
    return _fill(RunConfig(corpus=value["corpus"], pretrain=pretrain, tune=tune), value)


def _fill(template: Any, value: dict[str, Any]) -> Any:
    changes = {}
    for item in dataclasses.fields(template):
        if item.name not in value:
            continue  # a field that is younger than what was stored
        current, stored = getattr(template, item.name), value[item.name]
        if dataclasses.is_dataclass(current) and isinstance(stored, dict):
            stored = _fill(current, stored)
        changes[item.name] = _as_tuples(stored)
    return dataclasses.replace(template, **changes)


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def _assign(config: Any, path: list[str], text: str, whole: str) -> Any:
    parent = whole.removesuffix("." + ".".join(path))
    if config is None:
        raise ReknitError(
            f"--set {whole}: this run has no {parent}, so there is nothing to set (adapt pre-trains where --recipe "
            "names a recipe, and pretrain does not tune)"
        )
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise ReknitError(f"--set {whole}: {parent} has no fields below it")
    names = [item.name for item in dataclasses.fields(config)]
    if path[0] not in names:
        raise ReknitError(f"--set {whole}: there is no field {path[0]!r} here; there are {', '.join(names)}")
    current = getattr(config, path[0])
    if len(path) > 1:
        value = _assign(current, path[1:], text, whole)
    elif dataclasses.is_dataclass(current):
        below = ", ".join(f"{whole}.{item.name}" for item in dataclasses.fields(current))
        raise ReknitError(f"--set {whole}: name one of its fields: {below}")
    else:
        value = _parse(text, typing.get_type_hints(type(config))[path[0]], whole)
        if isinstance(value, int | float):
            _check_range(path[0], value, whole)
    return dataclasses.replace(config, **{path[0]: value})


def _check_range(name: str, value: float, whole: str) -> None:
    if not math.isfinite(value) or value < 0 or (value == 0 and name in _ABOVE_ZERO):
        raise ReknitError(f"--set {whole}: {value} must be {'above 0' if name in _ABOVE_ZERO else '0 or more'}")
    if value >= 1 and name in _BELOW_ONE:
        raise ReknitError(f"--set {whole}: {value} must be below 1")


def _parse(text: str, kind: Any, whole: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(kind)
        if type(None) in options and text.strip().lower() in ("none", "null"):
            return None
        return _parse(text, next(option for option in options if option is not type(None)), whole)
    if kind is str:
        quoted = text.strip()
        return quoted[1:-1] if len(quoted) > 1 and quoted[0] == quoted[-1] == '"' else text
    text = text.strip()
    if origin is Literal:
        if text in typing.get_args(kind):
            return text
        raise ReknitError(f"--set {whole}: {text!r} is none of {', '.join(map(str, typing.get_args(kind)))}")
    if origin is tuple:
        inner = typing.get_args(kind)[0]
        return tuple(_parse(part.strip(), inner, whole) for part in text.split(",") if part.strip())
    if kind is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise ReknitError(f"--set {whole}: {text!r} is neither true nor false")
    try:
        return kind(text)
    except (TypeError, ValueError):
        raise ReknitError(f"--set {whole}: {text!r} is not of type {getattr(kind, '__name__', kind)}") from None
