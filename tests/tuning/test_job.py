"""A whole tuning run by every method, and what is left of one that fails."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import contents
from labelled_texts import labelled, write_tsv
from small_model import write_small_model

import reknit
from reknit.adapters.files import KINDS
from reknit.errors import ReknitError
from reknit.models.loading import load_embedding_model
from reknit.runs.result import RunResult
from reknit.tuning import deliver, job
from reknit.tuning.config import configured
from reknit.tuning.fit import fit
from reknit.tuning.head import LabelHead
from reknit.tuning.job import tune
from reknit.tuning.labels import load_labels
from reknit.tuning.result import PROBE, TUNED, TuningResult

QUICK = ("training.epochs=1", "training.learning_rates=1e-2", "precision=float32")
TEXTS = [text for _, text in labelled(10, 5)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_model(tmp_path_factory.mktemp("start") / "small")


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tsv(tmp_path_factory.mktemp("labels") / "tickets.tsv", labelled(120, 0))


@pytest.mark.parametrize("kind", KINDS, ids=[kind.kind for kind in KINDS])
def test_the_folder_gives_what_was_measured(kind, model: Path, labels: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = tune(model, labels, out, method=kind.kind, settings=QUICK)
    assert TuningResult.from_json(json.loads((out / "result.json").read_text())) == result
    assert RunResult.read(out / "result.json") is None, "it is no run of adapt"
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "model", "report.html", "result.json"]
    config = configured(str(model), str(labels), kind.kind, QUICK)
    data, start = load_labels(labels, config.test_fraction, config.seed), load_embedding_model(model)
    fitted = fit(data, start, config.part, config.training, config.seed, "float32")
    assert result.arms[TUNED].accuracy == fitted.right.mean()
    loaded = reknit.load(out)
    trained = fitted.classifier.model
    trained.normalize = True
    wrong, moved = (np.abs(loaded.encode(TEXTS) - one.encode(TEXTS)).max() for one in (trained, start))
    assert wrong < 1e-5
    assert moved > 10 * wrong, "the adapter is applied"
    predicted = LabelHead.load(out / "model" / "head").predict(loaded, [text for _, text in data.test])
    assert np.mean([one == label for one, (label, _) in zip(predicted, data.test, strict=True)]) == pytest.approx(
        result.arms[TUNED].accuracy, abs=1.01 / len(data.test)
    )
    adapter = out / "model" / "adapter"
    assert result.arms[TUNED].bytes == sum(file.stat().st_size for file in adapter.iterdir())
    whole = sum(value.numel() for value in start.encoder.parameters())
    assert result.arms[TUNED].trained_fraction == result.arms[TUNED].trained_weights / whole > 0
    assert (result.arms[PROBE].trained_weights, result.arms[PROBE].bytes) == (0, 0)
    assert result.command == f"reknit tune {model} {labels} --method {kind.kind} --out {out} " + " ".join(
        f"--set {setting}" for setting in QUICK
    )
    assert result.verdict.sentence.split(":")[0] in (out / "report.html").read_text()


def test_without_the_adapter_the_start_model_is_left(model: Path, labels: Path, tmp_path: Path) -> None:
    import shutil

    tune(model, labels, tmp_path / "run", settings=QUICK)
    shutil.rmtree(tmp_path / "run" / "model" / "adapter")
    start = load_embedding_model(model)
    np.testing.assert_allclose(reknit.load(tmp_path / "run").encode(TEXTS), start.encode(TEXTS), atol=1e-6)


def test_settings_reach_the_adapter_and_the_training(model: Path, labels: Path, tmp_path: Path) -> None:
    settings = (*QUICK, "part.rank=3", "part.targets=up,down", "seed=4", "test_fraction=0.4")
    result = tune(model, labels, tmp_path / "run", settings=settings)
    assert result.arms[TUNED].trained_weights == 2 * 2 * 3 * (32 + 64)
    assert (result.seed, result.settings["part"]["targets"]) == (4, ["up", "down"])
    assert 24 < result.texts["judging"] < 72


def test_a_run_can_be_tuned_again_where_its_adapter_merges(model: Path, labels: Path, tmp_path: Path) -> None:
    tune(model, labels, tmp_path / "first", method="lora", settings=QUICK)
    tune(tmp_path / "first", labels, tmp_path / "second", method="parallel", settings=QUICK)
    with pytest.raises(ReknitError, match="has an adapter that stays beside the model"):
        tune(tmp_path / "second", labels, tmp_path / "third", settings=QUICK)
    assert not (tmp_path / "third").exists()


def test_a_model_with_an_expansion_leaves_it_out(model: Path, labels: Path, tmp_path: Path) -> None:
    from reknit.export.sentence_transformers import save
    from reknit.models.query_expansion import QueryExpansion

    start = load_embedding_model(model)
    start.expansion = QueryExpansion.of(TEXTS, start.encode(TEXTS))
    save(start, tmp_path / "start")
    result = tune(tmp_path / "start", labels, tmp_path / "run", settings=QUICK)
    assert any("query expansion" in note for note in result.notes)
    assert not (tmp_path / "run" / "model" / "query_expansion").exists()


def test_a_folder_that_gives_other_vectors_is_not_kept(
    model: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(adapted, spec, folder: Path) -> None:
        with torch.no_grad():
            adapted.adapter.updates["query"][0].second.add_(0.5)
        real(adapted, spec, folder)
        with torch.no_grad():
            adapted.adapter.updates["query"][0].second.sub_(0.5)

    real = deliver.save_adapter
    monkeypatch.setattr(deliver, "save_adapter", damaged)
    with pytest.raises(ReknitError, match="gives other vectors"):
        tune(model, labels, tmp_path / "run", settings=QUICK)
    assert list(tmp_path.iterdir()) == []


def test_an_old_run_stays_until_the_new_one_is_whole(
    model: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    tune(model, labels, out, settings=QUICK)
    before = contents(out)
    with pytest.raises(ReknitError, match="already holds a tuned model: add --overwrite"):
        tune(model, labels, out, settings=QUICK)
    with monkeypatch.context() as patched:
        patched.setattr(deliver, "render_page", lambda result: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            tune(model, labels, out, method="ia3", settings=QUICK, overwrite=True)
    assert contents(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert tune(model, labels, out, method="ia3", settings=QUICK, overwrite=True).method == "ia3"
    assert TuningResult.from_json(json.loads((out / "result.json").read_text())).method == "ia3"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "lorra"}, "did you mean lora"),
        ({"method": "mlm"}, "mlm is not a method of tune"),
        ({"settings": ("part.rank=0",)}, "rank is 0: it must be above 0"),
        ({"settings": ("part.width=3",)}, "there is no field 'width' here; there are rank"),
        ({"settings": ("test_fraction=0",)}, "test_fraction: 0.0 must be above 0"),
        ({"settings": ("method=bitfit",)}, "change it in the command itself"),
        ({"settings": ("start=elsewhere",)}, "change it in the command itself"),
        ({"settings": ("training.texts=0",)}, "nothing to learn from"),
        ({"settings": ("training.epochs=0",)}, "fine_tuning.epochs is 0"),
        ({"labels": "nowhere.tsv"}, "cannot be read"),
        ({"model": "no-such-folder/x/y"}, "does not exist"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    changes: dict, message: str, model: Path, labels: Path, tmp_path: Path
) -> None:
    given = {"model": model, "labels": labels} | changes
    with pytest.raises(ReknitError, match=message) as found:
        tune(given.pop("model"), given.pop("labels"), tmp_path / "run", **given)
    assert "\n" not in str(found.value)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_not_free(model: Path, labels: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ReknitError, match="is not empty and holds no tuned model"):
        tune(model, labels, tmp_path, overwrite=True)
    with pytest.raises(ReknitError, match="is a file"):
        tune(model, labels, tmp_path / "notes.txt")
    assert contents(tmp_path) == {"notes.txt": b"mine"}


def test_one_process_only(model: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ReknitError, match="without torchrun"):
        job.tune(model, labels, tmp_path / "run")
