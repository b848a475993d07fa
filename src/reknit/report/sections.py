"""The sections of report.html, each a function of the run's facts to HTML; a section without facts is empty."""

from __future__ import annotations

import json
from typing import Any

from reknit.data.text.holdout import PROBE
from reknit.evaluation.scores import Evaluation
from reknit.report import facts, plots
from reknit.report.markup import fact_list, table, text
from reknit.retrieval.index import Hit
from reknit.runs.config import SCRATCH
from reknit.runs.result import RunResult, Search

MAX_SEARCHES = 5
MAX_HITS = 5
MAX_TEXT = 300
MAX_PROBLEMS = 20


def verdict(result: RunResult) -> str:
    """The answer in one sentence, what it means for the folder, and the numbers behind it."""
    kind = "verdict"
    if result.verdict is not None:
        kind = {"adapted": "verdict good", "start": "verdict careful"}[result.verdict.use]
    if result.system_verdict is not None:
        kept = facts.system_in_use(result) == result.system_verdict.have
        kind = "verdict careful" if kept else "verdict good"
    headline, rest = facts.verdict_parts(result)
    meaning = text(facts.model_meaning(result)).replace("model/", "<code>model/</code>", 1)
    lines = "".join(f"<p>{text(remark)}</p>" for remark in facts.remarks(result))
    answer = f"<h1><strong>{headline}:</strong> {text(rest)}</h1><p>{meaning}</p>{lines}"
    return f'<section class="{kind}">{answer}</section>{fact_list(facts.verdict_facts(result))}'


def results(result: RunResult) -> str:
    """For each collection the bars of its first metric and the table of all of them."""
    if not result.evaluations:
        return ""
    used = {metric for evaluation in result.evaluations for metric in facts.metric_names(evaluation)}
    meanings = "; ".join(f"{name} is {meaning}" for name, meaning in facts.METRIC_MEANINGS.items() if name in used)
    intro = (
        "Each score is a mean over the queries, with its 95% interval below; the highest of a column is bold. "
        f"Random order and BM25 are what any model has to beat. {meanings}{'.' if meanings else ''}"
    )
    shown = "".join(_evaluation(result, evaluation) for evaluation in result.evaluations)
    return f'<h2>Results</h2><p class="quiet">{intro}</p>{shown}'


def _evaluation(result: RunResult, evaluation: Evaluation) -> str:
    about = [facts.evaluation_size(evaluation)]
    if evaluation.dataset == PROBE and result.corpus is not None and result.corpus.probe is not None:
        about.append("Made from the corpus itself. " + facts.PROBE_KINDS[result.corpus.probe.kind])
    notes = "".join(f"<li>{text(note, 500)}</li>" for note in evaluation.notes[:MAX_PROBLEMS])
    return (
        f'<h3>{text(evaluation.dataset, 200)}</h3><p class="quiet">{text(". ".join(about))}</p>'
        f"{_bars(result, evaluation)}{_scores(result, evaluation)}"
        + (f'<ul class="quiet">{notes}</ul>' if notes else "")
    )


def _bars(result: RunResult, evaluation: Evaluation) -> str:
    metric = facts.metric_names(evaluation)[0]
    scores = {name: evaluation.rows[name][metric] for name in facts.system_names(evaluation)}
    highest = max([*(max(score.value, score.ci95[1]) for score in scores.values()), 1e-9])
    scale = next(step for step in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, highest) if step >= min(highest, 1.0))
    scale = max(scale, highest) if highest > 1 else scale
    chosen = facts.system_in_use(result)
    rows = "".join(
        f"<span>{text(facts.system_label(name), 60)}</span>"
        f"{plots.interval_bar(score.value, score.ci95, scale, 'chosen' if name == chosen else 'plain')}"
        f"<span>{score.value:.3f}</span>"
        for name, score in scores.items()
    )
    ends = f"<span>0</span><span>{text(metric)}</span><span>{scale:g}</span>"
    return f'<div class="bars">{rows}<span></span><span class="ends">{ends}</span><span></span></div>'


