"""The model card (README.md) of an exported model: what it is, what was measured, how to load it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from reknit.export.sentence_transformers import trained_pooling_note
from reknit.jobs.progress import format_duration
from reknit.report import facts
from reknit.report.facts import Facts, Result

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#~])")


def model_card(result: Result, config: dict[str, Any]) -> str:
    """The text of README.md: YAML front matter as the Hugging Face hub reads it, then Markdown.

    result: what result.json holds; a part that is missing is left out, nothing is filled in. config: what config.json
    holds; the recipes' titles and papers are taken from it. `base_model` is given only when the start model has the
    form of a hub's id and is no local folder.
    """
    sections = [
        _front_matter(result),
        _introduction(result),
        _usage(facts.prompts(result), expanded=facts.expands_queries(result)),
        _pooling(facts.trained_pooling(result)),
        _evaluation(result),
        _training(result, config),
        _fact_section("Corpus", facts.corpus_facts(result)),
        _fact_section("Export check", facts.export_facts(result)),
        _repeat(result),
        _citations(config),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def hub_id(start: str) -> str | None:
    """The start model's id on the Hugging Face hub; None for a local folder or a run from scratch."""
    well_formed = _HUB_ID.fullmatch(start) and not re.search(r"--|\.\.", start) and len(start) <= 96
    return start if well_formed and not Path(start).exists() else None


def markdown(value: Any) -> str:
    """Any value as one line of Markdown text: no mark-up in it has an effect."""
    return _MARKDOWN.sub(r"\\\1", " ".join(str(value).split())).replace(r"\<", "&lt;").replace(r"\>", "&gt;")


def _front_matter(result: Result) -> str:
    recipes = [str(phase["recipe"]) for phase in facts.training_phases(result) if phase.get("recipe")]
    tags = dict.fromkeys(["sentence-transformers", "feature-extraction", "sentence-similarity", "reknit", *recipes])
    lines = ["---", "library_name: sentence-transformers", "pipeline_tag: sentence-similarity", "tags:"]
    # A JSON string is a YAML string, whatever is in it.
    lines += [f"- {json.dumps(tag)}" for tag in tags]
    base = hub_id(str(result.get("start") or ""))
    lines += [f"base_model: {json.dumps(base)}"] if base else []
    return "\n".join([*lines, "---"])


def _introduction(result: Result) -> str:
    start = str(result.get("start") or "")
    if result.get("model_holds") == "start":
        origin = f"This is {markdown(start)}, unchanged, exported by reknit."
    elif not facts.training_phases(result):
        origin = "This text encoder was exported by reknit."
    elif start == "scratch":
        origin = "This text encoder was trained from scratch by reknit on unlabelled text."
    else:
        origin = (
            f"This text encoder was adapted by reknit to unlabelled text, from {markdown(start) or 'a start model'}."
        )
    headline, rest = facts.verdict_parts(result)
    lines = [
        "# Text encoder made with reknit",
        "It maps sentences and passages to vectors for semantic search. " + origin,
        f"**{headline}:** {markdown(rest)}",
        *(markdown(remark) for remark in facts.remarks(result)),
    ]
    return "\n\n".join(lines)


def _usage(prompts: dict[str, str], *, expanded: bool) -> str:
    names = {kind: f', prompt_name="{kind}"' for kind in ("query", "document")}
    query, document = (names[kind] if expanded or prompts else "" for kind in names)
    asked, found = (names[kind] if kind in prompts else "" for kind in names)
    both = (
        f"""queries = model.encode(["a query"]{asked})
passages = model.encode(["a passage"]{found})"""
        if prompts
        else 'vectors = model.encode(["a query", "a passage"])'
    )
    shown = " and ".join(f"{markdown(json.dumps(text))} before a {kind}" for kind, text in prompts.items())
    before = f"\n\nThe model expects {shown}; `prompt_name` puts it there." if prompts else ""
    about = """

`query_expansion/` holds what reknit adds to the vectors of queries, and of nothing else (`prompt_name="query"`): each
word of the corpus has a direction there, the mean of the documents that contain it. Other libraries leave it out; their
vectors fit the same index, and find what the row "plain" says."""
    return f"""## Use

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder")
{both}
```

or, with reknit:

```python
import reknit

model = reknit.load("path/to/this/folder")
passages = model.encode(["a passage"]{document})
queries = model.encode(["a query"]{query})
```{before}{about if expanded else ""}"""


