"""A run on pictures: pre-training, export, what is lost on held-out pictures."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from reknit.data.images.store import PictureCorpus, prepare_pictures
from reknit.encoders.picture_spec import PictureEncoderSpec
from reknit.errors import ReknitError
from reknit.jobs.files import write_json
from reknit.jobs.interrupt import Interrupted, listen_for_stop
from reknit.jobs.machine import machine, versions
from reknit.jobs.precision import best_device
from reknit.jobs.typed_json import from_plain
from reknit.models.picture_model import PictureModel
from reknit.objectives.base import Objective
from reknit.pictures.card import picture_card
from reknit.pictures.export_check import check_picture_export
from reknit.pictures.held_out import held_out_losses, mean_picture
from reknit.pictures.page import write_page
from reknit.pictures.result import KIND, HeldOutLosses, PictureFacts, PictureResult
from reknit.pictures.words import show_pictures
from reknit.runs.config import to_json
from reknit.runs.kind import RunKind
from reknit.runs.phases import check_parts, phases_of, train_phases
from reknit.runs.result import Training
from reknit.training.log import MetricsLog
from reknit.training.team import Team
from reknit.version import __version__

logger = logging.getLogger("reknit")
_CHECKED = 8
_OF_TEXTS = (
    "passage_words",
    "max_length",
    "probe.",
    "prompts.",
    "expansion.",
    "index",
    "verdict",
    "also_start",
    "have",
    "student",
    "teacher",
    "queries",
    "pairs",
    "show_queries",
    "answers",
    "budget_covers",
)


class PictureRun(RunKind):
    """corpus, model: once `prepare` has been called."""

    reads = "pictures"
    result_kind: ClassVar[str] = KIND
    corpus: PictureCorpus
    model: PictureModel

    def check(self, settings: Sequence[str]) -> None:
        if self.config.eval or self.config.verdict:
            raise ReknitError("--eval takes labelled texts, and this run is on pictures: leave it out")
        if self.config.also_start or self.config.have:
            raise ReknitError("several start models and --have are for texts, and this run is on pictures")
        if self.config.index:
            raise ReknitError("--index is for texts, and this run is on pictures: leave it out and use model/")
        if any(phase.keeps_best for phase in phases_of(self.config)):
            raise ReknitError("keep=best needs a probe, which a run on pictures does not have: use keep=last")
        for setting in settings:
            if setting.strip().startswith(_OF_TEXTS):
                raise ReknitError(f"--set {setting} would change nothing: it is for texts, and this run is on pictures")

    def load(self) -> None:
        if not self.config.from_scratch:
            self.model = PictureModel.load(self.config.start)
            self.model.encoder.to(best_device())

    def prepare(self) -> None:
        self._prepare()
        check_parts(self.config, self.corpus)
        report, numbers = self.corpus.report, len(self.corpus.pixels)
        logger.info(
            "corpus: %d pictures of %d pixels, %d held out; dropped %d duplicates, %d unreadable%s",
            numbers,
            self.corpus.size,
            len(self.corpus.held_out),
            report.duplicates,
            sum(report.unreadable.values()),
            "".join(f"; {count} {reason}" for reason, count in report.unreadable.items()),
        )

    def help_to_train(self, team: Team) -> None:
        self.load()
        self._prepare()
        self._train(team)

    def train_and_deliver(self, team: Team) -> dict[str, Any]:
        logger.info("start: %s, %d layers of width %d", self.config.start, self.model.encoder.depth, self.model.dim)
        mean = mean_picture(self.corpus.pixels, self.corpus.trained_on)
        before = self._held_out(self._objective(), mean)
        spent, stopped = self._train(team)
        team.leave()
        if stopped:
            raise Interrupted("stopped after training")
        objective = self._objective()
        self.folder.phase(phases_of(self.config)[-1].name).load_objective("final", objective)
        held_out = self._held_out(objective, mean)
        if held_out is not None and before is not None:
            held_out = replace(held_out, before=before.losses)
        return self._deliver(from_plain(Training, spent, "training"), held_out).to_json()

    @staticmethod
    def show(result: dict[str, Any], out: Path) -> None:
        show_pictures(PictureResult.from_json(result), out)

    def _prepare(self) -> None:
        config = self.config
        size = phases_of(config)[0].recipe.encoder
        assert isinstance(size, PictureEncoderSpec), "what trains on pictures builds an encoder of them"
        pixels = size.picture if config.from_scratch else self.model.size
        self.corpus = prepare_pictures(
            config.corpus, self.folder.data, pixels, max_bad=config.max_bad, fraction=config.corpus_share
        )
        if config.from_scratch:
            torch.manual_seed(config.seed)
            encoder = size.build()
            self.model = PictureModel(encoder.to(best_device()), pooling=size.pooling, name=self.folder.path.name)

    def _train(self, team: Team) -> tuple[dict[str, Any], bool]:
        """What was spent, and whether a stop was asked for meanwhile."""
        with listen_for_stop() as stop:
            spent = train_phases(self.config, self.folder, self.corpus, self.model, None, stop, team)
        return spent, stop.asked

    def _deliver(self, training: Training, held_out: HeldOutLosses | None) -> PictureResult:
        """Write model/, result.json and report.html. Killed here, a resume does it again."""
        folder, config = self.folder, to_json(self.config)
        self.model.save(folder.model, "")
        export = check_picture_export(self.model, folder.model, self.corpus.pixels[:_CHECKED])
        logger.info("export checked: largest difference %.1e", max(export.against.values()))
        result = PictureResult(
            reknit_version=__version__,
            command=folder.command(),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            seed=self.config.seed,
            start=self.config.start,
            machine=machine(),
            versions=versions(),
            training=training,
            held_out=held_out,
            corpus=self._facts(),
            export=export,
        )
        (folder.model / "README.md").write_text(picture_card(result, config), encoding="utf-8")
        write_page(folder.report, result, MetricsLog(folder.metrics).read(), config)
        write_json(folder.result, result.to_json())
        return result

    def _objective(self) -> Objective:
        """Of the last phase, with new heads; no random number of the training is used up."""
        phase, model = phases_of(self.config)[-1], self.model
        with torch.random.fork_rng():
            torch.manual_seed(self.config.seed)
            objective = phase.recipe.objective.build(model.encoder, model.vocabulary, model.pooling)
        return objective.to(next(model.encoder.parameters()).device)

    def _held_out(self, objective: Objective, mean: Tensor) -> HeldOutLosses | None:
        return held_out_losses(objective, self.model, self.corpus.pixels, self.corpus.held_out, mean)

    def _facts(self) -> PictureFacts:
        corpus = self.corpus
        facts = asdict(corpus.report) | {"problems": tuple(corpus.report.problems)}
        return PictureFacts(pictures=len(corpus.pixels), held_out=len(corpus.held_out), size=corpus.size, **facts)
