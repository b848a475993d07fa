"""Texts cut into blocks: nothing lost, sentences whole where they fit, and the same blocks in every process."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_models import TOY_VOCABULARY, toy_batch

from reknit.corruptions.blocks import Blocks, cut_into_blocks
from reknit.corruptions.masking import mask_tokens
from reknit.data.batch import Batch
from reknit.data.shard import shard_of
from reknit.errors import ReknitError

CLS, SEP, STOP = TOY_VOCABULARY.cls, TOY_VOCABULARY.sep, TOY_VOCABULARY.sentence_ends[0]
lengths = st.lists(st.integers(2, 30), min_size=1, max_size=6).map(tuple)


def text(*tokens: int, opening: tuple[int, ...] = (CLS,), closing: tuple[int, ...] = (SEP,)) -> Batch:
    all_tokens = torch.tensor([*opening, *tokens, *closing])
    special = torch.tensor([True] * len(opening) + [False] * len(tokens) + [True] * len(closing))
    return Batch.pack([(all_tokens, special, torch.ones_like(special))], TOY_VOCABULARY)


def parts(blocks: Blocks) -> list[list[int]]:
    return [blocks.batch.tokens[first:last].tolist() for first, last in pairwise(blocks.batch.cu_seqlens.tolist())]


def with_sentences(seed: int, lengths: tuple[int, ...]) -> Batch:
    """Every fourth token or so ends a sentence."""
    batch = toy_batch(seed, lengths)
    ends = (torch.rand(batch.num_tokens, generator=torch.Generator().manual_seed(seed)) < 0.25) & ~batch.special
    return replace(batch, tokens=batch.tokens.masked_fill(ends, STOP))


def naive_blocks(inner: list[int], most: int) -> list[list[int]]:
    """The paper's rule, sentence by sentence; what a long sentence has left over opens the next block."""
    sentences: list[list[int]] = [[]]
    for token in inner:
        sentences[-1].append(token)
        if token in TOY_VOCABULARY.sentence_ends:
            sentences.append([])
    blocks: list[list[int]] = [[]]
    for sentence in filter(None, sentences):
        if len(blocks[-1]) + len(sentence) <= most:
            blocks[-1] += sentence
            continue
        if blocks[-1]:
            blocks.append([])
        for token in sentence:
            if len(blocks[-1]) == most:
                blocks.append([])
            blocks[-1].append(token)
    return blocks


@settings(max_examples=80, deadline=None)
@given(lengths, st.integers(0, 1000), st.integers(1, 12))
def test_equals_the_filling_sentence_by_sentence(lengths: tuple[int, ...], seed: int, most: int) -> None:
    batch = with_sentences(seed, lengths)
    blocks = cut_into_blocks(batch, most)
    found, bounds = parts(blocks), blocks.cu_texts.tolist()
    assert len(bounds) == len(lengths) + 1
    for number, (first, last) in enumerate(pairwise(batch.cu_seqlens.tolist())):
        expected = naive_blocks(batch.tokens[first + 1 : last - 1].tolist(), most)
        assert found[bounds[number] : bounds[number + 1]] == [[CLS, *inner, SEP] for inner in expected]


@settings(max_examples=40, deadline=None)
@given(lengths, st.integers(0, 1000), st.integers(1, 12))
def test_every_token_is_known_by_its_place_in_the_text(lengths: tuple[int, ...], seed: int, most: int) -> None:
    batch = with_sentences(seed, lengths)
    blocks = cut_into_blocks(batch, most)
    assert torch.equal(blocks.batch.tokens, batch.tokens[blocks.source])
    assert torch.equal(blocks.batch.special, batch.special[blocks.source])
    assert torch.equal(blocks.batch.word_starts, batch.word_starts[blocks.source])
    own = blocks.source[~blocks.batch.special]
    assert torch.equal(own, (~batch.special).nonzero().squeeze(1))
    for begin, (first, last) in zip(blocks.begins.tolist(), pairwise(blocks.batch.cu_seqlens.tolist()), strict=True):
        if last - first > 2:
            assert begin == int(blocks.source[first + 1])


