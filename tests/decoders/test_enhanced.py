"""RetroMAE's decoder: the statistics of its masks, and the layer against loops over rows."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from toy_models import toy_batch

from reknit.corruptions.masking import word_units
from reknit.data.attention_rules import AttentionContext
from reknit.data.batch import Batch
from reknit.decoders.enhanced import EnhancedDecoder, RandomContext, hashed_choice, hashed_uniform
from reknit.encoders.attention.packed import AttentionLayout
from reknit.encoders.native.config import default_heads
from reknit.errors import ReknitError


def visible_keys(rule: RandomContext, batch: Batch) -> list[Tensor]:
    """For each sequence, [L, L] bool of who sees whom, asked of the rule directly."""
    found = []
    for start, stop in zip(batch.cu_seqlens[:-1].tolist(), batch.cu_seqlens[1:].tolist(), strict=True):
        places, flat = torch.arange(stop - start), torch.arange(start, stop)
        nothing = torch.zeros(1, stop - start, dtype=torch.bool)
        context = AttentionContext(
            places[None, :, None],
            places[None, None, :],
            flat[None, :, None],
            flat[None, None, :],
            nothing[:, :, None],
            nothing[:, None, :],
            0,
        )
        found.append(rule(context)[0])
    return found


def test_hash_is_uniform_and_independent() -> None:
    draws = hashed_uniform(12345, torch.arange(400)[:, None], torch.arange(500)[None, :])
    assert draws.dtype == torch.float32
    assert float(draws.min()) >= 0.0
    assert float(draws.max()) < 1.0
    assert abs(float(draws.mean()) - 0.5) < 0.002
    histogram = torch.histc(draws, 20, 0.0, 1.0) / draws.numel() * 20
    assert (histogram - 1).abs().max() < 0.03
    centred = draws - 0.5
    for shift, dim in ((1, 0), (1, 1), (2, 0), (64, 1)):
        correlation = (centred * centred.roll(shift, dims=dim)).mean() * 12
        assert abs(float(correlation)) < 0.01, f"draws {shift} apart along {dim} are correlated"
    other = hashed_uniform(12346, torch.arange(400)[:, None], torch.arange(500)[None, :]) - 0.5
    assert abs(float((centred * other).mean() * 12)) < 0.01


def naive_choice(seed: int, row: int, column: int, probability: float) -> bool:
    """One cell of `hashed_choice` in Python's unbounded integers."""

    def mix(value: int) -> int:
        value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
        return value ^ value >> 31

    def odd_key(first: int, second: int) -> int:
        inner = mix((first * 0x9E3779B97F4A7C15 + seed) % 2**64)
        return mix((inner + second * 0xBF58476D1CE4E5B9) % 2**64) >> 32 | 1

    product = odd_key(row, -2) * odd_key(-2, column) % 2**32
    signed = product - 2**32 if product >= 2**31 else product
    return signed + 2**31 <= probability * 2**32


