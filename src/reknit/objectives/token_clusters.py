"""Clusters of a vocabulary's tokens, and how often the replacement of one by another has been overlooked."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reknit.corruptions.masking import ordinary_ids
from reknit.data.batch import Vocabulary


class TokenClusters(nn.Module):
    """None at first, then at most `size` clusters of ordinary tokens by k-means of their embeddings.

    Everything is a buffer, so that a resumed run has the same clusters and continues counting.

    numbers: [V] int64, the cluster of each id, -1 of special ones, and of all before `learn`. counts: [size, size]
    int64 by (cluster of the text's own token, cluster of what stood in its place): 1 at first, one more for each
    replacement that was overlooked, one less for each that was found.
    """

    numbers: Tensor
    counts: Tensor
    learnt: Tensor

    def __init__(self, size: int, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        size = min(size, len(ordinary_ids(vocabulary)))
        self.register_buffer("numbers", torch.full((vocabulary.size,), -1))
        self.register_buffer("counts", torch.ones(size, size, dtype=torch.long))
        self.register_buffer("learnt", torch.zeros((), dtype=torch.bool))

    @torch.no_grad()
    def learn(self, table: Tensor) -> None:
        """Make the clusters. table: [V or more, width] embeddings; the same ones give the same clusters."""
        from sklearn.cluster import KMeans
        from threadpoolctl import threadpool_limits

        ids = ordinary_ids(self.vocabulary)
        vectors = table.detach().float().cpu()[ids].numpy()
        # With several threads, the order in which their sums are added would be random.
        with threadpool_limits(1):
            found = KMeans(len(self.counts), random_state=0, n_init=1, max_iter=100).fit_predict(vectors)
        self.numbers[ids.to(self.numbers.device)] = torch.from_numpy(found).to(self.numbers)
        self.learnt.fill_(True)

    @torch.no_grad()
    def count(self, own: Tensor, replacement: Tensor, overlooked: Tensor) -> None:
        """Count [n] replacements of own tokens, each overlooked or found ([n] bool), once for every occurrence."""
        pairs = self.numbers[own] * len(self.counts) + self.numbers[replacement]
        self.counts.view(-1).index_add_(0, pairs, torch.where(overlooked, 1, -1))
