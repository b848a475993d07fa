"""Two processes under torchrun give the losses, gradients and checkpoints of one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from team_at_work import DIVIDED, EVERY, SOME_DIVIDED, STEPS, WAYS, stopped, trainer

from reknit.training.log import MetricsLog
from reknit.training.team import Team

AT_WORK = Path(__file__).parents[1] / "support" / "team_at_work.py"


def torchrun(*words: object, processes: int = 2) -> subprocess.CompletedProcess:
    """Run words with torchrun, one thread in each process."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*launch, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)


def log_of(folder: Path) -> list[dict]:
    return MetricsLog(folder / "metrics.jsonl").read()


def same_steps(mine: list[dict], theirs: list[dict]) -> None:
    """Equal losses to 1e-5, large ones to a millionth, of every step and name, and the same gradient, of which AdamW
    hides the size."""
    assert [line["step"] for line in mine] == [line["step"] for line in theirs] == list(range(1, STEPS + 1))
    for one, other in zip(mine, theirs, strict=True):
        assert one["tokens"] == other["tokens"]
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-6, abs=1e-5)
        assert one["losses"] == pytest.approx(other["losses"], rel=1e-6, abs=1e-5)
        assert one["metrics"] == pytest.approx(other["metrics"], rel=0, abs=1e-6)
        assert one["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-4, abs=1e-6)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess]:
    """What the tasks below have left, two processes doing them all in one start, and how that ended: by an error."""
    folder = tmp_path_factory.mktemp("team")
    for how in WAYS:
        stopped(folder / f"by-one-{how}", Team(), how)
    tasks = ("train_every_recipe", "compare_gradients", "stop_and_go_on", "probe_by_one", "end_together")
    done = torchrun(AT_WORK, folder, *tasks, "skip_together", "find_planted_bugs", "fail_alone")
    assert (folder / "all-done").exists(), done.stderr
    return folder, done


@pytest.fixture
def folder(ended: tuple[Path, subprocess.CompletedProcess]) -> Path:
    return ended[0]


@pytest.mark.parametrize("name", EVERY)
def test_losses_equal_those_of_one_process(folder: Path, tmp_path: Path, name: str) -> None:
    trainer(tmp_path, name, Team()).run()
    same_steps(log_of(folder / f"{name}-ddp"), log_of(tmp_path))
    if name in SOME_DIVIDED:
        same_steps(log_of(folder / f"{name}-fsdp"), log_of(tmp_path))


@pytest.fixture(scope="module")
def all_divided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("divided")
    done = torchrun(AT_WORK, folder, "train_divided")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", DIVIDED)
def test_losses_of_divided_weights_equal_those_of_one_process(all_divided: Path, tmp_path: Path, name: str) -> None:
    trainer(tmp_path, name, Team()).run()
    same_steps(log_of(all_divided / f"{name}-fsdp"), log_of(tmp_path))


@pytest.mark.parametrize("how", WAYS)
def test_resume_with_another_number_of_processes(folder: Path, tmp_path: Path, how: str) -> None:
    trainer(tmp_path, "dupmae", Team()).run()
    begun_by_many = trainer(folder / f"by-many-{how}", "dupmae", Team())
    begun_by_many.run()
    assert begun_by_many.resumed_at == 4
    same_steps(log_of(folder / f"by-many-{how}"), log_of(tmp_path))
    same_steps(log_of(folder / f"by-one-{how}"), log_of(tmp_path))


def test_a_loss_that_is_broken_in_one_process_is_skipped_by_all(folder: Path) -> None:
    lines = log_of(folder / "skipped")
    assert [line["step"] for line in lines if line.get("skipped")] == [3, 4]
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))


def test_an_error_in_one_process_ends_all(ended: tuple[Path, subprocess.CompletedProcess]) -> None:
    _, done = ended
    assert done.returncode != 0
    assert done.stderr.count("]: ValueError: planted in one process") == 1