@pytest.mark.parametrize("probability", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("seed", [0, 2**62 - 1])
def test_choice_equals_the_arithmetic_of_unbounded_integers(seed: int, probability: float) -> None:
    rows, columns = torch.tensor([0, 1, 5, 8191, 2**40]), torch.arange(0, 3000, 17)
    ours = hashed_choice(seed, rows[:, None], columns[None, :], probability)
    theirs = [[naive_choice(seed, row, column, probability) for column in columns.tolist()] for row in rows.tolist()]
    assert torch.equal(ours, torch.tensor(theirs))
    if torch.cuda.is_available():
        assert torch.equal(hashed_choice(seed, rows[:, None].cuda(), columns[None, :].cuda(), probability).cpu(), ours)


def choices(seed: int, probability: float = 0.5, rows: int = 1000, columns: int = 1200) -> Tensor:
    """[rows, columns] draws, scaled to mean 0 and variance 1."""
    chosen = hashed_choice(seed, torch.arange(rows)[:, None], torch.arange(columns)[None, :], probability)
    return (chosen.double() - probability) / math.sqrt(probability * (1 - probability))


def rectangle_correlation(draws: Tensor) -> float:
    """Standard scores of the mean product over the corners of random rectangles."""
    generator = torch.Generator().manual_seed(0)
    first_row, row = torch.randint(len(draws), (2, 1_000_000), generator=generator)
    first_column, column = torch.randint(draws.shape[1], (2, 1_000_000), generator=generator)
    proper = (first_row != row) & (first_column != column)
    corners = draws[first_row, first_column] * draws[first_row, column] * draws[row, first_column] * draws[row, column]
    return abs(float(corners[proper].mean())) * math.sqrt(float(proper.sum()))


@pytest.mark.parametrize("probability", [0.15, 0.5, 0.85])
@pytest.mark.parametrize("seed", [1, 2**61 + 12345])
def test_choices_are_independent_with_the_probability_asked_for(seed: int, probability: float) -> None:
    """Every bound is five standard deviations or more of what independent draws give."""
    draws = choices(seed, probability)
    rows, columns = draws.shape
    assert abs(float(draws.mean())) * math.sqrt(draws.numel()) < 5
    for sums, count in ((draws.sum(dim=1), columns), (draws.sum(dim=0), rows)):
        scores = sums / math.sqrt(count)
        assert scores.abs().max() < 5.5
        assert abs(float(scores.var()) - 1) < 5 * math.sqrt(2 / len(scores)), "rows or columns share their luck"
    for shift, dim in ((1, 0), (1, 1), (2, 0), (2, 1), (64, 0), (64, 1), (128, 1)):
        correlation = float((draws * draws.roll(shift, dims=dim)).mean())
        assert abs(correlation) * math.sqrt(draws.numel()) < 5, f"draws {shift} apart along {dim} are correlated"
    for other in (seed + 1, seed + 2**32, seed ^ 2**61):
        correlation = float((draws * choices(other, probability)).mean())
        assert abs(correlation) * math.sqrt(draws.numel()) < 5, f"seed {other} draws what {seed} draws"
    # Any two rows, and any two columns, not only neighbours.
    for table in (draws, draws.T):
        pairs = (table @ table.T / math.sqrt(table.shape[1])).fill_diagonal_(0.0)
        assert pairs.abs().max() < 6.5
        assert abs(float((pairs**2).mean()) - 1) < 0.02
    assert rectangle_correlation(draws) < 5


def test_the_rectangles_would_show_a_weaker_hash() -> None:
    """Sums of a row's and a column's key, where the products stand, look as good in every test but this one."""
    row_keys = torch.randint(2**32, (1000, 1), generator=torch.Generator().manual_seed(1))
    column_keys = torch.randint(2**32, (1, 1200), generator=torch.Generator().manual_seed(2))
    assert rectangle_correlation(((row_keys + column_keys) % 2**32 < 2**31).double() * 2 - 1) > 50


def test_a_choice_depends_on_its_own_numbers_alone() -> None:
    rows, columns = torch.arange(300), torch.arange(400)
    everything = hashed_choice(9, rows[:, None], columns[None, :], 0.4)
    some = hashed_choice(9, rows[100:103].flip(0)[:, None], columns[7::50][None, :], 0.4)
    assert torch.equal(some, everything[100:103].flip(0)[:, 7::50])


def test_mask_statistics() -> None:
    batch = toy_batch(0, (60,) * 20)
    words = word_units(batch)
    masks = visible_keys(RandomContext(7, words, batch.special, 0.5), batch)
    stacked = torch.stack(masks)  # [sequences, rows, keys]
    inner = stacked[:, 1:-1, 1:-1]
    off_diagonal = ~torch.eye(58, dtype=torch.bool)
    assert abs(float(inner[:, off_diagonal].float().mean()) - 0.5) < 0.01
    assert not stacked[:, 1:].diagonal(offset=1, dim1=1, dim2=2).any(), "a row sees itself"
    assert stacked[:, :, 0].all(), "the sentence vector is always seen"
    assert stacked[:, :-1, -1].all(), "special tokens are always seen"
    assert (stacked[:, 1] != stacked[:, 2])[:, 3:].any(), "rows draw their own words"
    rate_by_row = inner.float().mean(dim=(0, 2))
    assert (rate_by_row - 0.5).abs().max() < 0.08


def test_whole_words_are_seen_whole() -> None:
    batch = toy_batch(1, (40,))
    words = word_units(batch)
    (mask,) = visible_keys(RandomContext(3, words, batch.special, 0.5), batch)
    for row in range(40):
        for word in words.unique().tolist():
            members = [k for k in (words == word).nonzero().flatten().tolist() if k not in (0, row)]
            seen = mask[row, members]
            assert seen.all() or not seen.any()


@pytest.mark.parametrize(("ratio", "share"), [(0.0, 1.0), (1.0, 0.0), (0.7, 0.3)])
def test_hidden_ratio(ratio: float, share: float) -> None:
    batch = toy_batch(1, (80,) * 5)
    masks = torch.stack(visible_keys(RandomContext(3, torch.arange(batch.num_tokens), batch.special, ratio), batch))
    off_diagonal = ~torch.eye(78, dtype=torch.bool)
    assert abs(float(masks[:, 1:-1, 1:-1][:, off_diagonal].float().mean()) - share) < 0.01


def naive_decoder(
    decoder: EnhancedDecoder, sentences: Tensor, batch: Batch, table: Tensor, rule: RandomContext
) -> Tensor:
    """One row at a time: its query, the keys it sees, one layer."""
    width = sentences.shape[1] // decoder.heads
    outputs = []
    masks = visible_keys(rule, batch)
    for n, (start, stop) in enumerate(zip(batch.cu_seqlens[:-1].tolist(), batch.cu_seqlens[1:].tolist(), strict=True)):
        position = decoder.positions.weight
        contents = [sentences[n]] + [
            decoder.embedding_norm(table[batch.tokens[start + k]] + position[k]) for k in range(1, stop - start)
        ]
        for row in range(stop - start):
            query = decoder.embedding_norm(sentences[n] + position[row])
            seen = [contents[k] for k in range(stop - start) if masks[n][row, k]]
            projected = decoder.query(query).view(decoder.heads, width)
            heads = []
            for h in range(decoder.heads):
                keys = torch.stack([decoder.key(c).view(decoder.heads, width)[h] for c in seen])
                values = torch.stack([decoder.value(c).view(decoder.heads, width)[h] for c in seen])
                weights = (keys @ projected[h] / math.sqrt(width)).softmax(dim=0)
                heads.append(weights @ values)
            state = decoder.attention_norm(query + decoder.output(torch.cat(heads)))
            update = decoder.contract(functional.gelu(decoder.expand(state)))
            outputs.append(decoder.output_norm(state + update))
    return torch.stack(outputs)


def toy_decoder(max_positions: int = 32) -> tuple[EnhancedDecoder, Tensor]:
    torch.manual_seed(0)
    decoder = EnhancedDecoder(16, 4, intermediate=32, max_positions=max_positions).eval()
    with torch.no_grad():
        for parameter in decoder.parameters():
            if parameter.ndim > 1:
                parameter.mul_(10.0)
    return decoder, torch.randn(64, 16)


def test_equals_the_loop_forward_and_gradient() -> None:
    batch = toy_batch(2, (7, 4, 12, 2))
    decoder, table = toy_decoder()
    rule = RandomContext(11, word_units(batch), batch.special, 0.5)
    sentences = torch.randn(4, 16, requires_grad=True)
    table.requires_grad_()
    ours = decoder(sentences, batch.tokens, batch.cu_seqlens, table, rule)
    theirs = naive_decoder(decoder, sentences, batch, table, rule)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    weights = torch.randn_like(ours)
    for one, other in zip(
        torch.autograd.grad((ours * weights).sum(), (sentences, table)),
        torch.autograd.grad((theirs * weights).sum(), (sentences, table)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_rows_are_a_selection() -> None:
    batch = toy_batch(2, (7, 4, 12))
    decoder, table = toy_decoder()
    rule = RandomContext(11, word_units(batch), batch.special, 0.5)
    sentences, rows = torch.randn(3, 16), torch.tensor([1, 5, 8, 22])
    everything = decoder(sentences, batch.tokens, batch.cu_seqlens, table, rule)
    selected = decoder(sentences, batch.tokens, batch.cu_seqlens, table, rule, rows)
    torch.testing.assert_close(selected, everything[rows])


def test_attention_buckets_give_the_rule_the_same_mask() -> None:
    """Through padding and reordering by length, every row sees what it sees when asked directly."""
    batch = toy_batch(3, (5, 30, 9, 30, 17))
    rule = RandomContext(5, word_units(batch), batch.special, 0.5)
    direct = {int(s): mask for s, mask in zip(batch.cu_seqlens[:-1], visible_keys(rule, batch), strict=True)}
    layout = AttentionLayout.of(batch.cu_seqlens)
    seen = 0
    for bucket in layout.buckets:
        context, mask = layout.context(bucket, 0), layout.mask(bucket, rule, 0)
        assert mask is not None
        for n in range(bucket.sequences):
            expected = direct[int(context.query_index[n, 0, 0])]
            length = len(expected)
            assert torch.equal(mask[n, 0, :length, :length], expected)
            assert not mask[n, 0, :length, length:].any()
            seen += 1
    assert seen == 5


def test_too_long_a_sequence() -> None:
    batch = toy_batch(2, (40,))
    decoder, table = toy_decoder(max_positions=32)
    with pytest.raises(ReknitError, match="40 tokens is longer than the decoder's 32 positions"):
        decoder(
            torch.randn(1, 16),
            batch.tokens,
            batch.cu_seqlens,
            table,
            RandomContext(1, batch.tokens, batch.special, 0.5),
        )


def test_heads() -> None:
    assert [default_heads(dim) for dim in (32, 64, 256, 384, 768, 312)] == [1, 1, 4, 6, 12, 4]
    with pytest.raises(ReknitError, match="do not divide"):
        EnhancedDecoder(16, 3, intermediate=32)
