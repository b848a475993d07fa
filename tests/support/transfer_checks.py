"""What every tokenizer transfer must keep to, as functions that raise AssertionError, and the toys for it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from small_corpus import small_documents

from reknit.encoders.spec import TextEncoderSpec
from reknit.models.embedding_model import EmbeddingModel
from reknit.tokenizers.tokenizer import Tokenizer, train_tokenizer
from reknit.vocabulary.model import with_vocabulary
from reknit.vocabulary.transfer import COMBINED, DRAWN, KEPT, TokenizerTransfer, TransferMaterial, rows_to_keep

_FOREIGN = str.maketrans("abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba")
_DRAWS = 4000
_UNLIKELY = 6.0  # standard errors of a mean


def foreign(text: str) -> str:
    """The text in a language of which every word, and no letter, is known from English."""
    return text.translate(_FOREIGN)


@functools.cache
def toy_texts() -> tuple[str, ...]:
    return tuple(document["text"] for document in small_documents(60))


@functools.cache
def toy_tokenizers() -> tuple[Tokenizer, Tokenizer]:
    """Of the texts, a small one and one that knows every word; and one of the foreign language."""
    return train_tokenizer(toy_texts(), 120), train_tokenizer([foreign(text) for text in toy_texts()], 300)


def toy_material(rows: np.ndarray | None = None, *, abroad: bool = True, seed: int = 0) -> TransferMaterial:
    """From the small tokenizer to the foreign one, by texts of both languages and the words' translations; or, at home,
    to a larger one of the same language."""
    source, target = toy_tokenizers()
    texts = [foreign(text) for text in toy_texts()] if abroad else list(toy_texts())
    if not abroad:
        target = toy_home()
    words = sorted({word.strip(".").lower() for text in toy_texts() for word in text.split()})
    rng = np.random.default_rng(9)
    size = source.vocabulary.size
    return TransferMaterial(
        rows=rng.standard_normal((size, 16)).astype(np.float32) if rows is None else rows,
        source=source,
        target=target,
        kept=rows_to_keep(source, target, shared=False),
        texts=lambda: texts,
        source_texts=(lambda: toy_texts()) if abroad else None,
        translations=tuple((word, foreign(word)) for word in words) if abroad else (),
        seed=seed,
    )


@functools.cache
def toy_home() -> Tokenizer:
    return train_tokenizer(toy_texts(), 300)


def check_special_rows(part: TokenizerTransfer) -> None:
    """Special tokens keep their rows, bit for bit, by their part in the tokenizer."""
    material = toy_material()
    made = part.new_rows(material)
    source, target = material.source.hf, material.target.hf
    for name in ("pad", "unk", "cls", "sep", "mask"):
        new, old = (getattr(tokenizer, f"{name}_token_id") for tokenizer in (target, source))
        assert np.array_equal(made.rows[new], material.rows[old]), f"{name} has another row"
        assert made.origin[new] == KEPT, name


def check_convex(part: TokenizerTransfer, *, combines: bool) -> None:
    """A combined row is a mean of old rows: from a table of ones on the diagonal, its entries are its weights."""
    size = toy_material().source.vocabulary.size
    for abroad in (True, False):
        made = part.new_rows(toy_material(np.eye(size, dtype=np.float32), abroad=abroad))
        weights = made.rows[made.origin == COMBINED]
        assert (len(weights) > 20) == combines, "rows are combined, or the part says that it combines none"
        assert (weights >= 0).all(), "a weight is below 0"
        assert np.allclose(weights.sum(axis=1), 1.0, atol=1e-5), "the weights of a row do not sum to 1"


def check_linear(part: TokenizerTransfer) -> None:
    """What else belongs to a token may be one more column: columns are combined one by one, alike."""
    material = toy_material()
    other = np.random.default_rng(3).standard_normal((len(material.rows), 2)).astype(np.float32)
    both = part.new_rows(replace(material, rows=np.concatenate([material.rows, other], axis=1)))
    combined = both.origin != DRAWN
    assert combined.any(), "nothing was checked"
    for columns, rows in ((slice(None, 16), material.rows), (slice(16, None), other)):
        alone = part.new_rows(replace(material, rows=rows))
        assert np.allclose(alone.rows[combined], both.rows[combined, columns], atol=1e-6), "columns depend on another"


def check_same_tokenizer(part: TokenizerTransfer, exact: TokenizerTransfer | None) -> None:
    """From a tokenizer to itself nothing changes: where shared tokens keep their rows, and, by the part's exact
    settings, where they are made anew from the one that means the same."""
    home, rng = toy_home(), np.random.default_rng(5)
    rows = rng.standard_normal((home.vocabulary.size, 16)).astype(np.float32)
    material = replace(toy_material(abroad=False), source=home, target=home, rows=rows)
    kept = part.new_rows(replace(material, kept=rows_to_keep(home, home, shared=True)))
    assert np.array_equal(kept.rows, rows), "a shared token has another row"
    if exact is None:
        return
    made = exact.new_rows(replace(material, kept=rows_to_keep(home, home, shared=False)))
    combined = made.origin == COMBINED
    assert combined.sum() > 20, "nothing was checked"
    assert np.array_equal(made.rows[combined], rows[combined]), "a token is not its own nearest"


def check_deterministic(part: TokenizerTransfer) -> None:
    """The seed decides, and nothing else does."""
    one, same, other = (part.new_rows(_mostly_unknown(seed)) for seed in (0, 0, 1))
    assert np.array_equal(one.rows, same.rows), "the same seed gives other rows"
    drawn = one.origin == DRAWN
    assert drawn.sum() > 20, "nothing was checked"
    assert not np.array_equal(one.rows[drawn], other.rows[drawn]), "another seed draws the same rows"


def check_drawn_statistics(part: TokenizerTransfer) -> None:
    """Rows of tokens that nothing is known of have each column's mean and standard deviation in the old table."""
    material = _mostly_unknown(0)
    old = material.rows
    repeats = [part.new_rows(replace(material, seed=seed)) for seed in range(40)]
    drawn = np.concatenate([made.rows[made.origin == DRAWN] for made in repeats]).astype(np.float64)
    assert len(drawn) >= _DRAWS, "too few rows were drawn to tell"
    error = old.std(axis=0) / len(drawn) ** 0.5
    assert (np.abs(drawn.mean(axis=0) - old.mean(axis=0)) < _UNLIKELY * error).all(), "another mean"
    assert (np.abs(drawn.std(axis=0) - old.std(axis=0)) < _UNLIKELY * error).all(), "another deviation"