def test_sentences_fill_a_block_and_a_long_one_is_cut() -> None:
    batch = text(10, 11, STOP, 12, STOP, 13, 14, 15, STOP, 16, 17, 18, 19, 20, 21, 22)
    inner = [block[1:-1] for block in parts(cut_into_blocks(batch, 5))]
    assert inner == [[10, 11, STOP, 12, STOP], [13, 14, 15, STOP], [16, 17, 18, 19, 20], [21, 22]]


def test_a_tokenizer_may_add_any_number_of_tokens_at_either_end() -> None:
    batch = text(10, 11, 12, opening=(), closing=(SEP, SEP))
    assert parts(cut_into_blocks(batch, 2)) == [[10, 11, SEP, SEP], [12, SEP, SEP]]
    nothing = torch.zeros(0, dtype=torch.bool)
    empty = Batch.pack([(nothing.long(), nothing, nothing)], TOY_VOCABULARY)
    assert parts(cut_into_blocks(empty, 2)) == [[]]


@settings(max_examples=40, deadline=None)
@given(lengths, st.integers(0, 1000), st.integers(1, 12))
def test_no_other_token_moves_a_cut(lengths: tuple[int, ...], seed: int, most: int) -> None:
    batch = with_sentences(seed, lengths)
    blocks = cut_into_blocks(batch, most)
    told = set(blocks.source[blocks.told_by_cuts()].tolist())
    assert all(int(batch.tokens[place]) in TOY_VOCABULARY.sentence_ends for place in told)
    for place in set(blocks.source.tolist()) - told:
        tokens = batch.tokens.clone()
        tokens[place] = 7
        assert torch.equal(cut_into_blocks(replace(batch, tokens=tokens), most).source, blocks.source)


def test_a_cut_tells_of_the_sentence_end_before_it_only() -> None:
    blocks = cut_into_blocks(text(10, STOP, 11, STOP, 12, 13, 14, STOP), 4)
    assert parts(blocks) == [[CLS, 10, STOP, 11, STOP, SEP], [CLS, 12, 13, 14, STOP, SEP]]
    assert blocks.source[blocks.told_by_cuts()].tolist() == [4]


@pytest.mark.parametrize("size", [2, 3])
def test_processes_have_the_blocks_and_the_masks_of_one(size: int) -> None:
    batch = with_sentences(3, (5, 17, 9, 12, 24, 3, 14, 20))
    whole = cut_into_blocks(batch, 5)
    rng = torch.Generator().manual_seed
    hidden = mask_tokens(whole.batch, rng(1)).tokens
    seen, tokens, sources, begins, counts = [], [], [], [], []
    for rank in range(size):
        share = shard_of(batch, rank, size)
        mine = cut_into_blocks(share, 5)
        assert torch.equal(mine.batch.tokens, share.tokens[mine.source])
        assert torch.equal(mine.whole_cu_texts, whole.cu_texts)
        tokens.append(mine.batch.tokens)
        seen.append(mask_tokens(mine.batch, rng(1)).tokens)
        sources.append(mine.source + share.first_token)
        begins.append(mine.begins + share.first_token)
        counts.append(mine.cu_texts.diff())
    assert torch.equal(torch.cat(tokens), whole.batch.tokens)
    assert torch.equal(torch.cat(seen), hidden)
    assert torch.equal(torch.cat(sources), whole.source)
    assert torch.equal(torch.cat(begins), whole.begins)
    assert torch.equal(torch.cat(counts), whole.cu_texts.diff())


def test_a_block_of_nothing() -> None:
    with pytest.raises(ReknitError, match="block_tokens is 0"):
        cut_into_blocks(toy_batch(0), 0)
