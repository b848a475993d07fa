"""`reknit explain`, from the words of the command to what lies in the folder."""

from __future__ import annotations

import contextlib
import inspect
import json
import shutil
from pathlib import Path

import pytest
import torch
from command_line import contents, reknit
from page_reader import Page
from small_corpus import write_small_corpus
from small_model import write_small_model

from reknit import catalogue
from reknit.cli import explaining
from reknit.explanation import job
from reknit.explanation.config import DEFAULT_METHOD
from reknit.explanation.result import ExplainResult
from reknit.interpretability.features_folder import SavedFeatures
from reknit.jobs.files import read_json
from reknit.jobs.interrupt import StopRequest
from reknit.models.loading import load_model
from reknit.retrieval.build import build_index

SETTINGS = {
    "part.width": 40,
    "part.k": 4,
    "part.states_per_batch": 64,
    "states": 6000,
    "training_states": 2000,
    "passage_words": 30,
    "shown": 5,
    "excerpts": 2,
}
QUERY = "what turns the barak"


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model and a corpus."""
    folder = tmp_path_factory.mktemp("given")
    return write_small_model(folder / "model"), write_small_corpus(folder / "corpus.jsonl", documents=60)


def words(given: tuple[Path, Path], out: Path, *more: str, **changes: object) -> list[str]:
    settings = [word for name, value in (SETTINGS | changes).items() for word in ("--set", f"{name}={value}")]
    return ["explain", str(given[0]), "--corpus", str(given[1]), "--out", str(out), *settings, *more]


@pytest.fixture(scope="module")
def finished(given: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished explanation with a query; only to be read."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("finished") / "explained"
    reknit(*words(given, out, "--query", QUERY)).succeeded()
    return out


def test_what_lies_in_the_folder(finished: Path) -> None:
    assert sorted(file.name for file in finished.iterdir()) == ["config.json", "features", "report.html", "result.json"]
    result = ExplainResult.read(finished / "result.json")
    assert result.to_json() == read_json(finished / "result.json")
    assert (result.layer, result.model) == (1, "model")
    sample = result.sample
    assert sample.documents == 60
    assert sample.seen_passages == sample.sampled_passages // 2
    assert 6000 <= sample.sampled_states <= 6000 + 128 or sample.sampled_passages == sample.passages
    assert 0 < result.trained.quality.active <= 4
    assert 0 < result.control.quality.active <= 4
    assert len(result.features) == result.trained.descriptions.live
    assert len(result.shown) == min(5, len(result.features)) > 0
    saved = SavedFeatures.load(finished / "features")
    assert (saved.method, saved.layer, saved.of, saved.model.width) == ("topk-sae", 1, "model", 40)


def test_excerpts_are_passages_with_marks(finished: Path) -> None:
    for feature in ExplainResult.read(finished / "result.json").shown:
        assert 1 <= len(feature.excerpts) <= 2
        activations = [excerpt.activation for excerpt in feature.excerpts]
        assert activations == sorted(activations, reverse=True)
        for excerpt in feature.excerpts:
            assert excerpt.marks
            ends = [place for mark in excerpt.marks for place in mark]
            assert ends == sorted(ends)
            assert 0 <= ends[0] < ends[-1] <= len(excerpt.text)


def test_the_hit_and_its_features(finished: Path) -> None:
    hit = ExplainResult.read(finished / "result.json").hit
    assert hit is not None
    assert (hit.query, hit.searched) == (QUERY, "the sampled passages")
    values = [feature.contribution for feature in hit.features]
    assert values == sorted(values, reverse=True)
    assert 0 < len(values) <= 12
    for feature in hit.features:
        assert all(word in hit.text.lower() for word in feature.fires_on)


def test_the_page(finished: Path) -> None:
    page = Page((finished / "report.html").read_text(encoding="utf-8"))
    assert page.faults == []
    result = ExplainResult.read(finished / "result.json")
    assert [name for tag, name in page.headings if tag == "h2"] == [
        "Why this was found",
        "Features",
        "How it was measured",
    ]
    assert page.headings[0][1] == result.verdict.sentence
    for shown in (
        QUERY,
        "random directions",
        f"{len(result.shown)} of {len(result.features)} live features",
        str(finished),
    ):
        assert shown in page.text


def test_another_query_trains_nothing_again(finished: Path, given: tuple[Path, Path], tmp_path: Path) -> None:
    own = tmp_path / "explained"
    shutil.copytree(finished, own)
    before, first = contents(own / "features"), ExplainResult.read(own / "result.json")
    ended = reknit(*words(given, own, "--query", "joins", "--resume", "--json")).succeeded()
    printed = ExplainResult.from_json(json.loads(ended.out))
    assert printed == ExplainResult.read(own / "result.json")
    assert contents(own / "features") == before
    assert printed.hit is not None
    assert printed.hit.query == "joins"
    assert (printed.features, printed.trained, printed.control) == (first.features, first.trained, first.control)


def test_a_run_with_an_index_is_searched_there(given: tuple[Path, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(given[0], run / "model")
    model = load_model(run / "model")
    passages = [("only", "A title", "The fenip lifts the gilon in case 3.")]
    build_index(run / "index", passages, lambda texts: model.comparable(model.encode(texts)), dim=model.dim)
    out = tmp_path / "explained"
    reknit(*words((run, given[1]), out, "--query", "anything", states=1500, training_states=200)).succeeded()
    hit = ExplainResult.read(out / "result.json").hit
    assert hit is not None
    assert (hit.id, hit.title, hit.searched) == ("only", "A title", str(run / "index"))
    assert hit.text == "A title The fenip lifts the gilon in case 3."


class StopsAfter(StopRequest):
    """Asks for a stop from the `looks`-th look at it on."""

    def __init__(self, looks: int) -> None:
        self._left = looks

    @property
    def asked(self) -> bool:
        self._left -= 1
        return self._left < 0


@pytest.mark.parametrize("looks", [0, 61, 80])
def test_a_stopped_explanation_is_resumed(
    looks: int, finished: Path, given: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it reads, encodes and trains."""
    out = tmp_path / "explained"
    with monkeypatch.context() as patch:
        patch.setattr(job, "listen_for_stop", lambda: contextlib.nullcontext(StopsAfter(looks)))
        assert "--resume" in reknit(*words(given, out, "--query", QUERY)).complaint(130)
    assert not (out / "result.json").exists()
    reknit(*words(given, out, "--query", QUERY, "--resume")).succeeded()
    found, whole = (ExplainResult.read(folder / "result.json") for folder in (out, finished))
    assert (found.features, found.hit, found.verdict) == (whole.features, whole.hit, whole.verdict)