def _scores(result: RunResult, evaluation: Evaluation) -> str:
    metrics = facts.metric_names(evaluation)
    best = {metric: facts.best_systems(evaluation, metric) for metric in metrics}
    head = ["system", *(text(name, 60) for name in metrics), *(facts.COSTS if result.costs else ())]
    rows = []
    for name in facts.system_names(evaluation):
        cells = [f'<th scope="row">{text(facts.system_label(name), 60)}<small>{_meaning(result, name)}</small></th>']
        for metric in metrics:
            score = evaluation.rows[name][metric]
            marked = f"<b>{score.value:.3f}</b>" if name in best[metric] else f"{score.value:.3f}"
            cells.append(f"<td>{marked}<small>{facts.format_interval(score)}</small></td>")
        if result.costs:
            cost = facts.format_cost(result.costs[name]) if name in result.costs else ("", "", "")
            cells += [f"<td>{cell}</td>" for cell in cost]
        chosen = ' class="chosen"' if name == facts.system_in_use(result) else ""
        rows.append(f"<tr{chosen}>{''.join(cells)}</tr>")
    return table(head, rows, "scores")


def _meaning(result: RunResult, system: str) -> str:
    if system == "start" and result.start:
        return text("the same network, before training" if result.start == SCRATCH else result.start, 80)
    return text(facts.system_meaning(system))


def corpus(result: RunResult) -> str:
    """What was read and what was left out."""
    if result.corpus is None:
        return ""
    problems = result.corpus.problems[:MAX_PROBLEMS]
    lines = "".join(f"<li>{text(problem, 300)}</li>" for problem in problems)
    count = len(problems)
    listed = f"<details><summary>{count} of the problems found while reading</summary><ul>{lines}</ul></details>"
    return f"<h2>Corpus</h2>{fact_list(facts.corpus_facts(result))}{listed if problems else ''}"


def searches(result: RunResult) -> str:
    """Example searches with their best hits, and those of the users' queries that change, where these may be shown."""
    shown = [_search(search) for search in (result.searches or ())[:MAX_SEARCHES]]
    return (f"<h2>Example searches</h2>{''.join(shown)}" if shown else "") + _changed_searches(result)


def _changed_searches(result: RunResult) -> str:
    if result.changed_searches is None or not result.changed_searches.examples:
        return ""
    rows = [
        "<tr>" + "".join(f"<td>{text(cell, 120)}</td>" for cell in (one.query, one.before, one.now)) + "</tr>"
        for one in result.changed_searches.examples
    ]
    head = ["query", "first result before", "first result now"]
    return f"<h2>Users' queries with another first result</h2>{table(head, rows)}"


def _search(search: Search) -> str:
    hits = "".join(f"<li>{_hit(hit)}</li>" for hit in search.hits[:MAX_HITS])
    found = f"<ol>{hits}</ol>" if hits else '<p class="quiet">Nothing was found.</p>'
    return f'<div class="search"><h3 dir="auto">“{text(search.query, MAX_TEXT)}”</h3>{found}</div>'


def _hit(hit: Hit) -> str:
    name = hit.title.strip()
    details = [*([hit.id] if name else []), f"score {hit.score:.3f}"]
    return (
        f'<b dir="auto">{text(name or hit.id, 160)}</b> '
        f'<span class="quiet">{text(" · ".join(details), 200)}</span>'
        f'<p dir="auto">{text(hit.text.strip(), MAX_TEXT)}</p>'
    )


def export(result: RunResult) -> str:
    """The check of the exported folder against the trained model."""
    pairs = facts.export_facts(result)
    if not pairs:
        return ""
    note = "The exported folder was loaded again and its vectors compared with those of the model before it was saved."
    return f'<h2>Export check</h2><p class="quiet">{note}</p>{fact_list(pairs)}'


def machine(machine: dict[str, Any], libraries: dict[str, str], reknit: str) -> str:
    """The machine and the versions of what ran on it."""
    hardware = facts.flatten(machine)
    versions = [("reknit", reknit)] if reknit else []
    versions += [(name, value) for name, value in libraries.items() if name != "reknit"]
    if not hardware and not versions:
        return ""
    return f"<h2>Machine and versions</h2>{fact_list(hardware)}{fact_list(versions)}"


def repeat(command: str, seed: int | None, config: dict[str, Any]) -> str:
    """The command and the whole configuration, to run it again."""
    shown = f'<pre tabindex="0">{text(command)}</pre>' if command else ""
    if seed is not None:
        shown += f'<p class="quiet">Seed {seed}.</p>'
    if config:
        stored = text(json.dumps(config, indent=2, ensure_ascii=False, default=str))
        shown += f'<details><summary>The whole configuration</summary><pre tabindex="0">{stored}</pre></details>'
    return f"<h2>Repeat this run</h2>{shown}" if shown else ""
