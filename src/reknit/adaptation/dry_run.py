"""What a run would do with its time, found out without training anything."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reknit.adaptation.kinds import kind_of
from reknit.adaptation.text_run import TextRun
from reknit.adaptation.time_plan import EVALUATE, TimePlan, said
from reknit.data.text.language import languages_of, places_to_look_at
from reknit.errors import ReknitError
from reknit.jobs.progress import format_count, format_duration, format_rate
from reknit.jobs.typed_json import to_plain
from reknit.runs.config import RunConfig
from reknit.runs.corpus import check_corpus_path
from reknit.runs.phases import check_parts
from reknit.runs.run_folder import RunFolder

_BYTES_A_WORD = 12  # in the texts and in the index of words together


@dataclass(frozen=True)
class DryRun:
    """documents, passages: of the corpus. languages: {ISO 639-1 code: share of the passages that were looked at}.
    rates: passages a second that each start model encodes here. index_megabytes: of the vectors and texts that are
    indexed, roughly. plan: of the time; with several start models, as if the slowest one were trained."""

    documents: int
    passages: int
    languages: dict[str, float]
    rates: dict[str, float]
    index_megabytes: float
    plan: TimePlan

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {name: to_plain(value) for name, value in vars(self).items()}

    def lines(self) -> list[str]:
        """For a person to read."""
        sizes, plan = self.plan.sizes, self.plan
        languages = ", ".join(f"{code} {share:.0%}" for code, share in self.languages.items()) or "not known"
        rates = ", ".join(f"{name} {format_rate(rate, 'passages')}" for name, rate in self.rates.items())
        teacher = ""
        if sizes.teacher_documents:
            teacher = f"the teacher ranks {sizes.teacher_documents / self.passages:.0%} of the passages for "
            teacher += f"{format_count(sizes.teacher_queries)} pseudo-queries; "
        return [
            f"corpus: {format_count(self.documents)} documents, {format_count(self.passages)} passages; "
            f"languages: {languages}",
            f"encoding: {rates}",
            f"samples: {teacher}the probe has {format_count(sizes.probe_queries)} "
            f"queries in {format_count(sizes.probe_documents)} passages",
            *(f"{name:28}{format_duration(of):>10}" for name, of in plan.parts.items() if name != EVALUATE),
            f"{'in all':28}{format_duration(plan.seconds):>10}",
            *(f"{EVALUATE:28}{format_duration(of):>10} on top" for name, of in plan.parts.items() if name == EVALUATE),
            f"index: about {format_count(round(self.index_megabytes))} MB",
            *said(plan)[1:],
        ]


def dry_run(config: RunConfig, out: Path, settings: tuple[str, ...]) -> DryRun:
    """Read the corpus, measure the start models and plan the run; nothing is kept.

    config: changed by `settings` already. out: the folder that the run would write. Raises ReknitError as the run
    would, and for data other than texts.
    """
    kind = kind_of(config)
    with tempfile.TemporaryDirectory() as made:
        run = kind(config, RunFolder(Path(made) / "run"))
        if not isinstance(run, TextRun):
            raise ReknitError(f"a run on {kind.reads} has no plan to show: leave --dry-run out")
        run.check(settings)
        check_corpus_path(config.corpus, out)
        run.load()
        run.folder.make(overwrite=False)
        run.read()
        check_parts(config, run.corpus)
        models = run.start_models()
        planner = run.planner(models)
        plan = planner.provisional()
        store = run.corpus.store
        found = languages_of([store[place].full_text for place in places_to_look_at(len(store))])
        width = sum([model.dim for model in models.values()][:2])
        return DryRun(
            documents=run.corpus.report.documents,
            passages=len(store),
            languages={code: found[code] / sum(found.values()) for code in sorted(found, key=lambda one: -found[one])},
            rates={name: 1 / planner.seconds_a_passage(name) for name in models},
            index_megabytes=config.index * (len(run.corpus.searched) * width * 4 + _BYTES_A_WORD * store.words) / 1e6,
            plan=plan,
        )
