"""One suite for every tokenizer transfer of the catalogue, and for random rows; planted bugs show that it sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
import transfer_checks as checks

from reknit import catalogue
from reknit.models.embedding_model import EmbeddingModel
from reknit.tokenizers.tokenizer import Tokenizer
from reknit.vocabulary.model import with_vocabulary
from reknit.vocabulary.transfer import NewRows, RandomRows, TokenizerTransfer, TransferMaterial
from reknit.vocabulary.wechsel import Wechsel

METHODS: dict[str, TokenizerTransfer] = {
    **{name: method.part for name, method in catalogue.methods("vocabulary").items()},  # type: ignore[dict-item]
    "random": RandomRows(),
}
COMBINE_NOTHING = {"random"}
# Settings by which a token that both tokenizers have is made from itself alone; a method without any is not asked.
EXACT = {"wechsel": Wechsel(neighbours=1)}

every_method = pytest.mark.parametrize("name", METHODS)


def test_the_catalogue_has_methods() -> None:
    assert "wechsel" in METHODS


@every_method
def test_special_rows(name: str) -> None:
    checks.check_special_rows(METHODS[name])


@every_method
def test_convex(name: str) -> None:
    checks.check_convex(METHODS[name], combines=name not in COMBINE_NOTHING)


@every_method
def test_linear(name: str) -> None:
    checks.check_linear(METHODS[name])


@every_method
def test_same_tokenizer(name: str) -> None:
    checks.check_same_tokenizer(METHODS[name], EXACT.get(name))


@every_method
def test_deterministic(name: str) -> None:
    checks.check_deterministic(METHODS[name])


@every_method
def test_drawn_statistics(name: str) -> None:
    checks.check_drawn_statistics(METHODS[name])


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_body_unchanged(family: str) -> None:
    checks.check_body_unchanged(checks.replaced(family))


# Planted bugs


@dataclass(frozen=True)
class ForgetsSpecial(Wechsel):
    def new_rows(self, material: TransferMaterial) -> NewRows:
        return super().new_rows(replace(material, kept=np.full_like(material.kept, -1)))


@dataclass(frozen=True)
class Unnormalised(Wechsel):
    def combine(self, material: TransferMaterial) -> tuple[np.ndarray, np.ndarray]:
        made, could = super().combine(material)
        return 1.1 * made, could


@dataclass(frozen=True)
class Subtracts(Wechsel):
    """Sums to 1 all the same."""

    def combine(self, material: TransferMaterial) -> tuple[np.ndarray, np.ndarray]:
        made, could = super().combine(material)
        return 2 * made - material.rows[7], could


@dataclass(frozen=True)
class Rescaled(Wechsel):
    """Every row as long as the old rows are."""

    def combine(self, material: TransferMaterial) -> tuple[np.ndarray, np.ndarray]:
        made, could = super().combine(material)
        lengths = np.linalg.norm(made, axis=1, keepdims=True)
        return made / np.where(lengths > 0, lengths, 1) * np.linalg.norm(material.rows, axis=1).mean(), could


@dataclass(frozen=True)
class OffByOne(Wechsel):
    def combine(self, material: TransferMaterial) -> tuple[np.ndarray, np.ndarray]:
        return super().combine(replace(material, rows=np.roll(material.rows, 1, axis=0)))


@dataclass(frozen=True)
class WritesOverKept(RandomRows):
    def new_rows(self, material: TransferMaterial) -> NewRows:
        made = super().new_rows(material)
        return NewRows(made.rows * np.float32(1.0001), made.origin)


@dataclass(frozen=True)
class Unseeded(RandomRows):
    def new_rows(self, material: TransferMaterial) -> NewRows:
        return super().new_rows(replace(material, seed=int(np.random.default_rng().integers(2**31))))


@dataclass(frozen=True)
class OneSeed(RandomRows):
    def new_rows(self, material: TransferMaterial) -> NewRows:
        return super().new_rows(replace(material, seed=0))


@dataclass(frozen=True)
class DrawsBertsWay(RandomRows):
    """As a fresh model is drawn, whatever the table's spread."""

    def new_rows(self, material: TransferMaterial) -> NewRows:
        made = super().new_rows(material)
        noise = np.random.default_rng(material.seed).normal(0, 0.02, made.rows.shape).astype(np.float32)
        return NewRows(np.where((material.kept >= 0)[:, None], made.rows, noise), made.origin)


@dataclass(frozen=True)
class OneSpread(RandomRows):
    """One deviation for all columns."""

    def new_rows(self, material: TransferMaterial) -> NewRows:
        made, old = super().new_rows(material), material.rows
        rows = (made.rows - old.mean(axis=0)) / old.std(axis=0) * old.std() + old.mean(axis=0)
        return NewRows(np.where((material.kept >= 0)[:, None], made.rows, rows), made.origin)


PLANTED: list[tuple[TokenizerTransfer, Callable[[TokenizerTransfer], None], str]] = [
    (ForgetsSpecial(), checks.check_special_rows, "has another row"),
    (WritesOverKept(), checks.check_special_rows, "has another row"),
    (Unnormalised(), lambda part: checks.check_convex(part, combines=True), "do not sum to 1"),
    (Subtracts(), lambda part: checks.check_convex(part, combines=True), "below 0"),
    (Rescaled(), checks.check_linear, "columns depend on another"),
    (OffByOne(neighbours=1), lambda part: checks.check_same_tokenizer(part, part), "not its own nearest"),
    (WritesOverKept(), lambda part: checks.check_same_tokenizer(part, None), "a shared token has another row"),
    (Unseeded(), checks.check_deterministic, "the same seed gives other rows"),
    (OneSeed(), checks.check_deterministic, "another seed draws the same rows"),
    (DrawsBertsWay(), checks.check_drawn_statistics, "another mean"),
    (OneSpread(), checks.check_drawn_statistics, "another"),
]


@pytest.mark.parametrize(("bug", "check", "complaint"), PLANTED, ids=lambda value: type(value).__name__)
def test_planted_bugs(bug: TokenizerTransfer, check: Callable[[TokenizerTransfer], None], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check(bug)


def body_rescaled(model: EmbeddingModel, tokenizer: Tokenizer, rows: torch.Tensor) -> EmbeddingModel:
    made = with_vocabulary(model, tokenizer, rows)
    with torch.no_grad():
        made.encoder.embedding_norm.weight.mul_(0.99)  # type: ignore[union-attr, operator]
    return made


def body_shared(model: EmbeddingModel, tokenizer: Tokenizer, rows: torch.Tensor) -> EmbeddingModel:
    made = with_vocabulary(model, tokenizer, rows)
    made.encoder.blocks = model.encoder.blocks
    return made


def pooling_lost(model: EmbeddingModel, tokenizer: Tokenizer, rows: torch.Tensor) -> EmbeddingModel:
    made = with_vocabulary(model, tokenizer, rows)
    made.pooling = "mean"
    return made


@pytest.mark.parametrize(
    ("bug", "complaint"),
    [(body_rescaled, "embedding_norm"), (body_shared, "share a weight"), (pooling_lost, "pooling")],
)
def test_planted_bugs_of_the_body(bug: checks.Replace, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        checks.check_body_unchanged(checks.replaced("bert", bug))
