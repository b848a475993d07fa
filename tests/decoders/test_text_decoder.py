"""A decoder's place knows its text so far and its own memory, and nothing else."""

from __future__ import annotations

import pytest
import torch

from reknit.decoders.text_decoder import TextDecoder, padded
from reknit.errors import ReknitError

DIM = 16
TEXTS, MEMORIES = (3, 7, 1, 5), (2, 1, 6, 4)


def offsets(lengths: tuple[int, ...]) -> torch.Tensor:
    return torch.tensor([0, *lengths]).cumsum(0)


@pytest.fixture
def made() -> tuple[TextDecoder, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    decoder = TextDecoder(DIM, 2, max_positions=8, dropout=0.1).eval()
    for parameter in decoder.parameters():
        if parameter.ndim > 1:
            parameter.data.mul_(6)  # else attention is flat
    return decoder, torch.randint(30, (sum(TEXTS),)), torch.randn(30, DIM), torch.randn(sum(MEMORIES), DIM)


@torch.no_grad()
def test_each_text_is_written_as_if_it_were_alone(made) -> None:
    decoder, tokens, table, memory = made
    together = decoder(tokens, offsets(TEXTS), table, memory, offsets(MEMORIES))
    for text, remembered, written in zip(
        tokens.split(TEXTS), memory.split(MEMORIES), together.split(TEXTS), strict=True
    ):
        alone = decoder(text, offsets((len(text),)), table, remembered, offsets((len(remembered),)))
        torch.testing.assert_close(written, alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_place_sees_what_stands_before_it_and_all_of_its_memory(made) -> None:
    decoder, tokens, table, memory = made

    def write() -> torch.Tensor:
        return decoder(tokens, offsets(TEXTS), table, memory, offsets(MEMORIES))

    before = write()
    tokens[5] = (tokens[5] + 1) % 30  # the third token of the second text, which is rows 3 to 9
    changed = (write() - before).abs().amax(dim=1) > 1e-6
    assert changed.tolist() == [5 <= row <= 9 for row in range(sum(TEXTS))]
    before = write()
    memory[8] += 1.0  # the last of the third text, which is row 10
    changed = (write() - before).abs().amax(dim=1) > 1e-6
    assert changed.tolist() == [row == 10 for row in range(sum(TEXTS))]


def test_nothing_to_write_and_too_much(made) -> None:
    decoder, tokens, table, memory = made
    none = torch.zeros(1, dtype=torch.long)
    assert decoder(tokens[:0], none, table, memory[:0], none).shape == (0, DIM)
    with pytest.raises(ReknitError, match="9 tokens is longer than the decoder's 8"):
        decoder(tokens[:9], offsets((9,)), table, memory[:2], offsets((2,)))


def test_padded_rows() -> None:
    rows, real = padded(torch.arange(6), offsets((1, 3, 2)))
    assert real.tolist() == [[True, False, False], [True] * 3, [True, True, False]]
    assert rows[real].tolist() == list(range(6))
