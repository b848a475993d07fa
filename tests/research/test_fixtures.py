"""Models that claims go on from: trained once for what made them, resumed after a stop, and loaded with their heads."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from research_samples import SETTINGS, material
from typer.testing import CliRunner

from reknit import catalogue
from reknit.claim import ClaimCheck, Pair
from reknit.cli.main import app
from reknit.errors import ReknitError
from reknit.jobs.interrupt import Interrupted, StopRequest
from reknit.research import fixture_record, fixtures
from reknit.research.claims import check_claims
from reknit.research.fixtures import (
    FIXTURES,
    Fixture,
    facts_of,
    find_fixture,
    fixture_folder,
    load_fixture,
    train_fixture,
)
from reknit.research.pretraining import arm as arms_module
from reknit.research.pretraining.experiment import PretrainingExperiment

TINY = Fixture(
    name="tiny",
    arm="mlm-vs-clm:objective.masked.ratio=0.15",
    budget="4000tok",
    settings=(*SETTINGS, "corpus_share=1.0"),
    corpus="corpus.jsonl",
    kept_out=("search",),
)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder; the cache is a folder of the test's own."""
    monkeypatch.setenv(fixtures.CACHE, str(tmp_path / "cache"))
    material(tmp_path / "data")
    return tmp_path / "data"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_fixture_is_trained_once_and_loads_with_its_heads(data: Path, tmp_path: Path) -> None:
    folder = train_fixture(TINY, data, StopRequest())
    assert folder.parent == tmp_path / "cache" / "fixtures"
    before = files(folder)
    assert train_fixture(TINY, data, StopRequest()) == folder
    assert files(folder) == before
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name], "the workplace is gone"
    facts = facts_of(folder)
    assert facts["unigram_entropy"] > 0.0
    assert facts["bytes"] == sum(len(content) for name, content in before.items() if name != "fixture.json")
    model, objective = load_fixture(TINY, folder)
    assert model.encode(["a text"]).shape == (1, 32)
    # The heads are those that it was trained with: their loss is what the training ended near, not that of new ones.
    heads = torch.cat([weight.flatten() for weight in objective.masked.head.parameters()])
    new = catalogue.find("mlm-vs-clm").objective.build(model.encoder, model.tokenizer.vocabulary, model.pooling)
    assert not torch.equal(heads, torch.cat([weight.flatten() for weight in new.masked.head.parameters()]))
    assert objective.log_likelihood(model.encoder, model.tokenizer.pack(["a text"], 16)) is not None


def test_what_made_it_names_its_folder(data: Path, tmp_path: Path) -> None:
    first = fixture_folder(TINY, data)
    assert fixture_folder(replace(TINY), data) == first
    others = [
        replace(TINY, seed=1),
        replace(TINY, budget="5000tok"),
        replace(TINY, arm="mlm"),
        replace(TINY, settings=(*TINY.settings, "encoder.depth=3")),
        replace(TINY, kept_out=()),
    ]
    found = {fixture_folder(other, data) for other in others}
    assert len(found | {first}) == len(others) + 1
    # Not where the data lie, but what they hold.
    (data / "corpus.jsonl").rename(tmp_path / "elsewhere.jsonl")
    with pytest.raises(ReknitError, match=r"has no corpus.jsonl: name the folder"):
        fixture_folder(TINY, data)
    (tmp_path / "elsewhere.jsonl").rename(data / "corpus.jsonl")
    assert fixture_folder(TINY, data) == first
    with (data / "corpus.jsonl").open("a") as corpus:
        corpus.write('{"text": "One more."}\n')
    assert fixture_folder(TINY, data) not in {first, *found}


def test_a_training_that_was_stopped_is_resumed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, calls = arms_module.train_phases, []

    def stopped(*given: object) -> object:
        calls.append(given)
        raise Interrupted("stopped")

    monkeypatch.setattr(arms_module, "train_phases", stopped)
    with pytest.raises(Interrupted):
        train_fixture(TINY, data, StopRequest())
    assert calls
    assert not fixture_folder(TINY, data).exists()
    monkeypatch.setattr(arms_module, "train_phases", run)
    assert train_fixture(TINY, data, StopRequest()).exists()


def test_a_fixture_that_is_too_large_is_none(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixtures, "LARGEST", 1000)
    with pytest.raises(ReknitError, match=r"tiny has [\d,]+ bytes; a fixture may have 1,000"):
        train_fixture(TINY, data, StopRequest())
    assert not fixture_folder(TINY, data).exists()


def test_a_claim_goes_on_from_the_fixture_that_its_check_names(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = PretrainingExperiment(
        corpus="corpus.jsonl", eval=("classes",), settings=(*SETTINGS, "tuning=none", "corpus_share=1.0")
    )
    check = ClaimCheck(experiment=experiment, better=(Pair("slm", "mlm"),), start="tiny")
    known = catalogue.systems()
    found = known | {"slm": replace(known["slm"], check=check)}
    monkeypatch.setattr(catalogue, "systems", lambda package="reknit_recipes": found)
    with pytest.raises(ReknitError, match="there is no fixture 'tiny'; there are masked-en"):
        check_claims(["slm"], data, data.parent / "out", budget="1000tok")
    monkeypatch.setitem(FIXTURES, "tiny", TINY)
    (record,) = check_claims(["slm"], data, data.parent / "out", budget="1000tok")
    assert record["start"] == "tiny"
    start = record["experiment"]["start"]
    assert start == str(fixture_folder(TINY, data) / "model")
    # What is untrained here is the fixture, which is the same with every seed.
    values = [run["values"]["classes accuracy"] for run in record["runs"] if run["arm"] == "untrained"]
    assert len(set(values)) == 1


def test_a_record_says_whether_it_has_learnt(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FIXTURES, "tiny", TINY)
    for name in [name for name in FIXTURES if name != "tiny"]:
        monkeypatch.delitem(FIXTURES, name)
    monkeypatch.setattr(
        fixture_record, "PretrainingExperiment", partial(PretrainingExperiment, eval=("classes", "pairs"))
    )
    words = ["claim", "--fixtures", "--data", str(data), "--out", str(tmp_path / "out"), "--records", str(tmp_path)]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, ended.output
    record = json.loads((tmp_path / "tiny.json").read_text())
    assert record["below_unigram"] == (record["loss"] < record["unigram_entropy"])
    assert [(run["arm"], run["seed"]) for run in record["runs"]] == [
        (arm, seed) for seed in range(3) for arm in ("untrained", "tiny")
    ]
    means = {
        arm: [
            (run["values"]["classes accuracy"] + run["values"]["pairs Spearman"]) / 2 for run in record["runs"][at::2]
        ]
        for at, arm in enumerate(("untrained", "tiny"))
    }
    difference = sum(means["tiny"]) / 3 - sum(means["untrained"]) / 3
    assert record["against_untrained"]["difference"] == pytest.approx(difference)
    assert f"loss {record['loss']:.3f} nats a token" in ended.output


def test_the_listed_fixtures_can_be_made() -> None:
    for name, fixture in FIXTURES.items():
        assert fixture.name == name
        assert find_fixture(name) is fixture
        config = fixture.config(Path("data"))
        assert config.tuning == "none"
