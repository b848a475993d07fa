"""What README and CONTRIBUTING tell people to do is done here."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from labelled_texts import labelled, write_tsv
from photos import write_photos
from small_corpus import small_documents, write_small_corpus
from small_model import write_small_model

import reknit as library

ROOT = Path(__file__).parents[1]
SMALL_COMPARISON = ("encoder.dim=32", "encoder.depth=1", "encoder.vocabulary=300", "tuning_budget.tokens=1000")


def code_blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def reknit_commands(document: str) -> list[list[str]]:
    lines = [line for block in code_blocks(document, "sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("reknit ")]


@pytest.fixture
def readers_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that the README's commands name: texts, a labelled set, another model."""
    write_small_model(tmp_path / "other-model", dim=128, depth=3)
    (tmp_path / "my-texts").mkdir()
    for document in small_documents(40):
        (tmp_path / "my-texts" / f"{document['_id']}.txt").write_text(f"{document['title']}\n\n{document['text']}\n")
    collection = tmp_path / "beir-folder"
    (collection / "qrels").mkdir(parents=True)
    write_small_corpus(collection / "corpus.jsonl", 30)
    queries = [{"_id": f"q{n}", "text": d["title"]} for n, d in enumerate(small_documents(30)[:10])]
    (collection / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    judgements = [f"q{n}\td{n}\t1" for n in range(10)]
    (collection / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judgements]))
    (tmp_path / "classes").mkdir()
    labelled_lines = ["label\ttext", *(f"{n % 2}\tThe {d['title']}." for n, d in enumerate(small_documents(20)))]
    for split in ("train", "test"):
        (tmp_path / "classes" / f"{split}.tsv").write_text("\n".join(labelled_lines) + "\n")
    write_tsv(tmp_path / "tickets.tsv", labelled(120, seed=0))
    write_photos(tmp_path / "photos", 24)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shortened(command: list[str], folder: Path) -> list[str]:
    """The command with minutes made into a few thousand tokens, one seed, and the hub's model by the same on disk."""
    replaced = [str(folder / "other-model") if part.startswith("sentence-transformers/") else part for part in command]
    short = [{"10m": "6ktok", "1h": "2ktok", "2m": "1ktok"}.get(part, part) for part in replaced]
    return ["1" if before == "--seeds" else part for before, part in zip(["", *short], short, strict=False)]


def test_readme_commands(readers_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    from reknit.cli.main import main

    commands = reknit_commands("README.md")
    verbs = {"adapt", "search", "evaluate", "export", "encode", "curate", "recipes", "pretrain", "compare", "frontier"}
    assert {command[1] for command in commands} == {*verbs, "tune"}
    adapted = next(shortened(command, readers_folder) for command in commands if "--start" in command)
    for command in commands:
        # "the same command with --resume" is written short in the README.
        line = [*adapted, "--resume"] if "--resume" in command else shortened(command, readers_folder)
        if line[1] == "compare":
            line += [word for setting in SMALL_COMPARISON for word in ("--set", setting)]
        if line[1] == "pretrain":
            line += ["--set", "pretrain.encoder.dim=32", "--set", "pretrain.encoder.depth=1"]
        monkeypatch.setattr(sys, "argv", line)
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        assert end.value.code in (0, None), f"{shlex.join(line)}\n{captured.err}"


def test_readme_python(readers_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import reknit

    (readers_folder / "run").mkdir()
    (readers_folder / "run" / "model").symlink_to(readers_folder / "other-model")
    ours, theirs = None, None
    for block in code_blocks("README.md", "python"):
        names: dict = {}
        exec(compile(block, "README.md", "exec"), names)
        ours, theirs = (names["vectors"], ours)
    assert ours is not None
    assert theirs is not None
    assert abs(ours - theirs).max() < 0.01  # the README computes in bfloat16
    assert (ours * theirs).sum() > 0.999
    exact = reknit.load("run").encode(["how do I reset the counter"])
    assert abs(exact - theirs).max() < 1e-5


def test_make_targets_exist() -> None:
    made = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    blocks = [*code_blocks("README.md", "sh"), *code_blocks("CONTRIBUTING.md", "sh")]
    named = {name for block in blocks for name in re.findall(r"^make ([a-z-]+)", block, flags=re.MULTILINE)}
    assert named >= {"quickstart", "test", "lint"}
    assert named <= set(made)


def test_the_catalogue_page_is_made_from_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remake it after a change of a card or a claim: `python benchmarks/catalogue_page.py`."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import catalogue_page

    assert catalogue_page.PAGE.read_text(encoding="utf-8") == catalogue_page.page()


def test_the_page_of_the_python_interface_is_made_from_the_docstrings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remake it after a change of a public docstring: `python benchmarks/api_page.py`."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import api_page

    assert api_page.PAGE.read_text(encoding="utf-8") == api_page.page()


def test_the_index_of_the_documents_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([\w.-]+\.md)\)", index))
    assert linked == {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}


# Words that this project once used for what the field has a term for (the term behind each).
PRIVATE_WORDS = {
    r"holds not": "does not hold",
    r"surely": "significantly",
    r"luck": "random numbers",
    r"lessons? (of|at|for|that)": "distillation targets",
    r"by heart": "overfits",
    r"(gone|goes) on with": "resumed",
    r"(the|its) leader": "rank 0",
    r"coordinates": "dimensions",
    r"choose of": "choose from",
    r"thinned": "with shared words removed",
    r"hiddenness": "masking",
    r"first weights": "initial weights",
    r"chance (draws|decides|is)": "random numbers",
    r"draws? chance": "random numbers",
    r"so many (layers|dimensions)": "the first `layers` layers",
    r"whoever asks": "the caller",
    r"routes? of sentence-transformers": "training method",
    r"afresh": "again",
    r"path begins so": "begins with it",
    r"had a say": "influenced",
}


def test_prose_uses_the_words_of_the_field() -> None:
    files = [*ROOT.glob("src/**/*.py"), *ROOT.glob("docs/*.md"), *ROOT.glob("*.md")]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match.group(0)!r} is {term!r} here"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for word, term in PRIVATE_WORDS.items()
        if (match := re.search(rf"\b{word}\b", line, re.IGNORECASE))
    ]
    assert not found, "\n".join(found)


def test_the_changelog_begins_with_the_version() -> None:
    first = next(line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))
    assert first == f"## {library.__version__}"


def test_worked_example_is_a_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example in CONTRIBUTING is found by walking its package and passes the checks of every recipe."""
    import recipe_checks as checks
    from toy_models import batch_for, toy_pair

    from reknit import catalogue

    (source,) = code_blocks("CONTRIBUTING.md", "python")
    package = tmp_path / "worked_example"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "whole_word.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    recipe = catalogue.find("whole-word-mlm", package="worked_example")

    encoder, objective = toy_pair(recipe)
    checks.check_gradients_reach_encoder(objective, encoder, batch_for(recipe, 0))
    checks.check_no_peek(objective, encoder, batch_for(recipe, 0))
    checks.check_against_naive(objective, encoder, batch_for(recipe, 0))
    checks.check_loss_falls(objective, encoder, batch_for(recipe, 0))
    assert len(source.splitlines()) < 60
