"""Make the tables of docs/elastic.md from what `reknit frontier --json` measured (records/frontier).

python benchmarks/elastic_page.py
"""

from __future__ import annotations

from pathlib import Path

from reknit.bench.frontier import frontier_rows
from reknit.jobs.files import read_json
from reknit.report.table import markdown_table

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
    machine, versions = record["machine"], record["versions"]
    about = (
        f"`records/frontier/{path.name}`: {record['dataset']}, {machine['processor']} with {machine['cores']} cores, "
        f"torch {versions['torch']}."
    )
    return "\n\n".join([f"**{path.stem}**", markdown_table(*frontier_rows(record)), about])


if __name__ == "__main__":
    main()
