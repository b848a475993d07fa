"""SMAE's losses, one size, one text and one token at a time."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from toy_models import amplify

from reknit.corruptions.masking import mask_tokens_twice
from reknit.data.batch import Batch
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.decoders.masked_decoder import MaskedDecoder
from reknit.encoders.base import Encoder
from reknit.encoders.native.block import TransformerBlock
from reknit.objectives.draws import draw_seed, drawn_tokens
from reknit.objectives.elastic_autoencoder import ElasticAutoencoder
from twins.base import Losses, Twin, same_draws
from twins.losses.cross_entropy import naive_cross_entropy


class AutoencoderTwin(Twin):
    def compare(self, objective: ElasticAutoencoder, encoder: Encoder, batch: Batch) -> tuple[Losses, Losses]:
        amplify(objective, encoder, factor=2.0)  # what a fresh decoder says hardly depends on what it reads
        losses = objective(encoder, batch, same_draws()).losses
        return losses, naive_elastic_autoencoder(objective, encoder, batch, same_draws())


def naive_elastic_autoencoder(
    objective: ElasticAutoencoder, encoder: Encoder, batch: Batch, rng: torch.Generator
) -> Losses:
    """With "cls" pooling. The masks are those of the objective, and so are the gaps drawn for the decoder."""
    spec, seed = objective.spec, draw_seed(rng)
    ratios = (spec.encoder_ratio, spec.decoder_ratio)
    shares = {"random_share": spec.random_share, "keep_share": spec.keep_share}
    shown, sparse = mask_tokens_twice(batch, rng, ratios=ratios, whole_words=spec.whole_words, **shares)
    drawn = drawn_tokens(batch, seed, spec.decoded_share).tolist()
    asked = shown.predict.nonzero().squeeze(1).tolist()
    filled = [place for place in sparse.predict.nonzero().squeeze(1).tolist() if drawn[place]]
    found = {}
    for layers, dims in objective.sizes:
        hidden = encoder(shown, [layers]).last
        states = torch.stack([naive_head(objective.head, hidden[place, :dims]) for place in asked])
        found[f"masked_{layers}x{dims}"] = states, batch.tokens[asked]
        decoded = []
        for start, end in pairwise(batch.cu_seqlens.tolist()):
            vector = naive_head(objective.head, hidden[start, :dims])
            decoded += list(naive_decoder(objective.decoder, vector, sparse.tokens[start:end], encoder.table))
        states = torch.stack([naive_head(objective.head, decoded[place]) for place in filled])
        found[f"decoded_{layers}x{dims}"] = states, batch.tokens[filled]
    bias = objective.head.bias
    return {
        name: naive_cross_entropy(states, encoder.table, bias, targets) / 2 / len(objective.sizes)
        for name, (states, targets) in found.items()
    }


def naive_head(head: LanguageModelHead, state: Tensor) -> Tensor:
    """[d] -> [dim]: as if the dimensions beyond d were 0."""
    read = [row[: len(state)] @ state + bias for row, bias in zip(head.dense.weight, head.dense.bias, strict=True)]
    activated = torch.stack([value * (1 + torch.erf(value / math.sqrt(2))) / 2 for value in read])
    return naive_norm(head.norm, activated)


def naive_decoder(decoder: MaskedDecoder, vector: Tensor, tokens: Tensor, table: Tensor) -> Tensor:
    """One text: [L] masked tokens and the vector that is put in place of the first -> [L, dim]."""
    rows = [
        naive_norm(decoder.embedding_norm, table[token] + decoder.positions.weight[place])
        for place, token in enumerate(tokens.tolist())
    ]
    hidden = torch.stack([vector, *rows[1:]])
    for block in decoder.stack.blocks:
        hidden = naive_block(block, hidden)
    return hidden


def naive_block(block: TransformerBlock, hidden: Tensor) -> Tensor:
    queries, keys, values = (part.chunk(block.heads, dim=1) for part in block.query_key_value(hidden).chunk(3, dim=1))
    heads = []
    for query, key, value in zip(queries, keys, values, strict=True):
        weights = (query @ key.t() / math.sqrt(key.shape[1])).exp()
        heads.append(weights / weights.sum(dim=1, keepdim=True) @ value)
    summed = hidden + block.attention_output(torch.cat(heads, dim=1))
    hidden = torch.stack([naive_norm(block.attention_norm, row) for row in summed])
    widened = block.up(hidden)
    summed = hidden + block.down(widened * (1 + torch.erf(widened / math.sqrt(2))) / 2)
    return torch.stack([naive_norm(block.feed_forward_norm, row) for row in summed])


def naive_norm(norm: nn.LayerNorm, row: Tensor) -> Tensor:
    centred = row - row.mean()
    return centred / (centred.square().mean() + norm.eps).sqrt() * norm.weight + norm.bias


TWIN = AutoencoderTwin()