def _pooling(kind: str) -> str:
    return f"## Pooling\n\n{trained_pooling_note(kind)}" if kind else ""


def _evaluation(result: Result) -> str:
    shown = []
    for evaluation in facts.evaluations(result):
        metrics = facts.metric_names(evaluation)
        rows = [
            [facts.system_label(name), *(_score(evaluation, name, metric) for metric in metrics)]
            for name in facts.system_names(evaluation)
        ]
        notes = [f"- {markdown(note)}" for note in evaluation.get("notes") or []]
        size = facts.evaluation_size(evaluation)
        caption = f"**{markdown(evaluation.get('dataset', 'results'))}**" + (f" ({size})" if size else "")
        blocks = [caption, _table(["system", *metrics], rows), "\n".join(notes)]
        shown.append("\n\n".join(block for block in blocks if block))
    if not shown:
        return ""
    explained = [f"{facts.SYSTEMS[name][0]}: {facts.SYSTEMS[name][1]}" for name in _systems(result)]
    legend = f"Means over queries with 95% intervals. {'; '.join(explained)}."
    return "\n\n".join(["## Evaluation", legend, *shown])


def _systems(result: Result) -> list[str]:
    used = {name for evaluation in facts.evaluations(result) for name in facts.system_names(evaluation)}
    return [name for name in facts.SYSTEMS if name in used]


def _score(evaluation: dict[str, Any], system: str, metric: str) -> str:
    value = facts.format_score(facts.score(evaluation, system, metric))
    bounds = facts.format_interval(facts.interval(evaluation, system, metric))
    marked = f"**{value}**" if system in facts.best_systems(evaluation, metric) else value
    return f"{marked} ({bounds})" if bounds else marked


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(markdown(name) for name in head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join([markdown(row[0]), *row[1:]]) + " |" for row in rows])


def _training(result: Result, config: dict[str, Any]) -> str:
    lines = []
    for phase in facts.training_phases(result):
        name = str(phase.get("name", "phase"))
        spent = [f"{phase[key]:,} {key}" for key in ("steps", "tokens") if isinstance(phase.get(key), int)]
        seconds = facts.as_number(phase.get("seconds"))
        spent += [] if seconds is None else [f"{format_duration(seconds)} (h:mm:ss)"]
        reason = f"; stopped because: {markdown(phase['stopped_because'])}" if phase.get("stopped_because") else ""
        recipe = f", recipe {markdown(phase['recipe'])}" if phase.get("recipe") else ""
        lines.append(f"- {markdown(name)}{recipe}{_paper(_recipe_card(config, name))}: {', '.join(spent)}{reason}")
    listed = [f"- {markdown(label)}: {markdown(value)}" for label, value in facts.training_facts(result)]
    if not lines:
        return "## Training\n\nNothing was trained in this run."
    return "\n\n".join(["## Training", "\n".join(lines), "In all:", "\n".join(listed)][: 4 if listed else 2])


def _recipe_card(config: dict[str, Any], phase: str) -> dict[str, Any]:
    recipe = config.get(phase)
    card = recipe.get("card") if isinstance(recipe, dict) else None
    return card if isinstance(card, dict) else {}


def _paper(card: dict[str, Any]) -> str:
    about = ", ".join(markdown(card[key]) for key in ("title", "paper") if card.get(key))
    return f" ({about})" if about else ""


def _fact_section(title: str, pairs: Facts) -> str:
    lines = [f"- {markdown(name)}: {markdown(value)}" for name, value in pairs]
    return "\n".join([f"## {title}", "", *lines]) if lines else ""


def _repeat(result: Result) -> str:
    command = facts.command_line(result)
    if not command:
        return ""
    seed = f"\n\nSeed {markdown(result['seed'])}." if result.get("seed") is not None else ""
    version = f" reknit {markdown(result['reknit_version'])}." if result.get("reknit_version") else ""
    return f"## Repeat this run\n\n{_code_block(command)}{seed}{version}"


def _citations(config: dict[str, Any]) -> str:
    cards = [_recipe_card(config, phase) for phase in ("pretrain", "tune")]
    entries = dict.fromkeys(str(card["citation"]).strip() for card in cards if card.get("citation"))
    return "\n\n".join(["## Citation", *(_code_block(entry, "bibtex") for entry in entries)]) if entries else ""


def _code_block(text: str, language: str = "") -> str:
    """A fenced block whose fence is longer than any run of backticks in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
