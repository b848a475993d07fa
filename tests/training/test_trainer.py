from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event

import pytest
import torch
from toy_models import TOY_VOCABULARY, batch_for, toy_batch, toy_encoder, toy_pair

from reknit.catalogue import find, recipes
from reknit.data.batch import Batch
from reknit.encoders.base import Encoder
from reknit.errors import ReknitError
from reknit.jobs.interrupt import Interrupted, StopRequest
from reknit.objectives.base import Objective, ObjectiveSpec, StepOutput
from reknit.recipe import BudgetSpec, OptimiserSpec
from reknit.training.checkpoint import CheckpointFolder
from reknit.training.log import MetricsLog
from reknit.training.prefetch import ReadAhead
from reknit.training.trainer import MAX_SKIPPED_IN_A_ROW, PhaseSettings, PhaseState, Trainer

TOKENS = toy_batch(0).num_tokens


def settings(steps: int, **changes) -> PhaseSettings:
    defaults = {"name": "toy", "optimiser": OptimiserSpec(learning_rate=1e-3), "seed": 0, "probes": 0}
    return PhaseSettings(**{**defaults, "budget": BudgetSpec(tokens=steps * TOKENS), **changes})


def toy_trainer(folder: Path, how: PhaseSettings, objective: Objective | None = None, **more) -> Trainer:
    encoder = toy_encoder()
    objective = objective or find("mlm").objective.build(encoder, TOY_VOCABULARY, "cls")
    return Trainer(
        how,
        encoder,
        objective,
        lambda step: toy_batch(step % 5),
        CheckpointFolder(folder / "toy"),
        MetricsLog(folder / "metrics.jsonl"),
        **more,
    )


