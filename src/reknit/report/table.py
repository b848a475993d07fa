"""The verdict and the scores on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reknit.evaluation.scores import Evaluation
from reknit.report import facts
from reknit.runs.result import RunResult, SystemCost

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text


def results_table(result: RunResult, console: Console | None = None) -> None:
    """Print the verdict, what it means for the model folder, and one table for each collection.

    console: where to print; standard output when None. On a terminal the answer is green or yellow; anywhere else (a
    file, a pipe) the text is plain and aligned, and no line is wrapped or cut.
    """
    from rich.console import Console
    from rich.text import Text

    console = console or Console()

    print_whole(_verdict(result), console)
    print_whole(Text(facts.model_meaning(result)), console)
    for remark in facts.remarks(result):
        print_whole(Text(remark), console)
    for evaluation in result.evaluations:
        print_whole(Text(), console)
        evaluation_tables([evaluation], console, result.costs)


def evaluation_tables(
    evaluations: Sequence[Evaluation], console: Console, costs: Mapping[str, SystemCost] | None = None
) -> None:
    """Print one table for each collection, an empty line between them. costs: of the systems, where they are known."""
    from rich.text import Text

    for number, evaluation in enumerate(evaluations):
        if number:
            print_whole(Text(), console)
        print_whole(_caption(evaluation), console)
        print_whole(evaluation_table(evaluation, costs or {}), console)
        for note in evaluation.notes:
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


def evaluation_table(evaluation: Evaluation, costs: Mapping[str, SystemCost]) -> Table:
    """One collection's scores as a rich table: a row for each system, `0.471 [0.441, 0.501]` for each metric, then what
    it costs."""
    from rich.table import Table
    from rich.text import Text

    metrics = facts.metric_names(evaluation)
    best = {metric: facts.best_systems(evaluation, metric) for metric in metrics}
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("system", no_wrap=True)
    for metric in metrics:
        table.add_column(Text(metric))
    for heading in facts.COSTS if costs else ():
        table.add_column(Text(heading), justify="right")
    for name in facts.system_names(evaluation):
        cells = []
        for metric in metrics:
            score = evaluation.rows[name][metric]
            cell = Text(f"{score.value:.3f}")
            cell.stylize("bold cyan" if name in best[metric] else "")
            cell.append(f" [{score.ci95[0]:.3f}, {score.ci95[1]:.3f}]", style="dim")
            cells.append(cell)
        if costs:
            cells += [Text(cost) for cost in (facts.format_cost(costs[name]) if name in costs else ("", "", ""))]
        table.add_row(Text(facts.system_label(name)), *cells)
    return table


def _verdict(result: RunResult) -> Text:
    from rich.text import Text

    colour = "bold"
    if result.verdict is not None:
        colour = {"adapted": "bold green", "start": "bold yellow"}[result.verdict.use]
    if result.system_verdict is not None:
        colour = "bold yellow" if result.system_verdict.use == result.system_verdict.have else "bold green"
    headline, rest = facts.verdict_parts(result)
    return Text.assemble((f"{headline}:", colour), f" {rest}")


def _caption(evaluation: Evaluation) -> Text:
    from rich.text import Text

    return Text.assemble((evaluation.dataset, "bold"), f" ({facts.evaluation_size(evaluation)})")
