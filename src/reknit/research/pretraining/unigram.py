"""What a model that knows only how frequent each token is would lose: the line below which a language model has learnt
from contexts."""

from __future__ import annotations

import numpy as np

from reknit.sources.token_store import TokenStore

_SEQUENCES_AT_A_TIME = 4096


def unigram_entropy(store: TokenStore) -> float:
    """The entropy of the store's ordinary tokens, in nats per token."""
    counts = np.zeros(store.vocabulary.size, dtype=np.int64)
    for first in range(0, len(store), _SEQUENCES_AT_A_TIME):
        batch = store.batch(np.arange(first, min(first + _SEQUENCES_AT_A_TIME, len(store))))
        counts += np.bincount(batch.tokens[~batch.special].numpy(), minlength=len(counts))
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
