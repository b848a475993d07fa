"""The facts of a run's `result.json`, worded once for the page, the model card and the terminal.

Every part of a result may be missing (a run without training, without searches, without a verdict); what is missing
yields an empty list or an empty string, never an error and never a guess.
"""

from __future__ import annotations

import math
import shlex
from datetime import datetime
from typing import Any

from reknit.jobs.progress import format_duration

Result = dict[str, Any]
Facts = list[tuple[str, str]]

SYSTEMS = {
    "random": ("random", "documents in random order"),
    "bm25": ("BM25", "word matching, no neural model"),
    "start": ("start", "the model before training"),
    "start_hybrid": ("start hybrid", "BM25 and the start model together, by a weight of its own"),
    "adapted": ("adapted", "the model after training, as reknit runs it"),
    "plain": ("plain", "the same without its query expansion, as other libraries run it"),
    "hybrid": ("hybrid", "BM25 and the adapted model together, a weighted mean of both scores"),
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


def as_number(value: Any) -> float | None:
    """The value as a finite float; None for anything else (missing, not a number, infinite)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def part(result: Result, key: str) -> dict[str, Any]:
    """The named part of a result; empty when it is missing."""
    value = result.get(key)
    return value if isinstance(value, dict) else {}


def evaluations(result: Result) -> list[dict[str, Any]]:
    """The evaluations that have at least one row."""
    return [evaluation for evaluation in result.get("evaluations") or [] if evaluation.get("rows")]


def system_names(evaluation: dict[str, Any]) -> list[str]:
    """The evaluation's systems: the usual ones in their usual order, then any others."""
    rows = evaluation["rows"]
    return [name for name in SYSTEMS if name in rows] + [name for name in rows if name not in SYSTEMS]


def system_label(name: str) -> str:
    return SYSTEMS[name][0] if name in SYSTEMS else name


def metric_names(evaluation: dict[str, Any]) -> list[str]:
    """The metrics of an evaluation's rows, the usual ones first."""
    found = dict.fromkeys(metric for row in evaluation["rows"].values() for metric in row)
    return [metric for metric in METRICS if metric in found] + [metric for metric in found if metric not in METRICS]


def score(evaluation: dict[str, Any], system: str, metric: str) -> float | None:
    return as_number(((evaluation["rows"].get(system) or {}).get(metric) or {}).get("value"))


def interval(evaluation: dict[str, Any], system: str, metric: str) -> tuple[float, float] | None:
    """The 95% interval of a score."""
    return as_interval(((evaluation["rows"].get(system) or {}).get(metric) or {}).get("ci95"))


def as_interval(value: Any) -> tuple[float, float] | None:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    low, high = as_number(value[0]), as_number(value[1])
    return None if low is None or high is None else (low, high)


def best_systems(evaluation: dict[str, Any], metric: str) -> set[str]:
    """The systems with the highest score at the three decimals that are shown."""
    scores = {name: score(evaluation, name, metric) for name in system_names(evaluation)}
    shown = {name: round(value, 3) for name, value in scores.items() if value is not None}
    return {name for name, value in shown.items() if value == max(shown.values())}


def format_score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def format_interval(bounds: tuple[float, float] | None) -> str:
    return "" if bounds is None else f"{bounds[0]:.3f}–{bounds[1]:.3f}"


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


def use_adapted(result: Result) -> bool | None:
    """True for "use the adapted model", False for "keep the start model", None without a verdict."""
    return {"adapted": True, "start": False}.get(part(result, "verdict").get("use", ""))


def system_in_use(result: Result) -> str:
    """The row that the verdict recommends; the adapted model without a verdict."""
    return "start" if use_adapted(result) is False else "adapted"


def expands_queries(result: Result) -> bool:
    """Whether the model in `model/` has a query expansion."""
    return bool(result.get("model_expands_queries"))


def prompts(result: Result) -> dict[str, str]:
    """What the model in `model/` expects before queries and documents, where it is anything."""
    return {kind: str(text) for kind, text in part(result, "model_prompts").items()}


def trained_pooling(result: Result) -> str:
    """Which trained pooling makes the vectors of the model in `model/`; empty where none does."""
    return str(result.get("model_trained_pooling") or "")


def headline(result: Result) -> str:
    answers = {True: "Use the adapted model", False: "Keep the start model", None: "No verdict"}
    return answers[use_adapted(result)]


def verdict_sentence(result: Result) -> str:
    sentence = str(part(result, "verdict").get("sentence") or "")
    return sentence or "Nothing was measured that could decide between the start model and the adapted model."


def verdict_parts(result: Result) -> tuple[str, str]:
    """The verdict's sentence as its answer and the rest (the stored sentence begins with the answer)."""
    answer = headline(result)
    return answer, verdict_sentence(result).removeprefix(answer).lstrip(":. ")


def command_line(result: Result) -> str:
    """The command of the run, as one line."""
    command = result.get("command") or ""
    return shlex.join(map(str, command)) if isinstance(command, list | tuple) else str(command)


def date_text(result: Result) -> str:
    """The date of the run to the minute, `2026-11-21 02:14 UTC`; as it stands where it is not ISO 8601."""
    stated = str(result.get("date") or "")
    try:
        moment = datetime.fromisoformat(stated)
    except ValueError:
        return stated
    return f"{moment:%Y-%m-%d %H:%M} {moment.tzname() or ''}".rstrip()


def start_name(result: Result) -> str:
    """The start model as it was named on the command line, or "a new network"."""
    start = str(result.get("start") or "")
    return "a new network" if start == "scratch" else start


def model_meaning(result: Result) -> str:
    """What the verdict means for the folder `model/`.

    It holds the adapted model unless the result's optional `model_holds` is "start": the start model was put back.
    """
    if result.get("model_holds") == "start":
        return "model/ holds the start model, unchanged."
    if use_adapted(result):
        return "model/ holds the adapted model, ready to load."
    if use_adapted(result) is None:
        return "model/ holds the model at the end of this run."
    if result.get("start") == "scratch":
        return "model/ still holds the adapted model, for inspection: training is not shown to have improved it."
    return "model/ still holds the adapted model, for inspection: nothing here shows that it is better than the start."


def verdict_facts(result: Result) -> Facts:
    """The numbers behind the verdict."""
    verdict = part(result, "verdict")
    facts: Facts = []
    difference = as_number(verdict.get("difference"))
    if difference is not None:
        facts.append((f"{verdict.get('metric', 'difference')}, adapted minus start", f"{difference:+.3f}"))
    bounds = as_interval(verdict.get("ci95"))
    if bounds:
        facts.append(("95% interval", f"{bounds[0]:+.3f} to {bounds[1]:+.3f}"))
    chance = as_number(verdict.get("p"))
    if chance is not None:
        facts.append(("p, paired", format_p(chance)))
    if verdict.get("decided_by"):
        facts.append(("decided by", str(verdict["decided_by"])))
    return facts


def remarks(result: Result) -> list[str]:
    """What the reader should not miss beside the verdict: collections where word matching alone does better or
    hybrid search gained nothing, and that other libraries neither expand queries nor run a trained pooling."""
    chosen = system_in_use(result)
    found = []
    if expands_queries(result) and chosen == "adapted":
        found.append(
            "Queries are expanded by the corpus's words in reknit; other libraries leave that out, and the row "
            '"plain" says how well they search.'
        )
        plain = part(result, "plain_verdict")
        gain = as_number(plain.get("difference"))
        if plain.get("use") == "start" and gain is not None:
            found.append(
                f"Without the expansion the adapted model is not surely better than the start model ({gain:+.3f}): "
                "search with reknit, or keep the start model for other libraries."
            )
    if trained_pooling(result):
        found.append(
            f"Vectors are made by a trained pooling ({trained_pooling(result)}), which only reknit runs; other "
            "libraries take the mean of the tokens, which nothing here measures."
        )
    for evaluation in evaluations(result):
        metric = metric_names(evaluation)[0] if metric_names(evaluation) else ""
        on = f"On {evaluation.get('dataset', 'one set')},"
        words, model = (score(evaluation, name, metric) for name in ("bm25", chosen))
        before, after = (score(evaluation, name, metric) for name in ("start_hybrid", "hybrid"))
        if chosen == "adapted" and before is not None and after is not None and before >= after:
            found.append(
                f"{on} BM25 and the start model together score no less than BM25 and the adapted model "
                f"({metric} {format_score(before)} against {format_score(after)}): for hybrid search, adapting gained "
                "nothing there."
            )
        if words is None or model is None or words <= model:
            continue
        both = before if chosen == "start" else after
        advice = f"; together they reach {format_score(both)}" if both is not None and both > words else ""
        found.append(
            f"{on} BM25 alone scores higher than the {chosen} model "
            f"({metric} {format_score(words)} against {format_score(model)}){advice}."
        )
    return found


def evaluation_size(evaluation: dict[str, Any]) -> str:
    """How many queries and documents an evaluation has, in words."""
    counts = [(evaluation.get("queries"), "queries"), (evaluation.get("documents"), "documents")]
    return ", ".join(f"{count:,} {noun}" for count, noun in counts if isinstance(count, int))


def judged_by_all(result: Result) -> bool:
    """Whether all held-out queries gave the verdict, since none was needed to choose a checkpoint by."""
    probe = part(result, "corpus").get("probe") or {}
    counts = [count for half in ("dev", "test") if isinstance(count := probe.get(f"{half}_queries"), int)]
    return len(counts) == 2 and sum(counts) == next(iter(evaluations(result)), {}).get("queries")


def corpus_facts(result: Result) -> Facts:
    """What was read and what was left out of it."""
    corpus = part(result, "corpus")
    labels = {
        "documents": "documents",
        "passages": "passages",
        "words": "words",
        "passage_words": "words of a passage at most",
        "duplicates": "exact duplicates dropped",
        "empty": "empty documents dropped",
        "unreadable": "unreadable records skipped",
        "eval_overlaps": "overlaps with test queries kept from training",
    }
    facts = [(label, f"{corpus[key]:,}") for key, label in labels.items() if isinstance(corpus.get(key), int)]
    if isinstance(language := corpus.get("language"), str):
        facts.append(("language (stemmer and stop words)", language.capitalize()))
    probe = corpus.get("probe") or {}
    if probe:
        counts = [(probe.get("dev_queries"), "to choose by"), (probe.get("test_queries"), "to judge by")]
        queries = ", ".join(f"{count:,} {purpose}" for count, purpose in counts if isinstance(count, int))
        if judged_by_all(result):
            queries = f"{probe['dev_queries'] + probe['test_queries']:,} to judge by"
        facts.append((f"held-out queries ({probe.get('kind', 'probe')})", queries))
    return facts


_KEPT = {
    1.0: "all",
    0.5: "half: weights midway to the start model's, since all of it did worse than none",
    0.0: "none: the start model's weights, since training did worse",
}


def training_facts(result: Result) -> Facts:
    """The budget that was spent in all."""
    training = part(result, "training")
    facts: Facts = []
    for key, label, shown in (
        ("tokens", "tokens", lambda value: f"{value:,.0f}"),
        ("seconds", "training time (h:mm:ss)", format_duration),
        ("tokens_per_second", "tokens per second", lambda value: f"{value:,.0f}"),
        ("flops", "computation", format_flops),
    ):
        value = as_number(training.get(key))
        if value is not None:
            facts.append((label, shown(value)))
    share = as_number(training.get("kept_share"))
    if share is not None:
        facts.append(("kept of the training", _KEPT.get(share, f"{share:.0%}")))
    return facts


def training_phases(result: Result) -> list[dict[str, Any]]:
    return list(part(result, "training").get("phases") or [])


def export_facts(result: Result) -> Facts:
    """How far the exported folder's vectors are from the trained model's, in each library that was asked."""
    export = part(result, "export")
    facts: Facts = []
    difference, cosine = as_number(export.get("max_abs_diff")), as_number(export.get("cosine"))
    if difference is not None:
        facts.append(("largest difference of a coordinate", f"{difference:.1e}"))
    if cosine is not None:
        facts.append(("lowest cosine", f"{cosine:.6f}"))
    against = export.get("against") or {}
    for name, value in against.items() if isinstance(against, dict) else ():
        shown = ", ".join(f"{k} {v}" for k, v in flatten(value)) if isinstance(value, dict) else plain(value)
        facts.append((f"against {name}", shown))
    return facts


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
