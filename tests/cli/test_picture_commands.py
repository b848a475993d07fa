"""A folder of photos through the command line: pre-trained, exported, loaded; killed and resumed; refusals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import command, contents, read_result, reknit
from photos import write_bad, write_photos
from safetensors.torch import load_file

import reknit as library
from reknit.data.images.patches import normalised
from reknit.data.images.reading import read_picture
from reknit.models.picture_model import PictureModel

SMALL = {"picture": 16, "patch": 4, "dim": 32, "depth": 2, "heads": 2, "intermediate": 64}
ROWS = 8 * 17


def pretrain(corpus: Path | str, out: Path, *more: object, steps: int = 4, **changes: object) -> list[object]:
    settings = {f"pretrain.encoder.{name}": value for name, value in SMALL.items()}
    settings |= {"pretrain.data.pictures_per_batch": 8, "precision": "float32"} | changes
    words = ["pretrain", "simmim", "--corpus", corpus, "--out", out, "--budget", f"{steps * ROWS}tok"]
    return [*words, *more, *(word for name, value in settings.items() for word in ("--set", f"{name}={value}"))]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("corpus") / "photos", 24)


@pytest.fixture(scope="module")
def finished(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; only to be read."""
    run = tmp_path_factory.mktemp("finished") / "run"
    ended = reknit(*pretrain(photos, run)).succeeded()
    assert "Trained, not evaluated" in ended.out
    assert "guessing the mean picture loses" in ended.out
    return run


def test_a_whole_run(photos: Path, finished: Path) -> None:
    result = read_result(finished)
    assert result["kind"] == "pictures"
    assert (result["corpus"]["pictures"], result["corpus"]["held_out"], result["corpus"]["size"]) == (24, 2, 16)
    assert result["training"]["phases"][0]["recipe"] == "simmim"
    assert (result["training"]["phases"][0]["steps"], result["training"]["tokens"]) == (4, 4 * ROWS)
    assert set(result["export"]["against"]) == {"reknit", "transformers"}
    assert result["held_out"]["pictures"] == 2
    assert set(result["held_out"]["losses"]) == {"pixels"}
    for page in ("report.html", "model/README.md"):
        # The whole configuration below has the settings of every run.
        text = (finished / page).read_text().partition("The whole configuration")[0]
        assert "guessing the mean picture loses" in text
        assert "patches" in text
        assert not {word for word in ("documents", "passages", "tokens per second", ">tokens<") if word in text}
    assert result["command"].startswith(f"reknit pretrain simmim --corpus {photos} --out {finished}")


def test_the_folder_is_a_model_of_reknit_and_of_transformers(photos: Path, finished: Path) -> None:
    from transformers import ViTModel

    files = sorted(photos.rglob("*.*"))[:5]
    for place in (finished, finished / "model"):
        model = library.load(place)
        assert isinstance(model, PictureModel)
        vectors = model.encode(files)
        assert vectors.shape == (5, 32)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    theirs, info = ViTModel.from_pretrained(finished / "model", output_loading_info=True)
    assert not info["missing_keys"]
    pixels = torch.stack([torch.from_numpy(read_picture(file, 16)) for file in files])
    with torch.no_grad():
        states = theirs.eval()(normalised(pixels)).last_hidden_state.mean(dim=1)
    expected = torch.nn.functional.normalize(states, dim=-1)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_a_run_goes_on_from_the_model_of_another(photos: Path, finished: Path, tmp_path: Path) -> None:
    words = ["pretrain", "simmim", "--corpus", photos, "--out", tmp_path / "run", "--budget", f"{2 * ROWS}tok"]
    words += ["--start", finished, "--set", "pretrain.data.pictures_per_batch=8"]
    reknit(*words).succeeded()
    before, after = (load_file(run / "model" / "model.safetensors") for run in (finished, tmp_path / "run"))
    assert before.keys() == after.keys()
    assert read_result(tmp_path / "run")["start"] == str(finished)
    complaint = reknit(*words, "--overwrite", "--set", "pretrain.encoder.dim=64").complaint()
    assert "a run from a trained model keeps its encoder" in complaint


def lines_of(run: Path) -> list[dict]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in ("seconds", "waited")} for line in lines]


