"""The whole setting of a run as one typed value: printed, stored, and reached field by field with `--set a.b=c`."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from reknit import catalogue
from reknit.errors import ReknitError
from reknit.jobs.precision import PrecisionChoice
from reknit.ranges import (
    FractionBelowOne,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Range,
    range_of,
)
from reknit.recipe import BudgetSpec, Recipe
from reknit.training.team import ParallelChoice

SCRATCH = "scratch"
DEFAULT_START = "sentence-transformers/all-MiniLM-L6-v2"

# Of a number whose field declares none.
_DEFAULT_RANGE = Range(low=0)

Config = TypeVar("Config")


Have = Literal["bm25", "start", "hybrid"]
"""What a user searches with today: words, the start model, or both."""

Answers = Literal["one", "many"]
"""How many documents usually answer a query."""


@dataclass(frozen=True)
class ProbeSpec:
    """The retrieval probe that is cut from the corpus: it chooses weights and gives the verdict without labels."""

    queries: PositiveInt = 400
    """Held-out queries, at most, taken from at most 20% of the passages. Where a checkpoint is chosen, half of them
    choose it and the other half gives the verdict; otherwise all of them give the verdict.
    """
    documents: PositiveInt = 2000
    """Passages in the collection that the queries of the verdict search, at most; more make the probe harder and
    slower. `reknit adapt` of a trained model takes 2,000 queries in 8,000 passages, which see smaller differences
    (docs/adaptation.md).
    """
    training_queries: PositiveInt = 200
    """Queries of the smaller collection that is searched during training, at most."""
    training_documents: NonNegativeInt = 500
    """Passages in the smaller collection that is searched during training, at most; the answers are always among them.
    """
    per_phase: NonNegativeInt = 8
    """Probes during one training phase, at most, evenly spread over it."""
    time_share: NonNegativeFloat = 0.2
    """With a time budget: fraction of a phase that probes may take, at most; a quarter of it where no checkpoint is
    chosen.
    """
    patience: NonNegativeInt = 3
    """Probes in a row without a new best score after which a phase ends early, where the best checkpoint is kept."""


@dataclass(frozen=True)
class ExpansionSpec:
    """Query expansion of an adapted model by the terms of the corpus (`reknit.models.query_expansion`)."""

    words: NonNegativeInt = 100_000
    """Words that queries are expanded by, at most, those that occur in the most passages; the same limit holds for
    pairs of words. 0 for no query expansion.
    """
    documents: NonNegativeInt = 20_000
    """Passages that the words' directions are computed from, at most; 0 for no query expansion."""

    @property
    def wanted(self) -> bool:
        """Whether there is anything to expand queries by."""
        return bool(self.words and self.documents)


@dataclass(frozen=True)
class PromptSpec:
    """Texts that a trained start model expects before queries and documents, for models whose folders do not say it, as
    E5's. Pre-training reads texts without them.
    """

    query: str | None = None
    """Text before each query, such as "query: "; None for what the model's folder says, empty for none."""
    document: str | None = None
    """Text before each document, such as "passage: "; None for what the model's folder says, empty for none."""


