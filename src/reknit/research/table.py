"""A comparison's results on the terminal and as Markdown: a row an arm, a column a measure."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from reknit.claim import EVERY_MEASURE
from reknit.evaluation.measures import lower_is_better
from reknit.report.table import markdown_table, print_whole
from reknit.research.pretraining.config import NO_TUNING


def show(result: dict[str, Any], console: Console) -> None:
    """Print all tables and what they are."""
    for title, headings, rows in tables(result):
        table = Table(*headings, title=title, title_justify="left")
        for row in rows:
            table.add_row(*row)
        print_whole(table, console)
    print_whole(explanation(result), console)


def markdown(result: dict[str, Any]) -> str:
    """The same as Markdown."""
    parts = []
    for title, headings, rows in tables(result):
        parts += [f"{title}:", "", markdown_table(headings, rows), ""]
    return "\n".join([*parts, explanation(result)])


def tables(result: dict[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """(title, headings, rows) of values, best mean rank first, of differences, and of what was spent."""
    found, first = result["summary"], result["arms"][0]
    order = ranked(result)
    labels = labels_of(found)
    columns = ["mean" if label == EVERY_MEASURE else label for label in labels]
    values = [
        [
            name,
            *(with_interval(found[name]["values"][label]) for label in labels),
            f"{found[name]['mean_rank']:.2f}",
        ]
        for name in order
    ]
    differences = [
        [name, *(with_interval(found[name]["against_first"][label], signed=True) for label in labels)]
        for name in order
        if name != first
    ]
    return [
        ("Values", ["objective", *columns, "mean rank"], values),
        (f"Differences to {first}", ["objective", *columns], differences),
        (
            "Spent on each training",
            ["objective", "tokens", "FLOPs", "seconds"],
            [[name, *spent(found[name]["spent"])] for name in order],
        ),
    ]


def labels_of(summary: dict[str, Any]) -> list[str]:
    """The measures that some arm has: a perplexity is of one kind of language model, which may be none of these."""
    values = [found["values"] for found in summary.values()]
    return [label for label in values[0] if any(one[label] for one in values)]


def ranked(result: dict[str, Any]) -> list[str]:
    """The names of the arms, best mean rank first."""
    return sorted(result["summary"], key=lambda name: result["summary"][name]["mean_rank"])


def explanation(result: dict[str, Any]) -> str:
    """What the figures are."""
    seeds, corpus, tuning = result["seeds"], result["corpus"], result["config"]["tuning"]
    searched = "as trained" if tuning == NO_TUNING else f"after the same tuning of each ({tuning})"
    about = f"{seeds} seeds, means with Student's 95% intervals over them" if seeds > 1 else "one seed, no intervals"
    fine_tuning = result["config"].get("fine_tuning", {})
    learnt = (
        f" Fine-tuned accuracy is of the encoder as trained, trained further on up to {fine_tuning['texts']:,} "
        f"labelled texts, with the best of {len(fine_tuning['learning_rates'])} learning rates by those held out."
        if fine_tuning.get("texts")
        else ""
    )
    perplexity = (
        " Perplexities (lower is better; not in the mean) are of up to 100 passages that were not trained on, cut to "
        "max_length. Pseudo-perplexity asks for each token with all others in sight, perplexity with those before it: "
        "the two do not compare."
        if any(map(lower_is_better, labels_of(result["summary"])))
        else ""
    )
    part = ", or the part of them that an arm names by data.below" if "data.below=" in " ".join(result["arms"]) else ""
    return (
        f"{about}; a difference is of the same seeds. Trained on {corpus['passages']:,} passages{part}; mean rank: 1 "
        "is best of all arms, over measures and seeds. Pair accuracy: of the first 100 pairs of each paradigm, by the "
        "language model that was trained, if one was. Accuracy is of a linear classifier on the encoder as trained; "
        f"search and similarity are measured {searched}.{learnt}{perplexity}"
    )


def with_interval(found: dict[str, Any] | None, *, signed: bool = False) -> str:
    """Such as 0.512 [0.490, 0.534]; a star marks an interval that leaves 0 out, a dash what is not defined."""
    if found is None:
        return "–"
    shown = _shown(found["mean"], signed=signed)
    if found["ci95"] is None:
        return shown
    low, high = found["ci95"]
    star = "*" if signed and (low > 0 or high < 0) else ""
    return f"{shown} [{_shown(low, signed=signed)}, {_shown(high, signed=signed)}]{star}"


def _shown(value: float, *, signed: bool) -> str:
    """Three decimals, but four digits of what is large (a perplexity)."""
    digits = ".3f" if abs(value) < 100 else ".1f" if abs(value) < 1000 else ".4g"
    return format(value, ("+" if signed else "") + digits)


def spent(found: dict[str, Any]) -> list[str]:
    """Tokens, FLOPs and seconds of a training: means over the seeds."""
    return [f"{found['tokens'] / 1e6:.2f} M", f"{found['flops']:.2e}", f"{found['seconds']:.0f}"]
