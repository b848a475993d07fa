"""Claims: what an interval answers, which arms are trained, and a whole check on tiny data."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from research_samples import SETTINGS, material
from typer.testing import CliRunner

from reknit import catalogue
from reknit.claim import CLAIM_SIZES, ClaimCheck
from reknit.cli.main import app
from reknit.errors import ReknitError
from reknit.recipe import Recipe
from reknit.research import claims
from reknit.research.pretraining.config import ComparisonConfig, parse_arms
from reknit.research.statistics import Interval
from reknit.runs.config import with_overrides
from reknit.training.budget import parse_budget

CHECKED = {name: recipe for name, recipe in catalogue.recipes().items() if recipe.check is not None}


@pytest.mark.parametrize(
    ("ci95", "margin", "answer"),
    [
        ((0.01, 0.03), 0.0, "holds"),
        ((-0.01, 0.03), 0.0, "undecided at this scale"),
        ((-0.03, -0.01), 0.0, "holds not"),
        ((-0.004, 0.003), 0.005, "holds"),
        ((-0.01, 0.003), 0.005, "undecided at this scale"),
        ((-0.02, -0.006), 0.005, "holds not"),
        (None, 0.0, "undecided at this scale"),
    ],
)
def test_the_whole_interval_decides(ci95: tuple[float, float] | None, margin: float, answer: str) -> None:
    assert claims.judge(Interval(0.0, ci95), margin) == answer
    turned = None if ci95 is None else (-ci95[1], -ci95[0])
    assert claims.judge(Interval(0.0, turned), margin, lower_is_better=True) == answer


def test_of_perplexities_the_lower_one_is_better() -> None:
    runs = [
        {"arm": arm, "seed": seed, "values": {"a accuracy": 0.5, "b pseudo-perplexity": value + seed / 10}}
        for arm, value in (("x", 20.0), ("y", 30.0))
        for seed in range(3)
    ]
    check = ClaimCheck(better=(("x", "y"),), metric="b pseudo-perplexity")
    assert claims._judged({"runs": runs}, check, "x", "y", margin=0.0)["answer"] == "holds"
    assert claims._judged({"runs": runs}, check, "y", "x", margin=0.0)["answer"] == "holds not"
    assert claims._judged({"runs": runs}, check, "y", "x", margin=11.0)["answer"] == "holds"


def test_a_claim_of_several_parts() -> None:
    undecided = "undecided at this scale"
    assert claims.overall(["holds", "holds"]) == "holds"
    assert claims.overall(["holds", undecided]) == undecided
    assert claims.overall(["holds", undecided, "holds not"]) == "holds not"


def test_arms_begin_with_what_should_be_worst() -> None:
    check = ClaimCheck(better=(("dupmae", "retromae"), ("retromae", "mlm")))
    assert claims.arms_of(check) == ["mlm", "retromae", "dupmae"]


@pytest.mark.parametrize("recipe", CHECKED.values(), ids=list(CHECKED))
def test_every_check_is_about_its_recipe_and_can_be_made(recipe: Recipe) -> None:
    assert recipe.check is not None
    arms = claims.arms_of(recipe.check)
    assert len(parse_arms(arms)) == len(arms)
    for size in CLAIM_SIZES.values():
        config = ComparisonConfig("corpus", parse_budget(size.budget))
        with_overrides(config, (*size.settings, *recipe.check.settings))
    # A check that was inherited from a parent would be about the parent.
    assert recipe.card.name in {arm for pair in recipe.check.better + recipe.check.no_worse for arm in pair}


def test_metrics_of_checks_are_measures_of_theirs() -> None:
    for recipe in CHECKED.values():
        metric, names = recipe.check.metric, [folder.rsplit("/", 1)[-1] for folder in recipe.check.eval]
        assert metric == "all" or metric.split()[0] in names


def test_an_arm_without_a_language_model_leaves_sentence_pairs_out_of_the_mean() -> None:
    runs = [
        {"arm": arm, "seed": seed, "values": {"a accuracy": 0.5 + 0.1 * (arm == "x"), "b pair accuracy": pairs}}
        for arm, pairs in (("x", 0.9), ("y", None))
        for seed in range(3)
    ]
    assert claims._values({"runs": runs}, "all", "x") == [0.6] * 3
    with pytest.raises(ReknitError, match="not every arm has the measure 'b pair accuracy'"):
        claims._values({"runs": runs}, "b pair accuracy", "x")


def tiny_check(recipe: Recipe, name: str) -> Recipe:
    check = ClaimCheck(
        better=((name, "mlm"),),
        metric="classes accuracy",
        corpus="corpus.jsonl",
        eval=("classes", "pairs"),
        settings=(*SETTINGS, "corpus_share=1.0"),
        needs="A larger corpus.",
    )
    return replace(recipe, check=check)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """slm and rts have tiny checks, which are alike."""
    find = catalogue.find
    monkeypatch.setattr(
        catalogue, "find", lambda name: tiny_check(find(name), name) if name in ("slm", "rts") else find(name)
    )


@pytest.mark.usefixtures("tiny")
def test_a_whole_check(tmp_path: Path) -> None:
    material(tmp_path / "data")
    words = ["claim", "slm", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--budget", "1000tok"]
    ended = CliRunner().invoke(app, [*words, "--records", str(tmp_path)])
    assert ended.exit_code == 0, ended.output
    record = json.loads((tmp_path / "slm.json").read_text())
    assert record["verdict"] in ("holds", "holds not", "undecided at this scale")
    assert f"Verdict: {record['verdict']}. A larger corpus." in ended.output
    assert record["arms"] == ["mlm", "slm"]
    assert record["seeds"] == 3
    assert [(pair["better"], pair["other"]) for pair in record["pairs"]] == [("slm", "mlm")]
    by_arm = {
        arm: [run["values"]["classes accuracy"] for run in record["runs"] if run["arm"] == arm]
        for arm in record["arms"]
    }
    for pair in record["pairs"]:
        ours, others = by_arm[pair["better"]], by_arm[pair["other"]]
        assert pair["difference"]["mean"] == pytest.approx(sum(ours) / 3 - sum(others) / 3)
    assert {"machine", "versions", "date", "command"} <= record.keys()


@pytest.mark.usefixtures("tiny")
def test_claims_that_are_measured_alike_share_their_trainings(tmp_path: Path) -> None:
    material(tmp_path / "data")
    given = {"budget": "1000tok", "size": "large", "records": tmp_path / "records"}
    slm, rts = claims.check_claims(["slm", "rts"], tmp_path / "data", tmp_path / "out", **given)
    assert (slm["arms"], rts["arms"]) == (["mlm", "slm"], ["mlm", "rts"])
    # Not its mean rank, which depends on the rivals.
    shared = [record["summary"]["mlm"] for record in (slm, rts)]
    assert [(one["values"], one["spent"]) for one in shared] == [(shared[0]["values"], shared[0]["spent"])] * 2
    assert list(slm["summary"]) == ["mlm", "slm"]
    assert {run["arm"] for run in rts["runs"]} == {"mlm", "rts"}
    (comparison,) = (tmp_path / "out").iterdir()
    assert sorted(folder.name for folder in (comparison / "arms").iterdir()) == ["mlm", "rts", "slm"]
    # A comparison that is there is gone on with, and one claim alone comes out the same.
    (alone,) = claims.check_claims(["slm"], tmp_path / "data", tmp_path / "out", **given)
    assert alone["runs"] == slm["runs"]
    assert alone["pairs"] == slm["pairs"]
    assert json.loads((tmp_path / "records" / "rts-large.json").read_text())["verdict"] == rts["verdict"]


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(ReknitError, match=r"the claim of infonce-pairs has no check yet; those that have: .*electra"):
        claims.check_claims(["infonce-pairs"], tmp_path, tmp_path / "out")
    with pytest.raises(ReknitError, match="three at least"):
        claims.check_claims(["electra"], tmp_path, tmp_path / "out", seeds=2)
    with pytest.raises(ReknitError, match=r"has no text/mix_en.jsonl.zst: name the folder .* with --data"):
        claims.check_claims(["electra"], tmp_path, tmp_path / "out")
    with pytest.raises(ReknitError, match="--size is 'huge': choose one of small, large"):
        claims.check_claims(["electra"], tmp_path, tmp_path / "out", size="huge")
    assert not (tmp_path / "out").exists()
