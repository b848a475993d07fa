"""A vocabulary run on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reknit.report.table import print_whole
from reknit.vocabulary.result import VocabularyResult
from reknit.vocabulary.verdict import METRIC, NEW, OLD

if TYPE_CHECKING:
    from rich.console import Console


def show(result: VocabularyResult, console: Console) -> None:
    """Print the verdict and a table: tokens and quality of both tokenizers."""
    from rich.table import Table
    from rich.text import Text

    headline, _, rest = result.verdict.sentence.partition(":")
    colour = "bold green" if result.verdict.use == "new" else "bold yellow"
    print_whole(Text.assemble((f"{headline}:", colour), rest), console)
    print_whole(Text(), console)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for heading in ("", "tokens known", "tokens per text", "table"):
        table.add_column(heading)
    for evaluation in result.evaluations:
        table.add_column(Text(f"{METRIC} {evaluation.dataset}"))
    for label, name, facts in (("old tokenizer", OLD, result.before), ("new tokenizer", NEW, result.after)):
        scores = [f"{evaluation.rows[name][METRIC].value:.3f}" for evaluation in result.evaluations]
        cells = (f"{facts.tokens:,}", f"{facts.tokens_per_text:.1f}", f"{facts.table_bytes / 1e6:.1f} MB")
        table.add_row(label, *cells, *scores)
    print_whole(table, console)
