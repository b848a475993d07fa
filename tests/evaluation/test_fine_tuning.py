"""Fine-tuned classification: it learns, it repeats itself, it leaves its model alone, it never looks at the test."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_corpus import THINGS

from reknit.encoders.spec import TextEncoderSpec
from reknit.errors import ReknitError
from reknit.evaluation.classification import ClassificationSet, drawn_texts, linear_probe
from reknit.evaluation.fine_tuning import FineTuningSpec, fine_tuned_accuracy, learning_and_held_out
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.encode_texts import encoder_function
from reknit.tokenizers.tokenizer import train_tokenizer

SPEC = FineTuningSpec(texts=120, learning_rates=(1e-2,), epochs=5, texts_per_batch=16)
TOO_LOW = 1e-9


def labelled(texts: int, seed: int) -> list[tuple[str, str]]:
    """Two classes told apart by the things they name."""
    chance = random.Random(seed)
    made = []
    for number in range(texts):
        label, things = ("early", THINGS[:12]) if number % 2 else ("late", THINGS[12:])
        made.append((label, f"The {chance.choice(things)} and the {chance.choice(things)}."))
    return made


def without_sense(data: ClassificationSet) -> ClassificationSet:
    """The same with the labels of the training texts shuffled."""
    labels = [label for label, _ in data.train]
    random.Random(1).shuffle(labels)
    return replace(data, train=list(zip(labels, (text for _, text in data.train), strict=True)))


@pytest.fixture(scope="module")
def data() -> ClassificationSet:
    return ClassificationSet("toy", labelled(200, seed=0), labelled(100, seed=1))


@pytest.fixture(scope="module")
def blind() -> EmbeddingModel:
    """A model to which all words look alike: only training its encoder can tell the classes apart."""
    tokenizer = train_tokenizer([f"The {one} and the {other}." for one in THINGS for other in THINGS], 200)
    torch.manual_seed(0)
    shape = TextEncoderSpec(dim=16, depth=1, heads=2, intermediate=32, max_positions=32, dropout=0.1)
    encoder = shape.build(tokenizer.vocabulary.size)
    with torch.no_grad():
        encoder.table.copy_(encoder.table[:1].expand_as(encoder.table).clone())
    return EmbeddingModel(encoder.eval(), tokenizer, pooling="mean", max_length=32, prompts={"document": "of "})


def accuracy(data: ClassificationSet, model: EmbeddingModel, seed: int = 0, **changes: object) -> float:
    return fine_tuned_accuracy(data, model, replace(SPEC, **changes), seed, "float32")


def test_the_encoder_itself_learns(data: ClassificationSet, blind: EmbeddingModel) -> None:
    probed = linear_probe(data, encoder_function(blind, "float32", quiet=True)).mean()
    assert probed < 0.7
    assert accuracy(data, blind) > 0.95


@pytest.mark.parametrize("pooling", ["cls", "max"])
def test_other_poolings_learn_too(data: ClassificationSet, blind: EmbeddingModel, pooling: str) -> None:
    model = EmbeddingModel(blind.encoder, blind.tokenizer, pooling=pooling, max_length=32, dims=4)
    assert accuracy(data, model) > 0.9


def test_bfloat16_learns_too(data: ClassificationSet, blind: EmbeddingModel) -> None:
    assert fine_tuned_accuracy(data, blind, SPEC, 0, "bfloat16") > 0.95


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_learns_too_and_repeats_itself(data: ClassificationSet, blind: EmbeddingModel) -> None:
    blind.encoder.cuda()
    before = torch.cuda.get_rng_state()
    try:
        first, again = (fine_tuned_accuracy(data, blind, SPEC, 0, "bfloat16") for _ in range(2))
    finally:
        blind.encoder.cpu()
    assert first == again > 0.95
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_a_seed_is_all_the_chance_there_is(data: ClassificationSet, blind: EmbeddingModel) -> None:
    found = []
    for seed in (0, 1, 2, 3, 0):
        torch.rand(7)
        found.append(accuracy(without_sense(data), blind, seed))
    assert found[0] == found[-1]
    assert len(set(found)) > 1, "of four seeds no two may guess alike, but not all do"


def test_the_model_and_the_generator_stay_as_they_were(data: ClassificationSet, blind: EmbeddingModel) -> None:
    weights = {name: value.clone() for name, value in blind.encoder.state_dict().items()}
    torch.manual_seed(123)
    vectors, generator = blind.encode(["The barak."]), torch.get_rng_state()
    accuracy(data, blind)
    assert all(torch.equal(value, weights[name]) for name, value in blind.encoder.state_dict().items())
    assert np.array_equal(blind.encode(["The barak."]), vectors)
    assert torch.equal(torch.get_rng_state(), generator)
    assert not blind.encoder.training
    assert blind.normalize


def test_held_out_texts_choose_and_test_labels_do_not(data: ClassificationSet, blind: EmbeddingModel) -> None:
    best = accuracy(data, blind)
    swapped = {"early": "late", "late": "early"}
    wrong = replace(data, test=[(swapped[label], text) for label, text in data.test])
    for rates in ((TOO_LOW, 1e-2), (1e-2, TOO_LOW)):
        assert accuracy(data, blind, learning_rates=rates) == best
    # What chose by the test would take the lower rate, which is right by chance.
    assert accuracy(wrong, blind, learning_rates=rates) == pytest.approx(1.0 - best)
    labels = [label for label, _ in data.test]
    random.Random(0).shuffle(labels)
    shuffled = replace(data, test=list(zip(labels, (text for _, text in data.test), strict=True)))
    assert 0.3 < accuracy(shuffled, blind) < 0.7


def test_labels_that_say_nothing_teach_nothing(data: ClassificationSet, blind: EmbeddingModel) -> None:
    assert 0.25 < accuracy(without_sense(data), blind) < 0.75


def test_a_rate_that_breaks_the_weights_is_not_chosen(data: ClassificationSet, blind: EmbeddingModel) -> None:
    assert accuracy(data, blind, learning_rates=(1e30, 1e-2)) == accuracy(data, blind)


def test_texts_are_those_of_the_linear_classifier_in_two_parts(data: ClassificationSet) -> None:
    learning, held_out = learning_and_held_out(data, replace(SPEC, held_out_share=0.25))
    assert (len(learning), len(held_out)) == (90, 30)
    assert sorted([*learning, *held_out]) == sorted(drawn_texts(data, 120))
    by_label = replace(data, train=sorted(data.train))
    assert len({label for label, _ in learning_and_held_out(by_label, SPEC)[1]}) == 2


def test_unknown_labels_of_the_test_are_wrong(data: ClassificationSet, blind: EmbeddingModel) -> None:
    assert accuracy(replace(data, test=[("never", text) for _, text in data.test]), blind) == 0.0


def test_empty_texts_are_texts(blind: EmbeddingModel, data: ClassificationSet) -> None:
    emptied = replace(data, train=[(label, "") for label, _ in data.train], test=[("early", ""), ("late", "")])
    assert accuracy(emptied, blind, epochs=1) == 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"texts": -1}, "fine_tuning.texts is -1"),
        ({"learning_rates": ()}, "fine_tuning.learning_rates is empty"),
        ({"learning_rates": (1e-4, 0.0)}, "fine_tuning.learning_rates is 0.0001,0.0"),
        ({"learning_rates": (float("nan"),)}, "fine_tuning.learning_rates is nan"),
        ({"epochs": 0}, "fine_tuning.epochs is 0"),
        ({"texts_per_batch": 0}, "fine_tuning.texts_per_batch is 0"),
        ({"held_out_share": 0.0}, "fine_tuning.held_out_share is 0.0"),
        ({"held_out_share": 1.0}, "fine_tuning.held_out_share is 1.0"),
    ],
)
def test_settings_that_are_no_use(changes: dict, message: str) -> None:
    with pytest.raises(ReknitError, match=message):
        replace(SPEC, **changes)


@pytest.mark.parametrize("changes", [{"texts": 1}, {"texts": 2}, {"held_out_share": 0.999}])
def test_too_few_texts_to_learn_from(data: ClassificationSet, blind: EmbeddingModel, changes: dict) -> None:
    with pytest.raises(ReknitError, match=r"toy: of \d+ labelled texts \d+ are held out"):
        accuracy(data, blind, **changes)
