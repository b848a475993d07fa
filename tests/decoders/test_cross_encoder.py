"""Two texts in one sequence: which tokens, in which order, and what is cut."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from toy_models import TOY_VOCABULARY

from reknit.data.batch import Batch, Vocabulary
from reknit.decoders.cross_encoder import joined
from reknit.errors import ReknitError

QUERY, PASSAGE, OTHER = [2, 11, 12, 3], [2, 21, 22, 23, 24, 3], [2, 31, 3]


def texts(*sequences: list[int], vocabulary: Vocabulary = TOY_VOCABULARY) -> Batch:
    tensors = [torch.tensor(sequence, dtype=torch.long) for sequence in sequences]
    return Batch.pack([(tokens, tokens < 5, tokens >= 5) for tokens in tensors], vocabulary)


def numbers(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def test_joined_texts_share_one_opening_token() -> None:
    view = joined(texts(QUERY, PASSAGE, OTHER), numbers(0, 0, 2), numbers(1, 2, 1))
    together = [[2, 11, 12, 3, 21, 22, 23, 24, 3], [2, 11, 12, 3, 31, 3], [2, 31, 3, 21, 22, 23, 24, 3]]
    assert view.tokens.tolist() == [token for text in together for token in text]
    assert view.cu_seqlens.diff().tolist() == [9, 6, 8]
    assert not view.predict.any()
    assert not view.masked.any()


@pytest.mark.parametrize(("limit", "kept"), [(9, [21, 22, 23, 24, 3]), (8, [21, 22, 23, 3]), (6, [21, 3]), (5, [3])])
def test_a_passage_that_is_cut_keeps_its_closing_token(limit: int, kept: list[int]) -> None:
    view = joined(texts(QUERY, PASSAGE, OTHER), numbers(0, 2), numbers(1, 2), limit)
    assert view.tokens.tolist() == [*QUERY, *kept, *OTHER, *([31, 3] if limit > 4 else [])]


def test_a_query_that_leaves_no_room() -> None:
    with pytest.raises(ReknitError, match=r"query of 4 tokens leaves a passage no room .* model's 4 positions; lower"):
        joined(texts(QUERY, PASSAGE), numbers(0), numbers(1), 4)


def test_without_an_opening_token_nothing_is_left_out() -> None:
    bare = replace(TOY_VOCABULARY, cls=-1, sep=-1)
    view = joined(texts([11, 12], [21, 22], [], vocabulary=bare), numbers(0, 0, 2), numbers(1, 2, 1))
    assert view.tokens.tolist() == [11, 12, 21, 22, 11, 12, 21, 22]
    assert view.cu_seqlens.tolist() == [0, 4, 6, 8]
