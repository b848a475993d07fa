"""Models of pictures: files in, vectors out; folders written and read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from encoder_samples import shake
from photos import write_bad, write_photos
from small_model import write_small_model
from toy_models import toy_encoder

from reknit.data.images.reading import read_picture
from reknit.encoders.picture_spec import PictureEncoderSpec
from reknit.errors import ReknitError
from reknit.models.any_model import load_any
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.loading import load_model
from reknit.models.picture_model import PictureModel
from reknit.pictures.export_check import check_picture_export

SPEC = PictureEncoderSpec(dim=32, depth=2, heads=2, intermediate=64, picture=12, patch=4)


@pytest.fixture(scope="module")
def model() -> PictureModel:
    torch.manual_seed(0)
    return PictureModel(shake(SPEC.build()), pooling="cls")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), 6)


def test_files_and_arrays_give_the_same_vectors(model: PictureModel, photos: Path) -> None:
    files = sorted(photos.rglob("*.*"))
    pixels = np.stack([read_picture(file, 12) for file in files])
    vectors = model.encode(files)
    assert vectors.dtype == np.float32
    assert np.array_equal(model.encode(pixels), vectors)
    np.testing.assert_allclose(model.encode([str(files[3])])[0], vectors[3], atol=1e-6)
    assert model.encode([]).shape == (0, 32)


def test_a_bad_file_is_named(model: PictureModel, photos: Path, tmp_path: Path) -> None:
    write_bad(tmp_path)
    with pytest.raises(ReknitError, match=r"cut\.jpg cannot be read \(damaged\): leave it out"):
        model.encode([photos / "000.jpg", tmp_path / "cut.jpg"])


def test_a_folder_is_written_and_read(model: PictureModel, photos: Path, tmp_path: Path) -> None:
    model.save(tmp_path / "run" / "model", "# A card\n")
    files = sorted(photos.rglob("*.*"))
    for place in (tmp_path / "run", tmp_path / "run" / "model"):
        loaded = load_any(place)
        assert isinstance(loaded, PictureModel)
        assert loaded.pooling == "cls"
        assert np.array_equal(loaded.encode(files), model.encode(files))
        with pytest.raises(ReknitError, match="is a model of pictures, and this needs one of texts"):
            load_model(place)
    pixels = np.stack([read_picture(file, 12) for file in files])
    assert set(check_picture_export(model, tmp_path / "run" / "model", pixels).against) == {"reknit", "transformers"}
    assert (tmp_path / "run" / "model" / "README.md").read_text() == "# A card\n"


def test_an_export_that_is_another_model_is_found(model: PictureModel, photos: Path, tmp_path: Path) -> None:
    PictureModel(SPEC.build(), pooling="cls").save(tmp_path / "other", "")
    pixels = np.stack([read_picture(file, 12) for file in sorted(photos.rglob("*.*"))])
    with pytest.raises(ReknitError, match="gives other values in reknit, transformers"):
        check_picture_export(model, tmp_path / "other", pixels)


def test_models_of_texts_are_none(tmp_path: Path) -> None:
    folder = write_small_model(tmp_path / "texts")
    assert isinstance(load_any(folder), EmbeddingModel)
    with pytest.raises(ReknitError, match="is no vision transformer, so it reads no pictures"):
        PictureModel.load(folder)
    with pytest.raises(ReknitError, match="model reads texts and no pictures"):
        PictureModel(toy_encoder())


def test_another_model_keeps_its_normalisation(model: PictureModel, photos: Path, tmp_path: Path) -> None:
    """As ViT's own checkpoints have it: a mean and deviation of 0.5."""
    own = PictureModel(model.encoder, pooling="cls", mean=[0.5] * 3, deviation=[0.5] * 3)
    own.save(tmp_path / "own", "# A card\n")
    loaded = PictureModel.load(tmp_path / "own")
    pixels = np.stack([read_picture(file, 12) for file in sorted(photos.rglob("*.*"))])
    assert torch.equal(loaded.normalised(torch.from_numpy(pixels)), own.normalised(torch.from_numpy(pixels)))
    by_hand = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    assert (loaded.normalised(torch.from_numpy(pixels)) - by_hand).abs().max() < 1e-6
    assert np.abs(loaded.encode(pixels) - model.encode(pixels)).max() > 1e-3
    check_picture_export(loaded, tmp_path / "own", pixels)
    settings = tmp_path / "own" / "preprocessor_config.json"
    settings.write_text('{"do_normalize": false}')
    assert float(PictureModel.load(tmp_path / "own").normalised(torch.full((1, 12, 12, 3), 255)).max()) == 1.0
    settings.write_text('{"image_mean": [0.5]}')
    with pytest.raises(ReknitError, match="image_mean and image_std must be three numbers each"):
        PictureModel.load(tmp_path / "own")


def test_what_cannot_be_encoded_is_said(model: PictureModel, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ReknitError, match=r"give a list of files instead of '.*000\.jpg' alone"):
        model.encode(str(photos / "000.jpg"))
    with pytest.raises(ReknitError, match=r"absent\.jpg cannot be read \(cannot be opened\)"):
        model.encode([tmp_path / "absent.jpg"])
    grey = SPEC.build()
    grey.source["num_channels"] = 1
    with pytest.raises(ReknitError, match=r"reads pictures of 1 channel\(s\), and only those of 3"):
        PictureModel(grey)