class Spoiled(Objective):
    """A language model whose loss is not a number at the given steps."""

    def __init__(self, steps: range) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.inner = find("mlm").objective.build(toy_encoder(), TOY_VOCABULARY, "cls")
        self.steps, self.calls = steps, -1

    def forward(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        output = self.inner(encoder, batch, rng)
        self.calls += 1
        factor = float("nan") if self.calls in self.steps else 1.0
        return StepOutput({name: loss * factor for name, loss in output.losses.items()})


def test_budget_ends_the_run_and_is_accounted_for(tmp_path: Path) -> None:
    result = toy_trainer(tmp_path, settings(12)).run()
    assert result.steps == 12
    assert result.tokens == 12 * TOKENS
    assert result.stopped_because == "budget spent"
    assert result.flops > 0
    lines = MetricsLog(tmp_path / "metrics.jsonl").read()
    assert [line["step"] for line in lines] == list(range(1, 13))
    assert lines[-1]["tokens"] == 12 * TOKENS


def test_flop_budget(tmp_path: Path) -> None:
    whole = toy_trainer(tmp_path / "a", settings(4)).run()
    how = settings(4, budget=BudgetSpec(flops=whole.flops / 2))
    assert toy_trainer(tmp_path / "b", how).run().steps == 2


def test_steps_end_a_phase_that_has_budget_left(tmp_path: Path) -> None:
    how = replace(settings(100, probes=7), steps=7)
    result = toy_trainer(tmp_path, how, probe=lambda: {"nDCG@10": 0.5}).run()
    assert (result.steps, result.stopped_because) == (7, "all 7 steps made")
    lines = MetricsLog(tmp_path / "metrics.jsonl").read()
    assert sum("probe" in line for line in lines) == 7
    rates = [line["learning_rate"] for line in lines if "learning_rate" in line]
    assert rates[-1] == pytest.approx(1e-3 * (1 - 6 / 7) / (1 - 0.06)), "the schedule ends with the steps"
    assert toy_trainer(tmp_path / "more", replace(settings(3), steps=7)).run().stopped_because == "budget spent"


def objective_of(name: str) -> Objective:
    return find(name).objective.build(toy_encoder(), TOY_VOCABULARY, "cls")


def test_flops_are_those_of_the_part_that_the_training_is_in(tmp_path: Path) -> None:
    spent = {
        name: toy_trainer(tmp_path / name, settings(8), objective_of(name)).run().flops
        for name in ("clm", "mlm", "mlm-vs-clm")
    }
    # `after_step` hears of what was spent before the step, so the fifth step is the last causal one.
    assert spent["mlm-vs-clm"] == pytest.approx((5 * spent["clm"] + 3 * spent["mlm"]) / 8, rel=1e-6)
    assert spent["mlm"] < 0.97 * spent["clm"]


def test_flops_are_those_of_the_task_that_each_step_draws(tmp_path: Path) -> None:
    recipe = find("codet5")
    alone = recipe.objective.parts()
    batch = batch_for(recipe, 0)

    def run(folder: Path, spec: ObjectiveSpec, steps: int) -> Trainer:
        trainer = toy_trainer(folder, settings(steps), spec.build(toy_encoder(), TOY_VOCABULARY, "cls"))
        trainer.batches = lambda step: batch
        trainer.run()
        return trainer

    each = {task: run(tmp_path / task, spec, 1).state.ledger.flops for task, spec in alone.items()}
    assert each["tagging"] < 0.7 * each["identifiers"]
    trainer = run(tmp_path / "all", recipe.objective, 12)
    tasks = [next(iter(line["losses"])) for line in trainer.log.read()]
    assert set(tasks) == set(alone)
    # The number of mask tokens is drawn, and with it what a step of the denoising task costs.
    assert trainer.state.ledger.flops == pytest.approx(sum(each[task] for task in tasks), rel=0.02)
    # A checkpoint from when only the newest stage's FLOPs were kept.
    old = asdict(trainer.state) | {"flops_stage": "tagging"}
    del old["flops_by_stage"]
    assert PhaseState.from_json(old).flops_by_stage == {"tagging": old["flops_per_token"]}


def test_counting_flops_leaves_no_trace_in_the_objective(tmp_path: Path) -> None:
    trainer = toy_trainer(tmp_path, settings(3), objective_of("text2token"))
    trainer.run()
    assert float(trainer.objective.texts_seen) == 3 * toy_batch(0).num_sequences


def test_the_last_steps_heads_are_kept(tmp_path: Path) -> None:
    trainer = toy_trainer(tmp_path, settings(3))
    trainer.run()
    again = objective_of("mlm")
    trainer.checkpoints.load_objective("final", again)
    for name, value in trainer.objective.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)


def test_a_bad_step_is_skipped(tmp_path: Path) -> None:
    trainer = toy_trainer(tmp_path, settings(6), Spoiled(range(3, 5)))
    result = trainer.run()
    assert result.skipped == 2
    assert all(torch.isfinite(parameter).all() for parameter in trainer.encoder.parameters())
    skipped = [line["step"] for line in MetricsLog(tmp_path / "metrics.jsonl").read() if line.get("skipped")]
    # The first call of the objective only counts FLOPs, so its calls are numbered like the steps.
    assert skipped == [3, 4]


