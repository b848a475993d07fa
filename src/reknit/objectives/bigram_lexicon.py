"""A lexicon of the bigrams that occur more often than their words would by chance, counted while a model trains."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reknit.corruptions.masking import ordinary_tokens
from reknit.data.batch import Batch, segments_of

BUCKETS_LOG2 = 18  # three numbers each: 6 MiB
_NONE = torch.iinfo(torch.int64).max  # stands where the lexicon has no bigram, behind all that it has
_ODD = -7046029254386353131  # 2^64 divided by the golden ratio, as in Fibonacci hashing (Knuth, volume 3, 6.4)


class BigramLexicon(nn.Module):
    """At first counts, then `size` bigrams of ordinary tokens by t-statistic, numbered in the order of their tokens.

    Everything is a buffer, so that a resumed run continues counting, or keeps its lexicon.

    Bigrams are counted in `2 ** buckets_log2` buckets by a hash. A bucket counts one bigram, its holder, which is
    elected by majority (Boyer and Moore 1981): an occurrence of the holder is a vote for it, one of another bigram of
    the same bucket a vote against it, and a holder without votes is replaced. So what is frequent holds its bucket,
    whichever came first. `counts` are the occurrences of the holder since it took the bucket: exact where no other
    bigram came before, else too low, never too high. Of bigrams that meet in one bucket within one batch, only the
    most frequent one that does not hold it votes.
    """

    token_counts: Tensor
    pairs_seen: Tensor
    holders: Tensor
    counts: Tensor
    votes: Tensor
    keys: Tensor
    learnt: Tensor

    def __init__(self, size: int, vocabulary: int, buckets_log2: int = BUCKETS_LOG2) -> None:
        super().__init__()
        self.vocabulary, self.buckets_log2 = vocabulary, buckets_log2
        buckets = 2**buckets_log2
        self.register_buffer("token_counts", torch.zeros(vocabulary, dtype=torch.long))
        self.register_buffer("pairs_seen", torch.zeros((), dtype=torch.long))
        self.register_buffer("holders", torch.full((buckets,), -1))
        self.register_buffer("counts", torch.zeros(buckets, dtype=torch.long))
        self.register_buffer("votes", torch.zeros(buckets, dtype=torch.long))
        self.register_buffer("keys", torch.full((size,), _NONE))
        self.register_buffer("learnt", torch.zeros((), dtype=torch.bool))

    @property
    def tokens(self) -> Tensor:
        """[size, 2] int64, the tokens of each bigram; -1 where there are fewer bigrams."""
        pairs = torch.stack((self.keys // self.vocabulary, self.keys % self.vocabulary), dim=1)
        return pairs.masked_fill((self.keys == _NONE)[:, None], -1)

    @torch.no_grad()
    def count(self, batch: Batch) -> None:
        """Count the ordinary tokens of a batch, and the pairs of them that stand side by side in one text.

        Processes that share a step must all give `batch.whole`, so that they count the same.
        """
        self.token_counts += torch.bincount(batch.tokens[ordinary_tokens(batch)], minlength=self.vocabulary)
        pairs = self._pairs(batch)
        keys, times = pairs[pairs != _NONE].unique(return_counts=True)
        self.pairs_seen += times.sum()
        buckets = self._buckets(keys)
        held = self.holders[buckets] == keys
        self.counts[buckets[held]] += times[held]
        self.votes[buckets[held]] += times[held]
        keys, times, buckets = _most_frequent(keys[~held], times[~held], buckets[~held])
        left = self.votes[buckets] - times
        self.votes[buckets] = left.abs()  # those left for the holder, or for the one that takes its place
        taken = buckets[left < 0]
        self.holders[taken], self.counts[taken] = keys[left < 0], times[left < 0]

    @torch.no_grad()
    def learn(self) -> None:
        """Make the lexicon of what has been counted: the bigrams of the largest t-statistics, all above 0."""
        statistics = self.statistics()
        found = (statistics > 0).nonzero().squeeze(1)
        # By key, then stably by statistic, so that equal ones are told apart in the same way on every device.
        found = found[self.holders[found].argsort()]
        found = found[statistics[found].argsort(descending=True, stable=True)][: self.keys.numel()]
        self.keys.fill_(_NONE)
        self.keys[: found.numel()] = self.holders[found].sort().values
        self.learnt.fill_(True)

    def statistics(self) -> Tensor:
        """[buckets] float64, t of each bucket's bigram ab: (p(ab) - p(a) p(b)) / sqrt(p(ab) / N), 0 for empty ones.

        N: number of pairs counted. By how many of its own standard errors a bigram's share of all pairs exceeds what it
        would be if tokens were drawn apart (Church et al. 1991); a rare event's variance is about its probability.
        """
        total = self.pairs_seen.double().clamp(min=1)
        single = self.token_counts.double() / self.token_counts.sum().clamp(min=1)
        holders = self.holders.clamp(min=0)
        apart = single[holders // self.vocabulary] * single[holders % self.vocabulary]
        together = self.counts / total
        return torch.where(self.counts > 0, (together - apart) / (together.clamp(min=1e-300) / total).sqrt(), 0.0)

    def numbers(self, batch: Batch) -> Tensor:
        """[T] int64, the number of the lexicon's bigram that begins at each token, -1 where none does."""
        pairs = self._pairs(batch)
        places = torch.searchsorted(self.keys, pairs).clamp(max=self.keys.numel() - 1)
        return torch.where((self.keys[places] == pairs) & (pairs != _NONE), places, -1)

    def _pairs(self, batch: Batch) -> Tensor:
        """[T] int64, a key of each token and the next one; _NONE unless both are ordinary and of one text."""
        ordinary, segments = ordinary_tokens(batch), segments_of(batch.cu_seqlens)
        pairs = torch.full_like(batch.tokens, _NONE)
        both = ordinary[:-1] & ordinary[1:] & (segments[:-1] == segments[1:])
        pairs[:-1][both] = (batch.tokens[:-1] * self.vocabulary + batch.tokens[1:])[both]
        return pairs

    def _buckets(self, keys: Tensor) -> Tensor:
        """[n] keys -> [n] int64 numbers of buckets: the upper bits of a product that wraps around."""
        buckets: Tensor = ((keys * _ODD) >> (64 - self.buckets_log2)) & (2**self.buckets_log2 - 1)
        return buckets


def _most_frequent(keys: Tensor, times: Tensor, buckets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of ascending keys, how often each occurs and its bucket, those of the most frequent key of every bucket (of
    equally frequent ones the smallest)."""
    order = times.argsort(descending=True, stable=True)
    order = order[buckets[order].argsort(stable=True)]
    sorted_buckets = buckets[order]
    first = torch.ones_like(sorted_buckets, dtype=torch.bool)
    first[1:] = sorted_buckets[1:] != sorted_buckets[:-1]
    order = order[first]
    return keys[order], times[order], buckets[order]
