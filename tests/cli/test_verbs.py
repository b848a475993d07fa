"""The verbs and what each is asked with: a setting of a method is reached with --set, and is no flag."""

from __future__ import annotations

import re

import typer

from reknit.catalogue import systems
from reknit.cli.main import app

VERBS = {
    "adapt": "corpus out start have teacher answers queries pairs show_queries recipe budget eval resume overwrite "
    "dry_run max_bad set",
    "bench": "job against turns json_file",
    "claim": "names size seeds budget data out device records processes overwrite dry_run fixtures",
    "compare": "recipes corpus out budget eval seeds processes resume overwrite max_bad set",
    "compare-adapt": "data start budget seeds against cores json_file",
    "curate": "corpus out eval ray overwrite max_bad",
    "encode": "model corpus out layers dims precision vectors passage_words ray resume overwrite max_bad",
    "evaluate": "model data baseline json_file",
    "explain": "model corpus out method query resume overwrite max_bad as_json set",
    "export": "model out system layers dims onnx",
    "frontier": "model data layers dims json_file",
    "pretrain": "recipe corpus out start budget eval index resume overwrite max_bad set",
    "recipes": "name as_json",
    "search": "run query top mode layers dims binary as_json",
    "settings": "name as_json",
    "tune": "model labels out method overwrite set",
    "vocabulary": "corpus out start method budget eval resume overwrite max_bad set",
}


def asked_with() -> dict[str, list[str]]:
    commands = typer.main.get_command(app).commands
    return {name: [parameter.name for parameter in command.params] for name, command in commands.items()}


def test_a_new_flag_is_decided_here() -> None:
    """It names what the user brings or wants of the verb, whatever the method."""
    assert asked_with() == {name: words.split() for name, words in VERBS.items()}


def test_no_flag_is_called_after_a_system() -> None:
    names = {re.sub(r"\W", "_", name) for name in systems()}
    assert len(names) > 50
    assert not {flag for flags in asked_with().values() for flag in flags} & names
