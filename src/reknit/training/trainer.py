"""The training loop: one, for every objective.

Random numbers are a pure function of (seed, phase, step), and batches are a pure function of the step. So the training
state is just weights, optimiser moments and a few counters, and a resumed run repeats the lost steps bit for bit on a
processor.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch

from reknit.collectives import whole
from reknit.data.batch import Batch
from reknit.encoders.base import Encoder
from reknit.errors import ReknitError
from reknit.jobs.interrupt import Interrupted, StopRequest
from reknit.jobs.memory import MemoryKeeper, reusing_allocation
from reknit.jobs.precision import PrecisionName, autocast
from reknit.jobs.progress import Progress
from reknit.objectives.base import Objective, StepOutput
from reknit.recipe import BudgetSpec, OptimiserSpec
from reknit.training.budget import Ledger, count_flops
from reknit.training.checkpoint import CheckpointFolder
from reknit.training.distributed import SharedCheckpoints, shared_probe, trained_by
from reknit.training.log import MetricsLog, SilentLog
from reknit.training.optimiser import learning_rate
from reknit.training.phase_result import PhaseResult
from reknit.training.prefetch import ReadAhead
from reknit.training.team import ParallelChoice, Team

Batches = Callable[[int], Batch]
Probe = Callable[[], dict[str, float]]

# A run that cannot make one good step in this many tries will not recover.
MAX_SKIPPED_IN_A_ROW = 10


@dataclass(frozen=True)
class PhaseSettings:
    """How one phase is trained.

    steps: at most so many, also where the budget would give more. probes: how many times the probe runs, evenly over
    the phase. patience: stop after this many probes in a row without a new best; None never stops early. keep: the
    weights the phase ends with. metric: the probe's value that is maximised. parallel: how several processes divide the
    weights; one process does not ask.
    """

    name: str
    optimiser: OptimiserSpec
    budget: BudgetSpec
    seed: int
    precision: PrecisionName = "float32"
    checkpoint_minutes: float = 5.0
    steps: int | None = None
    probes: int = 8
    patience: int | None = None
    keep: Literal["best", "last"] = "last"
    metric: str = "nDCG@10"
    parallel: ParallelChoice = "ddp"


@dataclass
class PhaseState:
    """All that a resume needs besides weights and optimiser moments.

    flops_per_token: of the newest step. flops_by_stage: of each stage of the objective that there has been.
    step_seconds: wall time of the steps, probes left out. waited_seconds: the part of it spent waiting for batches.
    """

    step: int = 0
    ledger: Ledger = field(default_factory=Ledger)
    flops_per_token: float | None = None
    flops_by_stage: dict[str, float] = field(default_factory=dict)
    probes_done: int = 0
    best_value: float | None = None
    best_step: int | None = None
    probes_since_best: int = 0
    skipped: int = 0
    skipped_in_a_row: int = 0
    step_seconds: float = 0.0
    waited_seconds: float = 0.0

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> PhaseState:
        value = {**value, "ledger": Ledger(**value["ledger"])}
        if "flops_stage" in value:  # of a run that kept the newest stage's alone
            value["flops_by_stage"] = {value.pop("flops_stage"): value["flops_per_token"]}
        return cls(**value)


class Trainer:
    """Trains an encoder by an objective until a budget is spent.

    initial_value: the probe's value of the start weights, when those are to stay unless a probe is better. team: the
    processes that train together, each with a Trainer of the same arguments but `batches`, which give its share. clock:
    seconds from a monotonic clock.
    """

    def __init__(
        self,
        settings: PhaseSettings,
        encoder: Encoder,
        objective: Objective,
        batches: Batches,
        checkpoints: CheckpointFolder,
        log: MetricsLog,
        *,
        probe: Probe | None = None,
        initial_value: float | None = None,
        stop: StopRequest | None = None,
        team: Team | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.settings = settings
        self.encoder = encoder
        self.objective = objective
        self.batches = batches
        self.checkpoints = checkpoints
        self.log = log
        self.probe = probe
        self.stop = stop or StopRequest()
        self.clock = clock
        self.device = next(encoder.parameters()).device
        self.team = team or Team()
        self.trained = trained_by(self.team, settings.parallel, encoder, objective)
        if self.team.size > 1:
            self.checkpoints = SharedCheckpoints(checkpoints, self.team, self.trained)
            self.probe = probe and shared_probe(probe, self.team, self.trained, encoder)
            self.log = log if self.team.is_rank_zero else SilentLog(log.path)
        self.optimiser = self.trained.optimiser(settings.optimiser)
        self.parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        self.state = PhaseState(best_value=initial_value, best_step=None if initial_value is None else 0)
        self.resumed_at = 0
        self.keep_memory = MemoryKeeper()

    def run(self, finished_phases: tuple[str, ...] = ()) -> PhaseResult:
        """Train, from the newest checkpoint if there is one, and leave the encoder with the weights to keep.

        Raises Interrupted after saving when a stop was requested, ReknitError when the loss stays NaN or infinite.
        """
        self._resume(finished_phases)
        if self.settings.keep == "best" and self.state.step == 0 and self.state.best_value is not None:
            self.checkpoints.save_best(0, self.encoder)
        reason = None
        with (
            reusing_allocation(),
            ReadAhead(self.batches, self.state.step, self.device, self.clock) as ahead,
            Progress(quiet=not self.team.is_rank_zero) as progress,
        ):
            progress.start(self.settings.name, self.settings.budget.tokens, "tokens", done=self.state.ledger.tokens)
            last_saved = self.clock()
            while self._progress() < 1.0:
                if self._out_of_patience():
                    reason = f"the probe did not improve {self.settings.patience} times in a row"
                    break
                loss = self._timed_step(ahead)
                tokens = self.state.ledger.tokens
                progress.update(tokens, tokens / self._progress(), loss=loss)
                due = self.clock() - last_saved >= 60 * self.settings.checkpoint_minutes
                asked, due = self.team.any(self.stop.asked, due)
                # Weights that give no finite loss are not worth pushing out an older checkpoint for.
                if asked or (due and not self.state.skipped_in_a_row):
                    self._save()
                    last_saved = self.clock()
                if asked:
                    raise Interrupted(f"stopped at step {self.state.step} of {self.settings.name}")
        if reason is None:
            spent = self.state.ledger.progress(self.settings.budget) >= 1.0
            reason = "budget spent" if spent else f"all {self.settings.steps} steps made"
        return self._finish(reason)

    def _progress(self) -> float:
        """Share of the phase that is over, 0 to 1."""
        done = self.state.ledger.progress(self.settings.budget)
        return done if self.settings.steps is None else max(done, min(1.0, self.state.step / self.settings.steps))

    def _resume(self, finished_phases: tuple[str, ...]) -> None:
        saved = self.checkpoints.load_newest(self.encoder, self.objective, self.optimiser)
        if saved is not None:
            self.state = PhaseState.from_json(saved)
            self.resumed_at = self.state.step
        self.log.rewind(self.settings.name, self.state.step, finished_phases)

    def _timed_step(self, ahead: ReadAhead) -> float:
        started = self.clock()
        batch = ahead.take(self.state.step)
        stage = self.trained.objective.stage_of(torch.Generator().manual_seed(self._seed()))
        if stage not in self.state.flops_by_stage:
            self.state.flops_by_stage[stage] = self._measure_flops(batch)
        self.state.flops_per_token = self.state.flops_by_stage[stage]
        loss = self._step(batch, ahead.waited)
        self.keep_memory()
        self.state.step_seconds += self.clock() - started
        self.state.waited_seconds += ahead.waited
        ledger = self.state.ledger
        ledger.tokens += batch.whole.num_tokens
        ledger.flops += self.state.flops_per_token * batch.whole.num_tokens
        ledger.seconds += self._seconds_since(started)
        if self._probe_due():
            started = self.clock()
            self._run_probe()
            ledger.seconds += self._seconds_since(started)
        return loss

    def _seconds_since(self, started: float) -> float:
        """By rank 0's clock, so that all processes reach the end of a budget of seconds in the same step."""
        return self.team.sum(self.clock() - started if self.team.is_rank_zero else 0.0)

    def _step(self, batch: Batch, waited: float = 0.0) -> float:
        """One optimiser step; returns the loss. A loss or gradient that is not finite changes no weight.

        waited: seconds for the log.
        """
        state, settings = self.state, self.settings
        progress = self._progress()
        rate = learning_rate(settings.optimiser, progress)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        output = self._forward_backward(batch)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, settings.optimiser.max_grad_norm)
        loss, norm_value = float(output.total.detach()), float(whole(norm))
        good = math.isfinite(loss) and math.isfinite(norm_value)
        if good:
            self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        state.step += 1
        if good:
            self.trained.objective.after_step(self.trained.encoder, progress)
        self.log.write(
            phase=settings.name,
            step=state.step,
            tokens=state.ledger.tokens + batch.whole.num_tokens,
            seconds=round(state.ledger.seconds, 3),
            waited=round(waited, 6),
            loss=loss,
            losses={name: float(value.detach()) for name, value in output.losses.items()},
            metrics={name: float(value) for name, value in output.metrics.items()},
            learning_rate=rate,
            grad_norm=norm_value,
            **({} if good else {"skipped": True}),
        )
        self._count_skip(good)
        return loss

    def _forward_backward(self, batch: Batch) -> StepOutput:
        self.trained.encoder.train()
        self.trained.objective.train()
        # Dropout draws from torch's global generator, corruption from its own: both are seeded again at each step.
        seed = self._seed()
        torch.manual_seed(self.team.own_seed(seed))
        with autocast(self.settings.precision, self.device):
            output = self.trained.step(batch, torch.Generator().manual_seed(seed))
        output.total.backward()
        return output

    def _seed(self) -> int:
        return step_seed(self.settings.seed, self.settings.name, self.state.step)

    def _count_skip(self, good: bool) -> None:
        state = self.state
        if good:
            state.skipped_in_a_row = 0
            return
        state.skipped += 1
        state.skipped_in_a_row += 1
        if state.skipped_in_a_row >= MAX_SKIPPED_IN_A_ROW:
            # The last good step may have broken the weights: a checkpoint made after it is none to go on from. What
            # this run began from stays: it may be the settings of the resume that are at fault.
            self.checkpoints.drop(max(state.step - state.skipped_in_a_row, self.resumed_at + 1))
            kept = self.checkpoints.newest_step()
            raise ReknitError(
                f"the loss of {self.settings.name} was not finite {MAX_SKIPPED_IN_A_ROW} times in a row, up to step "
                f"{state.step}; "
                + ("no checkpoint had been made, " if kept is None else f"the checkpoint of step {kept} is kept, ")
                + f"go on from {'the start' if kept is None else 'it'} with --resume and a lower "
                f"--set {self.settings.name}.optimiser.learning_rate=..., or with --set precision=float32"
            )

    def _measure_flops(self, batch: Batch) -> float:
        """FLOPs of one token, counted on a throw-away step with the objective's own parts; it leaves no trace."""
        buffers = [(buffer, buffer.clone()) for buffer in self.trained.objective.buffers()]
        with count_flops() as counter:
            self._forward_backward(batch)
        for buffer, before in buffers:
            buffer.copy_(before)
        self.optimiser.zero_grad(set_to_none=True)
        return self.team.sum(counter.get_total_flops()) / batch.whole.num_tokens

    def _probe_due(self) -> bool:
        return self.probe is not None and self._probes_by_now() > self.state.probes_done

    def _probes_by_now(self) -> int:
        """How many probes belong to the part of the phase that is over."""
        return math.floor(self._progress() * self.settings.probes + 1e-9)

    def _run_probe(self) -> None:
        assert self.probe is not None
        state, settings = self.state, self.settings
        self.encoder.eval()
        values = self.probe()
        state.probes_done = max(state.probes_done + 1, self._probes_by_now())
        self.log.write(
            phase=settings.name,
            step=state.step,
            tokens=state.ledger.tokens,
            seconds=round(state.ledger.seconds, 3),
            flops=state.ledger.flops,
            probe=values,
        )
        if state.best_value is None or values[settings.metric] > state.best_value:
            state.best_value, state.best_step, state.probes_since_best = values[settings.metric], state.step, 0
            if settings.keep == "best":
                self.checkpoints.save_best(state.step, self.encoder)
        else:
            state.probes_since_best += 1

    def _out_of_patience(self) -> bool:
        patience = self.settings.patience
        return patience is not None and self.state.probes_since_best >= patience

    def _save(self) -> None:
        self.checkpoints.save(self.state.step, self.encoder, self.objective, self.optimiser, asdict(self.state))

    def _finish(self, reason: str) -> PhaseResult:
        state = self.state
        if self.settings.keep == "best" and state.best_step is not None:
            self.checkpoints.load_best(state.best_step, self.encoder)
        self.encoder.eval()
        # Of the best weights there are no heads.
        heads = self.objective if self.settings.keep == "last" else None
        self.checkpoints.save_encoder("final", self.encoder, heads)
        self.encoder.to(self.device)
        result = PhaseResult(
            name=self.settings.name,
            steps=state.step,
            skipped=state.skipped,
            tokens=state.ledger.tokens,
            flops=state.ledger.flops,
            seconds=state.ledger.seconds,
            stopped_because=reason,
            best_step=state.best_step,
            best_value=state.best_value,
            kept_best=self.settings.keep == "best",
            waiting_share=state.waited_seconds / max(state.step_seconds, 1e-9),
        )
        self.checkpoints.finish(asdict(result))
        return result


def step_seed(seed: int, phase: str, step: int | str) -> int:
    """The seed of one step's random numbers (or of a phase's new heads): the same in every run with these three."""
    return zlib.crc32(f"{seed}/{phase}/{step}".encode())
