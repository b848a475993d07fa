"""What a command imports is what its start takes: heavy libraries stay away from commands that do not use them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import read_result

HEAVY = {"torch", "numpy", "pyarrow", "lancedb", "transformers", "tokenizers", "sentence_transformers", "datasets"}
HEAVY |= {"pandas", "scipy", "sklearn", "matplotlib", "huggingface_hub", "bm25s", "ir_measures", "ray", "onnxruntime"}
# torch's compiler and what it brings; drawing weights on the meta device is one way to import it unawares.
COMPILER = {"torch._dynamo", "torch._inductor", "sympy"}
# lancedb imports pandas where it is installed; nothing can be done about that here.
SEARCH = {"torch", "numpy", "pyarrow", "lancedb", "tokenizers", "pandas"}


def imported_by(*words: str) -> set[str]:
    """The modules in memory when a command has ended, in a process of its own."""
    program = (
        "import sys\nfrom reknit.cli.main import main\nsys.argv = ['reknit', *sys.argv[1:]]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print('\\n' + ' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("words", [("--help",), ("search", "--help"), ("encode", "--help"), ("recipes", "--help")])
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    assert imported_by(*words) & (HEAVY | COMPILER) == set()


def test_listing_the_recipes_stays_clear_of_models() -> None:
    assert imported_by("recipes") & {"lancedb", "transformers", "sentence_transformers", "datasets"} == set()


def test_a_search_imports_what_it_needs(finished_run: Path) -> None:
    found = imported_by("search", str(finished_run), "turns", "--mode", "hybrid")
    assert found & (HEAVY | COMPILER) == SEARCH


def test_a_search_by_words_needs_no_model(finished_run: Path) -> None:
    found = imported_by("search", str(finished_run), "turns", "--mode", "text")
    assert found & (HEAVY | COMPILER) == SEARCH - {"torch", "tokenizers"}


def test_a_run_whose_verdict_is_words_needs_no_model(finished_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished_run, tmp_path / "run")
    result = read_result(run) | {"search": {"weights": {"bm25": 1.0}}}
    (run / "result.json").write_text(json.dumps(result))
    assert imported_by("search", str(run), "turns") & (HEAVY | COMPILER) == SEARCH - {"torch", "tokenizers"}
