"""The sections of report.html, each a function of the run's facts to HTML; a section without facts is empty."""

from __future__ import annotations

import json
from typing import Any

from reknit.report import facts, plots
from reknit.report.facts import Result
from reknit.report.markup import fact_list, table, text

MAX_SEARCHES = 5
MAX_HITS = 5
MAX_TEXT = 300
MAX_PROBLEMS = 20


def verdict(result: Result) -> str:
    """The answer in one sentence, what it means for the folder, and the numbers behind it."""
    kind = {True: "verdict good", False: "verdict careful", None: "verdict"}[facts.use_adapted(result)]
    headline, rest = facts.verdict_parts(result)
    meaning = text(facts.model_meaning(result)).replace("model/", "<code>model/</code>", 1)
    lines = "".join(f"<p>{text(remark)}</p>" for remark in facts.remarks(result))
    answer = f"<h1><strong>{headline}:</strong> {text(rest)}</h1><p>{meaning}</p>{lines}"
    return f'<section class="{kind}">{answer}</section>{fact_list(facts.verdict_facts(result))}'


def results(result: Result) -> str:
    """For each collection the bars of its first metric and the table of all of them."""
    shown = [_evaluation(result, evaluation) for evaluation in facts.evaluations(result)]
    if not shown:
        return ""
    used = {metric for evaluation in facts.evaluations(result) for metric in facts.metric_names(evaluation)}
    meanings = "; ".join(f"{name} is {meaning}" for name, meaning in facts.METRIC_MEANINGS.items() if name in used)
    intro = (
        "Each score is a mean over the queries, with its 95% interval below; the highest of a column is bold. "
        f"Random order and BM25 are what any model has to beat. {meanings}{'.' if meanings else ''}"
    )
    return f'<h2>Results</h2><p class="quiet">{intro}</p>{"".join(shown)}'


def _evaluation(result: Result, evaluation: dict[str, Any]) -> str:
    name = str(evaluation.get("dataset", "results"))
    kind = (facts.part(result, "corpus").get("probe") or {}).get("kind", "")
    about = [facts.evaluation_size(evaluation)]
    if name == "probe":
        about.append("Made from the corpus itself. " + facts.PROBE_KINDS.get(kind, ""))
    notes = "".join(f"<li>{text(note, 500)}</li>" for note in (evaluation.get("notes") or [])[:MAX_PROBLEMS])
    return (
        f'<h3>{text(name, 200)}</h3><p class="quiet">{text(". ".join(part for part in about if part))}</p>'
        f"{_bars(result, evaluation)}{_scores(result, evaluation)}"
        + (f'<ul class="quiet">{notes}</ul>' if notes else "")
    )


def _bars(result: Result, evaluation: dict[str, Any]) -> str:
    metric = next(iter(facts.metric_names(evaluation)), "")
    scores = {name: facts.score(evaluation, name, metric) for name in facts.system_names(evaluation)}
    known = {name: value for name, value in scores.items() if value is not None}
    if not known:
        return ""
    bounds = {name: facts.interval(evaluation, name, metric) for name in known}
    highest = max([*known.values(), *(pair[1] for pair in bounds.values() if pair), 1e-9])
    scale = next(step for step in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, highest) if step >= min(highest, 1.0))
    scale = max(scale, highest) if highest > 1 else scale
    chosen = facts.system_in_use(result)
    rows = "".join(
        f"<span>{text(facts.system_label(name), 60)}</span>"
        f"{plots.interval_bar(value, bounds[name], scale, 'chosen' if name == chosen else 'plain')}"
        f"<span>{facts.format_score(value)}</span>"
        for name, value in known.items()
    )
    ends = f"<span>0</span><span>{text(metric)}</span><span>{scale:g}</span>"
    return f'<div class="bars">{rows}<span></span><span class="ends">{ends}</span><span></span></div>'


