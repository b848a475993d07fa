"""What the generic checks cannot see of UniXcoder: how its task is drawn, its contrast, its damaged texts by loops."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
import torch
from toy_models import TOY_VOCABULARY, amplify, generator, toy_batch, toy_encoder
from twins.losses.info_nce import naive_info_nce

from reknit.corruptions.noising import noised
from reknit.data.attention_rules import AttentionContext
from reknit.data.batch import Batch, View
from reknit.data.shard import shard_of
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError
from reknit.objectives.masked_language_model import MaskedLanguageModelSpec
from reknit.objectives.unified_modes import UnifiedModes, UnifiedModesSpec

TASKS = ("masked", "causal", "denoised", "contrastive")


def built(**settings: object) -> UnifiedModes:
    torch.manual_seed(3)
    return UnifiedModesSpec(**settings).build(toy_encoder(), TOY_VOCABULARY, "mean")


def alone(task: str, weight: float = 1.0, **settings: object) -> UnifiedModes:
    return built(**{f"{other}_weight": weight * (other == task) for other in TASKS}, **settings)


def test_each_task_has_the_same_chance_and_one_without_weight_has_none() -> None:
    every, some = built(), built(masked_weight=0.0, contrastive_weight=0.0)
    drawn = Counter(every.stage_of(generator(seed)) for seed in range(1200))
    assert set(drawn) == set(TASKS)
    assert min(drawn.values()) > 250
    two = Counter(some.stage_of(generator(seed)) for seed in range(300))
    assert set(two) == {"causal", "denoised"}
    assert min(two.values()) > 110


@pytest.mark.parametrize("seed", range(8))
def test_the_task_depends_on_nothing_but_the_generator(seed: int) -> None:
    objective, encoder, whole = built(), toy_encoder(), toy_batch(seed)
    task = objective.stage_of(generator(seed))
    for batch in (whole, *(shard_of(whole, rank, 2) for rank in range(2)), toy_batch(7, (4, 9))):
        predicted, matches = (
            found(encoder, batch, generator(seed)) for found in (objective.predictions, objective.matches)
        )
        assert [*predicted, *matches] == [task]
    assert list(objective(encoder, whole, generator(seed)).losses) == [task]


@pytest.mark.parametrize("task", TASKS)
def test_losses_carry_their_weights(task: str) -> None:
    batch, encoder = toy_batch(0), toy_encoder().eval()
    losses = [
        float(alone(task, weight).eval()(encoder, batch, generator(0)).losses[task].detach()) for weight in (1.0, 2.5)
    ]
    assert losses[1] == pytest.approx(2.5 * losses[0], rel=1e-5)


@pytest.mark.parametrize("temperature", [0.05, 0.5])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_contrast_is_that_of_two_readings_of_each_text(temperature: float, pooling: str) -> None:
    encoder, batch = toy_encoder(), toy_batch(1)
    objective = alone("contrastive", temperature=temperature)
    objective.pooling = pooling
    amplify(encoder)
    with torch.no_grad():
        torch.manual_seed(8)
        output = objective(encoder, batch, generator(0))
        torch.manual_seed(8)
        first, second = (pool(encoder(View.clean(batch)), pooling) for _ in range(2))
    assert (first - second).abs().amax(dim=1).min() > 1e-3, "dropout is off"
    expected = naive_info_nce(first, second, None, temperature)
    assert float(output.losses["contrastive"]) == pytest.approx(float(expected), rel=1e-4)
    scores = torch.nn.functional.cosine_similarity(first[:, None], second[None], dim=2)
    found = (scores.argmax(dim=1) == torch.arange(batch.num_sequences)).float().mean()
    assert output.metrics["contrastive_accuracy"] == pytest.approx(float(found))


def test_what_is_written_equals_one_text_at_a_time_with_its_mask_spelled_out() -> None:
    encoder, objective, batch = toy_encoder().eval(), alone("denoised").eval(), toy_batch(2, (9, 2, 17, 5))
    amplify(encoder, objective)
    with torch.no_grad():
        found = objective.predictions(encoder, batch, generator(4))["denoised"]
        rng = generator(4)
        objective.stage_of(rng)
        damaged, unseen = noised(batch, rng, ratio=0.15, mean_span=5.0, permute_sentences=False)
        row = 0
        for text, (first, last) in enumerate(pairwise(batch.cu_seqlens.tolist())):
            seen = damaged.tokens[slice(*damaged.cu_seqlens[text : text + 2].tolist())].tolist()
            tokens = torch.tensor(seen + batch.tokens[first + 1 : last].tolist())
            allowed = torch.zeros(len(tokens), len(tokens), dtype=torch.bool)
            for query in range(len(tokens)):
                for key in range(len(tokens)):
                    allowed[query, key] = key < len(seen) or key <= query

            def rule(context: AttentionContext, allowed: torch.Tensor = allowed) -> torch.Tensor:
                return allowed[context.query, context.key]

            nothing = torch.zeros(len(tokens), dtype=torch.bool)
            states = encoder(View(tokens, torch.tensor([0, len(tokens)]), tokens, nothing, nothing, rule)).last
            for place in range(first + 1, last - 1):
                read = len(seen) + place - first - 2  # the place before the token's own
                expected = objective.head(states[read : read + 1])[0]
                torch.testing.assert_close(found.states[row], expected, rtol=1e-4, atol=1e-5)
                assert (int(found.positions[row]), int(found.targets[row])) == (place, int(batch.tokens[place]))
                assert bool(found.unseen[row]) == bool(unseen[place])
                row += 1
        assert row == len(found.states)


def test_long_texts_are_written_as_far_as_the_encoder_reaches() -> None:
    encoder, batch = toy_encoder(), toy_batch(0, (60, 64, 10))
    found = alone("denoised").predictions(encoder, batch, generator(0))["denoised"]
    written = [found.positions[found.positions < 60], found.positions[found.positions >= 124] - 124]
    assert written[0].tolist() == list(range(1, 31))  # half of 64 positions, without the opening and the closing token
    assert written[1].tolist() == list(range(1, 9))
    for task in ("masked", "causal"):  # these need no more positions than the text has
        places = alone(task).predictions(encoder, batch, generator(0))[task].positions
        assert ((places > 31) & (places < 60)).any()


def test_one_encoder_and_one_head_do_it_all() -> None:
    assert {name.split(".")[0] for name, _ in built().named_parameters()} == {"head"}


def test_likelihood_needs_the_causal_task() -> None:
    batch = toy_batch(0, (5, 9))
    assert built().log_likelihood(toy_encoder(), batch).logs.shape == (2,)
    assert built(causal_weight=0.0).log_likelihood(toy_encoder(), batch) is None


def test_a_text_alone_has_no_choice() -> None:
    output = alone("contrastive")(toy_encoder(), toy_batch(0, (9,)), generator(0))
    assert float(output.total.detach()) == 0.0


def test_what_cannot_be() -> None:
    for wrong in ({"masked_weight": -0.1}, {f"{task}_weight": 0.0 for task in TASKS}):
        with pytest.raises(ReknitError, match="weights of the tasks"):
            UnifiedModesSpec(**wrong)
    with pytest.raises(ReknitError, match="temperature is 0"):
        UnifiedModesSpec(temperature=0.0)
    with pytest.raises(ReknitError, match="read_before=false"):
        UnifiedModesSpec(masked=MaskedLanguageModelSpec(read_before=True))
    no_mask = toy_batch(0).vocabulary
    batch = Batch(**{**vars(toy_batch(0)), "vocabulary": type(no_mask)(**{**vars(no_mask), "mask": -1})})
    with pytest.raises(ReknitError, match="no mask token"):
        alone("denoised")(toy_encoder(), batch, generator(0))
