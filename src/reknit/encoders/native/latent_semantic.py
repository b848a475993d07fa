"""Initial weights of a new encoder by latent semantic analysis: it begins with what a corpus's words have in common.

A new encoder that pools the mean of random token vectors knows nothing. Here a token's vector is its row of the
truncated singular value decomposition of the corpus's weighted counts (Deerwester et al., "Indexing by latent semantic
analysis", JASIS 1990), so that words of the same passages point the same way, times its inverse document frequency
(Dumais 1991 compares such weights). The decomposition is by random projections (Halko, Martinsson and Tropp, SIAM
Review 2011), as scikit-learn has it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from reknit.encoders.native.encoder import NativeEncoder

LEAST_DIM = 3  # two dimensions of every row fill it up to one length
_LEAST_HOLDERS = 3  # texts that a token must be in; with fewer, what it occurs with is random
_SPREAD = 0.08  # deviation of a row's dimensions: four times that of random ones, so that steps change it slowly
_POSITIONS = 0.1  # of the random vectors of positions and token types: they mean nothing yet


def latent_semantic_table(texts: Iterable[np.ndarray], special: np.ndarray, dim: int, seed: int) -> Tensor:
    """[vocabulary, dim] float32 token table; rows all have the same length.

    texts: the token ids of each text. special: [vocabulary] bool, tokens that mean nothing. dim: LEAST_DIM or more.

    A layer norm would take the lengths away, by which rare tokens count more than frequent ones. So the last two
    dimensions fill every row up to one length; they are opposite, because the norm takes the mean away too. A token
    that is special, or in fewer than three texts, has nothing but these two.
    """
    counts = _counts(texts, len(special))
    holders = np.bincount(counts.indices, minlength=len(special))
    known = (holders >= _LEAST_HOLDERS) & ~special
    rarity = np.where(known, np.log1p(counts.shape[0] / np.maximum(holders, 1)), 0.0).astype(np.float32)
    rows = _directions(counts, rarity, dim - 2, seed) * rarity[:, None]

    lengths = np.linalg.norm(rows, axis=1)
    # A few rows are far longer than all others, which would have to be filled up to them.
    longest = max(float(np.quantile(lengths[known], 0.99)) if known.any() else 0.0, 1e-6)
    rows *= np.minimum(1.0, longest / np.maximum(lengths, 1e-12))[:, None]
    rest = np.sqrt(np.maximum(longest**2 - np.square(rows).sum(axis=1), 0.0) / 2)[:, None]
    table = np.concatenate([rows, rest, -rest], axis=1) * (_SPREAD * dim**0.5 / longest)
    return torch.from_numpy(table.astype(np.float32))


def begin_with(encoder: NativeEncoder, table: Tensor) -> None:
    """Give a new encoder the table of `latent_semantic_table`, in place.

    Its last norm drops the two dimensions that fill rows up, so that the mean of a text's tokens is at first nearly
    the mean of the rows; positions are made small beside them. Training changes all of it.
    """
    last = encoder.final_norm if encoder.config.pre_norm else encoder.blocks[-1].feed_forward_norm
    with torch.no_grad():
        encoder.table.copy_(table)
        if isinstance(last, nn.LayerNorm):
            last.weight[-2:] = 0.0
        for name in ("position_table", "token_types"):
            if hasattr(encoder, name):
                getattr(encoder, name).weight.mul_(_POSITIONS)


def _counts(texts: Iterable[np.ndarray], vocabulary: int):  # type: ignore[no-untyped-def]  # scipy has no types
    """[texts, vocabulary] counts of tokens, sparse."""
    from scipy.sparse import csr_matrix

    columns, counts, ends = array("i"), array("f"), [0]
    for text in texts:
        tokens, of_each = np.unique(text, return_counts=True)
        columns.extend(tokens.tolist())
        counts.extend(of_each.tolist())
        ends.append(len(columns))
    found = (np.frombuffer(counts, dtype=np.float32), np.frombuffer(columns, dtype=np.int32), ends)
    return csr_matrix(found, shape=(len(ends) - 1, vocabulary))


def _directions(counts, rarity: np.ndarray, size: int, seed: int) -> np.ndarray:  # type: ignore[no-untyped-def]
    """[vocabulary, size]: the right singular vectors of the weighted counts, which are changed in place."""
    from scipy.sparse import diags
    from sklearn.utils.extmath import randomized_svd

    counts.data = 1.0 + np.log(counts.data)
    weighted = counts @ diags(rarity)
    lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    weighted = (diags(1.0 / np.maximum(lengths, 1e-6)) @ weighted).tocsr().astype(np.float32)
    found = min(size, *weighted.shape)
    directions = np.zeros((len(rarity), size), dtype=np.float32)
    if found and weighted.nnz:
        # scikit-learn takes 32 bits.
        small = int(np.random.SeedSequence(seed).generate_state(1)[0])
        directions[:, :found] = randomized_svd(weighted, found, n_iter=2, random_state=small)[2].T
    return directions
