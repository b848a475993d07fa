"""Recipes that train after others, and what they learn beside."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from small_corpus import write_small_corpus
from small_model import write_small_model

from reknit.catalogue import find
from reknit.data.batch import View, Vocabulary
from reknit.encoders.base import Encoder
from reknit.errors import ReknitError
from reknit.jobs.interrupt import StopRequest
from reknit.objectives.base import Objective, ObjectiveSpec, StepOutput
from reknit.recipe import BudgetSpec, Recipe
from reknit.runs.config import ProbeSpec, RunConfig, from_json, to_json, with_overrides
from reknit.runs.corpus import prepare_corpus
from reknit.runs.phases import phases_of, train_phases
from reknit.runs.run_folder import RunFolder
from reknit.runs.start import build_start
from reknit.sources.passages import PassageSpec
from reknit.training.team import Team

MLM, CLM = find("mlm"), find("clm")
SEEN: list[dict[str, torch.Tensor]] = []


@dataclass(frozen=True)
class ImitationSpec(ObjectiveSpec):
    """Be near to a companion."""

    beside: str = "mlm"

    @property
    def companions(self) -> tuple[str, ...]:
        return (self.beside,)

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> Imitation:
        return Imitation(self.beside)


class Imitation(Objective):
    def __init__(self, beside: str) -> None:
        super().__init__()
        self.beside = beside

    def forward(self, encoder, batch, rng):
        view, companion = View.clean(batch), self.companions[self.beside]
        if not SEEN:
            SEEN.append({name: value.clone() for name, value in companion.state_dict().items()})
        return StepOutput({"distance": (encoder(view).last - companion(view).last).pow(2).mean()})


def staged(beside: str = "mlm", **changes) -> Recipe:
    return replace(
        MLM,
        card=replace(MLM.card, name="imitation"),
        objective=ImitationSpec(beside),
        budget=BudgetSpec(tokens=3_000_000),
        after=(replace(MLM, budget=BudgetSpec(tokens=1_000_000), data=PassageSpec(tokens_per_batch=256)),),
        **changes,
    )


def config_of(folder: Path, recipe: Recipe) -> RunConfig:
    config = RunConfig(
        str(write_small_corpus(folder / "corpus.jsonl")),
        start="scratch",
        pretrain=recipe,
        budget=BudgetSpec(tokens=4000),
        keep="last",
        probe=ProbeSpec(queries=10, per_phase=1),
        precision="float32",
    )
    tiny = {"dim": 32, "depth": 2, "heads": 2, "intermediate": 64, "vocabulary": 300}
    words = [f"pretrain.encoder.{name}={value}" for name, value in tiny.items()]
    return with_overrides(config, (*words, "pretrain.data.tokens_per_batch=256"))


def trained(folder: Path, config: RunConfig):
    run = RunFolder(folder / "run")
    corpus = prepare_corpus(config, run, ())
    model = build_start(config, run, corpus)
    start = copy.deepcopy(model.encoder.state_dict())
    facts = train_phases(config, run, corpus, model, lambda: {"nDCG@10": 0.0}, StopRequest(), Team())
    return run, start, model, facts


def test_stages_are_phases_that_divide_the_budget() -> None:
    config = replace(RunConfig("c", start="scratch"), pretrain=staged(), tune=find("infonce-pairs"), pretrain_share=0.4)
    phases = phases_of(config)
    assert [phase.name for phase in phases] == ["pretrain-mlm", "pretrain", "tune"]
    assert [phase.part for phase in phases] == pytest.approx([0.1, 0.3, 1.0])
    assert {phase.setting for phase in phases[:2]} == {"pretrain"}
    own = with_overrides(config, ("pretrain.encoder.dim=48",))
    assert [phase.recipe.encoder.dim for phase in phases_of(own)[:2]] == [48, 48], "all stages train one encoder"


def test_a_stored_configuration_keeps_its_stages() -> None:
    import reknit.catalogue as catalogue

    config = RunConfig("c", pretrain=staged())
    original = catalogue.find
    try:
        catalogue.find = lambda name: staged() if name == "imitation" else original(name)
        assert from_json(to_json(config)) == config
    finally:
        catalogue.find = original


def test_a_later_stage_learns_beside_what_an_earlier_one_ended_with(tmp_path: Path) -> None:
    SEEN.clear()
    run, _, model, facts = trained(tmp_path, config_of(tmp_path, staged()))
    assert [phase["name"] for phase in facts["phases"]] == ["pretrain-mlm", "pretrain"]
    assert [phase["recipe"] for phase in facts["phases"]] == ["mlm", "imitation"]
    tokens = [phase["tokens"] for phase in facts["phases"]]
    assert 1000 <= tokens[0] < 1500
    assert sum(tokens) >= 4000
    ended = copy.deepcopy(model.encoder)
    run.phase("pretrain-mlm").load_encoder("final", ended)
    assert all(torch.equal(value, SEEN[0][name]) for name, value in ended.state_dict().items())


def test_the_start_is_a_companion_also_on_resume(tmp_path: Path) -> None:
    config = config_of(tmp_path, staged("start"))
    SEEN.clear()
    run, start, *_ = trained(tmp_path, config)
    assert all(torch.equal(value, SEEN[0][name]) for name, value in start.items())
    (run.phase("pretrain").folder / "done.json").unlink()
    SEEN.clear()
    trained(tmp_path, config)
    assert all(torch.equal(value, SEEN[0][name]) for name, value in start.items())


def test_a_folder_with_another_vocabulary_is_refused(tmp_path: Path) -> None:
    other = write_small_model(tmp_path / "other")
    with pytest.raises(ReknitError, match="has another vocabulary"):
        trained(tmp_path, config_of(tmp_path, staged(str(other))))
