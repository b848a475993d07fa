"""Models to export, made afresh for every test."""

from __future__ import annotations

import pytest
from export_samples import export_sample

from reknit.models.embedding_model import EmbeddingModel


@pytest.fixture(params=["bert", "modernbert"])
def model(request: pytest.FixtureRequest) -> EmbeddingModel:
    return export_sample(request.param)


@pytest.fixture
def bert() -> EmbeddingModel:
    return export_sample("bert")
