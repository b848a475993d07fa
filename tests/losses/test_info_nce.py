"""InfoNCE against loops, forward and gradient."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from twins.losses.info_nce import naive_info_nce

from reknit.losses.info_nce import info_nce


@settings(max_examples=40, deadline=None)
@given(
    groups=st.lists(st.integers(0, 4), min_size=1, max_size=7) | st.none(),
    seed=st.integers(0, 1000),
    temperature=st.sampled_from([0.05, 0.5, 1.0]),
    symmetric=st.booleans(),
    same_side=st.booleans(),
)
def test_equals_the_loop_forward_and_gradient(
    groups: list[int] | None, seed: int, temperature: float, symmetric: bool, same_side: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    count = 5 if groups is None else len(groups)
    queries, passages = (torch.randn(count, 3, generator=generator).requires_grad_() for _ in range(2))
    loss, _ = info_nce(
        queries,
        passages,
        None if groups is None else torch.tensor(groups),
        temperature=temperature,
        symmetric=symmetric,
        same_side=same_side,
    )
    expected = naive_info_nce(queries, passages, groups, temperature, symmetric, same_side)
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-4)
    ours = torch.autograd.grad(loss, (queries, passages))
    theirs = torch.autograd.grad(expected, (queries, passages))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_chance_and_perfection() -> None:
    same = torch.ones(8, 4)
    assert float(info_nce(same, same, temperature=0.05)[0]) == pytest.approx(2.0794415)  # log 8
    apart = torch.eye(8)
    loss, accuracy = info_nce(apart, apart, temperature=0.05)
    assert float(loss) < 1e-6
    assert float(accuracy) == 1.0
    assert float(info_nce(apart, apart.roll(1, dims=0), temperature=0.05)[1]) == 0.0


def test_one_group_leaves_nothing_to_tell_apart() -> None:
    vectors = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    loss, accuracy = info_nce(vectors, vectors, torch.zeros(4, dtype=torch.long), temperature=0.05, same_side=True)
    assert float(loss) == 0.0
    assert float(accuracy) == 1.0


def test_bfloat16_vectors_are_scored_in_float32() -> None:
    vectors = torch.randn(6, 8, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)
    assert info_nce(vectors, vectors, temperature=0.05)[0].dtype == torch.float32
