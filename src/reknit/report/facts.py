"""The facts of a run's result, worded once for the page, the model card and the terminal.

What a run does not have (an index, a verdict) yields an empty list or an empty string.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from reknit.evaluation.scores import Evaluation, Score
from reknit.jobs.progress import format_duration
from reknit.runs.config import SCRATCH
from reknit.runs.result import ProbeFacts, RunResult, SystemCost

Facts = list[tuple[str, str]]

SYSTEMS = {
    "random": ("random", "documents in random order"),
    "bm25": ("BM25", "word matching, no neural model"),
    "start": ("start", "the model before training"),
    "start_expanded": ("start, expanded", "the same with query expansion by the corpus's words, without training"),
    "adapted": ("adapted", "the model after training, as reknit runs it"),
    "feedback": ("feedback", "a second search by the first hits of the one before"),
    "plain": ("plain", "the same without its query expansion, as other libraries run it"),
}
METRICS = ("nDCG@10", "R@100", "RR@10")
METRIC_MEANINGS = {
    "nDCG@10": "the quality of the order of the first ten results",
    "R@100": "the share of the right documents that is among the first hundred",
    "RR@10": "one over the rank of the first right document, 0 below rank ten",
}
PROBE_KINDS = {
    "title": "The query is a document's title and the answer is that document, shown without its title.",
    "sentence": "The query is a sentence and the answer is the passage that it was cut out of.",
}


def system_names(evaluation: Evaluation) -> list[str]:
    """The evaluation's systems: the usual ones in their usual order, then any others."""
    return [name for name in SYSTEMS if name in evaluation.rows] + [
        name for name in evaluation.rows if name not in SYSTEMS
    ]


def system_label(name: str) -> str:
    """A system's name for a reader: of several sides "BM25 + adapted"."""
    return " + ".join(_side_label(side) for side in (name.split("+") if name.startswith("bm25+") else [name]))


def _side_label(name: str) -> str:
    plain = name.removesuffix("_expanded")
    return SYSTEMS[name][0] if name in SYSTEMS else plain if plain == name else f"{plain}, expanded"


def system_meaning(name: str) -> str:
    """What a system is, "" where that is not known."""
    if name in SYSTEMS:
        return SYSTEMS[name][1]
    return "words and vectors together, each by its weight" if name.startswith("bm25+") else ""


def metric_names(evaluation: Evaluation) -> list[str]:
    """The metrics of an evaluation's rows, the usual ones first."""
    found = dict.fromkeys(metric for row in evaluation.rows.values() for metric in row)
    return [metric for metric in METRICS if metric in found] + [metric for metric in found if metric not in METRICS]


def best_systems(evaluation: Evaluation, metric: str) -> set[str]:
    """The systems with the highest score at the three decimals that are shown."""
    shown = {name: round(row[metric].value, 3) for name, row in evaluation.rows.items()}
    return {name for name, value in shown.items() if value == max(shown.values())}


def evaluation_size(evaluation: Evaluation) -> str:
    """How many queries and documents an evaluation has, in words."""
    return f"{evaluation.queries:,} queries, {evaluation.documents:,} documents"


def format_cost(cost: SystemCost) -> tuple[str, str, str]:
    """Milliseconds a query, megabytes of the index, and the time that making it took."""
    size = "" if cost.megabytes is None else f"{cost.megabytes:.1f}"
    return f"{cost.milliseconds:.1f}", size, format_duration(cost.seconds)


COSTS = ("ms a query", "index MB", "made in")


def format_interval(score: Score) -> str:
    return f"{score.ci95[0]:.3f}–{score.ci95[1]:.3f}"