def test_a_lost_run_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    how = settings(100, checkpoint_minutes=0.0)
    trainer = toy_trainer(tmp_path, how, Spoiled(range(6, 1000)))
    with pytest.raises(ReknitError, match=f"not finite {MAX_SKIPPED_IN_A_ROW} times in a row"):
        trainer.run()
    kept = toy_encoder()
    state = CheckpointFolder(tmp_path / "toy").load_newest(kept, trainer.objective, trainer.optimiser)
    assert state is not None
    # Step 5 was the last good one, but it may be what broke the weights.
    assert state["step"] == 4
    (tmp_path / "good").mkdir()
    good = toy_trainer(tmp_path / "good", settings(100))
    for step in range(4):
        good._step(toy_batch(step % 5))
        good.state.ledger.tokens += TOKENS
    for mine, theirs in zip(kept.parameters(), good.encoder.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_best_weights_by_the_probe_are_kept(tmp_path: Path) -> None:
    values = iter([0.3, 0.6, 0.5, 0.4])
    seen: list[torch.Tensor] = []

    def probe() -> dict[str, float]:
        seen.append(trainer.encoder.table.detach().clone())
        return {"nDCG@10": next(values)}

    how = settings(8, probes=4, keep="best")
    trainer = toy_trainer(tmp_path, how, probe=probe, initial_value=0.1)
    result = trainer.run()
    assert (result.best_step, result.best_value) == (4, 0.6)
    assert torch.equal(trainer.encoder.table, seen[1])


def test_start_weights_stay_when_no_probe_beats_them(tmp_path: Path) -> None:
    how = settings(9, probes=9, keep="best", patience=3)
    trainer = toy_trainer(tmp_path, how, probe=lambda: {"nDCG@10": 0.2}, initial_value=0.9)
    result = trainer.run()
    assert result.steps == 3
    assert "did not improve 3 times" in result.stopped_because
    assert torch.equal(trainer.encoder.table, toy_encoder().table)


@pytest.mark.parametrize("name", ["mlm", "c-rts"])  # and one that counts in buffers what decides later steps
def test_a_stop_request_saves_and_the_resume_is_exact(name: str, tmp_path: Path) -> None:
    whole = toy_trainer(tmp_path / "whole", settings(10), objective_of(name))
    whole.run()

    stop = StopRequest()
    first = toy_trainer(tmp_path / "halves", settings(10), objective_of(name), stop=stop)
    before = first._step

    def ask_at_four(batch: Batch, waited: float) -> float:
        stop.asked = first.state.step == 3
        return before(batch, waited)

    first._step = ask_at_four  # type: ignore[method-assign]
    with pytest.raises(Interrupted, match="step 4"):
        first.run()
    second = toy_trainer(tmp_path / "halves", settings(10), objective_of(name))
    second.run()
    for mine, theirs in zip(second.objective.buffers(), whole.objective.buffers(), strict=True):
        assert torch.equal(mine, theirs)
    for mine, theirs in zip(second.encoder.parameters(), whole.encoder.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    logs = [MetricsLog(tmp_path / name / "metrics.jsonl").read() for name in ("whole", "halves")]
    assert [line["loss"] for line in logs[0]] == [line["loss"] for line in logs[1]]


class Timeline:
    """The clock of a training in which each batch takes `making` seconds, and each pass of a step `training`.

    A batch is begun when the one before it is taken, as `ReadAhead` does; taking one that is not there yet takes until
    it is.
    """

    def __init__(self, making: float, training: float) -> None:
        self.making, self.training = making, training
        self.now = self.taken = 0.0

    def clock(self) -> float:
        return self.now

    def batch(self, step: int) -> Coming:
        return Coming(toy_batch(step), self.taken + self.making, self)


@dataclass
class Coming:
    """A batch that is there at `ready`."""

    batch: Batch
    ready: float
    timeline: Timeline

    def to(self, device: torch.device) -> Batch:
        self.timeline.now = self.timeline.taken = max(self.timeline.now, self.ready)
        return self.batch.to(device)


class Timed(Objective):
    """A language model each of whose steps takes the timeline's seconds."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__()
        self.inner, self.timeline = objective_of("mlm"), timeline

    def forward(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        self.timeline.now += self.timeline.training
        return self.inner(encoder, batch, rng)


@pytest.mark.parametrize(
    ("making", "training", "waited"),
    [
        # In the first step FLOPs are counted too, which is another pass.
        (0.3, 0.1, [0.3, 0.1, 0.2, 0.2, 0.2, 0.2]),
        (0.05, 0.1, [0.05, 0.0, 0.0, 0.0, 0.0, 0.0]),
        (0.3, 0.0, [0.3] * 6),
    ],
    ids=["slow data", "fast data", "nothing but data"],
)
def test_waiting_for_data_is_counted(tmp_path: Path, making: float, training: float, waited: list[float]) -> None:
    timeline = Timeline(making, training)
    trainer = toy_trainer(tmp_path, settings(6), Timed(timeline), clock=timeline.clock)
    trainer.batches = timeline.batch
    result = trainer.run()
    assert [line["waited"] for line in trainer.log.read()] == pytest.approx(waited)
    assert result.seconds == pytest.approx(timeline.now) == pytest.approx(sum(waited) + 7 * training)
    assert result.waiting_share == pytest.approx(sum(waited) / timeline.now)


def test_a_budget_of_seconds_ends_the_run(tmp_path: Path) -> None:
    timeline = Timeline(0.0, 0.1)
    how = settings(0, budget=BudgetSpec(seconds=0.75))
    result = toy_trainer(tmp_path, how, Timed(timeline), clock=timeline.clock).run()
    assert result.steps == 7  # of which the first takes 0.2 s
    assert result.seconds == pytest.approx(0.8)


def test_a_checkpoint_is_saved_when_it_is_due(tmp_path: Path) -> None:
    timeline = Timeline(0.0, 24.0)
    how = settings(8, checkpoint_minutes=1.0)
    trainer = toy_trainer(tmp_path, how, Timed(timeline), clock=timeline.clock)
    saved: list[int] = []
    save = trainer._save
    trainer._save = lambda: (saved.append(trainer.state.step), save())  # type: ignore[method-assign]
    trainer.run()
    assert saved == [2, 5, 8]  # after 72, 144 and 216 s


def test_a_batch_is_made_while_the_step_before_it_is_trained_on(tmp_path: Path) -> None:
    """Each step lasts until the making of the next batch has begun: without that it would never end."""
    begun = [Event() for _ in range(8)]

    def batch(step: int) -> Batch:
        begun[step].set()
        return toy_batch(step)

    class Waiting(Objective):
        def __init__(self) -> None:
            super().__init__()
            self.inner = objective_of("mlm")

        def forward(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> StepOutput:
            assert begun[trainer.state.step + 1].wait(timeout=60), "the next batch is not made during a step"
            return self.inner(encoder, batch, rng)

    trainer = toy_trainer(tmp_path, settings(6), Waiting())
    trainer.batches = batch
    assert trainer.run().steps == 6


def losses_one_batch_after_the_other(trainer: Trainer, steps: int) -> list[dict[str, float]]:
    """The training loop without a thread."""
    for step in range(steps):
        batch = trainer.batches(step)
        trainer._step(batch)
        trainer.state.ledger.tokens += batch.num_tokens
    return [line["losses"] for line in trainer.log.read()]


# One of each source of batches, one whose passages are tagged, and one whose objective draws a stage for a step.
@pytest.mark.parametrize("name", ["mlm", "infonce-pairs", "hybrid-distillation", "lem", "codet5"])
def test_reading_ahead_changes_no_loss(name: str, tmp_path: Path) -> None:
    logs = {}
    for way in ("ahead", "one after the other"):
        folder = tmp_path / way
        folder.mkdir()
        trainer = Trainer(
            settings(8),
            *toy_pair(recipes()[name]),
            lambda step: batch_for(recipes()[name], step),
            CheckpointFolder(folder / "toy"),
            MetricsLog(folder / "metrics.jsonl"),
        )
        if way == "ahead":
            steps = trainer.run().steps
            logs[way] = [line["losses"] for line in trainer.log.read()]
        else:
            logs[way] = losses_one_batch_after_the_other(trainer, steps)
    assert len(logs["ahead"]) == steps > 3
    assert logs["ahead"] == logs["one after the other"]


def test_reading_ahead_passes_errors_on() -> None:
    def broken(step: int) -> Batch:
        if step == 2:
            raise ReknitError("the disk is gone")
        return toy_batch(step)

    with ReadAhead(broken, 1, torch.device("cpu")) as ahead:
        assert torch.equal(ahead.take(1).tokens, toy_batch(1).tokens)
        with pytest.raises(ReknitError, match="the disk is gone"):
            ahead.take(2)