@dataclass(frozen=True)
class RunConfig:
    """One run of `adapt` or `pretrain`."""

    corpus: str
    """Folder or file of texts, or "python-docs" for the documentation that this Python carries; an argument of the
    command.
    """
    start: str = DEFAULT_START
    """Model to start from: a folder, a Hugging Face hub id, or "scratch" for a new one; `--start` of the command."""
    also_start: tuple[str, ...] = ()
    """More start models, each a further `--start` of the command. All are measured on the probe before anything is
    trained; the best one that can be trained is, and the best of the others teaches it and is searched with beside it.
    """
    student: str | None = None
    """Of several start models the one that is trained, by the name of its folder; None for the fastest of those that
    are not significantly worse than the best on the probe.
    """
    teacher: str | None = None
    """A stronger model that teaches beside BM25 and the start model, and is not searched with: a folder or a hub id;
    None for the best of the other start models. `--teacher` of the command.
    """
    pretrain: Recipe | None = None
    """The recipe of the first phase, pre-training; None to leave the phase out."""
    tune: Recipe | None = None
    """The recipe of the second phase, tuning for search; None to leave the phase out."""
    budget: BudgetSpec = field(default_factory=lambda: BudgetSpec(seconds=600.0))
    """What the run or the training of all its phases may spend (`budget_covers`); `--budget` of the command."""
    budget_covers: Literal["training", "run"] = "training"
    """What a budget of time is for: the training alone, its teacher included, or "run", all that `reknit adapt` does
    but the evaluation on labelled queries. Then the samples that a run encodes (probe, teacher, query expansion) become
    smaller where that leaves too little time to train.
    """
    pretrain_share: FractionBelowOne = 0.3
    """Fraction of the budget for the pre-training phase when a run has both phases; the tuning phase gets all that is
    left.
    """
    keep: Literal["best", "last"] = "best"
    """Weights that the run keeps: "best", those with the best probe score, which may be the start model's, or "last",
    those that training ends with.
    """
    eval: tuple[str, ...] = ()
    """BEIR folders with labelled queries, which decide the verdict; what repeats one of the queries is removed from
    training. `--eval` of the command.
    """
    queries: str | None = None
    """Log of queries that users asked, without answers: training sees them too, and the probe's queries are cut to
    their lengths; `--queries` of the command.
    """
    pairs: str | None = None
    """Queries with the documents that answer them, such as clicks. They train; where there are enough, one in five
    judges instead. `--pairs` of the command.
    """
    show_queries: bool = False
    """Show some of the users' queries in the report; `--show-queries` of the command."""
    seed: NonNegativeInt = 0
    """Seed of all random numbers: initial weights, order of the data, corruptions, dropout, and the choice of the
    probe.
    """
    precision: PrecisionChoice = "auto"
    """Number format of the matrix products: "float32", "bfloat16", or "auto" for bfloat16 where the machine has units
    for it.
    """
    max_bad: NonNegativeInt = 100
    """Unreadable records of the corpus that are skipped before the run gives up; `--max-bad` of the command."""
    passage_words: PositiveInt | None = None
    """Words of a passage, at most; longer documents are cut into passages. None for 160, or for what the start model
    reads of a usual passage where that is less.
    """
    corpus_share: PositiveFloat = 1.0
    """Fraction of the documents that are read, chosen by a hash of their ids; the others are treated as if they did not
    exist. 1 or more for all.
    """
    max_length: PositiveInt = 256
    """Tokens that a model built from scratch reads of a text, at most; its encoder.max_positions is a limit too."""
    probe: ProbeSpec = field(default_factory=ProbeSpec)
    """The retrieval probe that is cut from the corpus: it chooses weights and gives the verdict without labels."""
    prompts: PromptSpec = field(default_factory=PromptSpec)
    """Texts that the start model, and so the adapted one, expects before queries and documents."""
    expansion: ExpansionSpec = field(default_factory=ExpansionSpec)
    """Query expansion of the adapted model by the terms of the corpus."""
    verdict: bool = True
    """Measure the model beside its start when training has ended, on the collections of eval or else on the probe."""
    have: Have | None = None
    """What the user searches with today, which the verdict compares with: words alone, the start model alone, or both;
    None for both, and for words where the start model is a new one. `--have` of the command.
    """
    answers: Answers | None = None
    """How many documents usually answer a query, which a corpus does not tell: "many" for a search that goes on from
    the best hits of a first one (feedback), "one" for none; None lets labelled queries say, and without them there is
    none. `--answers` of the command.
    """
    index: bool = True
    """Index the passages for search; `--index` of `reknit pretrain`."""
    checkpoint_minutes: NonNegativeFloat = 2.0
    """Minutes between two checkpoints; after a crash, what was trained since the last one is trained again."""
    parallel: ParallelChoice = "ddp"
    """What each of several processes holds: "ddp" a copy of the model, "fsdp" a slice of its weights and moments, for
    models that do not fit on one device.
    """

    @property
    def from_scratch(self) -> bool:
        return self.start == SCRATCH

    @property
    def searched_with(self) -> Have:
        """What the user searches with today."""
        return self.have or ("bm25" if self.from_scratch else "hybrid")


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
    config: RunConfig = _fill(RunConfig(corpus=value["corpus"], pretrain=pretrain, tune=tune), value)
    return config


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
        known = f"there are {', '.join(names)}" if names else "it has no settings"
        raise ReknitError(f"--set {whole}: there is no field {path[0]!r} here; {known}")
    current = getattr(config, path[0])
    if len(path) > 1:
        return dataclasses.replace(config, **{path[0]: _assign(current, path[1:], text, whole)})
    if dataclasses.is_dataclass(current):
        below = ", ".join(f"{whole}.{item.name}" for item in dataclasses.fields(current))
        raise ReknitError(f"--set {whole}: name one of its fields: {below}")
    kind = typing.get_type_hints(type(config), include_extras=True)[path[0]]
    value = _parse(text, kind, whole)
    changed = dataclasses.replace(config, **{path[0]: value})  # the settings' own checks say more, so they come first
    _check_range(range_of(kind) or _DEFAULT_RANGE, value, whole)
    return changed


def _check_range(allowed: Range, value: Any, whole: str) -> None:
    for number in value if isinstance(value, tuple) else (value,):
        complaint = allowed.complaint(number) if isinstance(number, int | float) else None
        if complaint is not None:
            raise ReknitError(f"--set {whole}: {number} must be {complaint}")


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
    if origin is Annotated:
        return _parse(text, typing.get_args(kind)[0], whole)
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
