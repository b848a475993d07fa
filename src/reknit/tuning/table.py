"""A tuning run on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reknit.report.table import print_whole
from reknit.tuning.page import arm_name, cells_of
from reknit.tuning.result import TuningResult

if TYPE_CHECKING:
    from rich.console import Console


def show(result: TuningResult, console: Console) -> None:
    """Print the verdict, and accuracy and cost of each way of using the labels."""
    from rich.table import Table
    from rich.text import Text

    headline, _, rest = result.verdict.sentence.partition(":")
    colour = "bold green" if result.verdict.use == "tuned" else "bold yellow"
    print_whole(Text.assemble((f"{headline}:", colour), rest), console)
    for note in result.notes:
        print_whole(Text(f"note: {note}"), console)
    print_whole(Text(), console)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for heading in ("", "accuracy", "trained weights", "on disk", "training took"):
        table.add_column(heading, no_wrap=True)
    for name, arm in result.arms.items():
        accuracy, *others = cells_of(arm)
        table.add_row(arm_name(result, name), f"{accuracy} [{arm.ci95[0]:.3f}, {arm.ci95[1]:.3f}]", *others)
    print_whole(table, console)
