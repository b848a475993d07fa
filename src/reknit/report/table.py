"""The verdict and the scores on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reknit.report import facts
from reknit.report.facts import Result

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text


def results_table(result: Result, console: Console | None = None) -> None:
    """Print the verdict, what it means for the model folder, and one table for each collection.

    result: what result.json holds; missing parts are left out. console: where to print; standard output when None. On
    a terminal the answer is green or yellow; anywhere else (a file, a pipe) the text is plain and aligned, and no line
    is wrapped or cut.
    """
    from rich.console import Console
    from rich.text import Text

    console = console or Console()

    print_whole(_verdict(result), console)
    print_whole(Text(facts.model_meaning(result)), console)
    for remark in facts.remarks(result):
        print_whole(Text(remark), console)
    for evaluation in facts.evaluations(result):
        print_whole(Text(), console)
        print_whole(_caption(evaluation), console)
        print_whole(evaluation_table(evaluation), console)
        for note in evaluation.get("notes") or []:
            print_whole(Text(f"note: {note}"), console)


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as Markdown."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (headings, ["---"] * len(headings), *rows))


def print_whole(item: Table | Text | str, console: Console) -> None:
    """Print so that anywhere but on a terminal no line is wrapped or cut."""
    from rich.table import Table

    if isinstance(item, Table) and not console.is_terminal:
        item.width = console.measure(item, options=console.options.update(width=10_000)).maximum
    console.print(item, soft_wrap=not console.is_terminal, highlight=False)


def evaluation_table(evaluation: dict[str, Any]) -> Table:
    """One collection's scores as a rich table: a row for each system, `0.471 [0.441, 0.501]` for each metric."""
    from rich.table import Table
    from rich.text import Text

    metrics = facts.metric_names(evaluation)
    best = {metric: facts.best_systems(evaluation, metric) for metric in metrics}
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("system", no_wrap=True)
    for metric in metrics:
        table.add_column(Text(metric))
    for name in facts.system_names(evaluation):
        cells = []
        for metric in metrics:
            bounds = facts.interval(evaluation, name, metric)
            cell = Text(facts.format_score(facts.score(evaluation, name, metric)))
            cell.stylize("bold cyan" if name in best[metric] else "")
            cell.append(f" [{bounds[0]:.3f}, {bounds[1]:.3f}]" if bounds else "", style="dim")
            cells.append(cell)
        table.add_row(Text(facts.system_label(name)), *cells)
    return table


def _verdict(result: Result) -> Text:
    from rich.text import Text

    colour = {True: "bold green", False: "bold yellow", None: "bold"}[facts.use_adapted(result)]
    headline, rest = facts.verdict_parts(result)
    return Text.assemble((f"{headline}:", colour), f" {rest}")


def _caption(evaluation: dict[str, Any]) -> Text:
    from rich.text import Text

    size = facts.evaluation_size(evaluation)
    return Text.assemble((str(evaluation.get("dataset", "results")), "bold"), f" ({size})" if size else "")
