"""How each native family names its settings and its tensors in Hugging Face folders.

Read from `transformers.models.{bert,roberta,xlm_roberta,distilbert,modernbert,vit}`. A family is described once, and
the same table serves reading and writing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from reknit.encoders.huggingface.family import OWN, ConfigDict, Family, OwnFamily, number
from reknit.encoders.huggingface.vit import VIT_FAMILY
from reknit.encoders.model_files import read_json
from reknit.encoders.native.config import NativeConfig
from reknit.errors import ReknitError


def family_of(model_type: str) -> Family | None:
    """The family of a `model_type` of config.json, or None when it has no native encoder."""
    return FAMILIES.get(model_type)


def family_at(folder: Path) -> Family | None:
    """The family of a model's folder; None where it has no config.json of one, or no native encoder."""
    config = folder / "config.json"
    return family_of(str(read_json(config).get("model_type"))) if config.exists() else None


def _bert(raw: ConfigDict, position_offset: int = 0) -> NativeConfig:
    if raw.get("position_embedding_type", "absolute") != "absolute":
        raise ReknitError(
            f"config.json: position_embedding_type {raw['position_embedding_type']!r} is not supported; "
            "only models with absolute positions can be read"
        )
    return NativeConfig(
        vocabulary=number(raw, "vocab_size"),
        dim=number(raw, "hidden_size"),
        depth=number(raw, "num_hidden_layers"),
        heads=number(raw, "num_attention_heads"),
        intermediate=number(raw, "intermediate_size"),
        max_positions=number(raw, "max_position_embeddings", 512) - position_offset,
        activation=raw.get("hidden_act") or "gelu",
        dropout=number(raw, "hidden_dropout_prob", 0.1),
        attention_dropout=number(raw, "attention_probs_dropout_prob", 0.1),
        norm_epsilon=number(raw, "layer_norm_eps", 1e-12),
        initializer_range=number(raw, "initializer_range", 0.02),
        token_types=number(raw, "type_vocab_size", 2),
        position_offset=position_offset,
        causal=bool(raw.get("is_decoder")),
    )


def _roberta(raw: ConfigDict) -> NativeConfig:
    # Places are counted from padding_idx + 1 (fairseq's convention).
    return _bert(raw, position_offset=number(raw, "pad_token_id", 1) + 1)


def _distilbert(raw: ConfigDict) -> NativeConfig:
    return NativeConfig(
        vocabulary=number(raw, "vocab_size"),
        dim=number(raw, "dim", 768),
        depth=number(raw, "n_layers", 6),
        heads=number(raw, "n_heads", 12),
        intermediate=number(raw, "hidden_dim", 3072),
        max_positions=number(raw, "max_position_embeddings", 512),
        activation=raw.get("activation") or "gelu",
        dropout=number(raw, "dropout", 0.1),
        attention_dropout=number(raw, "attention_dropout", 0.1),
        initializer_range=number(raw, "initializer_range", 0.02),
        token_types=0,
    )


def _modernbert(raw: ConfigDict) -> NativeConfig:
    depth = number(raw, "num_hidden_layers", 22)
    every = number(raw, "global_attn_every_n_layers", 3)
    kinds = raw.get("layer_types") or [
        "sliding_attention" if layer % every else "full_attention" for layer in range(depth)
    ]
    if len(kinds) < depth or set(kinds) - {"sliding_attention", "full_attention"}:
        raise ReknitError(f"config.json: layer_types does not describe the {depth} layers; the file is broken")
    reach = number(raw, "local_attention", 128) // 2
    thetas = {
        "full_attention": _rope_theta(raw, "full_attention", "global_rope_theta", 160_000.0),
        "sliding_attention": _rope_theta(raw, "sliding_attention", "local_rope_theta", 10_000.0),
    }
    return NativeConfig(
        vocabulary=number(raw, "vocab_size"),
        dim=number(raw, "hidden_size", 768),
        depth=depth,
        heads=number(raw, "num_attention_heads", 12),
        intermediate=number(raw, "intermediate_size", 1152),
        max_positions=number(raw, "max_position_embeddings", 8192),
        activation=raw.get("hidden_activation") or "gelu",
        dropout=number(raw, "mlp_dropout", 0.0),
        attention_dropout=number(raw, "attention_dropout", 0.0),
        norm_epsilon=number(raw, "norm_eps", 1e-5),
        initializer_range=number(raw, "initializer_range", 0.02),
        pre_norm=True,
        gated=True,
        token_types=0,
        windows=tuple(reach if kind == "sliding_attention" else None for kind in kinds[:depth]),
        rope_thetas=tuple(thetas[kind] for kind in kinds[:depth]),
        attention_bias=bool(raw.get("attention_bias", False)),
        feed_forward_bias=bool(raw.get("mlp_bias", False)),
        norm_bias=bool(raw.get("norm_bias", False)),
    )


