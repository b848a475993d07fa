"""What a run found: the tree of values that result.json holds and every reader of it uses.

Nothing here imports torch, so that a search by words, which reads the hybrid's weight, starts quickly.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from reknit.errors import ReknitError
from reknit.evaluation.scores import Evaluation
from reknit.jobs.files import read_json
from reknit.jobs.typed_json import from_plain, to_plain
from reknit.retrieval.fusion import EQUAL_PARTS
from reknit.retrieval.index import Hit
from reknit.retrieval.system import WORDS, SearchSystem
from reknit.training.phase_result import PhaseResult

VERSION = 2
"""Of result.json; 0 are the files from before there was a number."""

ModelName = Literal["adapted", "start"]


@dataclass(frozen=True)
class Verdict:
    """use: the model to keep. difference: adapted - start in `metric`, with its 95% interval and p value.

    decided_by: the collections that decided, joined by ", ". sentence: all of it in plain English.
    """

    use: ModelName
    metric: str
    difference: float
    ci95: tuple[float, float]
    p: float
    decided_by: str
    sentence: str


@dataclass(frozen=True)
class SystemVerdict:
    """use: the search system to run, by its name in the evaluations; the same as `have` unless it is significantly
    better. have: the system that the user runs today.

    difference: nDCG@10 of the best system that was found less that of `have`, cross-fitted, with its 95% interval and p
    value. best: that system. cheapest: the system that takes the least time a query of those that are not significantly
    worse than `use`. decided_by: the collections that decided, joined by ", ". sentence: all of it in plain English.
    """

    use: str
    have: str
    best: str
    difference: float
    ci95: tuple[float, float]
    p: float
    cheapest: str
    decided_by: str
    sentence: str


@dataclass(frozen=True)
class SystemCost:
    """What one search system costs.

    milliseconds: that a query takes, one at a time: encoding it, and scoring as many passages as there are. megabytes:
    of the index; None where none was built. seconds: that making it took: training and encoding all passages.
    """

    milliseconds: float
    megabytes: float | None
    seconds: float


@dataclass(frozen=True)
class ExpansionFacts:
    """The query expansion that was measured: how many terms it knows, and how much of it queries get."""

    terms: int
    weight: float


@dataclass(frozen=True)
class Phase(PhaseResult):
    """One phase of the training. recipe: the name of what it trained by."""

    recipe: str = ""


@dataclass(frozen=True)
class Training:
    """What was spent in all, and by each phase.

    processes: that trained together. kept_share: the fraction of the training's change to the weights that was kept;
    None where it was not asked.
    """

    tokens: int = 0
    seconds: float = 0.0
    tokens_per_second: float = 0.0
    flops: float = 0.0
    phases: tuple[Phase, ...] = ()
    processes: int = 1
    kept_share: float | None = None


@dataclass(frozen=True)
class TeacherFacts:
    """How the distillation targets were made.

    dense_weight: of the start model in the teacher, the rest is BM25's. reached_by_dense_weight: nDCG@10 of the queries
    that chose it, by weight. documents, queries, titles: ranked passages, pseudo-queries, and how many of those are
    titles. asked: how many users asked. seconds: that making them took.
    """

    dense_weight: float
    reached_by_dense_weight: dict[str, float]
    documents: int
    queries: int
    titles: int
    seconds: float
    asked: int = 0


@dataclass(frozen=True)
class ProbeFacts:
    """The retrieval probe cut from the corpus.

    kind: what its queries are. dev_queries: watch the training, and choose the weights where anything does.
    test_queries: the rest. judged_by_all: whether the dev queries chose no checkpoint, so that all of them may judge;
    None in results from before it was written.
    """

    kind: Literal["title", "sentence"]
    dev_queries: int
    test_queries: int
    judged_by_all: bool | None = None


@dataclass(frozen=True)
class CorpusFacts:
    """What was read (see `reknit.data.text.documents.ReadReport`), and what became of it.

    passages, words: trained on. passage_words: the most that a passage has; None in results from before it was written,
    as `language` is, which names the stemmer.
    """

    read: int
    documents: int
    duplicates: int
    empty: int
    unreadable: int
    eval_overlaps: int
    problems: tuple[str, ...]
    passages: int
    words: int
    passage_words: int | None = None
    probe: ProbeFacts | None = None
    language: str | None = None


@dataclass(frozen=True)
class ExportCheck:
    """How far the loaded folder is from the model it was made of.

    max_abs_diff, cosine: the worst over all libraries and texts. against: {library: largest absolute difference}.
    texts: number of texts compared.
    """

    max_abs_diff: float
    cosine: float
    against: dict[str, float]
    texts: int


@dataclass(frozen=True)
class Search:
    """An example search, with its best hits."""

    query: str
    hits: tuple[Hit, ...]


@dataclass(frozen=True)
class ChangedSearch:
    """A query of a user, and the titles of the passages that come first with what they had and with what they use."""

    query: str
    before: str
    now: str


@dataclass(frozen=True)
class ChangedSearches:
    """before, now: names of the system that the user has and of the one that the run searches with. queries: of users
    that were compared. changed: those with another first result. passages: that were searched. examples: some of those
    that changed, where the user wants to see them."""

    before: str
    now: str
    queries: int
    changed: int
    passages: int
    examples: tuple[ChangedSearch, ...] = ()


@dataclass(frozen=True)
class RunResult:
    """What result.json holds of a run, in the order of its keys.

    system_verdict: over whole search systems, by labelled collections where there are any, else by the probe; None in
    results from before version 2 too. probe_system_verdict: what it would be without labels. verdict: of the adapted
    model beside the start model, without words, for those who take the model elsewhere. probe_verdict: what it would be
    without labels. plain_verdict: of the adapted model without its query expansion; None where it has none. All five
    are None, and `evaluations` is empty, where a run was not judged. costs: of each system that was compared.
    model_holds: which model is in model/, which the other `model_` fields describe. search: how the run's index is
    searched, its sides by their names; None where nothing asked for it. sides: the folder of the model that makes the
    vectors of each side of `search`, within the run. query_expansion: of the adapted model, as it was measured.
    teacher: None where nothing was distilled. searches: None where there is no index. changed_searches: of users'
    queries, by the verdict's system beside what the user has; None where there is no log.
    """

    version: int = VERSION
    reknit_version: str = ""
    command: str = ""
    date: str = ""
    seed: int | None = None
    start: str = ""
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    system_verdict: SystemVerdict | None = None
    probe_system_verdict: SystemVerdict | None = None
    verdict: Verdict | None = None
    probe_verdict: Verdict | None = None
    plain_verdict: Verdict | None = None
    model_holds: str | None = None
    model_expands_queries: bool = False
    model_prompts: dict[str, str] = field(default_factory=dict)
    model_trained_pooling: str | None = None
    evaluations: tuple[Evaluation, ...] = ()
    costs: dict[str, SystemCost] = field(default_factory=dict)
    search: SearchSystem | None = None
    sides: dict[str, str] = field(default_factory=dict)
    query_expansion: ExpansionFacts | None = None
    training: Training = field(default_factory=Training)
    teacher: TeacherFacts | None = None
    corpus: CorpusFacts | None = None
    export: ExportCheck | None = None
    searches: tuple[Search, ...] | None = None
    changed_searches: ChangedSearches | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data for result.json, nothing rounded."""
        return {item.name: to_plain(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def from_json(cls, value: Any, where: str = "result.json") -> RunResult:
        """What `to_json` wrote, also of older versions and of one arm of a comparison, which have not every part.

        where: what an error calls it. Raises ReknitError when it is of a newer version or no result of a run.
        """
        if isinstance(value, dict):
            value = {"version": 0} | value
            if isinstance(value["version"], int) and value["version"] > VERSION:
                raise ReknitError(
                    f"{where} was written by a newer reknit (version {value['version']}, this one reads {VERSION}): "
                    "update reknit"
                )
        try:
            value = _with_systems(value) if isinstance(value, dict) and value["version"] in (0, 1) else value
            found: RunResult = from_plain(cls, value, "result")
        except ValueError as error:
            raise ReknitError(
                f"{where} is not the result of a run ({error}): it is damaged, or belongs to another job"
            ) from error
        return found

    @classmethod
    def read(cls, path: Path) -> RunResult | None:
        """The result in the file; None where there is none, or one of another job (`reknit tune`), which says its
        `kind`. Raises ReknitError when it is damaged."""
        value = read_json(path) if path.is_file() else None
        of_another_job = isinstance(value, dict) and "kind" in value
        return None if value is None or of_another_job else cls.from_json(value, str(path))


@dataclass(frozen=True)
class _Hybrid:
    """One model and BM25, as they were written before version 2."""

    model: str
    weight: float = EQUAL_PARTS
    by_weight: dict[str, dict[str, float]] = field(default_factory=dict)


_RENAMED = {"start_hybrid": "bm25+start", "hybrid": "bm25+adapted"}


def _with_systems(value: dict[str, Any]) -> dict[str, Any]:
    """A result of before version 2, whose evaluations named the model of each hybrid and the weight of its vectors."""
    held, weight = value.get("model_holds"), value.get("hybrid_weight")
    if isinstance(weight, int | float) and isinstance(held, str):
        value = value | {"search": {"weights": {WORDS: 1 - weight, held: weight}}, "sides": {held: "model"}}
    evaluations = value.get("evaluations")
    if not isinstance(evaluations, list):
        return value
    return value | {"evaluations": [_evaluation_with_systems(one) for one in evaluations]}


def _evaluation_with_systems(evaluation: Any) -> Any:
    hybrids = evaluation.get("hybrids") if isinstance(evaluation, dict) else None
    if not isinstance(hybrids, dict):
        return evaluation
    found = {
        _RENAMED.get(name, name): from_plain(_Hybrid, hybrid, f"hybrid {name}") for name, hybrid in hybrids.items()
    }
    systems = {
        name: {"weights": {WORDS: 1 - hybrid.weight, hybrid.model: hybrid.weight}} for name, hybrid in found.items()
    }
    rest = {key: inner for key, inner in evaluation.items() if key != "hybrids"}
    if isinstance(rest.get("rows"), dict):
        rest["rows"] = {_RENAMED.get(name, name): row for name, row in rest["rows"].items()}
    return rest | {"systems": systems, "by_weight": {name: one.by_weight for name, one in found.items()}}
