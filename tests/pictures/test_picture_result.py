"""What a run on pictures writes of itself, and how it is worded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reknit.errors import ReknitError
from reknit.pictures import words
from reknit.pictures.card import picture_card
from reknit.pictures.page import render_page
from reknit.pictures.result import HeldOutLosses, PictureExportCheck, PictureFacts, PictureResult
from reknit.runs.result import Phase, Training

PHASE = Phase("pretrain", 4, 0, 544, 1e9, 2.0, "budget spent", None, None, recipe="simmim")
RESULT = PictureResult(
    reknit_version="0.2.0",
    command="reknit pretrain simmim --corpus photos --out run",
    date="2026-11-30T10:00:00+00:00",
    seed=3,
    start="scratch",
    training=Training(544, 2.0, 272.0, 1e9, (PHASE,)),
    held_out=HeldOutLosses({"pixels": 0.5}, 0.8, 20),
    corpus=PictureFacts(410, 400, 10, 20, 64, {"damaged": 2, "not a picture": 1}, ("<b>.jpg: damaged",)),
    export=PictureExportCheck({"reknit": 1e-7, "transformers": 2e-6}, 8),
)


def test_round_trip() -> None:
    assert PictureResult.from_json(RESULT.to_json()) == RESULT
    assert PictureResult.from_json({"kind": "pictures"}) == PictureResult()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"kind": "tuning"}, "is no result of a run on pictures"),
        ({"kind": "pictures", "version": 2}, "written by a newer reknit"),
        ({"kind": "pictures", "training": {"tokens": "many"}}, "it is damaged"),
        ([], "is no result of a run on pictures"),
    ],
)
def test_what_is_none(value: object, message: str) -> None:
    with pytest.raises(ReknitError, match=message):
        PictureResult.from_json(value)


def test_a_model_that_learnt_nothing_is_called_so() -> None:
    assert "loses 0.800, which is more." in words.held_out_sentence(RESULT)
    nothing = replace(RESULT, held_out=HeldOutLosses({"pixels": 0.8}, 0.8, 20))
    assert words.held_out_sentence(nothing).endswith("loses 0.800: nothing was learnt.")
    # Below the mean picture is no proof: a new encoder with new heads may be that too.
    for before, learnt in ((0.7, True), (0.6, False), (0.5, False)):
        held_out = HeldOutLosses({"pixels": 0.6}, 0.8, 20, {"pixels": before})
        sentence = words.held_out_sentence(replace(RESULT, held_out=held_out))
        assert f"pixels 0.600 (before training {before:.3f})" in sentence
        assert sentence.endswith("which is more.") == learnt
        assert ("nothing was learnt" in sentence) != learnt
    other = replace(RESULT, held_out=HeldOutLosses({"contrast": 2.0}, None, 20))
    assert words.held_out_sentence(other) == "On 20 held-out pictures the losses are: contrast 2.000."
    assert words.held_out_sentence(replace(RESULT, held_out=None)) == ""


def test_card_and_page() -> None:
    config = {
        "pretrain": {"card": {"title": "SimMIM", "paper": "https://arxiv.org/abs/2111.09886", "citation": "@a{}"}}
    }
    card, page = picture_card(RESULT, config), render_page(RESULT, [], config)
    assert card.startswith("---\nlibrary_name: transformers\npipeline_tag: image-feature-extraction\n")
    for line in ("recipe simmim (SimMIM, https://arxiv.org/abs/2111.09886)", "ViTModel.from\\_pretrained", "@a{}"):
        assert line.replace("\\", "") in card.replace("\\", "")
    for text in (card, page):
        assert "400" in text
        assert "of these: damaged" in text
        assert RESULT.command in text
    assert "&lt;b&gt;.jpg: damaged" in page
    assert "<b>" not in page
