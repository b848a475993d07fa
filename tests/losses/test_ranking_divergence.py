"""The ranking's divergence against loops, its gradient, and what is left out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from twins.losses.ranking_divergence import naive_ranking_divergence

from reknit.data.batch import TeacherTargets
from reknit.losses.ranking_divergence import ranking_divergence


@pytest.fixture
def lesson() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(5, 6, generator=generator)
    documents = functional.normalize(torch.randn(9, 6, generator=generator), dim=-1)
    left_out = torch.zeros(5, 9, dtype=torch.bool)
    left_out[0, 2:4] = left_out[3, 8] = True
    targets = functional.softmax(torch.randn(5, 9, generator=generator).masked_fill(left_out, -torch.inf), dim=-1)
    targets[1] = functional.one_hot(torch.tensor(4), 9)
    return queries, documents, targets, left_out


def test_value_and_gradient_are_those_of_loops(lesson: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    queries, documents, targets, left_out = lesson
    fast, slow = queries.clone().requires_grad_(), queries.clone().requires_grad_()
    loss, _ = ranking_divergence(fast, documents, targets, left_out, temperature=0.2)
    expected = naive_ranking_divergence(slow, TeacherTargets(documents, targets, left_out), 0.2)
    assert torch.allclose(loss, expected, atol=1e-6)
    loss.backward(), expected.backward()
    assert torch.allclose(fast.grad, slow.grad, atol=1e-6)


def test_agreement_has_no_loss_and_no_gradient(lesson: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    queries, documents, _, left_out = lesson
    queries.requires_grad_()
    similarities = functional.normalize(queries.detach(), dim=-1) @ documents.t() / 0.05
    targets = functional.softmax(similarities.masked_fill(left_out, -torch.inf), dim=-1)
    loss, agree = ranking_divergence(queries, documents, targets, left_out, temperature=0.05)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)
    assert float(agree) == 1.0
    assert float(queries.grad.abs().max()) < 1e-6


def test_documents_left_out_change_nothing(lesson: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    queries, documents, targets, left_out = lesson
    left_out = torch.zeros_like(left_out)
    left_out[:, 7] = True
    targets = functional.normalize(targets.masked_fill(left_out, 0.0), p=1, dim=-1)
    before, _ = ranking_divergence(queries, documents, targets, left_out, temperature=0.1)
    moved = documents.clone()
    moved[7] = functional.normalize(queries[0], dim=-1)
    after, _ = ranking_divergence(queries, moved, targets, left_out, temperature=0.1)
    assert torch.equal(before, after)