def test_a_killed_run_equals_one_that_was_not(photos: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    often = {"steps": 40, "checkpoint_minutes": 0.0005}
    reknit(*pretrain(photos, whole, **often)).succeeded()
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
    running = subprocess.Popen(command(*pretrain(photos, broken, **often)), **quiet)
    while running.poll() is None:
        if (broken / "metrics.jsonl").exists() and (broken / "metrics.jsonl").read_bytes().count(b"\n") > 12:
            running.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    assert running.wait() == -signal.SIGKILL
    reknit(*pretrain(photos, broken, "--resume", **often)).succeeded()
    assert lines_of(broken) == lines_of(whole)
    weights, again = (load_file(run / "model" / "model.safetensors") for run in (whole, broken))
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    assert read_result(broken)["held_out"] == read_result(whole)["held_out"]


def test_bad_files_are_counted_and_too_many_end_the_run(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 10)
    bad = write_bad(photos)
    ended = reknit(*pretrain(photos, tmp_path / "run", "--max-bad", len(bad), steps=1)).succeeded()
    corpus = read_result(tmp_path / "run")["corpus"]
    assert corpus["unreadable"] == {reason: list(bad.values()).count(reason) for reason in bad.values()}
    assert "unreadable files skipped: 5" in ended.out
    assert "cut.jpg: damaged" in (tmp_path / "run" / "report.html").read_text()
    before = contents(tmp_path / "run")
    words = pretrain(photos, tmp_path / "run", "--overwrite", "--max-bad", 2, steps=1)
    assert "more than 2 unreadable pictures, the first are: cut.jpg: damaged" in reknit(*words).complaint()
    assert contents(tmp_path / "run") == before, "the run that was to be overwritten is lost"


def test_texts_and_pictures_are_told_apart(photos: Path, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    no_pictures = r"has no pictures: give a folder of .jpg, .jpeg, .png files"
    assert no_pictures in reknit(*pretrain(corpus, out)).complaint()
    assert not out.exists()
    mlm = ["pretrain", "mlm", "--corpus", photos, "--out", out]
    assert str(photos) in reknit(*mlm).complaint()
    assert not out.exists()
    mixed = ["adapt", photos, "--start", "scratch", "--recipe", "simmim", "--out", out]
    assert "simmim trains on pictures and infonce-pairs trains on texts" in reknit(*mixed).complaint()
    assert not out.exists()


def test_what_pictures_do_not_have_is_refused(photos: Path, collection: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    for more, changes, message in (
        (("--index",), {}, "--index is for texts"),
        (("--eval", collection), {}, "--eval takes labelled texts"),
        ((), {"passage_words": 80}, "--set passage_words=80 would change nothing"),
        ((), {"keep": "best", "probe.queries": 4}, "--set probe.queries=4 would change nothing"),
        ((), {"pretrain.encoder.picture": 15}, "encoder.picture is 15 pixels, which patches of 4 do not fill"),
    ):
        assert message in reknit(*pretrain(photos, out, *more, **changes)).complaint()
        assert not out.exists()


@pytest.mark.parametrize("verb", ["encode", "evaluate", "tune", "explain", "vocabulary", "export", "search", "adapt"])
def test_verbs_of_texts_refuse_a_model_of_pictures(
    verb: str, finished: Path, corpus: Path, collection: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    labels = tmp_path / "labels.tsv"
    labels.write_text("label\ttext\n" + "".join(f"{n % 2}\ttext {n}\n" for n in range(200)))
    words = {
        "encode": ("encode", finished, corpus, "--out", out),
        "evaluate": ("evaluate", finished, "--data", collection),
        "tune": ("tune", finished, labels, "--out", out),
        "explain": ("explain", finished, "--corpus", corpus, "--out", out),
        "vocabulary": ("vocabulary", corpus, "--start", finished, "--out", out),
        "export": ("export", finished, "--out", out),
        "search": ("search", finished, "a cat"),
        "adapt": ("adapt", corpus, "--start", finished, "--out", out),
    }[verb]
    wanted = "has no index/" if verb == "search" else "is a model of pictures, and this needs one of texts"
    assert wanted in reknit(*words).complaint()


def test_the_catalogue_says_how_it_is_used() -> None:
    assert "reknit pretrain simmim --corpus photos/ --out RUN" in reknit("recipes", "simmim").succeeded().out
    assert "Pre-train on and search pictures" in reknit("recipes").succeeded().out
    assert "pretrain.data.least_area" in reknit("settings", "simmim").succeeded().out
