"""Where the tokens of a text lie in it."""

from __future__ import annotations

import pytest
from feature_samples import TEXTS, small_tokenizer


@pytest.mark.parametrize("limit", [6, 9, 200])
def test_spans_are_those_of_the_tokens_that_are_kept(limit: int) -> None:
    tokenizer = small_tokenizer()
    for text in (*TEXTS[:4], "", "  The bar\n\nturns  "):
        (tokens,) = tokenizer.encode_batch([text], limit)
        spans = tokenizer.spans(text, limit)
        assert spans.shape == (len(tokens.tokens), 2)
        for token, special, (start, end) in zip(tokens.tokens, tokens.special, spans.tolist(), strict=True):
            if special:
                assert start == end
            else:
                assert text[start:end].lower() == tokenizer.decode([token]).removeprefix("##")
