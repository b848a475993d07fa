"""Which features make a passage similar to a query: what the similarity loses without each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reknit.encoders.base import Encoded
from reknit.encoders.native.encoder import NativeEncoder
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError
from reknit.interpretability.activation_store import check_layer
from reknit.interpretability.feature_model import FeatureModel, standardise
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.packed_batches import plain_view

MOST_FEATURES = 256
_TOKENS_AT_A_TIME = 8192


@dataclass(frozen=True)
class Contributions:
    """How a passage's features make its similarity to a query.

    similarity: of query and passage. features: [n] those that fire in the passage, the ones with the most energy
    (squared activations) where there are more than `MOST_FEATURES`. values: [n] similarity less that without the
    feature. code: [T, width] of the passage's tokens.
    """

    similarity: float
    features: np.ndarray
    values: np.ndarray
    code: Tensor


@torch.inference_mode()
def contributions(
    model: EmbeddingModel, features: FeatureModel, layer: int, passage: str, query: np.ndarray
) -> Contributions:
    """What each feature of a passage contributes to its similarity to a query: an exact ablation.

    For each feature in turn, its part (its activation times its direction) is taken out of every token's state at
    `layer`, the layers above run again, and the new vector is compared with the query's, which stays as it is. What
    features do together is not the sum of what each does. passage: a text, encoded as a document. query: [dim] vector,
    as `comparable` leaves it. Raises ReknitError as `changeable` does.
    """
    encoder, changed = model.encoder, changeable(model, layer)
    tokens = model.tokenizer.encode_batch([model.prompt_text("document") + passage], model.max_length)[0].tokens
    view = plain_view([tokens], encoder.table.device)
    states = encoder(view, layers=[layer]).states[layer].float()
    read = standardise(states)
    code = features.encode(states)
    energy = code.square().sum(dim=0)
    active = energy.argsort(descending=True, stable=True)[: min(MOST_FEATURES, int((energy > 0).sum()))]
    # [n + 1, T, dim] what is taken out; nothing for the passage as it is.
    size, similarities = max(1, _TOKENS_AT_A_TIME // max(1, len(tokens))), []
    target = torch.from_numpy(np.array(query, dtype=np.float32)).to(states.device)
    for some in torch.split(torch.cat((active.new_tensor([-1]), active)), size):
        parts = code[:, some.clamp_min(0)].T[..., None] * features.decoder[some.clamp_min(0), None] * read.spreads
        parts[some < 0] = 0.0
        with _without(changed, parts.flatten(0, 1)):
            copies = plain_view([tokens] * len(some), states.device)
            vectors = _vectors(model, encoder(copies, layers=[encoder.depth]))
        similarities.append(vectors @ target)
    found = torch.cat(similarities)
    return Contributions(float(found[0]), active.cpu().numpy(), (found[0] - found[1:]).cpu().numpy(), code.cpu())


def _vectors(model: EmbeddingModel, encoded: Encoded) -> Tensor:
    """[N, dims] vectors whose dot products are the model's similarity."""
    pooled = pool(encoded, model.pooling).float()[:, : model.dims]
    return F.normalize(pooled, dim=-1) if model.normalize or model.similarity == "cosine" else pooled


def changeable(model: EmbeddingModel, layer: int) -> nn.Module:
    """The module whose output is the states of a layer, so that a changed output changes the layers above.

    In a pre-norm encoder the states of an inner layer are normalised only for the caller, and passed on unnormalised:
    what is taken out of them cannot be put back. Raises ReknitError there, and for a layer that the model does not
    have.
    """
    check_layer(model, layer)
    encoder = model.encoder
    if not isinstance(encoder, NativeEncoder):
        raise ReknitError(f"{model.name}: only reknit's own encoders can continue from changed states")
    if layer == 0:
        return encoder.embedding_dropout
    if not encoder.config.pre_norm:
        return encoder.blocks[layer - 1]
    reads_all = encoder.pooler is not None and encoder.pooler.reads_all_layers
    if layer == encoder.depth and not reads_all:
        return encoder.final_norm
    raise ReknitError(
        f"{model.name} passes on the states of layer {layer} before their norm, so the effect of a feature above it "
        f"cannot be measured: use --set layer=0{'' if reads_all else f' or layer={encoder.depth}'}"
    )


@contextmanager
def _without(module: nn.Module, parts: Tensor) -> Iterator[None]:
    """Within the block, `parts` [K, dim] are taken out of what the module gives."""
    hook = module.register_forward_hook(lambda _module, _given, output: output - parts.to(output.dtype))
    try:
        yield
    finally:
        hook.remove()
