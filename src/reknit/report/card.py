"""The model card (README.md) of an exported model: what it is, what was measured, how to load it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reknit.evaluation.scores import Evaluation
from reknit.export.sentence_transformers import trained_pooling_note
from reknit.jobs.progress import format_duration
from reknit.report import facts
from reknit.report.facts import Facts
from reknit.runs.config import SCRATCH
from reknit.runs.result import RunResult

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#~])")


def model_card(result: RunResult, config: dict[str, Any]) -> str:
    """The text of README.md: YAML front matter as the Hugging Face hub reads it, then Markdown.

    config: what config.json holds; the recipes' titles and papers are taken from it. `base_model` is given only when
    the start model has the form of a hub's id and is no local folder.
    """
    sections = [
        _front_matter(result),
        _introduction(result),
        _usage(result.model_prompts, expanded=result.model_expands_queries, elsewhere=not facts.runs_only_here(result)),
        _pooling(result.model_trained_pooling),
        _evaluation(result),
        _training(result, config),
        fact_section("Corpus", facts.corpus_facts(result)),
        fact_section("Export check", facts.export_facts(result)),
        repeat(result.command, result.seed, result.reknit_version),
        citations(config),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def hub_id(start: str) -> str | None:
    """The start model's id on the Hugging Face hub; None for a local folder or a run from scratch."""
    well_formed = _HUB_ID.fullmatch(start) and not re.search(r"--|\.\.", start) and len(start) <= 96
    return start if well_formed and not Path(start).exists() else None


def markdown(value: Any) -> str:
    """Any value as one line of Markdown text: no mark-up in it has an effect."""
    return _MARKDOWN.sub(r"\\\1", " ".join(str(value).split())).replace(r"\<", "&lt;").replace(r"\>", "&gt;")


def front_matter(library: str, pipeline: str, tags: Iterable[str], start: str) -> str:
    """YAML as the hub reads it. tags: a tag that comes again is left out. start: named where it is of the hub."""
    lines = ["---", f"library_name: {library}", f"pipeline_tag: {pipeline}", "tags:"]
    # A JSON string is a YAML string, whatever is in it.
    lines += [f"- {json.dumps(tag)}" for tag in dict.fromkeys(tags)]
    base = hub_id(start)
    lines += [f"base_model: {json.dumps(base)}"] if base else []
    return "\n".join([*lines, "---"])


def _front_matter(result: RunResult) -> str:
    trained = result.model_holds in (None, "adapted")
    recipes = [phase.recipe for phase in result.training.phases] if trained else []
    library = "reknit" if facts.runs_only_here(result) else "sentence-transformers"
    tags = [library, "feature-extraction", "sentence-similarity", "reknit", *recipes]
    return front_matter(
        library, "sentence-similarity", tags, result.start if trained or result.model_holds == "start" else ""
    )


def _introduction(result: RunResult) -> str:
    if result.model_holds not in (None, "adapted"):
        held = result.start if result.model_holds == "start" else result.model_holds
        how = "with query expansion by the words of a corpus" if result.model_expands_queries else "unchanged"
        origin = f"This is {markdown(held)}, {how}, exported by reknit."
    elif not result.training.phases:
        origin = "This text encoder was exported by reknit."
    elif result.start == SCRATCH:
        origin = "This text encoder was trained from scratch by reknit on unlabelled text."
    else:
        origin = (
            "This text encoder was adapted by reknit to unlabelled text, from "
            f"{markdown(result.start) or 'a start model'}."
        )
    headline, rest = facts.verdict_parts(result)
    lines = [
        "# Text encoder made with reknit",
        "It maps sentences and passages to vectors for semantic search. " + origin,
        f"**{headline}:** {markdown(rest)}",
        *(markdown(remark) for remark in facts.remarks(result)),
    ]
    return "\n\n".join(lines)


def _usage(prompts: dict[str, str], *, expanded: bool, elsewhere: bool) -> str:
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
    by_others = f"""```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder")
{both}
```

or, with reknit:

"""
    return f"""## Use

{by_others if elsewhere else ""}```python
import reknit

model = reknit.load("path/to/this/folder")
passages = model.encode(["a passage"]{document})
queries = model.encode(["a query"]{query})
```{before}{about if expanded else ""}"""


