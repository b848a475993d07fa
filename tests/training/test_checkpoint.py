from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from reknit.errors import ReknitError
from reknit.jobs.files import write_json, written_aside
from reknit.recipe import OptimiserSpec
from reknit.training.checkpoint import CheckpointFolder
from reknit.training.log import MetricsLog
from reknit.training.optimiser import build_optimiser, learning_rate


def trained(seed: int) -> tuple[nn.Module, nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    encoder, objective = nn.Linear(4, 3), nn.Linear(3, 2)
    optimiser = build_optimiser([encoder, objective], OptimiserSpec())
    for _ in range(3):
        objective(encoder(torch.randn(5, 4))).pow(2).sum().backward()
        optimiser.step()
        optimiser.zero_grad()
    return encoder, objective, optimiser


def test_training_goes_on_exactly_from_a_checkpoint(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    first, second = trained(0), trained(1)
    folder.save(3, *first, {"step": 3})
    assert folder.load_newest(*second) == {"step": 3}
    inputs = torch.randn(5, 4)
    for encoder, objective, optimiser in (first, second):
        objective(encoder(inputs)).pow(2).sum().backward()
        optimiser.step()
    for mine, theirs in zip(first[0].parameters(), second[0].parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_newest_whole_checkpoint_wins_and_old_ones_go(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    parts = trained(0)
    for step in (1, 2, 3):
        folder.save(step, *parts, {"step": step})
    (tmp_path / ".step-00000009.partial").mkdir()  # a kill in the middle of writing leaves this
    assert folder.load_newest(*parts) == {"step": 3}
    assert sorted(path.name for path in tmp_path.glob("step-*")) == ["step-00000002", "step-00000003"]


def test_tensors_of_another_version_are_refused(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    encoder, objective, optimiser = trained(0)
    folder.save(1, encoder, objective, optimiser, {"step": 1})
    with pytest.raises(ReknitError, match=r"objective\.safetensors does not fit the recipe as it is now"):
        folder.load_newest(encoder, nn.Sequential(objective), optimiser)


def test_nothing_is_lost_when_writing_fails(tmp_path: Path) -> None:
    target = tmp_path / "value.json"
    write_json(target, {"old": True})

    def killed_while_writing() -> None:
        with written_aside(target) as aside:
            aside.write_text("half")
            raise RuntimeError("killed here")

    with pytest.raises(RuntimeError):
        killed_while_writing()
    assert target.read_text().startswith('{\n  "old"')
    assert [path.name for path in tmp_path.iterdir()] == ["value.json"]


def test_log_rewinds_to_a_step_and_skips_a_cut_line(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    for phase, steps in (("pretrain", 3), ("tune", 5)):
        for step in range(1, steps + 1):
            log.write(phase=phase, step=step, loss=1.0 / step)
    with open(log.path, "a") as handle:
        handle.write('{"phase": "tune", "st')
    log.rewind("tune", 2, ("pretrain",))
    assert [(line["phase"], line["step"]) for line in log.read()] == [
        ("pretrain", 1),
        ("pretrain", 2),
        ("pretrain", 3),
        ("tune", 1),
        ("tune", 2),
    ]


def test_vectors_are_not_decayed() -> None:
    norm = nn.LayerNorm(8)
    linear = nn.Linear(8, 8)
    decayed, plain = build_optimiser([norm, linear, linear], OptimiserSpec(weight_decay=0.1)).param_groups
    assert [p.shape for p in decayed["params"]] == [(8, 8)]
    assert decayed["weight_decay"] == 0.1
    assert len(plain["params"]) == 3
    assert plain["weight_decay"] == 0.0


@pytest.mark.parametrize("kind", ["linear", "cosine", "constant"])
def test_learning_rate_warms_up_and_decays(kind: str) -> None:
    spec = OptimiserSpec(learning_rate=1.0, warmup_ratio=0.1, lr_scheduler_type=kind)  # type: ignore[arg-type]
    rates = [learning_rate(spec, step / 100) for step in range(101)]
    assert rates[0] > 0
    assert rates[5] == pytest.approx(0.5)
    assert rates[10] == pytest.approx(1.0)
    assert rates == sorted(rates[:11]) + sorted(rates[11:], reverse=True)
    assert rates[100] == (1.0 if kind == "constant" else pytest.approx(0.0))


def test_best_weights_stay_as_long_as_a_checkpoint_names_them(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    parts = trained(0)
    for step, best in ((1, 1), (2, 1), (3, 3), (4, 3)):
        if best == step:
            folder.save_best(step, parts[0])
        folder.save(step, *parts, {"step": step, "best_step": best})
        kept = sorted(path.name for path in tmp_path.glob("best-*"))
        # After a loss of step 4 the run goes on from step 3, after a loss of 3 from 2, whose best is step 1's.
        assert kept == {1: ["best-00000001"], 2: ["best-00000001"], 3: ["best-00000001", "best-00000003"]}.get(
            step, ["best-00000003"]
        )
