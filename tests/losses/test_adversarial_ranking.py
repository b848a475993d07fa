"""The game's losses against loops, what has no gradient, and what they ask of a retriever."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from twins.losses.adversarial_ranking import (
    naive_adversarial_ranking,
    naive_distilled_ranking,
    naive_list_cross_entropy,
)

from reknit.losses.adversarial_ranking import adversarial_ranking, distilled_ranking, list_cross_entropy


def lists(lengths: list[int], seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Scores of retriever and ranker, and what is present; what is not has scores that would be noticed."""
    generator = torch.Generator().manual_seed(seed)
    present = torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None]
    retriever, ranker = (3 * torch.randn(present.shape, generator=generator) for _ in range(2))
    return retriever.masked_fill(~present, 50.0), ranker.masked_fill(~present, 50.0), present


def rows(scores: Tensor, present: Tensor) -> list[Tensor]:
    return [row[there] for row, there in zip(scores, present, strict=True)]


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=6), seed=st.integers(0, 1000))
def test_equal_the_loops_forward_and_gradient(lengths: list[int], seed: int) -> None:
    retriever, ranker, present = lists(lengths, seed)
    for fast, slow in ((adversarial_ranking, naive_adversarial_ranking), (distilled_ranking, naive_distilled_ranking)):
        ours, theirs = retriever.clone().requires_grad_(), retriever.clone().requires_grad_()
        loss, expected = fast(ours, ranker, present), slow(rows(theirs, present), rows(ranker, present))
        torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
        loss.backward(), expected.backward()
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-4)
    ours, theirs = ranker.clone().requires_grad_(), ranker.clone().requires_grad_()
    loss, accuracy = list_cross_entropy(ours, present)
    expected = naive_list_cross_entropy(rows(theirs, present))
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    loss.backward(), expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-4)
    first = [bool(row[0] == row.max()) for row in rows(ranker, present)]
    assert float(accuracy) == pytest.approx(sum(first) / len(first))


@pytest.mark.parametrize("loss", [adversarial_ranking, distilled_ranking])
def test_the_ranker_is_frozen_while_it_teaches(loss) -> None:
    retriever, ranker, present = lists([4, 2, 3], 0)
    retriever.requires_grad_(), ranker.requires_grad_()
    loss(retriever, ranker, present).backward()
    assert ranker.grad is None
    assert retriever.grad[present].abs().min() > 0
    assert not retriever.grad[~present].any()


def test_what_fools_the_ranker_is_pulled_up_and_the_rest_pushed_down() -> None:
    ranker = torch.tensor([[0.0, 6.0, -6.0]])
    retriever = torch.zeros(1, 3, requires_grad=True)
    adversarial_ranking(retriever, ranker, torch.ones(1, 3, dtype=torch.bool)).backward()
    own, fooling, clear = (-retriever.grad[0]).tolist()  # where a step of descent goes
    assert fooling > 0 > own > clear


def test_a_ranker_that_nothing_fools_leaves_a_contrastive_loss() -> None:
    retriever, _, present = lists([4, 4, 4], 1)
    ranker = torch.tensor([[30.0, 0.0, 0.0, 0.0]]).expand(3, 4)
    expected = math.log(2) * list_cross_entropy(retriever, present)[0]
    torch.testing.assert_close(adversarial_ranking(retriever, ranker, present), expected)


def test_agreement_has_the_rankers_entropy_and_no_gradient() -> None:
    _, ranker, present = lists([4, 2, 1], 2)
    retriever = (ranker + 7.0).requires_grad_()
    loss = distilled_ranking(retriever, ranker, present)
    entropies = [float(torch.distributions.Categorical(logits=row).entropy()) for row in rows(ranker, present)]
    assert float(loss.detach()) == pytest.approx(sum(entropies) / 3, abs=1e-5)
    loss.backward()
    assert float(retriever.grad.abs().max()) < 1e-6


def test_scores_in_bfloat16_are_compared_in_float32() -> None:
    retriever, ranker, present = lists([4, 2, 3], 3)
    low = retriever.bfloat16(), ranker.bfloat16(), present
    assert adversarial_ranking(*low).dtype == distilled_ranking(*low).dtype == torch.float32
    assert list_cross_entropy(low[1], present)[0].dtype == torch.float32
