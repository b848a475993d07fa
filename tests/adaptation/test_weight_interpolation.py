"""What training changed is kept where it does not significantly harm, and else as much of it as the probe bears."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from encoder_samples import minilm_folder

from reknit.adaptation.candidate import Candidate
from reknit.adaptation.weight_interpolation import interpolate_weights
from reknit.data.retrieval_set import RetrievalSet
from reknit.models.encode_texts import cached, encoder_function
from reknit.models.loading import load_embedding_model
from reknit.runs.config import ExpansionSpec

FIRST, LAST = ("amber", "birch", "cedar", "dune"), ("al", "en", "ix", "or", "us")
WORDS = [first + last for first in FIRST for last in LAST]
COLLECTION = RetrievalSet(
    "probe",
    {word: f"about {word} and more" for word in WORDS},
    {word: word for word in WORDS},
    {word: {word: 1} for word in WORDS},
)
NO_WORDS = ExpansionSpec(words=0)


class Fake:
    """A model of one weight; right: how many of its queries find their answer at each weight."""

    def __init__(self, weight: float, right: dict[float, int]) -> None:
        self.encoder = torch.nn.Linear(1, 1, bias=False)
        self.encoder.weight.data.fill_(weight)
        self.right = right

    def encode(self, texts: list[str], kind: str) -> np.ndarray:
        right = self.right[self.encoder.weight.item()]
        places = np.array([next(n for n, word in enumerate(WORDS) if word in text) for text in texts])
        vectors = np.eye(len(WORDS), dtype=np.float32)
        if kind == "document":
            return vectors[places]
        nearest = np.where(places < right, places, (places + 1) % len(WORDS))
        return 0.6 * vectors[nearest] + 0.4 * vectors[places]


def candidates(start: Fake, trained: Fake) -> tuple[Candidate, Candidate]:
    return (
        Candidate("start", start, start.encode),  # type: ignore[arg-type]
        Candidate("adapted", trained, trained.encode),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("right", "share"),
    [
        ({0.0: 10, 1.0: 15}, 1.0),
        ({0.0: 10, 1.0: 9}, 1.0),  # not significantly worse: the half is not even asked
        ({0.0: 18, 0.5: 16, 1.0: 5}, 0.5),
        ({0.0: 18, 0.5: 5, 1.0: 5}, 0.0),
        ({0.0: 10, 0.5: 20, 1.0: 5}, 0.5),
    ],
)
def test_the_most_that_does_not_surely_harm_is_kept(right: dict[float, int], share: float) -> None:
    start, trained = Fake(0.0, right), Fake(1.0, right)
    kept, candidate = interpolate_weights(*candidates(start, trained), COLLECTION, NO_WORDS)
    assert kept == share
    assert candidate.model is trained
    assert trained.encoder.weight.item() == share
    assert start.encoder.weight.item() == 0.0
    np.testing.assert_array_equal(candidate.encode(WORDS, "query"), trained.encode(WORDS, "query"))


def test_what_the_words_of_the_corpus_mend_is_no_harm() -> None:
    right = {0.0: 18, 0.5: 5, 1.0: 5}
    start, trained = Fake(0.0, right), Fake(1.0, right)
    assert interpolate_weights(*candidates(start, trained), COLLECTION, ExpansionSpec())[0] == 1.0
    assert interpolate_weights(*candidates(start, trained), COLLECTION, NO_WORDS)[0] == 0.0


def test_of_a_real_model_broken_by_training_not_all_is_kept() -> None:
    start = load_embedding_model(minilm_folder())
    trained = copy.deepcopy(start)
    with torch.no_grad():
        for parameter in trained.encoder.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(0))
    before = Candidate("start", start, cached(encoder_function(start)))
    share, after = interpolate_weights(
        before, Candidate("adapted", trained, encoder_function(trained)), COLLECTION, NO_WORDS
    )
    assert share == 0.0
    for one, other in zip(start.encoder.parameters(), trained.encoder.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    texts = list(COLLECTION.documents.values())
    np.testing.assert_allclose(after.encode(texts, "document"), encoder_function(trained)(texts, "document"), atol=1e-5)
