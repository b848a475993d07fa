"""A recipe whose pooling is trained, from the corpus to the loaded model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import adapt, read_result, reknit, settings

import reknit as library

PAIRS = {"pretrain.data.pairs_per_batch": 8, "pretrain.data.tokens_per_batch": None}

TEXTS = ["the barak turns", "", "a longer text about the celet that holds the doron"]


def test_pretrain_nv_embed(corpus: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    run, changes = tmp_path / "run", PAIRS | {"pretrain.encoder.latents": 8}
    words = ["pretrain", "nv-embed", "--corpus", corpus, "--out", run, "--budget", "3000tok", "--index"]
    reknit(*words, *settings(without="tune.", **changes)).succeeded()
    result = read_result(run)
    assert result["model_trained_pooling"] == "latent-attention"
    assert set(result["export"]["against"]) >= {"sentence-transformers", "reknit, trained pooling"}
    assert result["export"]["max_abs_diff"] <= 1e-4
    readme = (run / "model" / "README.md").read_text()
    assert "`trained_pooling/` holds the latent-attention pooling" in readme
    assert "which only reknit runs" in (run / "report.html").read_text()

    model = library.load(run)
    assert model.pooling == "latent-attention"
    assert model.encoder.pooler.latents.shape == (8, 32)
    vectors = model.encode(TEXTS)
    theirs = SentenceTransformer(str(run / "model"), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(theirs, model.without_trained_pooling().encode(TEXTS), atol=1e-4)
    assert np.abs(theirs - vectors).max() > 1e-2

    refused = reknit("export", run, "--out", tmp_path / "small", "--layers", 1).complaint()
    assert "its latent-attention pooling was trained for all 2" in refused
    assert "2 layers; 1 alone cannot be used" in reknit("search", run, "barak", "--layers", 1).complaint()
    hit = json.loads(reknit("search", run, "barak", "--mode", "dense", "--json").succeeded().out)[0]
    passage, query = model.encode([f"{hit['title']} {hit['text']}"])[0], model.encode(["barak"])[0]
    assert hit["score"] == pytest.approx(float(passage @ query), abs=1e-3), "the index holds other vectors"


def test_adapt_keeps_the_last_token_of_a_recipe_that_reads_it(corpus: Path, tmp_path: Path) -> None:
    reknit(*adapt(corpus, tmp_path / "run", "--recipe", "gem")).succeeded()
    assert library.load(tmp_path / "run").pooling == "last"


def test_adapt_with_such_a_recipe_keeps_its_pooling(corpus: Path, tmp_path: Path) -> None:
    """From scratch, `adapt` pools by the mean unless the recipe is about pooling; what follows trains it on."""
    run, changes = tmp_path / "run", PAIRS
    reknit(*adapt(corpus, run, "--recipe", "pooling-attention", **changes)).succeeded()
    assert read_result(run)["model_trained_pooling"] == "layer-attention"
    model = library.load(run)
    assert model.pooling == "layer-attention"
    # Resumed, a finished run delivers again what its checkpoints hold.
    reknit(*adapt(corpus, run, "--recipe", "pooling-attention", "--resume", **changes)).succeeded()
    np.testing.assert_array_equal(library.load(run).encode(TEXTS), model.encode(TEXTS))