@pytest.mark.parametrize(
    ("more", "changes", "complaint"),
    [
        (("--method", "topk"), {}, "no method of explain 'topk'; did you mean topk-sae"),
        (("--method", "mlm"), {}, "mlm is not a method of explain"),
        ((), {"layer": 3}, "layers 0 to 2: layer=3"),
        ((), {"part.k": 41}, "part.k is 41"),
        ((), {"states": 0}, "states: 0 must be above 0"),
        ((), {"part.states_per_batch": 0}, "must be above 0"),
        ((), {"states": 100}, "20 are needed"),
        ((), {"part.depth": 2}, "no field 'depth'"),
        ((), {"corpus": "x"}, "--set cannot change model, corpus or method"),
        (("--query", "  "), {}, "query is empty"),
        (("--resume",), {}, "no explanation to resume"),
    ],
)
def test_bad_input(
    more: tuple[str, ...], changes: dict, complaint: str, given: tuple[Path, Path], tmp_path: Path
) -> None:
    assert complaint in reknit(*words(given, tmp_path / "out", *more, **changes)).complaint()
    assert not (tmp_path / "out").exists()


def test_the_default_method_is_one() -> None:
    assert inspect.signature(explaining.explain).parameters["method"].default == DEFAULT_METHOD
    assert DEFAULT_METHOD in catalogue.methods("explain")


def test_a_folder_that_is_taken(finished: Path, given: tuple[Path, Path]) -> None:
    before = contents(finished)
    assert "already holds a explanation" in reknit(*words(given, finished)).complaint()
    assert "another part" in reknit(*words(given, finished, "--resume", **{"part.k": 5})).complaint()
    assert contents(finished) == before
