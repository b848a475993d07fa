"""Words, lifts, peaks and AUROC of features, beside loops over texts and words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from feature_samples import small_embedder
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_features import naive_auroc, naive_words
from small_corpus import small_documents

from reknit.interpretability.activation_store import ActivationStore
from reknit.interpretability.descriptions import Descriptions, Readings, auroc, describe, read_features
from reknit.interpretability.feature_model import FeatureModel
from reknit.interpretability.lexicon import LEAST_OCCURRENCES, Lexicon
from reknit.interpretability.top_k import TopKSpec

SEEN, WIDTH, WORDS = 60, 30, 3
SENTENCES = [document["text"].split(".")[0] + "." for document in small_documents(120)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ActivationStore:
    folder = tmp_path_factory.mktemp("store")
    return ActivationStore.build(small_embedder(), SENTENCES, folder / "states", layer=1, stored="float32")


@pytest.fixture(scope="module")
def lexicon(store: ActivationStore) -> Lexicon:
    return Lexicon(small_embedder().tokenizer, store.tokens, SEEN)


@pytest.fixture(scope="module")
def model() -> FeatureModel:
    return TopKSpec(width=WIDTH, k=4).build(16, seed=2).eval()


def naive_text(store: ActivationStore, model: FeatureModel, number: int) -> list[tuple[str, np.ndarray]]:
    """(word, [width] activations) of each word of a text, special tokens left out."""
    tokenizer = small_embedder().tokenizer
    (block,) = store.blocks(number, number + 1)
    with torch.no_grad():
        code = model.encode(block.states).numpy()
    found: list[tuple[list[int], np.ndarray]] = []
    batch = block.batch
    for token, special, start, row in zip(
        batch.tokens.tolist(), batch.special.tolist(), batch.word_starts.tolist(), code, strict=True
    ):
        if special:
            continue
        if start:
            found.append(([token], row))
        else:
            found[-1] = ([*found[-1][0], token], np.maximum(found[-1][1], row))
    return [(tokenizer.decode(pieces).strip().lower(), row) for pieces, row in found]


def test_words_are_those_of_the_text(store: ActivationStore, lexicon: Lexicon) -> None:
    batch = store.tokens.batch([0, 1, 2])
    words = lexicon.words_of(batch)
    # The small tokenizer cuts at white space and punctuation, and lower-cases.
    assert words == " ".join(SENTENCES[:3]).lower().replace(".", " . ").split()
    sequences = lexicon.read(batch).sequences.tolist()
    assert sequences == [number for number in range(3) for _ in SENTENCES[number].replace(".", " . ").split()]


def test_readings_are_those_of_loops(store: ActivationStore, lexicon: Lexicon, model: FeatureModel) -> None:
    found = read_features(model, store, lexicon, SEEN)
    texts = [naive_text(store, model, number) for number in range(len(store))]
    seen = [word for text in texts[:SEEN] for word in text]
    for number, text in enumerate(texts):
        assert np.abs(found.peaks[number] - np.max([row for _, row in text], axis=0)).max() < 1e-4
        assert {
            lexicon.words[place] for place in found.contains[number].nonzero()[1] if place < len(lexicon.words)
        } == {word for word, _ in text if word in lexicon.words}
    firing = np.mean([row > 0 for _, row in seen], axis=0)
    assert np.abs(found.firing - firing).max() < 1e-6
    assert found.occurrences.sum() == len(seen)
    for place, word in enumerate(lexicon.words):
        rows = [row for other, row in seen if other == word]
        assert found.occurrences[place] == len(rows) >= LEAST_OCCURRENCES
        assert np.abs(found.activation[place] - np.sum(rows, axis=0)).max() < 1e-3
    rare = [row for word, row in seen if word not in lexicon.words]
    assert rare
    assert np.abs(found.activation[-1] - np.sum(rare, axis=0)).max() < 1e-3


def test_descriptions_are_those_of_loops(store: ActivationStore, lexicon: Lexicon, model: FeatureModel) -> None:
    found = describe(read_features(model, store, lexicon, SEEN), lexicon, WORDS)
    texts = [naive_text(store, model, number) for number in range(len(store))]
    tested = 0
    for feature in range(WIDTH):
        own = [[(word, float(row[feature])) for word, row in text] for text in texts]
        wanted = naive_words(own, SEEN, WORDS)
        words = [one.word for one in found.words[feature]]
        assert words == wanted
        positive = [any(word in words for word, _ in text) for text in own[SEEN:]]
        scores = [max(activation for _, activation in text) for text in own[SEEN:]]
        live = sum(any(activation > 0 for _, activation in text) for text in own[:SEEN]) >= 10
        assert bool(found.live[feature]) == live
        if 5 <= sum(positive) <= len(positive) - 5:
            tested += 1
            assert found.auroc[feature] == pytest.approx(naive_auroc(scores, positive), abs=1e-6)
        else:
            assert np.isnan(found.auroc[feature])
    assert tested > 0, "no description was tested, so nothing was checked"


def planted(scores: np.ndarray, contains: np.ndarray, activation: np.ndarray, seen: int) -> tuple[Readings, Lexicon]:
    """Readings with words that are numbers."""
    from scipy.sparse import csr_matrix

    lexicon = Lexicon.__new__(Lexicon)
    lexicon.words = [f"w{number}" for number in range(contains.shape[1] - 1)]
    occurrences = contains[:seen].sum(axis=0).astype(np.int64)
    firing = (scores[:seen] > 0).mean(axis=0)
    return Readings(seen, activation, occurrences, firing, scores, csr_matrix(contains)), lexicon


def test_a_planted_word_is_found_and_foretells() -> None:
    rng = np.random.default_rng(0)
    contains = np.concatenate(((rng.random((60, 5)) < 0.4), np.ones((60, 1))), axis=1).astype(np.float32)
    # Feature 0 fires where word 3 is, feature 1 anywhere.
    scores = np.stack((contains[:, 3] * (1 + rng.random(60)), rng.random(60)), axis=1).astype(np.float32)
    activation = np.zeros((6, 2))
    activation[3, 0] = scores[:30, 0].sum()
    activation[:, 1] = contains[:30].sum(axis=0)
    found: Descriptions = describe(*planted(scores, contains, activation, 30), words=3)
    assert [one.word for one in found.words[0]] == ["w3"]
    assert found.words[0][0].share == pytest.approx(1.0)
    assert found.auroc[0] == 1.0
    # What fires alike on all words has no lift, and so no words and no test.
    assert found.words[1] == ()
    assert np.isnan(found.auroc[1])
    assert found.tested.tolist() == [0]


def test_words_chosen_on_the_texts_that_test_them_would_be_seen() -> None:
    """The words of the second half are not looked at: a feature that fires by chance foretells nothing."""
    rng = np.random.default_rng(1)
    texts, features = 400, 60
    contains = np.concatenate(((rng.random((texts, 40)) < 0.3), np.ones((texts, 1))), axis=1).astype(np.float32)
    scores = (rng.random((texts, features)) * (rng.random((texts, features)) < 0.3)).astype(np.float32)
    activation = contains[:200].T @ scores[:200]
    # So that lifts by chance are large enough to be chosen.
    activation = activation**8
    activation[-1] = 0.0
    found = describe(*planted(scores, contains, activation, 200), words=2)
    assert len(found.tested) > 30
    assert abs(float(found.auroc[found.tested].mean()) - 0.5) < 0.03


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=10, max_size=40))
def test_auroc_is_that_of_loops(texts: list[tuple[int, bool]]) -> None:
    scores = np.array([[score] for score, _ in texts], dtype=np.float32)
    positive = np.array([[yes] for _, yes in texts])
    (found,) = auroc(scores, positive)
    if min(positive.sum(), (~positive).sum()) < 5:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(naive_auroc(scores[:, 0].tolist(), positive[:, 0].tolist()))


def test_no_texts_to_test_on() -> None:
    assert np.isnan(auroc(np.zeros((0, 3)), np.zeros((0, 3), dtype=bool))).all()


def test_special_tokens_in_a_word_belong_to_none(lexicon: Lexicon, tmp_path: Path) -> None:
    batch = small_embedder().tokenizer.pack(["the bar [MASK] turns"], 64)
    read = lexicon.read(batch)
    assert (read.word_of_token < 0).equal(batch.special)
    assert int(batch.special.sum()) == 3
    assert len(read.numbers) == len(lexicon.words_of(batch)) == int(read.word_of_token.max()) + 1
