"""Which tokens the bag-of-words task sees."""

from __future__ import annotations

from dataclasses import replace

from toy_models import toy_batch

from reknit.decoders.bag_of_words import ordinary_content


def test_special_tokens_are_left_out_and_offsets_follow() -> None:
    batch = toy_batch(0, (6, 2, 4))
    tokens = batch.tokens.clone()
    tokens[2] = 1  # unknown
    rows, offsets, words = ordinary_content(replace(batch, tokens=tokens))
    assert rows.tolist() == [1, 3, 4, 9, 10]
    assert offsets.tolist() == [0, 3, 3, 5]
    assert words.tolist() == tokens[rows].tolist()
