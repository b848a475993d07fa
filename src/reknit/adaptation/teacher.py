"""A teacher without labels: BM25 and dense models together, every document speaking for its neighbours too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from reknit.evaluation.significance import nearest_as_good
from reknit.retrieval.bm25 import BM25
from reknit.retrieval.fusion import EQUAL_PARTS

# Without any BM25 there would be little to learn, and a tenth of it has done no harm.
DENSE_WEIGHTS = tuple(step / 10 for step in range(10))
_ROWS_AT_ONCE = 2048
_QUERIES_AT_ONCE = 64


class HybridTeacher:
    """Scores of queries against a fixed list of documents.

    A document's score is the weighted mean of its standard scores (mean 0 and deviation 1 over the documents) by the
    square root of BM25 and by the dense model. BM25's scores are skewed, a few documents far above the many; without
    the root they would drown the dense model's wherever BM25 finds anything at all (docs/adaptation.md).

    Both are computed on documents that are mixed with their nearest neighbours by the dense model: relevant documents
    lie together (the cluster hypothesis), so a document whose neighbours answer the query is likelier to answer it too
    (document expansion: Tao et al. 2006, https://aclanthology.org/N06-1052; Diaz 2007).
    """

    def __init__(
        self,
        texts: Sequence[str],
        vectors: Sequence[np.ndarray],
        *,
        neighbours: int = 0,
        neighbour_weight: float = 0.0,
        split_identifiers: bool = True,
    ) -> None:
        """texts: the documents. vectors: of each dense model [documents, dim], of which only the direction counts; the
        neighbours are the first one's. Raises ReknitError when there are no documents."""
        documents = {f"{place:012d}": text for place, text in enumerate(texts)}
        self.bm25 = BM25(documents, split_identifiers=split_identifiers)
        own = [_unit(of_model) for of_model in vectors]
        neighbours = min(neighbours, len(texts) - 1)
        self._nearest = nearest(own[0], neighbours) if neighbours and neighbour_weight else None
        self._weight = neighbour_weight
        lengths = [torch.ones(len(texts)) for _ in own]
        if self._nearest is not None:
            around = [functional.normalize(of_model[self._nearest].mean(dim=1), dim=-1) for of_model in own]
            own = [of_model + neighbour_weight * beside for of_model, beside in zip(own, around, strict=True)]
            lengths = [of_model.norm(dim=-1) for of_model in own]
        self._lengths = lengths[0]
        self._documents = [of_model / length[:, None] for of_model, length in zip(own, lengths, strict=True)]

    def __len__(self) -> int:
        """The number of documents."""
        return len(self._documents[0])

    def standard_scores(self, queries: Sequence[str], vectors: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        """[queries, documents] each: standard scores by the root of BM25 and by the dense models together, of which
        each has the same part.

        vectors: of each model [queries, dim]; only the direction counts.
        """
        lexical = torch.from_numpy(self.bm25.scores(queries))
        if self._nearest is not None:
            around = torch.zeros_like(lexical)
            for column in self._nearest.unbind(1):
                around += lexical[:, column]
            # Divided as the vectors are, so that a document in a dense cluster is not preferred by BM25 alone.
            lexical = (lexical + self._weight / self._nearest.shape[1] * around) / self._lengths
        dense = [
            _standardised(_unit(asked) @ documents.t())
            for asked, documents in zip(vectors, self._documents, strict=True)
        ]
        together = dense[0] if len(dense) == 1 else _standardised(torch.stack(dense).sum(dim=0))
        return _standardised(lexical.sqrt()), together

    def scores(self, queries: Sequence[str], vectors: Sequence[np.ndarray], dense_weight: float) -> Tensor:
        """[queries, documents]: `dense_weight` of the dense standard scores and the rest of BM25's."""
        lexical, dense = self.standard_scores(queries, vectors)
        return (1 - dense_weight) * lexical + dense_weight * dense


def nearest(vectors: Tensor, count: int) -> Tensor:
    """[N, dim] unit vectors -> [N, count] int64, the nearest others by cosine; exact."""
    found = []
    for first in range(0, len(vectors), _ROWS_AT_ONCE):
        similarities = vectors[first : first + _ROWS_AT_ONCE] @ vectors.t()
        rows = torch.arange(len(similarities))
        similarities[rows, rows + first] = -torch.inf
        found.append(similarities.topk(count, dim=1).indices)
    return torch.cat(found)


def choose_dense_weight(
    teacher: HybridTeacher, queries: Sequence[str], vectors: Sequence[np.ndarray], answers: Sequence[int]
) -> tuple[float, list[float]]:
    """The dense model's weight in a teacher, and the mean nDCG@10 of each of DENSE_WEIGHTS.

    BM25 is a good teacher on abstracts and a bad one on program code; queries that were cut out of their answers tell
    which it is without labels. Of the weights that are as good as the best (`as_good_as_the_best`), the one nearest to
    equal parts is taken.

    teacher: without neighbours, which would blur what has one answer. queries, vectors: [Q] texts and, of each model,
    [Q, dim]. answers: place of each query's one answer among the teacher's documents, which must not hold the query.
    """
    own = torch.as_tensor(answers)[:, None]
    columns = []
    for first in range(0, len(queries), _QUERIES_AT_ONCE):
        rows = slice(first, first + _QUERIES_AT_ONCE)
        lexical, dense = teacher.standard_scores(queries[rows], [of_model[rows] for of_model in vectors])
        columns.append(torch.stack([_gain((1 - w) * lexical + w * dense, own[rows]) for w in DENSE_WEIGHTS]))
    reached = torch.cat(columns, dim=1).numpy()
    return nearest_as_good(DENSE_WEIGHTS, reached, EQUAL_PARTS), reached.mean(axis=1).tolist()


def _gain(scores: Tensor, own: Tensor) -> Tensor:
    """nDCG@10 of each row's one answer; equal scores count against it."""
    rank = (scores >= scores.gather(1, own)).sum(dim=1)
    return torch.where(rank <= 10, 1 / torch.log2(rank + 1.0), 0.0)


def _unit(vectors: np.ndarray) -> Tensor:
    return functional.normalize(torch.from_numpy(np.asarray(vectors, dtype=np.float32)), dim=-1)


def _standardised(scores: Tensor) -> Tensor:
    """Rows with mean 0 and deviation 1; rows of equal scores become 0."""
    deviation, average = torch.std_mean(scores, dim=1, keepdim=True, correction=0)
    return (scores - average) / deviation.clamp_min(1e-6)
