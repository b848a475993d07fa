"""Token states on disk are those of the encoder, text by text, in any order of reading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from feature_samples import TEXTS, small_embedder, small_store

from reknit.data.batch import View
from reknit.errors import ReknitError
from reknit.interpretability import activation_store
from reknit.interpretability.activation_store import ActivationStore, sample_texts


def naive_states(layer: int) -> list[torch.Tensor]:
    """[L, dim] of each text, encoded alone."""
    model = small_embedder()
    with torch.no_grad():
        batches = [model.tokenizer.pack([text], model.max_length) for text in TEXTS]
        return [model.encoder(View.clean(batch), layers=[layer]).states[layer] for batch in batches]


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_states_are_those_of_each_text_alone(layer: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation_store, "TOKENS_PER_BATCH", 150)
    store = small_store(tmp_path, layer=layer)
    wanted = naive_states(layer)
    assert len(store) == len(TEXTS)
    assert store.offsets.tolist() == np.cumsum([0, *map(len, wanted)]).tolist()
    everything = torch.cat(wanted)
    assert store.num_states == len(everything)
    assert (store.rows(np.arange(store.num_states)) - everything).abs().max() < 1e-4
    some = np.random.default_rng(0).permutation(store.num_states)[:50]
    assert (store.rows(some) - everything[some]).abs().max() < 1e-4


@pytest.mark.parametrize("tokens", [1, 100, 10**6])
def test_blocks_cover_every_text_once_with_its_tokens(tokens: int, tmp_path: Path) -> None:
    store = small_store(tmp_path)
    first = 3
    for block in store.blocks(first, 20, tokens=tokens):
        assert block.first == first
        first += block.batch.num_sequences
        rows = np.arange(store.offsets[block.first], store.offsets[first])
        assert block.states.equal(store.rows(rows))
        assert block.batch.tokens.equal(store.tokens.batch(np.arange(block.first, first)).tokens)
        assert block.batch.num_tokens <= tokens or block.batch.num_sequences == 1
    assert first == 20


def test_half_precision_takes_half_of_the_space(tmp_path: Path) -> None:
    whole, half = small_store(tmp_path / "a"), small_store(tmp_path / "b", stored="float16")
    sizes = [(store.path / "states.bin").stat().st_size for store in (whole, half)]
    assert sizes[0] == 2 * sizes[1] == 4 * whole.num_states * whole.dim
    rows = np.arange(whole.num_states)
    assert (whole.rows(rows) - half.rows(rows)).abs().max() < 1e-2


def test_states_that_half_precision_cannot_hold(tmp_path: Path) -> None:
    model = small_embedder()
    with torch.no_grad():
        model.encoder.blocks[0].feed_forward_norm.weight.mul_(1e6)
    with pytest.raises(ReknitError, match="too large for float16: set stored=float32"):
        small_store(tmp_path, model, stored="float16")
    with torch.no_grad():
        model.encoder.blocks[0].feed_forward_norm.weight.fill_(float("nan"))
    with pytest.raises(ReknitError, match="the model gives NaN or infinity in the states of layer"):
        small_store(tmp_path, model)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(ReknitError, match="layers 0 to 2: layer=3"):
        small_store(tmp_path, layer=3)
    store = small_store(tmp_path)
    with open(store.path / "states.bin", "ab") as file:
        file.write(b"1")
    with pytest.raises(ReknitError, match=r"states.bin is not \d+ bytes long"):
        ActivationStore.open(store.path)
    (store.path / "states.json").write_text("{}")
    with pytest.raises(ReknitError, match="of this version"):
        ActivationStore.open(store.path)


def test_progress_and_the_mode_of_the_encoder(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    model = small_embedder()
    model.encoder.train()
    store = small_store(tmp_path, model, on_progress=lambda *counts: told.append(counts))
    assert told[-1] == (store.num_states, store.num_states)
    assert model.encoder.training
    # Dropout was off all the same.
    assert (store.rows(np.arange(store.num_states)) - torch.cat(naive_states(1))).abs().max() < 1e-4


def test_a_sample_is_enough_and_no_more(tmp_path: Path) -> None:
    lengths = [3, 5, 8, 1, 9, 4]
    found = sample_texts(6, lambda number: "x" * lengths[number], len, 15, seed=1)
    assert len(set(found)) == len(found)
    assert sum(lengths[number] for number in found) >= 15
    assert sum(lengths[number] for number in found[:-1]) < 15
    assert found == sample_texts(6, lambda number: "x" * lengths[number], len, 15, seed=1)
    orders = {tuple(sample_texts(6, lambda number: "x" * lengths[number], len, 1000, seed)) for seed in range(5)}
    assert len(orders) == 5
    assert {tuple(sorted(order)) for order in orders} == {(0, 1, 2, 3, 4, 5)}
