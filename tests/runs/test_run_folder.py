from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reknit import catalogue
from reknit.errors import ReknitError
from reknit.recipe import BudgetSpec
from reknit.runs.config import RunConfig, with_overrides
from reknit.runs.run_folder import RunFolder


def config() -> RunConfig:
    return RunConfig(
        corpus="my texts",
        pretrain=catalogue.find("dupmae"),
        tune=catalogue.find("infonce-pairs"),
        budget=BudgetSpec(seconds=90),
    )


def test_the_command_repeats_the_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    settings = ("seed=3", "tune.optimiser.learning_rate=1e-4")
    folder.open(with_overrides(config(), settings), config(), settings, overwrite=False)
    words = shlex.split(folder.command())
    assert words[:5] == ["reknit", "adapt", "my texts", "--recipe", "dupmae"]
    assert words[words.index("--budget") + 1] == "90s"
    assert words[-4:] == ["--set", "seed=3", "--set", "tune.optimiser.learning_rate=1e-4"]
    # A resume that changes one more setting adds it.
    changed = with_overrides(folder.resumable(config()), ("budget.seconds=120",))
    folder.open(changed, config(), ("budget.seconds=120",), overwrite=False)
    assert folder.command().endswith("--set budget.seconds=120")
    assert "--set seed=3" in folder.command()


def test_the_command_of_a_pretraining_says_what_it_ends_with(tmp_path: Path) -> None:
    asked = replace(config(), tune=None, index=False, verdict=False)

    def command(name: str, *settings: str, **changes: Any) -> str:
        folder, now = RunFolder(tmp_path / name), replace(asked, **changes)
        folder.open(with_overrides(now, settings), now, settings, overwrite=False)
        return folder.command()

    start = "reknit pretrain dupmae --corpus 'my texts' "
    assert command("alone").startswith(f"{start}--out")
    assert "--set" not in command("alone")
    assert command("indexed", "index=true").startswith(f"{start}--index --out")
    assert "--set" not in command("indexed", "index=true")
    assert "--index" not in command("no more", "index=true", "index=false")
    assert "--set" not in command("judged", eval=("labelled",), verdict=True)
    assert command("by the probe", "verdict=true", "seed=3").endswith("--set seed=3 --set verdict=true")


def test_a_pretraining_of_before_had_an_index_and_a_verdict(tmp_path: Path) -> None:
    folder, asked = RunFolder(tmp_path / "run"), replace(config(), tune=None, index=False, verdict=False)
    folder.open(asked, asked, (), overwrite=False)
    stored = json.loads(folder.config.read_text())
    del stored["index"], stored["verdict"]
    folder.config.write_text(json.dumps(stored))
    found = folder.resumable(asked)
    assert (found.index, found.verdict) == (True, True)
    assert "--index" in folder.command()
    assert folder.command().endswith("--set verdict=true")


@pytest.mark.parametrize("setting", ["seed=9", "probe.queries=7", "passage_words=50", "pretrain.encoder.dim=64"])
def test_what_is_on_disk_cannot_change_on_resume(tmp_path: Path, setting: str) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.open(config(), config(), (), overwrite=False)
    stored = folder.resumable(config())
    with pytest.raises(ReknitError, match="cannot change on resume"):
        folder.check_changes(stored, with_overrides(stored, (setting,)))


@pytest.mark.parametrize("setting", ["tune.optimiser.learning_rate=1e-6", "precision=float32", "probe.patience=9"])
def test_how_training_goes_on_may_change_on_resume(tmp_path: Path, setting: str) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.open(config(), config(), (), overwrite=False)
    stored = folder.resumable(config())
    folder.check_changes(stored, with_overrides(stored, (setting,)))


def test_a_run_set_aside_by_an_overwrite_that_wrote_nothing_comes_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.open(config(), config(), (), overwrite=False)
    folder._set_aside()
    assert not folder.is_taken()
    with pytest.raises(ReknitError, match="already holds a run"):
        folder.check(resume=False, overwrite=False)
    assert folder.is_taken()
