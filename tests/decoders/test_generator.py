"""The small generator, what is sampled from it, and the layers it is made of."""

from __future__ import annotations

import pytest
import torch
from toy_models import toy_batch

from reknit.data.attention_rules import VisibleKeys, causal
from reknit.data.batch import View
from reknit.decoders.generator import Generator
from reknit.decoders.stack import TransformerStack
from reknit.errors import ReknitError
from reknit.objectives.sampling import sampled_tokens


def test_samples_follow_the_probabilities_of_the_allowed_tokens() -> None:
    generator = torch.Generator().manual_seed(0)
    table, bias = torch.randn(9, 4, generator=generator), torch.randn(9, generator=generator)
    state = torch.randn(1, 4, generator=generator)
    allowed = torch.tensor([1, 2, 4, 5, 8])
    draws = (torch.arange(20_000) + 0.5) / 20_000
    found = sampled_tokens(state.expand(20_000, 4), table, bias, draws, allowed)
    logits = (state @ table.t() + bias)[0]
    weights = {int(token): float(logits[token].exp()) for token in allowed}
    for token in range(9):
        expected = weights.get(token, 0.0) / sum(weights.values())
        assert float((found == token).float().mean()) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("draw", [0.0, 1.0 - 2**-24])
def test_extreme_draws_give_an_allowed_token(draw: float) -> None:
    table, bias = torch.eye(5), torch.tensor([0.0, 60.0, 0.0, -60.0, 0.0])
    found = sampled_tokens(torch.zeros(3, 5), table, bias, torch.full((3,), draw), torch.tensor([1, 2, 3]))
    assert set(found.tolist()) <= {1, 2, 3}


def test_the_generator_reads_the_table_it_is_given_and_refuses_long_texts() -> None:
    torch.manual_seed(0)
    batch = toy_batch(0, (5, 12))
    generator = Generator(16, 8, 2, 64, max_positions=12, dropout=0.0).eval()
    table = torch.randn(64, 16, requires_grad=True)
    states = generator(View.clean(batch), table)
    assert states.shape == (17, 8)
    states.sum().backward()
    assert table.grad is not None
    assert float(table.grad.abs().sum()) > 0
    with pytest.raises(ReknitError, match="13 tokens is longer than the generator's 12"):
        generator(View.clean(toy_batch(0, (13,))), table)


def test_a_stack_looks_where_its_rules_say() -> None:
    torch.manual_seed(0)
    stack = TransformerStack(8, 2, 2, intermediate=16).eval()
    cu_seqlens = torch.tensor([0, 6, 9])
    hidden = torch.randn(9, 8)
    changed = hidden.clone()
    changed[4] += torch.randn(8)  # a norm would take out what is the same in all dimensions

    def moved(rules: object) -> list[int]:
        with torch.no_grad():
            difference = stack(changed, cu_seqlens, rules) - stack(hidden, cu_seqlens, rules)
        return (difference.abs().amax(dim=1) > 1e-6).nonzero().squeeze(1).tolist()

    visible = torch.ones(9, dtype=torch.bool)
    visible[4] = False
    assert moved(VisibleKeys(torch.ones(9, dtype=torch.bool))) == [0, 1, 2, 3, 4, 5]
    assert moved(causal) == [4, 5]
    assert moved(VisibleKeys(visible)) == [4]
    assert moved([VisibleKeys(visible), causal]) == [4, 5]
