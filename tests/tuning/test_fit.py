"""Training with an adapter: what begins where, what moves, what stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from labelled_texts import labelled, labelled_set
from small_model import write_small_model

from reknit.adapters.encoder import AdaptedEncoder
from reknit.adapters.files import KINDS
from reknit.adapters.low_rank import LoRASpec
from reknit.adapters.prompt import PromptSpec
from reknit.evaluation.classification import ClassificationSet, fitted_probe, linear_probe
from reknit.evaluation.fine_tuning import Classifier, FineTuningSpec
from reknit.jobs.interrupt import Interrupted, StopRequest
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.encode_texts import encoder_function
from reknit.models.loading import load_embedding_model
from reknit.tuning.fit import fit, fit_probe

SPEC = FineTuningSpec(texts=60, learning_rates=(1e-2,), epochs=1, texts_per_batch=16, first_layer="probe")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingModel:
    return load_embedding_model(write_small_model(tmp_path_factory.mktemp("model") / "small"))


def three_labels() -> ClassificationSet:
    first = labelled_set()
    return ClassificationSet(
        "three",
        [(label if number % 3 else "rare", text) for number, (label, text) in enumerate(first.train)],
        first.test,
    )


@pytest.mark.parametrize("data", [labelled_set(), three_labels()], ids=["two labels", "three labels"])
def test_the_linear_layer_begins_as_logistic_regression(model: EmbeddingModel, data: ClassificationSet) -> None:
    classifier = Classifier(model, sorted({label for label, _ in data.train}), 0, "float32")
    classifier.begin_with_probe(data.train)
    texts = [text for _, text in data.test]
    vectors = classifier.model.encode(texts, prompt_name="document")
    trained = classifier.model.encode([text for _, text in data.train], prompt_name="document")
    regression = fitted_probe(trained, [label for label, _ in data.train])
    logits = torch.from_numpy(vectors) @ classifier.head.weight.T.detach() + classifier.head.bias.detach()
    np.testing.assert_allclose(logits.softmax(dim=1).numpy(), regression.predict_proba(vectors), atol=1e-4)


def test_the_probe_is_the_one_that_comparisons_measure(model: EmbeddingModel) -> None:
    data = labelled_set()
    fitted = fit_probe(data, model, SPEC, "float32")
    assert np.array_equal(fitted.right, linear_probe(data, encoder_function(model, "float32"), texts=SPEC.texts))
    assert fitted.classifier is None


@pytest.mark.parametrize("kind", KINDS, ids=[kind.kind for kind in KINDS])
def test_only_the_adapter_and_the_layer_are_trained(model: EmbeddingModel, kind) -> None:
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    classifier = fit(labelled_set(), model, kind(), SPEC, 0, "float32").classifier
    assert isinstance(classifier.model.encoder, AdaptedEncoder)
    after = classifier.model.encoder.base.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(torch.equal(value, before[name]) for name, value in model.encoder.state_dict().items())
    untouched = Classifier(classifier.model, classifier.labels, 0, "float32")
    untouched.model.encoder.detach()
    texts = [text for _, text in labelled(5, 3)]
    assert not np.array_equal(classifier.model.encode(texts), untouched.model.encode(texts)), "the adapter is trained"


def test_all_of_the_encoder_is_trained_without_an_adapter(model: EmbeddingModel) -> None:
    classifier = fit(labelled_set(), model, None, SPEC, 0, "float32").classifier
    moved = [
        name
        for name, value in classifier.model.encoder.state_dict().items()
        if not torch.equal(value, model.encoder.state_dict()[name])
    ]
    assert {"blocks.0.up.weight", "blocks.1.query_key_value.bias", "tokens.weight"} <= set(moved)


def test_a_seed_is_all_the_chance_there_is(model: EmbeddingModel) -> None:
    weights = []
    for seed in (0, 1, 0):
        torch.rand(5)
        classifier = fit(labelled_set(), model, PromptSpec(), SPEC, seed, "float32").classifier
        weights.append(classifier.model.encoder.adapter.prompt.detach())
    assert torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[1])


def test_random_numbers_stay_as_they_were(model: EmbeddingModel) -> None:
    state = torch.get_rng_state()
    fit(labelled_set(), model, LoRASpec(), SPEC, 0, "float32")
    assert torch.equal(torch.get_rng_state(), state)


def test_held_out_texts_choose_among_rates_and_one_rate_learns_from_all(model: EmbeddingModel) -> None:
    chosen = fit(labelled_set(), model, LoRASpec(), replace(SPEC, learning_rates=(1e-9, 1e-2)), 0, "float32")
    assert chosen.classifier.learning_rate in (1e-9, 1e-2)
    # A label that only one text has is learnt where nothing is held out.
    data = labelled_set()
    rare = replace(data, train=[*data.train, ("rare", "A text.")])
    alone = fit(rare, model, LoRASpec(), replace(SPEC, texts=61), 0, "float32")
    assert alone.classifier.labels == ["early", "late", "rare"]
    assert alone.right.shape == (40,)
    assert set(alone.right) <= {0.0, 1.0}


def test_a_stop_is_heard(model: EmbeddingModel) -> None:
    stop = StopRequest()
    stop.asked = True
    with pytest.raises(Interrupted):
        fit(labelled_set(), model, LoRASpec(), SPEC, 0, "float32", stop)


def test_a_prompt_shortens_what_a_model_reads(tmp_path: Path) -> None:
    model = load_embedding_model(write_small_model(tmp_path / "model"))
    model.max_length = model.encoder.max_positions
    longest = labelled(40, 0)
    long = ClassificationSet("long", [(label, f"{text} " * 200) for label, text in longest], longest)
    classifier = fit(long, model, PromptSpec(length=5), SPEC, 0, "float32").classifier
    assert classifier.model.max_length == model.encoder.max_positions - 5
