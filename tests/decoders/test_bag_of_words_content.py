"""Which tokens the bag-of-words task sees."""

from __future__ import annotations

from dataclasses import replace

import torch
from toy_models import toy_batch

from reknit.decoders.bag_of_words import ordinary_content


def test_special_tokens_are_left_out_and_offsets_follow() -> None:
    batch = toy_batch(0, (6, 2, 4))
    tokens = batch.tokens.clone()
    tokens[2] = 1  # unknown
    batch = replace(batch, tokens=tokens)
    rows, offsets, words = ordinary_content(batch, torch.ones(12, dtype=torch.bool))
    assert rows.tolist() == [1, 3, 4, 9, 10]
    assert offsets.tolist() == [0, 3, 3, 5]
    assert words.tolist() == tokens[rows].tolist()


def test_texts_that_are_not_asked_for_have_no_tokens() -> None:
    batch = toy_batch(0, (6, 2, 4))
    wanted = torch.tensor([False] * 8 + [True] * 4)
    rows, offsets, words = ordinary_content(batch, wanted)
    assert rows.tolist() == [9, 10]
    assert offsets.tolist() == [0, 0, 0, 2]
    assert words.tolist() == batch.tokens[9:11].tolist()