def format_p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def format_flops(value: float) -> str:
    """Floating-point operations with a prefix: `1.20 PFLOP` is 1.2e15 of them."""
    for prefix, size in (("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if value >= size:
            return f"{value / size:.3g} {prefix}FLOP"
    return f"{value:,.0f} FLOP"


def format_tokens(value: float) -> str:
    """A count of tokens or FLOPs for an axis: `1.5 M`, `20 k`."""
    for suffix, size in ((" E", 1e18), (" P", 1e15), (" T", 1e12), (" G", 1e9), (" M", 1e6), (" k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"


def system_in_use(result: RunResult) -> str:
    """The row that the verdict recommends; the adapted model without a verdict."""
    if result.system_verdict is not None:
        # What only the user's word adds to a system has no row of its own on the probe.
        measured = {name for evaluation in result.evaluations for name in evaluation.rows}
        use = result.system_verdict.use
        return use if use in measured else use.removesuffix("+feedback")
    return "adapted" if result.verdict is None else result.verdict.use


def headline(result: RunResult) -> str:
    if result.system_verdict is not None:
        return result.system_verdict.sentence.partition(":")[0]
    if result.verdict is None:
        return "Trained, not evaluated"
    return {"adapted": "Use the adapted model", "start": "Keep the start model"}[result.verdict.use]


def verdict_parts(result: RunResult) -> tuple[str, str]:
    """The verdict's sentence as its answer and the rest (the stored sentence begins with the answer)."""
    answer = headline(result)
    if result.system_verdict is not None:
        return answer, result.system_verdict.sentence.removeprefix(answer).lstrip(":. ")
    if result.verdict is not None:
        return answer, result.verdict.sentence.removeprefix(answer).lstrip(":. ")
    recipes = " and ".join(phase.recipe for phase in result.training.phases)
    done = f"the model was trained with {recipes or 'nothing'}"
    return answer, f"{done}, and was not compared with the model it started from."


def date_text(result: RunResult) -> str:
    """The date of the run to the minute, `2026-11-21 02:14 UTC`; as it stands where it is not ISO 8601."""
    try:
        moment = datetime.fromisoformat(result.date)
    except ValueError:
        return result.date
    return f"{moment:%Y-%m-%d %H:%M} {moment.tzname() or ''}".rstrip()


def start_name(result: RunResult) -> str:
    """The start model as it was named on the command line, or "a new network"."""
    return "a new network" if result.start == SCRATCH else result.start


def model_meaning(result: RunResult) -> str:
    """What the verdict means for the folder `model/`, and what lies beside it."""
    beside = "".join(
        f" {place}/ holds {side}, which search uses too." for side, place in result.sides.items() if place != "model"
    )
    return _model_holds(result) + beside


def _model_holds(result: RunResult) -> str:
    as_it_was = "with query expansion by the corpus's words" if result.model_expands_queries else "unchanged"
    if result.model_holds == "start":
        adapted = "" if result.system_verdict is None else "; models/adapted/ holds the adapted one"
        return f"model/ holds the start model, {as_it_was}{adapted}."
    if result.model_holds not in (None, "adapted"):
        return f"model/ holds {result.model_holds}, {as_it_was}; models/adapted/ holds the adapted model."
    if result.verdict is None:
        return "model/ holds the model at the end of training, ready to load."
    used = () if result.system_verdict is None else result.system_verdict.use.split("+")
    if result.verdict.use == "adapted" or {"adapted", "plain"}.intersection(used):
        return "model/ holds the adapted model, ready to load."
    if result.start == SCRATCH:
        return "model/ still holds the adapted model, for inspection: training is not shown to have improved it."
    return "model/ still holds the adapted model, for inspection: nothing here shows that it is better than the start."


def verdict_facts(result: RunResult) -> Facts:
    """The numbers behind the verdicts."""
    found: Facts = []
    if (systems := result.system_verdict) is not None:
        found = [
            ("gain over what you have", f"{systems.difference:+.3f}"),
            ("95% interval", f"{systems.ci95[0]:+.3f} to {systems.ci95[1]:+.3f}"),
            ("p, paired", format_p(systems.p)),
            ("decided by", systems.decided_by),
        ]
    verdict = result.verdict
    if verdict is None:
        return found
    return [
        *found,
        (f"{verdict.metric}, adapted minus start", f"{verdict.difference:+.3f}"),
        ("95% interval", f"{verdict.ci95[0]:+.3f} to {verdict.ci95[1]:+.3f}"),
        ("p, paired", format_p(verdict.p)),
        ("decided by", verdict.decided_by),
    ]


def runs_only_here(result: RunResult) -> bool:
    """Whether no other library could be asked for the exported model's vectors."""
    return result.export is not None and set(result.export.against) <= {"reknit", "reknit, trained pooling"}


def remarks(result: RunResult) -> list[str]:
    """What the reader should not miss beside the verdict: what was left out and how to have it, what other libraries do
    not run, and collections where word matching alone does better or hybrid search gained nothing."""
    found = []
    if result.verdict is not None and result.system_verdict is not None:
        found.append(f"For the model alone, without words: {result.verdict.sentence}")
    found += [line for line in [changed_searches(result)] if line]
    if result.verdict is None:
        found.append("To evaluate it on labelled queries: reknit evaluate RUN --data BEIR_FOLDER.")
    if result.searches is None:
        found.append("There is no index: repeat the command with --resume --index to make one.")
    if result.model_expands_queries:
        found += _expansion_remarks(result)
    if runs_only_here(result):
        found.append("Only reknit runs this model: other libraries have no class for its encoder.")
    if result.model_trained_pooling:
        found.append(
            f"Vectors are made by a trained pooling ({result.model_trained_pooling}), which only reknit runs; other "
            "libraries take the mean of the tokens, which nothing here measures."
        )
    if result.system_verdict is not None:
        return found
    return found + [
        line for evaluation in result.evaluations for line in _evaluation_remarks(evaluation, system_in_use(result))
    ]


def changed_searches(result: RunResult) -> str:
    """How many of the users' queries have another first result; "" where there is no log."""
    found = result.changed_searches
    if found is None:
        return ""
    use, have = system_label(found.now), system_label(found.before)
    if use == have:
        return f"Nothing changes for the users' queries: search stays {have}."
    return (
        f"{found.changed} of {found.queries} of the users' queries get another first result from {use} than from "
        f"{have}, among {found.passages:,} passages."
    )


def _expansion_remarks(result: RunResult) -> list[str]:
    row = "plain" if result.model_holds in (None, "adapted") else result.model_holds
    found = [
        "Queries are expanded by the corpus's words in reknit; other libraries leave that out, and the row "
        f'"{row}" says how well they search.'
    ]
    plain = result.plain_verdict if row == "plain" else None
    if plain is not None and plain.use == "start":
        found.append(
            "Without the expansion the adapted model is not significantly better than the start model "
            f"({plain.difference:+.3f}): search with reknit, or keep the start model for other libraries."
        )
    return found


def _evaluation_remarks(evaluation: Evaluation, chosen: str) -> list[str]:
    metric = next(iter(metric_names(evaluation)), "")
    values = {name: row[metric].value for name, row in evaluation.rows.items()}
    words, model, before, after = (values.get(name) for name in ("bm25", chosen, "bm25+start", "bm25+adapted"))
    found = []
    if chosen == "adapted" and before is not None and after is not None and before >= after:
        found.append(
            f"On {evaluation.dataset}, BM25 and the start model together score no less than BM25 and the adapted model "
            f"({metric} {before:.3f} against {after:.3f}): for hybrid search, adapting gained nothing there."
        )
    if words is not None and model is not None and words > model:
        both = before if chosen == "start" else after
        advice = f"; together they reach {both:.3f}" if both is not None and both > words else ""
        found.append(
            f"On {evaluation.dataset}, BM25 alone scores higher than the {chosen} model "
            f"({metric} {words:.3f} against {model:.3f}){advice}."
        )
    return found


def corpus_facts(result: RunResult) -> Facts:
    """What was read and what was left out of it."""
    corpus = result.corpus
    if corpus is None:
        return []
    counts = {
        "documents": corpus.documents,
        "passages": corpus.passages,
        "words": corpus.words,
        "words of a passage at most": corpus.passage_words,
        "exact duplicates dropped": corpus.duplicates,
        "empty documents dropped": corpus.empty,
        "unreadable records skipped": corpus.unreadable,
        "overlaps with test queries kept from training": corpus.eval_overlaps,
    }
    facts = [(label, f"{count:,}") for label, count in counts.items() if count is not None]
    facts += [("language (stemmer and stop words)", corpus.language.capitalize())] if corpus.language else []
    if corpus.probe is not None:
        facts.append((f"held-out queries ({corpus.probe.kind})", _held_out(corpus.probe, result.verdict is not None)))
    return facts


def _held_out(probe: ProbeFacts, judged: bool) -> str:
    dev, test = f"{probe.dev_queries:,}", f"{probe.test_queries:,}"
    if probe.judged_by_all is None:
        return f"{dev} and {test}"
    if probe.judged_by_all:
        return (
            f"{probe.dev_queries + probe.test_queries:,} to judge by" if judged else f"{dev} to watch the training by"
        )
    return f"{dev} to choose by" + (f", {test} to judge by" if judged else "")


_KEPT = {
    1.0: "all",
    0.5: "half: weights midway to the start model's, since all of it did worse than none",
    0.0: "none: the start model's weights, since training did worse",
}


def training_facts(result: RunResult) -> Facts:
    """The budget that was spent in all."""
    training = result.training
    facts = [
        ("tokens", f"{training.tokens:,}"),
        ("training time (h:mm:ss)", format_duration(training.seconds)),
        ("tokens per second", f"{training.tokens_per_second:,.0f}"),
        ("computation", format_flops(training.flops)),
    ]
    if training.kept_share is not None:
        facts.append(("kept of the training", _KEPT.get(training.kept_share, f"{training.kept_share:.0%}")))
    return facts


def export_facts(result: RunResult) -> Facts:
    """How far the exported folder's vectors are from the trained model's, in each library that was asked."""
    export = result.export
    if export is None:
        return []
    return [
        ("largest difference of a dimension", f"{export.max_abs_diff:.1e}"),
        ("lowest cosine", f"{export.cosine:.6f}"),
        *((f"against {name}", plain(value)) for name, value in export.against.items()),
    ]


def plain(value: Any) -> str:
    """A value of a free-form part (machine, versions) as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def flatten(value: dict[str, Any], prefix: str = "") -> Facts:
    """A nested dictionary as (label, text) pairs, `outer inner` for nested keys."""
    facts: Facts = []
    for key, inner in value.items():
        label = f"{prefix}{str(key).replace('_', ' ')}"
        if isinstance(inner, dict):
            facts.extend(flatten(inner, f"{label} "))
        elif isinstance(inner, list | tuple):
            facts.append((label, ", ".join(plain(item) for item in inner)))
        elif inner is not None:
            facts.append((label, plain(inner)))
    return facts
