"""Pictures pre-trained and fine-tuned side by side: what is unpacked, drawn, trained and measured."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from photos import smooth
from PIL import Image

from reknit.catalogue import find
from reknit.errors import ReknitError
from reknit.jobs.interrupt import Interrupted, StopRequest
from reknit.objectives.masked_pictures import MaskedPictures
from reknit.pictures.held_out import held_out_losses, mean_picture
from reknit.research.claims import plan_claim
from reknit.research.photos.experiment import ACCURACY, MEAN, PIXELS, SCRATCH, PhotoExperiment
from reknit.research.photos.material import draw, read_split, unpack
from reknit.research.photos.untrained import fit_head

TINY = PhotoExperiment(
    archive="toy.tar.xz",
    pictures=20,
    labels=8,
    judging=12,
    steps=3,
    pictures_per_batch=8,
    epochs=1,
    labels_per_batch=4,
    picture=16,
    patch=4,
    dim=32,
    depth=1,
    heads=2,
)
DEEP = "simmim:objective.head_layers=1"


def archive_of(path: Path, members: dict[str, bytes], **unsafe: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:xz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in unsafe.values():
            archive.addfile(member)
    return path


def png(seed: int) -> bytes:
    held = io.BytesIO()
    Image.fromarray(smooth(seed, 16, 16)).save(held, "PNG")
    return held.getvalue()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    members = {
        f"img/cifar10/{split}/{label}/{seed}.png": png(seed)
        for split, first in (("train", 0), ("test", 100))
        for label, seeds in (("cat", range(first, first + 12)), ("dog", range(first + 50, first + 62)))
        for seed in seeds
    }
    archive_of(folder / "toy.tar.xz", members | {"img/other/1.png": png(0), "img/README": b"x"})
    return folder


@pytest.fixture(scope="module")
def material(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("material")
    TINY.prepare(data, folder, ["simmim", SCRATCH, MEAN, DEEP])
    return folder


def run(material: Path, arm: str, seed: int = 0, experiment: PhotoExperiment = TINY) -> dict[str, float | None]:
    return experiment.run(arm, seed, Path(), material, StopRequest()).values


def test_only_what_was_asked_for_is_unpacked(data: Path, material: Path) -> None:
    assert sorted(place.name for place in (material / "pictures").iterdir()) == ["test", "train"]
    assert len(list((material / "pictures").rglob("*.png"))) == 48
    split = read_split(material / "pictures" / "train", 16, material / "train")
    assert np.bincount(split.labels).tolist() == [12, 12]
    assert split.pixels.shape == (24, 16, 16, 3)
    assert np.array_equal(split.pixels[0], smooth(0, 16, 16))


@pytest.mark.parametrize("name", ["/etc/one.png", "img/cifar10/../../one.png", "../one.png"])
def test_a_member_outside_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    archive_of(tmp_path / "bad.tar.xz", {"img/cifar10/train/cat/1.png": png(1), name: png(2)})
    with pytest.raises(ReknitError, match="has the unsafe member"):
        unpack(tmp_path / "bad.tar.xz", "img/cifar10", tmp_path / "out" / "pictures")
    assert not (tmp_path / "out" / "pictures").exists()
    assert not list(tmp_path.rglob("one.png"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_member_that_is_no_plain_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("img/cifar10/train/cat/1.png")
    member.type, member.linkname = kind, "/etc/passwd"
    archive_of(tmp_path / "bad.tar.xz", {}, one=member)
    with pytest.raises(ReknitError, match="has the unsafe member"):
        unpack(tmp_path / "bad.tar.xz", "img/cifar10", tmp_path / "pictures")


def test_archives_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "cut.tar.xz").write_bytes(archive_of(tmp_path / "a.tar.xz", {"img/1.png": png(1)}).read_bytes()[:60])
    with pytest.raises(ReknitError, match="cannot be unpacked"):
        unpack(tmp_path / "cut.tar.xz", "img", tmp_path / "pictures")
    unpack(tmp_path / "a.tar.xz", "nowhere", tmp_path / "empty")
    with pytest.raises(ReknitError, match="has no folders of pictures"):
        read_split(tmp_path / "empty" / "train", 16, tmp_path / "train")


def test_what_a_seed_draws() -> None:
    train, test = np.repeat(np.arange(5), 20), np.repeat(np.arange(5), 8)
    drawn = draw(train, test, pictures=60, labels=15, judging=30, seed=3)
    assert len(set(drawn.unlabelled.tolist())) == 60
    assert np.bincount(train[drawn.learnt]).tolist() == [3] * 5
    assert set(drawn.learnt) <= set(drawn.unlabelled)
    assert len(set(drawn.judging.tolist())) == 30
    again, other = (draw(train, test, pictures=60, labels=15, judging=30, seed=seed) for seed in (3, 4))
    assert np.array_equal(again.learnt, drawn.learnt)
    assert not np.array_equal(other.learnt, drawn.learnt)
    for more in ({"pictures": 101}, {"labels": 200}, {"judging": 41}):
        with pytest.raises(ReknitError, match="too few for"):
            draw(train, test, **{"pictures": 60, "labels": 15, "judging": 30, "seed": 3, **more})


def test_what_is_measured(material: Path) -> None:
    found = {arm: TINY.run(arm, 0, Path(), material, StopRequest()) for arm in ("simmim", DEEP, SCRATCH, MEAN)}
    assert found[MEAN].values[ACCURACY] is None
    for arm, outcome in found.items():
        assert outcome.values[PIXELS] > 0
        assert [point["step"] for point in outcome.curve] == ([1, 2, 3] if arm.startswith("simmim") else [])
        if arm != MEAN:
            assert 0.0 <= outcome.values[ACCURACY] <= 1.0
    assert found["simmim"].values[PIXELS] != found[DEEP].values[PIXELS]
    # The checkpoint is found, and everything random follows from the seed.
    assert run(material, "simmim") == found["simmim"].values
    other = replace(TINY, pretraining_rate=0.0)
    assert run(material, "simmim", 1, other)[PIXELS] != run(material, "simmim", 2, other)[PIXELS]


def test_a_stop_is_heard_and_resumed(data: Path, tmp_path: Path, material: Path) -> None:
    TINY.prepare(data, tmp_path, ["simmim"])
    stop = StopRequest()
    stop.asked = True
    with pytest.raises(Interrupted):
        TINY.run("simmim", 0, Path(), tmp_path, stop)
    assert run(tmp_path, "simmim") == run(material, "simmim")
    with pytest.raises(Interrupted, match="while fine-tuning"):
        TINY.run("simmim", 0, Path(), tmp_path, stop)


def test_the_mean_picture_by_loops(material: Path) -> None:
    split = read_split(material / "pictures" / "train", 16, material / "train")
    numbers = np.array([3, 5, 8])
    mean = mean_picture(split.pixels, numbers)
    assert float(mean[2, 7, 1]) == pytest.approx(np.mean([float(split.pixels[number, 2, 7, 1]) for number in numbers]))
    model, objective = TINY._built(TINY.recipe("simmim"), 0)
    losses = held_out_losses(objective, model, split.pixels, numbers, mean)
    guess = model.batch(mean[None]).signal.values
    batch = model.batch(torch.from_numpy(split.pixels[numbers]))
    _, wanted, view = objective.predictions(model.encoder, batch, torch.Generator().manual_seed(0))
    errors, columns = [], 4
    for place, values in zip(view.signal.places[view.masked[view.signal.at]].tolist(), wanted, strict=True):
        errors += (values - guess[place[0] * columns + place[1]]).abs().tolist()
    assert losses.mean_picture == pytest.approx(np.mean(errors), rel=1e-5)
    assert held_out_losses(objective, model, split.pixels, np.array([], dtype=int), mean) is None


def test_the_untrained_head_is_the_best_linear_one(material: Path) -> None:
    split = read_split(material / "pictures" / "train", 16, material / "train")
    model, objective = TINY._built(TINY.recipe("simmim"), 0)
    assert isinstance(objective, MaskedPictures)
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    batch = model.batch(torch.from_numpy(np.array(split.pixels)))

    def squared() -> float:
        with torch.no_grad():
            predicted, wanted, _ = objective.predictions(model.encoder, batch, torch.Generator().manual_seed(0))
            return float((predicted - wanted).pow(2).mean())

    start = squared()
    fit_head(objective, model, split.pixels)
    best = squared()
    assert best < start
    assert all(torch.equal(before[name], value) for name, value in model.encoder.state_dict().items())
    with torch.no_grad():
        objective.pixels.bias.add_(0.05)
    assert squared() > best


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ("scratch:objective.unit=1", "the arm scratch has no settings"),
        ("mlm", "mlm does not train on pictures"),
        ("simmin", "did you mean simmim"),
        ("simmim:objective.depth=1", "there is no field 'depth'"),
        ("simmim:encoder.patch=5", "patches of 5 do not fill"),
    ],
)
def test_arms_that_cannot_be(arm: str, message: str) -> None:
    with pytest.raises(ReknitError, match=message):
        TINY.prepare(Path("nowhere"), Path("nowhere"), [arm])


def test_the_claim() -> None:
    plan = plan_claim("simmim")
    assert [(pair.second, pair.measure) for pair in plan.controls] == [(SCRATCH, PIXELS), (MEAN, PIXELS)]
    assert set(plan.arms) == {"simmim", "simmim:objective.head_layers=4", SCRATCH, MEAN}
    check = find("simmim").check
    assert [(pair.first, pair.second, pair.measure) for pair in check.better] == [("simmim", SCRATCH, ACCURACY)]
    assert [pair.margin for pair in check.no_worse] == [0.01]
    assert plan.experiment.lower_is_better(PIXELS)
    assert not plan.experiment.lower_is_better(ACCURACY)
    assert plan.experiment.flops(MEAN) == 0.0 < plan.experiment.flops(SCRATCH) < plan.experiment.flops("simmim")
    assert plan.experiment.flops("simmim") < plan.experiment.flops("simmim:objective.head_layers=4")
    assert plan.experiment.at("large").flops("simmim") > 100 * plan.experiment.flops("simmim")