def _rope_theta(raw: ConfigDict, kind: str, old_name: str, default: float) -> float:
    """transformers 5 keeps the bases in `rope_parameters`, transformers 4 in two fields of their own."""
    parameters = (raw.get("rope_parameters") or {}).get(kind) or {}
    scaling = raw.get("rope_scaling") or {}
    rope_type = parameters.get("rope_type") or scaling.get("rope_type") or "default"
    if rope_type != "default":
        raise ReknitError(f"config.json: rotary embeddings of type {rope_type!r} are not supported, only 'default'")
    return float(number(parameters, "rope_theta", raw.get(old_name) or default))


def _own(raw: ConfigDict) -> NativeConfig:
    """The settings of another family, and what its blocks have in the place of attention."""
    base = FAMILIES.get(str(raw.get("family")))
    if base is None or isinstance(base, OwnFamily) or not isinstance(raw.get("mixer"), str):
        raise ReknitError(
            'config.json: a model of type "reknit" must name its family and its mixer; the file is broken'
        )
    return replace(base.to_config(raw), mixer=raw["mixer"])


_BERT_LAYER = "encoder.layer.{layer}"
_BERT_FAMILY = Family(
    architecture="BertModel",
    token_table="embeddings.word_embeddings.weight",
    depth_key="num_hidden_layers",
    to_config=_bert,
    embeddings={
        "tokens": ("embeddings.word_embeddings",),
        "position_table": ("embeddings.position_embeddings",),
        "token_types": ("embeddings.token_type_embeddings",),
        "embedding_norm": ("embeddings.LayerNorm",),
    },
    block={
        "query_key_value": tuple(f"{_BERT_LAYER}.attention.self.{part}" for part in ("query", "key", "value")),
        "attention_output": (f"{_BERT_LAYER}.attention.output.dense",),
        "attention_norm": (f"{_BERT_LAYER}.attention.output.LayerNorm",),
        "up": (f"{_BERT_LAYER}.intermediate.dense",),
        "down": (f"{_BERT_LAYER}.output.dense",),
        "feed_forward_norm": (f"{_BERT_LAYER}.output.LayerNorm",),
    },
)


def _roberta_family(architecture: str) -> Family:
    shared = _BERT_FAMILY
    return Family(architecture, shared.token_table, shared.depth_key, _roberta, shared.embeddings, shared.block)


_DISTILBERT_LAYER = "transformer.layer.{layer}"
_DISTILBERT_FAMILY = Family(
    architecture="DistilBertModel",
    token_table="embeddings.word_embeddings.weight",
    depth_key="n_layers",
    to_config=_distilbert,
    embeddings={
        "tokens": ("embeddings.word_embeddings",),
        "position_table": ("embeddings.position_embeddings",),
        "embedding_norm": ("embeddings.LayerNorm",),
    },
    block={
        "query_key_value": tuple(f"{_DISTILBERT_LAYER}.attention.{part}_lin" for part in "qkv"),
        "attention_output": (f"{_DISTILBERT_LAYER}.attention.out_lin",),
        "attention_norm": (f"{_DISTILBERT_LAYER}.sa_layer_norm",),
        "up": (f"{_DISTILBERT_LAYER}.ffn.lin1",),
        "down": (f"{_DISTILBERT_LAYER}.ffn.lin2",),
        "feed_forward_norm": (f"{_DISTILBERT_LAYER}.output_layer_norm",),
    },
)

_MODERNBERT_FAMILY = Family(
    architecture="ModernBertModel",
    token_table="embeddings.tok_embeddings.weight",
    depth_key="num_hidden_layers",
    to_config=_modernbert,
    embeddings={
        "tokens": ("embeddings.tok_embeddings",),
        "embedding_norm": ("embeddings.norm",),
        "final_norm": ("final_norm",),
    },
    block={
        "query_key_value": ("layers.{layer}.attn.Wqkv",),
        "attention_output": ("layers.{layer}.attn.Wo",),
        "attention_norm": ("layers.{layer}.attn_norm",),
        "up": ("layers.{layer}.mlp.Wi",),
        "down": ("layers.{layer}.mlp.Wo",),
        "feed_forward_norm": ("layers.{layer}.mlp_norm",),
    },
)

FAMILIES: Mapping[str, Family] = {
    "bert": _BERT_FAMILY,
    "roberta": _roberta_family("RobertaModel"),
    "camembert": _roberta_family("CamembertModel"),
    "xlm-roberta": _roberta_family("XLMRobertaModel"),
    "distilbert": _DISTILBERT_FAMILY,
    "modernbert": _MODERNBERT_FAMILY,
    "vit": VIT_FAMILY,
    OWN: OwnFamily(
        architecture="ReknitEncoder",
        token_table="tokens.weight",
        depth_key="num_hidden_layers",
        to_config=_own,
        embeddings={},
        block={},
    ),
}