def _scores(result: Result, evaluation: dict[str, Any]) -> str:
    metrics = facts.metric_names(evaluation)
    best = {metric: facts.best_systems(evaluation, metric) for metric in metrics}
    head = ["system", *(text(name, 60) for name in metrics)]
    rows = []
    for name in facts.system_names(evaluation):
        cells = [f'<th scope="row">{text(facts.system_label(name), 60)}<small>{_meaning(result, name)}</small></th>']
        for metric in metrics:
            shown = facts.format_score(facts.score(evaluation, name, metric))
            marked = f"<b>{shown}</b>" if name in best[metric] else shown
            bounds = facts.format_interval(facts.interval(evaluation, name, metric))
            cells.append(f"<td>{marked}<small>{bounds}</small></td>")
        chosen = ' class="chosen"' if name == facts.system_in_use(result) else ""
        rows.append(f"<tr{chosen}>{''.join(cells)}</tr>")
    return table(head, rows, "scores")


def _meaning(result: Result, system: str) -> str:
    if system == "start" and result.get("start"):
        return text("the same network, before training" if result["start"] == "scratch" else result["start"], 80)
    return text(facts.SYSTEMS.get(system, ("", ""))[1])


def corpus(result: Result) -> str:
    """What was read and what was left out."""
    pairs = facts.corpus_facts(result)
    problems = (facts.part(result, "corpus").get("problems") or [])[:MAX_PROBLEMS]
    if not pairs and not problems:
        return ""
    lines = "".join(f"<li>{text(problem, 300)}</li>" for problem in problems)
    count = len(problems)
    listed = f"<details><summary>{count} of the problems found while reading</summary><ul>{lines}</ul></details>"
    return f"<h2>Corpus</h2>{fact_list(pairs)}{listed if problems else ''}"


def searches(result: Result) -> str:
    """Example searches with their best hits."""
    shown = [_search(search) for search in (result.get("searches") or [])[:MAX_SEARCHES]]
    return f"<h2>Example searches</h2>{''.join(shown)}" if shown else ""


def _search(search: dict[str, Any]) -> str:
    hits = "".join(f"<li>{_hit(hit)}</li>" for hit in (search.get("hits") or [])[:MAX_HITS])
    found = f"<ol>{hits}</ol>" if hits else '<p class="quiet">Nothing was found.</p>'
    return f'<div class="search"><h3 dir="auto">“{text(search.get("query", ""), MAX_TEXT)}”</h3>{found}</div>'


def _hit(hit: dict[str, Any]) -> str:
    name = str(hit.get("title") or "").strip()
    number = facts.as_number(hit.get("score"))
    details = [str(hit.get("id", ""))] if name else []
    details += [] if number is None else [f"score {number:.3f}"]
    return (
        f'<b dir="auto">{text(name or hit.get("id", ""), 160)}</b> '
        f'<span class="quiet">{text(" · ".join(details), 200)}</span>'
        f'<p dir="auto">{text(str(hit.get("text") or "").strip(), MAX_TEXT)}</p>'
    )


def export(result: Result) -> str:
    """The check of the exported folder against the trained model."""
    pairs = facts.export_facts(result)
    if not pairs:
        return ""
    note = "The exported folder was loaded again and its vectors compared with those of the model that was measured."
    return f'<h2>Export check</h2><p class="quiet">{note}</p>{fact_list(pairs)}'


def machine(result: Result) -> str:
    """The machine and the versions of what ran on it."""
    hardware = facts.flatten(facts.part(result, "machine"))
    versions = [("reknit", str(result["reknit_version"]))] if result.get("reknit_version") else []
    versions += [(name, value) for name, value in facts.flatten(facts.part(result, "versions")) if name != "reknit"]
    if not hardware and not versions:
        return ""
    return f"<h2>Machine and versions</h2>{fact_list(hardware)}{fact_list(versions)}"


def repeat(result: Result, config: dict[str, Any]) -> str:
    """The command and the whole configuration, to run it again."""
    command = facts.command_line(result)
    shown = f'<pre tabindex="0">{text(command)}</pre>' if command else ""
    if result.get("seed") is not None:
        shown += f'<p class="quiet">Seed {text(result["seed"])}.</p>'
    if config:
        stored = text(json.dumps(config, indent=2, ensure_ascii=False, default=str))
        shown += f'<details><summary>The whole configuration</summary><pre tabindex="0">{stored}</pre></details>'
    return f"<h2>Repeat this run</h2>{shown}" if shown else ""
