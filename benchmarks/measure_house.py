"""How the code stands: sizes of files and functions, and imports that run against the order of the folders.

    python benchmarks/measure_house.py [--json records/house.json]

An import runs up where a folder imports one that `pyproject.toml` lists above it. Circles between files are
import-linter's to find (`make lint`).
"""

from __future__ import annotations

import argparse
import ast
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import grimp

from reknit.jobs.files import write_json

ROOT = Path(__file__).parents[1]
LONG_FUNCTION = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = {"files": files(), "long_functions": long_functions(), "imports_upwards": imports_upwards()}
    for name, value in found["files"].items():
        print(f"{name}: {value}")
    for kind in ("long_functions", "imports_upwards"):
        print(f"{kind.replace('_', ' ')}: {len(found[kind])}")
        print("".join(f"  {line}\n" for line in found[kind]), end="")
    if given.json:
        date = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(given.json, {**found, "date": date, "command": "python benchmarks/measure_house.py"})


def files() -> dict[str, Any]:
    """Lines of the files of src/."""
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sorted(ROOT.glob("src/**/*.py"))}
    sizes = sorted(size for size in lines.values() if size)
    longest = max(lines, key=lines.__getitem__)
    return {
        "files": len(sizes),
        "lines": sum(sizes),
        "median": median(sizes),
        "p95": sizes[int(0.95 * len(sizes))],
        "longest": f"{longest.relative_to(ROOT)} ({lines[longest]})",
    }


def long_functions() -> list[str]:
    """Functions of src/ with more than LONG_FUNCTION lines, the longest first."""
    found = []
    for path in ROOT.glob("src/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > LONG_FUNCTION:
                    found.append((size, f"{path.relative_to(ROOT)}:{node.lineno} {node.name} ({size})"))
    return [line for _, line in sorted(found, reverse=True)]


def imports_upwards() -> list[str]:
    """Imports of a folder by one below it."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = [one["layers"] for one in settings["tool"]["importlinter"]["contracts"] if one["type"] == "layers"]
    floor = {name: len(layers) - place for place, name in enumerate(layers)}
    graph = grimp.build_graph("reknit")
    found = []
    for module in sorted(graph.modules):
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            below, above = (floor.get(".".join(name.split(".")[:2])) for name in (module, imported))
            if below is not None and above is not None and above > below:
                found.append(f"{module} -> {imported}")
    return found


if __name__ == "__main__":
    main()
