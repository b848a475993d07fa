"""The run folder: model, models (others that it has), index, checkpoints, report.html and the run's files."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from reknit.errors import ReknitError
from reknit.jobs.files import disk_full_explained, read_json, write_json
from reknit.jobs.folder import JobFolder
from reknit.recipe import BudgetSpec
from reknit.runs.config import RunConfig, from_json, to_json
from reknit.runs.result import RunResult
from reknit.sources.distillation_targets import DISTILLATION_TARGETS
from reknit.training.budget import format_budget
from reknit.training.checkpoint import CheckpointFolder

# What may change on resume: it says how the rest of the training goes, not what was made before.
_FREE = (
    ".budget.",
    ".budget_covers.",
    ".epochs.",
    ".optimiser.",
    ".precision.",
    ".parallel.",
    ".checkpoint_minutes.",
    ".per_phase.",
    ".time_share.",
    ".patience.",
    ".expansion.",
    ".verdict.",
    ".index.",
    ".show_queries.",
)

_RARE = ("have", "teacher", "queries", "pairs", "answers")
"""Options of `adapt` that most runs do without."""


class RunFolder(JobFolder):
    """Paths of one run, and what of it may change on resume."""

    kind = "run"
    own = (
        "model",
        "models",
        "index",
        "checkpoints",
        "report.html",
        "result.json",
        "config.json",
        "metrics.jsonl",
        "train.log",
    )

    def __init__(self, path: Path | str, data: Path | None = None) -> None:
        """data: where passages, tokenizer and tokens are, for runs that share them."""
        super().__init__(path)
        self.model = self.path / "model"
        self.models = self.path / "models"
        self.index = self.path / "index"
        self.checkpoints = self.path / "checkpoints"
        self.data = data or self.checkpoints / "data"
        self.distillation_targets = self.data / DISTILLATION_TARGETS
        self.report = self.path / "report.html"
        self.result = self.path / "result.json"
        self.metrics = self.path / "metrics.jsonl"
        self.log = self.path / "train.log"

    def found(self) -> RunResult | None:
        """What result.json says; None where no run has ended, as in the folder of a model."""
        return RunResult.read(self.result)

    def phase(self, name: str) -> CheckpointFolder:
        return CheckpointFolder(self.checkpoints / name)

    def open(self, config: RunConfig, asked: RunConfig, settings: Sequence[str], *, overwrite: bool) -> None:
        """Make the folder ready for `config`, which is `asked` changed by `settings`.

        A run that is overwritten is set aside until `preparing` has ended well. Raises ReknitError when the folder
        cannot be made.
        """
        self.make(overwrite=overwrite)
        before = read_json(self.config).get("settings", []) if self.is_taken() else []
        write_json(self.config, to_json(config) | {"asked": _asked(asked), "settings": [*before, *settings]})

    def command(self) -> str:
        """The command that repeats this run: what was asked for, and every setting that was changed."""
        stored = read_json(self.config)
        asked = stored["asked"]
        verb = ["adapt", asked["corpus"]]
        if asked["pretrain"] is not None:
            verb += ["--recipe", asked["pretrain"]]
        if asked["tune"] is None:
            verb = ["pretrain", asked["pretrain"], "--corpus", asked["corpus"]]
            verb += ["--index"] if stored.get("index", True) else []
        starts = [asked["start"], *asked.get("also_start", ())]
        options = [part for start in starts for part in ("--start", start)]
        options += [part for name in _RARE if asked.get(name) for part in (f"--{name}", asked[name])]
        options += ["--budget", format_budget(BudgetSpec(**asked["budget"]))]
        settings = stored["settings"] if asked["tune"] else _settings_of_pretraining(stored)
        for name, values in (("--eval", asked["eval"]), ("--set", settings)):
            options += [part for value in values for part in (name, value)]
        return shlex.join(["reknit", *verb, "--out", str(self.path), *options])

    def resumable(self, asked: RunConfig) -> RunConfig:
        """The stored configuration, which a resume follows.

        Raises ReknitError when it is damaged, or when `asked` (what the same command asks for, before --set) differs
        from what was asked for at the start.
        """
        stored = read_json(self.config)
        try:
            config = from_json(stored)
            before = stored["asked"]
        except (KeyError, TypeError) as error:
            raise ReknitError(f"{self.config} is not a run's configuration ({error!r}): use --overwrite") from error
        now = _asked(asked)
        differing = [
            f"{name} {before.get(name)!r}, not {now.get(name)!r}"
            for name in {**now, **before}
            if before.get(name) != now.get(name)
        ]
        if differing:
            raise ReknitError(
                f"{self.path} was started with {'; '.join(differing)}: repeat its command with --resume, "
                "or change single settings with --set"
            )
        return config

    def check_changes(self, before: RunConfig, after: RunConfig) -> None:
        """Raise ReknitError when a resume would change what the data on disk or the finished phases were made with."""
        for name, value in _flat(to_json(after)).items():
            old = _flat(to_json(before)).get(name)
            if value != old and not any(part in f".{name}." for part in _FREE):
                raise ReknitError(
                    f"--set {name} cannot change on resume (from {old!r} to {value!r}): {self.path} was made with the "
                    "old value; start a new run"
                )

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Copy the log of reknit to train.log within the block, an error that ends it too."""
        with disk_full_explained(str(self.log)):
            handler = logging.FileHandler(self.log, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger = logging.getLogger("reknit")
        logger.addHandler(handler)
        try:
            yield
        except BaseException as error:
            ending = f"ended by {type(error).__name__}: {error}"
            handler.emit(logging.LogRecord("reknit", logging.ERROR, "", 0, ending, None, None))
            raise
        finally:
            logger.removeHandler(handler)
            # What a full disk did not take is given up: the error that ended the run says so.
            with suppress(OSError):
                handler.close()


def _settings_of_pretraining(stored: dict[str, Any]) -> list[str]:
    """The changed settings but what --index and --eval say already. Runs of before these had an index and a verdict."""
    changed = [one for one in stored["settings"] if one.partition("=")[0].strip() not in ("index", "verdict")]
    verdict = stored.get("verdict", True)
    return changed if verdict == bool(stored["asked"]["eval"]) else [*changed, f"verdict={str(verdict).lower()}"]


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, item in value.items():
        found |= _flat(item, f"{prefix}{name}.") if isinstance(item, dict) else {prefix + name: item}
    return found


def _asked(config: RunConfig) -> dict[str, Any]:
    recipes = {
        phase: recipe.card.name if recipe else None
        for phase, recipe in (("pretrain", config.pretrain), ("tune", config.tune))
    }
    given = to_json(config)
    # What few runs are asked for is left out of the others.
    rare = {name: given[name] for name in ("also_start", *_RARE) if given[name]}
    return {name: given[name] for name in ("corpus", "start", "eval", "budget")} | recipes | rare
