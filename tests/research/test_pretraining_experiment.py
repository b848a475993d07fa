"""Objectives at equal budget as an experiment: a whole claim on tiny data, its controls, and every check listed."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from research_samples import SETTINGS, material
from small_corpus import small_documents
from typer.testing import CliRunner

from reknit import catalogue
from reknit.claim import SIZES, ClaimCheck, Pair
from reknit.cli.main import app
from reknit.errors import ReknitError
from reknit.jobs.interrupt import StopRequest
from reknit.recipe import System
from reknit.research.claims import check_claims, plan_claim
from reknit.research.pretraining.config import LOSS, parse_arm
from reknit.research.pretraining.experiment import CLAIM_SIZES, PretrainingExperiment
from reknit.research.pretraining.unigram import unigram_entropy
from reknit.sources.token_store import TokenStore
from reknit.tokenizers.tokenizer import train_tokenizer

CHECKED = {name: system for name, system in catalogue.systems().items() if system.check is not None}
TINY = PretrainingExperiment(corpus="corpus.jsonl", eval=("classes", "pairs"), settings=(*SETTINGS, "corpus_share=1.0"))


@pytest.mark.parametrize("system", CHECKED.values(), ids=list(CHECKED))
def test_every_check_is_well_formed(system: System) -> None:
    """Its arms can be made at every size, and what has pairs has a control."""
    for size in SIZES:
        plan = plan_claim(system.card.name, size)
        assert plan.controls or not plan.check.pairs, "a check of pairs names the control that must be seen"
        assert len(set(plan.arms)) == len(plan.arms) >= 1
        for arm in plan.arms:
            assert plan.experiment.flops(arm) >= 0.0
        assert plan.check.measures in ("claim", "part", "mechanism", "proxy")


@pytest.mark.parametrize("system", CHECKED.values(), ids=list(CHECKED))
def test_every_check_of_objectives_is_about_its_own(system: System) -> None:
    """A check that was inherited from a parent would be about the parent; a measure is one of those it opens."""
    check = system.check
    assert check is not None
    experiment = check.experiment or PretrainingExperiment()
    if not isinstance(experiment, PretrainingExperiment):
        pytest.skip("of another experiment, whose arms have names of their own")
    assert system.card.name in {arm.split(":")[0] for pair in check.pairs for arm in (pair.first, pair.second)}
    names = [folder.rsplit("/", 1)[-1] for folder in experiment.eval]
    assert all(pair.measure == "all" or pair.measure.split()[0] in names for pair in check.pairs)


def tiny_check(name: str) -> ClaimCheck:
    return ClaimCheck(
        experiment=TINY, better=(Pair(name, "mlm", "classes accuracy"),), measures="part", needs="A larger corpus."
    )


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """slm and rts have tiny checks, which are measured alike."""
    known = catalogue.systems()
    found = known | {name: replace(known[name], check=tiny_check(name)) for name in ("slm", "rts")}
    monkeypatch.setattr(catalogue, "systems", lambda package="reknit_recipes": found)


@pytest.mark.usefixtures("tiny")
def test_a_whole_claim(tmp_path: Path) -> None:
    material(tmp_path / "data")
    words = ["claim", "slm", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--budget", "1000tok"]
    ended = CliRunner().invoke(app, [*words, "--records", str(tmp_path)])
    assert ended.exit_code == 0, ended.output
    record = json.loads((tmp_path / "slm.json").read_text())
    assert record["verdict"] in ("holds", "does not hold", "undecided", "blind")
    assert f"Verdict: {record['verdict']}" in ended.output
    assert record["budget"] == "1000tok"
    values = {(run["arm"], run["seed"]): run["values"] for run in record["runs"]}
    assert {arm for arm, _ in values} == {"untrained", "unigram", "mlm", "slm"}
    assert (
        record["control"]["pair"] | {"first": "mlm", "second": "untrained", "measure": "classes accuracy"}
        == (record["control"]["pair"])
    )
    # mlm is a language model, so its loss must be below the line too.
    (loss,) = record["control"]["further"]
    assert (loss["pair"]["first"], loss["pair"]["second"], loss["pair"]["measure"]) == ("mlm", "unigram", LOSS)
    assert loss["difference"] == pytest.approx(
        sum(values["mlm", seed][LOSS] - values["unigram", seed][LOSS] for seed in range(3)) / 3
    )
    assert values["untrained", 0][LOSS] is None
    # An encoder that is hardly trained knows no contexts: its control is not seen.
    assert not loss["seen"]
    assert record["verdict"] == "blind"
    for arm in ("mlm", "slm", "untrained"):
        assert values[arm, 0].keys() == {"classes accuracy", "pairs Spearman", LOSS}


@pytest.mark.usefixtures("tiny")
def test_claims_share_their_trainings_and_keep_them(tmp_path: Path) -> None:
    material(tmp_path / "data")
    given = {"budget": "1000tok", "size": "large", "records": tmp_path / "records"}
    slm, rts = check_claims(["slm", "rts"], tmp_path / "data", tmp_path / "out", **given)
    shared = [[run for run in record["runs"] if run["arm"] == "mlm"] for record in (slm, rts)]
    assert shared[0] == shared[1]
    (folder,) = (tmp_path / "out").iterdir()
    arms = sorted(path.name for path in (folder / "material" / "arms").iterdir())
    assert arms == ["mlm", "rts", "slm", "untrained"]
    (alone,) = check_claims(["slm"], tmp_path / "data", tmp_path / "out", **given)
    assert alone["runs"] == slm["runs"]
    assert json.loads((tmp_path / "records" / "rts-large.json").read_text())["pairs"] == rts["pairs"]


def test_an_arm_without_a_language_model_has_no_loss(tmp_path: Path) -> None:
    material(tmp_path / "data")
    experiment = replace(TINY, budget="1000tok", eval=("classes",))
    (tmp_path / "folder").mkdir()
    arms = ["rts", "clm"]
    experiment.prepare(tmp_path / "data", tmp_path / "folder", arms)
    rts, clm = (experiment.run(arm, 0, tmp_path / "data", tmp_path / "folder", StopRequest()) for arm in arms)
    assert rts.values[LOSS] is None
    lines = (tmp_path / "folder" / "arms" / "clm" / "seed-0" / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["losses"]["causal"] for line in lines if "losses" in line]
    last = losses[-max(1, len(losses) // 10) :]
    assert clm.values[LOSS] == pytest.approx(sum(last) / len(last))
    assert clm.spent["tokens"] >= 1000
    assert clm.curve


def test_the_unigram_entropy_is_that_of_the_counts(tmp_path: Path) -> None:
    texts = [document["text"] for document in small_documents(20)]
    store = TokenStore.build(texts, train_tokenizer(texts, 200), tmp_path / "store", max_length=32)
    counts: Counter[int] = Counter()
    for number in range(len(store)):
        tokens, special, _ = store.sequence(number)
        counts.update(int(token) for token, added in zip(tokens, special, strict=True) if not added)
    total = sum(counts.values())
    naive = -sum(count / total * math.log(count / total) for count in counts.values())
    assert unigram_entropy(store) == pytest.approx(naive)
    assert 0.0 < naive < math.log(len(counts))


def test_the_control_is_the_arm_that_the_first_pair_is_compared_with() -> None:
    controls = PretrainingExperiment().controls((Pair("a", "b", "x accuracy"), Pair("c", "d")))
    assert controls == (Pair("b", "untrained", "x accuracy"), Pair("b", "unigram", LOSS))
    (first, _) = PretrainingExperiment().controls((Pair("a", "untrained"),))
    assert first == Pair("a", "untrained")
    assert PretrainingExperiment().controls(()) == ()


def test_what_a_training_costs_follows_budget_and_size() -> None:
    small, large = (PretrainingExperiment().at(size) for size in SIZES)
    for experiment, budget in ((small, 2e12), (large, 40e12)):
        untrained = experiment.flops("untrained")
        assert untrained > 0.0, "it is tuned as the others are"
        assert experiment.flops("mlm") == untrained + budget
        assert experiment.flops("unigram") == 0.0
    bare = replace(small, settings=("tuning=none",))
    assert bare.flops("untrained") == 0.0
    tokens = bare.with_budget("1Mtok").flops("mlm")
    assert bare.with_budget("2Mtok").flops("mlm") == 2 * tokens
    # Counted by hand: three blocks, and a head over 8,000 tokens; forward and backward, a multiply-add is two.
    weights = 3 * (4 * 128**2 + 2 * 128 * 512) + 128 * (128 + 8000)
    assert tokens == 6e6 * weights
    with pytest.raises(ReknitError, match="a budget in seconds does not say how much"):
        small.with_budget("2m").flops("mlm")


def test_settings_follow_size_and_start() -> None:
    config = PretrainingExperiment(settings=("encoder.depth=7",)).at("large").config(Path("data"))
    assert (config.encoder.dim, config.encoder.depth, config.corpus) == (256, 7, "data/text/mix_en.jsonl.zst")
    assert set(CLAIM_SIZES) == set(SIZES)
    assert PretrainingExperiment().with_start(Path("base")).config(Path()).start == "base"
    assert parse_arm("untrained").recipe is None
