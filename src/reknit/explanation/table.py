"""An explanation on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reknit.explanation.page import feature_name, fired
from reknit.explanation.result import ExplainResult
from reknit.report.table import print_whole

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

LISTED = 10


def show(result: ExplainResult, console: Console) -> None:
    """Print the verdict, the features of the hit where there is one, and the best described features of the page."""
    from rich.text import Text

    headline, _, rest = result.verdict.sentence.partition(":")
    colour = "bold green" if result.verdict.explains else "bold yellow"
    print_whole(Text.assemble((f"{headline}:", colour), rest), console)
    hit = result.hit
    if hit is not None:
        print_whole(Text(f"\n“{hit.query}” finds {hit.title or hit.id} (similarity {hit.similarity:.3f}), by"), console)
        made = _table("feature", "contribution", "in the query", "fires on", "words")
        for one in hit.features:
            made.add_row(
                str(one.number),
                f"{one.contribution:+.3f}",
                "yes" if one.in_query else "no",
                Text(fired(one.fires_on)),
                Text(feature_name(one.number, one.words)),
            )
        print_whole(made, console)
    print_whole(Text(), console)
    made = _table("feature", "AUROC", "fires on", "words")
    for feature in result.shown[:LISTED]:
        auroc = "–" if feature.auroc is None else f"{feature.auroc:.2f}"
        words = ", ".join(word.word for word in feature.words)
        made.add_row(str(feature.number), auroc, f"{feature.firing:.1%}", Text(words))
    print_whole(made, console)


def _table(*headings: str) -> Table:
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for heading in headings:
        made.add_column(heading)
    return made
