"""The language-model head is BERT's."""

from __future__ import annotations

import torch

from reknit.decoders.language_model_head import LanguageModelHead


def test_equals_the_head_of_transformers() -> None:
    from transformers import BertConfig
    from transformers.models.bert.modeling_bert import BertLMPredictionHead

    torch.manual_seed(0)
    theirs = BertLMPredictionHead(BertConfig(hidden_size=16, vocab_size=30, hidden_act="gelu"))
    ours = LanguageModelHead(16, 30)
    with torch.no_grad():
        theirs.bias.copy_(torch.randn(30))
        theirs.decoder.bias.copy_(theirs.bias)
        theirs.transform.dense.bias.copy_(torch.randn(16))
        ours.dense.load_state_dict(theirs.transform.dense.state_dict())
        ours.norm.load_state_dict(theirs.transform.LayerNorm.state_dict())
        ours.bias.copy_(theirs.bias)
    states = torch.randn(5, 16)
    torch.testing.assert_close(ours(states) @ theirs.decoder.weight.t() + ours.bias, theirs(states))
