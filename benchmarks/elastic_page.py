"""Make the tables of docs/elastic.md from what `reknit frontier --json` measured (records/frontier).

python benchmarks/elastic_page.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reknit.report.table import markdown_table
from reknit.training.files import read_json

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "records" / "frontier"
PAGE = ROOT / "docs" / "elastic.md"
BEGIN, END = "<!-- made by benchmarks/elastic_page.py -->", "<!-- end -->"


def main() -> None:
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    parts = [f"{BEGIN}\n", *(f"{section(path)}\n" for path in sorted(RECORDS.glob("*.json"))), END]
    PAGE.write_text(before + "\n".join(parts) + rest.split(END)[1], encoding="utf-8")


def section(path: Path) -> str:
    """A record's table, and where it was measured."""
    record = read_json(path)
    first = ["layers", "dimensions", record["metric"], "as a first pass", "bytes a passage"]
    headings = [*first, "ms a query", "passages a second"]
    machine, versions = record["machine"], record["versions"]
    about = (
        f"`records/frontier/{path.name}`: {record['dataset']}, {machine['processor']} with {machine['cores']} cores, "
        f"torch {versions['torch']}."
    )
    rows = [row_of(row) for row in record["sizes"]]
    return "\n\n".join([f"**{path.stem}**", markdown_table(headings, rows), about])


def row_of(row: dict[str, Any]) -> list[str]:
    """One size of the model; what a size is not used for stays empty."""
    quality = ["" if row[name] is None else f"{row[name]:.3f}" for name in ("alone", "first_pass")]
    costs = [f"{row['bytes']:,}", f"{row['query_ms']:.1f}", f"{row['passages_per_second']:,.0f}"]
    return [str(row["layers"]), str(row["dims"]), *quality, *costs]


if __name__ == "__main__":
    main()
