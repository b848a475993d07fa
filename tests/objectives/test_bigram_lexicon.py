"""Bigrams are counted as a Counter does, or too low where buckets are short, and ranked by t-statistic."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_models import TOY_VOCABULARY, generator, toy_batch, toy_texts

from reknit.data.batch import Batch
from reknit.objectives.bigram_lexicon import BigramLexicon

V = TOY_VOCABULARY.size


def words_of(batch: Batch) -> list[list[int]]:
    """The texts without [CLS] and [SEP]."""
    return [batch.tokens[a + 1 : b - 1].tolist() for a, b in pairwise(batch.cu_seqlens.tolist())]


def skewed_batch(seed: int, count: int = 30) -> Batch:
    """Texts in which small ids are frequent, and 7 is mostly followed by 8."""
    rng = generator(seed)
    made = []
    for _ in range(count):
        words = (5 + 58 * torch.rand(25, generator=rng) ** 3).long().tolist()
        made.append([w for one in words for w in ((7, 8) if one == 7 else (one,))])
    return toy_texts(*made)


def naive_counts(batches: list[Batch]) -> tuple[Counter[int], Counter[tuple[int, int]]]:
    single: Counter[int] = Counter()
    pairs: Counter[tuple[int, int]] = Counter()
    for batch in batches:
        for words in words_of(batch):
            single.update(word for word in words if word not in TOY_VOCABULARY.special)
            pairs.update(pair for pair in pairwise(words) if not set(pair) & set(TOY_VOCABULARY.special))
    return single, pairs


def held(lexicon: BigramLexicon) -> dict[tuple[int, int], int]:
    """The count of each bigram that holds a bucket."""
    filled = lexicon.holders >= 0
    keys, counts = lexicon.holders[filled].tolist(), lexicon.counts[filled].tolist()
    return {(key // V, key % V): count for key, count in zip(keys, counts, strict=True)}


def naive_lexicon(batches: list[Batch], size: int) -> list[tuple[int, int]]:
    single, pairs = naive_counts(batches)
    tokens, total = sum(single.values()), sum(pairs.values())

    def statistic(pair: tuple[int, int]) -> float:
        together = pairs[pair] / total
        return (together - single[pair[0]] / tokens * single[pair[1]] / tokens) / math.sqrt(together / total)

    ranked = sorted((pair for pair in pairs if statistic(pair) > 0), key=lambda pair: (-statistic(pair), pair))
    return sorted(ranked[:size])


@pytest.mark.parametrize("size", [20, 100, 4096])
def test_the_lexicon_is_that_of_a_counter_and_the_t_statistic(size: int) -> None:
    batches = [skewed_batch(seed) for seed in range(4)]
    batches[1].tokens[5] = 0  # an unknown word within a text is no ordinary token
    lexicon = BigramLexicon(size, V)
    for batch in batches:
        lexicon.count(batch)
    single, pairs = naive_counts(batches)
    # 3,481 pairs in 262,144 buckets may meet; the seed's do not, or this fails.
    assert held(lexicon) == dict(pairs)
    assert lexicon.token_counts.tolist() == [single[token] for token in range(V)]
    lexicon.learn()
    expected = naive_lexicon(batches, size)
    found = [tuple(pair) for pair in lexicon.tokens.tolist()]
    assert found[: len(expected)] == expected
    assert all(pair == (-1, -1) for pair in found[len(expected) :])
    assert (7, 8) in expected
    # Frequent tokens that stand together by chance are no bigram, however often they do.
    often = {pair for pair, times in pairs.items() if times >= 3}
    assert often - set(naive_lexicon(batches, 4096))


def test_numbers_say_where_bigrams_begin() -> None:
    lexicon = BigramLexicon(8, V)
    lexicon.count(toy_texts([10, 11], [10, 11], [20, 21], [20, 21]))
    lexicon.learn()
    assert lexicon.tokens[:2].tolist() == [[10, 11], [20, 21]]
    batch = toy_texts([10, 11, 20, 21], [21, 10], [11, 10, 11], [])
    inside = [[0, -1, 1, -1], [-1, -1], [-1, 0, -1], []]
    assert lexicon.numbers(batch).tolist() == [n for one in inside for n in (-1, *one, -1)]


def test_an_empty_lexicon_knows_nothing() -> None:
    lexicon = BigramLexicon(8, V)
    assert (lexicon.numbers(toy_batch(0)) == -1).all()
    lexicon.learn()
    assert lexicon.learnt
    assert (lexicon.numbers(toy_batch(0)) == -1).all()
    assert (lexicon.tokens == -1).all()
    lexicon.count(toy_texts([], [10]))
    assert int(lexicon.pairs_seen) == 0


class NaiveBuckets:
    """The election of holders, one bigram at a time."""

    def __init__(self) -> None:
        self.buckets: dict[int, list[int]] = {}  # holder, count, votes

    def count(self, batch: Batch, bucket_of: dict[tuple[int, int], int]) -> None:
        _, pairs = naive_counts([batch])
        challengers: dict[int, tuple[int, int]] = {}
        for pair in sorted(pairs):
            key, times, number = pair[0] * V + pair[1], pairs[pair], bucket_of[pair]
            holder = self.buckets.get(number)
            if holder is not None and holder[0] == key:
                holder[1] += times
                holder[2] += times
            elif number not in challengers or times > challengers[number][1]:
                challengers[number] = (key, times)
        for number, (key, times) in challengers.items():
            holder = self.buckets.setdefault(number, [-1, 0, 0])
            holder[2] -= times
            if holder[2] < 0:
                self.buckets[number] = [key, times, -holder[2]]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=6), st.integers(0, 6))
def test_buckets_that_bigrams_share_elect_a_holder(seeds: list[int], buckets_log2: int) -> None:
    lexicon, naive, batches = BigramLexicon(50, V, buckets_log2), NaiveBuckets(), []
    for seed in seeds:
        batches.append(skewed_batch(seed, 3))
        pairs = sorted(naive_counts(batches)[1])
        numbers = lexicon._buckets(torch.tensor([a * V + b for a, b in pairs])).tolist()
        assert all(0 <= number < 2**buckets_log2 for number in numbers)
        lexicon.count(batches[-1])
        naive.count(batches[-1], dict(zip(pairs, numbers, strict=True)))
    for number in range(2**buckets_log2):
        expected = naive.buckets.get(number, [-1, 0, 0])
        assert [int(each[number]) for each in (lexicon.holders, lexicon.counts, lexicon.votes)] == expected
    truth = naive_counts(batches)[1]
    assert all(0 < count <= truth[pair] for pair, count in held(lexicon).items())


def test_a_frequent_bigram_takes_its_bucket_from_the_first() -> None:
    lexicon = BigramLexicon(4, V, buckets_log2=0)
    lexicon.count(toy_texts([10, 11]))
    for _ in range(3):
        lexicon.count(toy_texts([20, 21]))
    assert held(lexicon) == {(20, 21): 2}  # its first occurrence took the other's vote


def test_buckets_are_used_evenly() -> None:
    lexicon = BigramLexicon(4, 30_000, buckets_log2=10)
    firsts, seconds = torch.meshgrid(torch.arange(200), torch.arange(200), indexing="ij")
    used = torch.bincount(lexicon._buckets((firsts * 30_000 + seconds).flatten()), minlength=1024)
    assert int(used.min()) > 0
    assert int(used.max()) < 4 * 40_000 / 1024