def _mostly_unknown(seed: int) -> TransferMaterial:
    """Texts that hold few of the target's words, and a table whose columns are unlike one another."""
    few = ["the cell turns the wheel in case 1 .", "a pump lifts no barrel by night , so wait"] * 20
    known = [foreign(text) for text in few]
    rng = np.random.default_rng(2)
    size = toy_material().source.vocabulary.size
    rows = (rng.standard_normal((size, 3)) * [0.05, 1.0, 20.0] + [7.0, 0.0, -3.0]).astype(np.float32)
    material = toy_material(rows, seed=seed)
    words = {word for text in few for word in text.split() if word.isalpha()}
    return replace(
        material,
        texts=lambda: known,
        source_texts=lambda: few,
        translations=tuple((word, foreign(word)) for word in sorted(words)),
    )


Replace = Callable[[EmbeddingModel, Tokenizer, torch.Tensor], EmbeddingModel]


@dataclass(frozen=True)
class Replaced:
    """A model before and after, and the rows that it was given."""

    old: EmbeddingModel
    new: EmbeddingModel
    rows: torch.Tensor


def replaced(family: str, replace_vocabulary: Replace = with_vocabulary) -> Replaced:
    source, target = (
        train_tokenizer(texts, 300, family=family) for texts in (toy_texts(), [*map(foreign, toy_texts())])
    )
    torch.manual_seed(0)
    spec = TextEncoderSpec(family=family, dim=16, depth=2, heads=2, intermediate=32, max_positions=64)
    encoder = spec.build(source.vocabulary.size, pad=source.vocabulary.pad).eval()
    old = EmbeddingModel(encoder, source, prompts={"query": "q: "}, max_length=32, pooling="cls")
    rows = torch.randn(target.vocabulary.size, 16)
    return Replaced(old, replace_vocabulary(old, target, rows), rows)


def check_body_unchanged(found: Replaced) -> None:
    """Every weight but the token table is the same, bit for bit, and in a model of its own."""
    before, after = found.old.encoder.state_dict(), found.new.encoder.state_dict()
    assert before.keys() == after.keys()
    changed = [
        name for name in before if before[name].shape != after[name].shape or not before[name].equal(after[name])
    ]
    assert changed == ["tokens.weight"], f"changed: {changed}"
    assert after["tokens.weight"].equal(found.rows)
    shared = {value.data_ptr() for value in before.values()} & {value.data_ptr() for value in after.values()}
    assert not shared, "the two models share a weight"
    for name in ("pooling", "normalize", "max_length", "prompts", "default_prompt", "dims", "similarity"):
        assert getattr(found.old, name) == getattr(found.new, name), name
