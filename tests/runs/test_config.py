from __future__ import annotations

import json

import pytest

from reknit import catalogue
from reknit.errors import ReknitError
from reknit.recipe import BudgetSpec
from reknit.runs.config import PromptSpec, RunConfig, from_json, to_json, with_overrides


def config() -> RunConfig:
    return RunConfig(corpus="c", pretrain=catalogue.find("dupmae"), tune=catalogue.find("infonce-pairs"))


def test_every_kind_of_field_can_be_set() -> None:
    changed = with_overrides(
        config(),
        (
            "seed=7",
            "budget.tokens=5000",
            "budget.seconds=none",
            "pretrain.objective.decoder_ratio=0.7",
            "pretrain.objective.whole_words=false",
            "pretrain.optimiser.lr_scheduler_type=cosine",
            "tune.data.pair_kinds=title, crop",
            "keep=last",
            'prompts.query="query: "',
            "prompts.document=passage: ",
        ),
    )
    assert changed.seed == 7
    assert changed.budget == BudgetSpec(tokens=5000)
    assert changed.pretrain is not None
    assert changed.pretrain.objective.decoder_ratio == 0.7  # type: ignore[attr-defined]
    assert changed.pretrain.objective.whole_words is False  # type: ignore[attr-defined]
    assert changed.pretrain.optimiser.lr_scheduler_type == "cosine"
    assert changed.tune is not None
    assert changed.tune.data.pair_kinds == ("title", "crop")
    assert changed.keep == "last"
    assert changed.prompts == PromptSpec("query: ", "passage: ")
    assert with_overrides(changed, ('prompts.document=""', "prompts.query=none")).prompts == PromptSpec(None, "")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("seed", "has no '='"),
        ("sede=1", "no field 'sede'"),
        ("seed=soon", "not of type int"),
        ("seed.deeper=1", "no fields below"),
        ("pretrain.objective=1", "name one of its fields"),
        ("pretrain.objective.whole_words=perhaps", "neither true nor false"),
        ("precision=float8", "none of auto, float32, bfloat16"),
        ("tune.data.tagger=code", "no field 'tagger' here; there are pair_kinds, "),
    ],
)
def test_bad_assignments_say_what_is_wrong(assignment: str, message: str) -> None:
    with pytest.raises(ReknitError, match=message):
        with_overrides(config(), (assignment,))


def test_a_phase_that_a_run_does_not_have_has_nothing_to_set() -> None:
    with pytest.raises(
        ReknitError, match=r"pretrain\.encoder\.dim: this run has no pretrain, so there is nothing to set"
    ):
        with_overrides(RunConfig(corpus="c"), ("pretrain.encoder.dim=8",))


@pytest.mark.parametrize("name", list(catalogue.recipes()))
def test_json_round_trip(name: str) -> None:
    original = with_overrides(
        RunConfig(corpus="c", pretrain=catalogue.find(name), eval=("a", "b")), ("pretrain.optimiser.learning_rate=0.5",)
    )
    assert from_json(json.loads(json.dumps(to_json(original)))) == original


def test_a_run_from_before_expansions_goes_on_without_one():
    stored = to_json(RunConfig(corpus="c"))
    del stored["expansion"]
    assert from_json(stored).expansion.words == 0
