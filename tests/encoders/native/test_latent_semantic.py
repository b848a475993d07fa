"""Initial weights by latent semantic analysis against a full decomposition, and what an encoder makes of them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from reknit.data.batch import View
from reknit.encoders.native.latent_semantic import begin_with, latent_semantic_table
from reknit.encoders.spec import TextEncoderSpec

VOCABULARY = 40


def some_texts(number: int = 60) -> list[np.ndarray]:
    """Of two subjects with ten tokens each (10 to 29), with frequent tokens (5 to 9) in between and a special one."""
    rng = np.random.default_rng(0)
    texts = []
    for place in range(number):
        subject = rng.integers(10, 20, size=12) + 10 * (place % 2)
        texts.append(np.concatenate([[1], rng.integers(5, 10, size=8), subject]))
    return texts


SPECIAL = np.arange(VOCABULARY) < 2


def naive_rows(texts: list[np.ndarray], size: int) -> np.ndarray:
    """[vocabulary, size] rarity times right singular vector, one count at a time, by a full decomposition."""
    holders = Counter(token for text in texts for token in set(text.tolist()))
    rarity = np.array(
        [np.log1p(len(texts) / holders[t]) if holders[t] >= 3 and not SPECIAL[t] else 0.0 for t in range(VOCABULARY)]
    )
    matrix = np.zeros((len(texts), VOCABULARY))
    for row, text in enumerate(texts):
        for token, count in Counter(text.tolist()).items():
            matrix[row, token] = (1 + np.log(count)) * rarity[token]
        matrix[row] /= np.linalg.norm(matrix[row])
    return np.linalg.svd(matrix, full_matrices=False)[2][:size].T * rarity[:, None]


def test_rows_are_those_of_a_full_decomposition():
    table = latent_semantic_table(some_texts(), SPECIAL, 4, seed=0).numpy()
    expected = naive_rows(some_texts(), 2)
    lengths = np.linalg.norm(expected, axis=1)
    expected *= np.minimum(1, np.quantile(lengths[lengths > 0], 0.99) / np.maximum(lengths, 1e-9))[:, None]
    # Singular vectors have a sign by chance, and so has no product of two rows.
    ours, theirs = table[:, :2] @ table[:, :2].T, expected @ expected.T
    assert ours / ours.max() == pytest.approx(theirs / theirs.max(), abs=0.02)


def test_every_row_has_one_length_and_no_mean_of_what_fills_it_up():
    table = latent_semantic_table(some_texts(), SPECIAL, 6, seed=0)
    assert torch.allclose(table.norm(dim=1), table.norm(dim=1).mean().expand(VOCABULARY), rtol=1e-5)
    assert torch.equal(table[:, -1], -table[:, -2])
    unknown = [0, 1, 2, 35]  # special, and in no text
    assert not table[unknown, :4].any()
    frequent, rare = table[5:10, :4].norm(dim=1).mean(), table[10:30, :4].norm(dim=1).mean()
    assert frequent < 0.6 * rare


def test_it_takes_any_seed_and_no_chance_but_that():
    one, same = (latent_semantic_table(some_texts(), SPECIAL, 16, seed=2**40) for _ in range(2))
    assert torch.equal(one, same)


@pytest.mark.parametrize("texts", [[], [np.array([1])], some_texts(2)])
def test_there_may_be_nothing_to_learn_from(texts):
    table = latent_semantic_table(texts, SPECIAL, 16, seed=0)
    assert table.shape == (VOCABULARY, 16)
    assert torch.isfinite(table).all()


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_a_new_encoder_tells_subjects_apart(family):
    """Two texts of one subject without a common token are nearer than two of different subjects."""
    spec = TextEncoderSpec(family=family, dim=4, depth=2, heads=2, intermediate=32, dropout=0.0, pooling="mean")
    texts = [np.array(text) for text in ([10, 11, 12, 5, 6], [13, 14, 15, 7, 8], [20, 21, 22, 5, 6], [1, 5, 6, 7, 8])]
    torch.manual_seed(0)
    encoder = spec.build(VOCABULARY).eval()
    before = _cosines(encoder, texts)
    begin_with(encoder, latent_semantic_table(some_texts(), SPECIAL, 4, seed=0))
    after = _cosines(encoder, texts)
    assert abs(before[0, 1] - before[0, 2]) < 0.2
    assert after[0, 1] > 0.9
    assert after[0, 2] < 0.5


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_a_text_begins_as_the_mean_of_its_rows(family):
    """Where layers add nothing, as new ones nearly do: what fills rows up is gone, and rare tokens count more."""
    spec = TextEncoderSpec(family=family, dim=16, depth=2, heads=2, intermediate=32, dropout=0.0, pooling="mean")
    encoder = spec.build(VOCABULARY).eval()
    table = latent_semantic_table(some_texts(), SPECIAL, 16, seed=0)
    begin_with(encoder, table)
    with torch.no_grad():
        for block in encoder.blocks:
            block.attention_output.weight.zero_()
            block.down.weight.zero_()
        for name in ("position_table", "token_types"):
            if hasattr(encoder, name):
                getattr(encoder, name).weight.zero_()
    tokens = [5, 6, 10, 11]
    found = _pooled(encoder, np.array(tokens))
    assert not found[-2:].any()
    assert torch.cosine_similarity(found[:-2], table[tokens, :-2].mean(dim=0), dim=0) > 0.99


def _pooled(encoder, text: np.ndarray) -> torch.Tensor:
    tokens, nothing = torch.from_numpy(text), torch.zeros(len(text), dtype=torch.bool)
    with torch.no_grad():
        view = View(tokens, torch.tensor([0, len(text)]), tokens, nothing, nothing)
        return encoder(view).states[encoder.depth].mean(dim=0)


def _cosines(encoder, texts: list[np.ndarray]) -> torch.Tensor:
    pooled = torch.nn.functional.normalize(torch.stack([_pooled(encoder, text) for text in texts]), dim=1)
    return pooled @ pooled.t()
