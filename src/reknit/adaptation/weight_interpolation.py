"""How much of what training changed is kept, chosen without labels: all of it, half, or none.

A few minutes of distillation can harm a good model: too few steps, or a teacher whose way the student cannot follow.
Weights halfway to the start model's are often better than both (WiSE-FT: Wortsman et al. 2022, Robust fine-tuning of
zero-shot models, https://arxiv.org/abs/2109.01903).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import nn

from reknit.adaptation.candidate import Candidate
from reknit.adaptation.expansion import values_with_own_words
from reknit.data.retrieval_set import RetrievalSet
from reknit.evaluation.significance import nearest_as_good
from reknit.models.encode_texts import EncodeTexts, cached
from reknit.runs.config import ExpansionSpec

logger = logging.getLogger("reknit")


def interpolate_weights(
    start: Candidate, trained: Candidate, choosing: RetrievalSet, expansion: ExpansionSpec, metric: str = "nDCG@10"
) -> tuple[float, Candidate]:
    """Set the weights of `trained.model` to the share of the training that is kept; returns it, and the candidate with
    an `encode` that remembers what it has encoded.

    start, trained: of one architecture. start.encode: remembers what it has encoded. trained.encode: of the model
    as it is at each call. choosing: its shared words dropped. expansion: the model will be searched with, so each
    share is judged with its own. All is kept unless it is significantly worse (by two standard errors) than
    nothing; then, of all, half and nothing, the most that is not significantly worse than the best of the three.
    """
    ends = start.trainable.encoder.state_dict(), _copy(trained.trainable.encoder)
    encoder = trained.trainable.encoder

    def values(encode: EncodeTexts) -> list[float]:
        return values_with_own_words(choosing, encode, expansion, metric)

    def start_weights(texts: list[str], kind: Literal["query", "document"]) -> np.ndarray:
        # Queries may have been expanded by the words of the corpus that the start model was adapted to before.
        return start.encode(texts, kind) if kind == "document" else trained.encode(texts, kind)

    _load_between(encoder, *ends, 0.0)
    reached = {0.0: values(start_weights)}
    _load_between(encoder, *ends, 1.0)
    encodes: dict[float, EncodeTexts] = {0.0: start_weights, 1.0: cached(trained.encode)}
    reached[1.0] = values(encodes[1.0])
    share = _most_as_good(reached)
    if share < 1.0:
        _load_between(encoder, *ends, 0.5)
        encodes[0.5] = cached(trained.encode)
        reached[0.5] = values(encodes[0.5])
        share = _most_as_good(reached)
        _load_between(encoder, *ends, share)
    shown = ", ".join(f"{one:.1f} {np.mean(reached[one]):.3f}" for one in sorted(reached))
    words = ", expanded by its own words," if expansion.wanted else ""
    logger.info("share of the training kept: %.1f; %s of the probe%s by share: %s", share, metric, words, shown)
    return share, replace(trained, encode=encodes[share])


def _most_as_good(reached: dict[float, list[float]]) -> float:
    return nearest_as_good(list(reached), np.array(list(reached.values())), 1.0)


def _copy(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def _load_between(
    module: nn.Module, start: dict[str, torch.Tensor], trained: dict[str, torch.Tensor], share: float
) -> None:
    between = {
        name: torch.lerp(start[name], trained[name], share) if trained[name].is_floating_point() else trained[name]
        for name in trained
    }
    module.load_state_dict(between)