def _pooling(kind: str | None) -> str:
    return f"## Pooling\n\n{trained_pooling_note(kind)}" if kind else ""


def _evaluation(result: RunResult) -> str:
    if not result.evaluations:
        return ""
    shown = []
    for evaluation in result.evaluations:
        metrics = facts.metric_names(evaluation)
        rows = [
            [facts.system_label(name), *(_score(evaluation, name, metric) for metric in metrics)]
            for name in facts.system_names(evaluation)
        ]
        notes = [f"- {markdown(note)}" for note in evaluation.notes]
        caption = f"**{markdown(evaluation.dataset)}** ({facts.evaluation_size(evaluation)})"
        blocks = [caption, _table(["system", *metrics], rows), "\n".join(notes)]
        shown.append("\n\n".join(block for block in blocks if block))
    used = {name for evaluation in result.evaluations for name in evaluation.rows}
    explained = [f"{label}: {meaning}" for name, (label, meaning) in facts.SYSTEMS.items() if name in used]
    explained += (
        ["BM25 + a model: words and vectors together"] if any(name.startswith("bm25+") for name in used) else []
    )
    legend = f"Means over queries with 95% intervals. {'; '.join(explained)}."
    return "\n\n".join(["## Evaluation", legend, *shown])


def _score(evaluation: Evaluation, system: str, metric: str) -> str:
    score = evaluation.rows[system][metric]
    value = f"**{score.value:.3f}**" if system in facts.best_systems(evaluation, metric) else f"{score.value:.3f}"
    return f"{value} ({facts.format_interval(score)})"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(markdown(name) for name in head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join([markdown(row[0]), *row[1:]]) + " |" for row in rows])


def _training(result: RunResult, config: dict[str, Any]) -> str:
    if not result.training.phases:
        return "## Training\n\nNothing was trained in this run."
    lines = [
        f"- {markdown(phase.name)}, recipe {markdown(phase.recipe)}{paper(recipe_card(config, phase.name))}: "
        f"{phase.steps:,} steps, {phase.tokens:,} tokens, {format_duration(phase.seconds)} (h:mm:ss); stopped because: "
        f"{markdown(phase.stopped_because)}"
        for phase in result.training.phases
    ]
    listed = [f"- {markdown(label)}: {markdown(value)}" for label, value in facts.training_facts(result)]
    return "\n\n".join(["## Training", "\n".join(lines), "In all:", "\n".join(listed)])


def recipe_card(config: dict[str, Any], phase: str) -> dict[str, Any]:
    """The card of a phase's recipe, of what config.json holds; empty where there is none."""
    recipe = config.get(phase)
    card = recipe.get("card") if isinstance(recipe, dict) else None
    return card if isinstance(card, dict) else {}


def paper(card: dict[str, Any]) -> str:
    """Title and address of a recipe's paper, in brackets."""
    about = ", ".join(markdown(card[key]) for key in ("title", "paper") if card.get(key))
    return f" ({about})" if about else ""


def fact_section(title: str, pairs: Facts) -> str:
    """A section of names and values; empty without any."""
    lines = [f"- {markdown(name)}: {markdown(value)}" for name, value in pairs]
    return "\n".join([f"## {title}", "", *lines]) if lines else ""


def repeat(command: str, seed: int | None, version: str) -> str:
    """The section that says how the run is repeated; empty without a command."""
    if not command:
        return ""
    seeded = f"\n\nSeed {seed}." if seed is not None else ""
    made_by = f" reknit {markdown(version)}." if version else ""
    return f"## Repeat this run\n\n{code_block(command)}{seeded}{made_by}"


def citations(config: dict[str, Any]) -> str:
    """The section of the recipes' BibTeX entries; empty without any."""
    cards = [recipe_card(config, phase) for phase in ("pretrain", "tune")]
    entries = dict.fromkeys(str(card["citation"]).strip() for card in cards if card.get("citation"))
    return "\n\n".join(["## Citation", *(code_block(entry, "bibtex") for entry in entries)]) if entries else ""


def code_block(text: str, language: str = "") -> str:
    """A fenced block whose fence is longer than any run of backticks in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
