"""ERNIE-Gram: two parts of a training, a lexicon that a resume keeps, and what is predicted of a bigram."""

from __future__ import annotations

import pytest
import torch
from toy_models import TOY_VOCABULARY, generator, toy_batch, toy_encoder
from twins import twin_of

from reknit.data.shard import shard_of
from reknit.encoders.base import Encoder
from reknit.errors import ReknitError
from reknit.objectives.explicit_ngrams import ExplicitNgrams, ExplicitNgramSpec

BATCH = toy_batch(3, (30,) * 12)


def pair(**settings: object) -> tuple[Encoder, ExplicitNgrams]:
    encoder = toy_encoder()
    return encoder, ExplicitNgramSpec(**settings).build(encoder, TOY_VOCABULARY, "mean")


def learnt(**settings: object) -> tuple[Encoder, ExplicitNgrams]:
    encoder, objective = pair(**settings)
    twin_of(objective).prepare(objective)
    objective.after_step(encoder, 0.5)
    return encoder.eval(), objective.eval()


def test_counting_ends_with_its_share_of_the_budget() -> None:
    encoder, objective = pair(counting=0.25)
    assert objective.stage == "counting"
    assert set(objective(encoder, BATCH, generator(0)).losses) == {"masked"}
    counted = objective.lexicon.counts.clone()
    assert int(objective.lexicon.pairs_seen) == 12 * 27
    objective.after_step(encoder, 0.2)
    assert not objective.lexicon.learnt
    objective.after_step(encoder, 0.25)
    assert (objective.stage, bool(objective.lexicon.learnt)) == ("n-grams", True)
    known = objective.lexicon.tokens.clone()
    assert int((known[:, 0] >= 0).sum()) > 100
    # Frozen: what comes later is not counted, and makes no other lexicon.
    assert set(objective(encoder, toy_batch(4), generator(0)).losses) == {"masked", "ngram"}
    objective.after_step(encoder, 0.6)
    assert torch.equal(objective.lexicon.counts, counted)
    assert torch.equal(objective.lexicon.tokens, known)


def test_nothing_is_counted_outside_of_training() -> None:
    encoder, objective = pair()
    objective.eval()(encoder, BATCH, generator(0))
    assert int(objective.lexicon.pairs_seen) == 0


@pytest.mark.parametrize("stopped_after", [1, 3])
def test_a_resumed_run_has_the_same_lexicon(stopped_after: int) -> None:
    """Stopped while counting, or behind it."""
    encoder, through = pair(counting=0.4)
    _, resumed = pair(counting=0.4)
    twin_of(through).prepare(through)
    for step in range(4):
        if step == stopped_after:
            resumed.load_state_dict(through.state_dict())
        for objective in (through, resumed) if step >= stopped_after else (through,):
            objective(encoder, toy_batch(step), generator(step))
            objective.after_step(encoder, 0.2 * (step + 1))
    assert through.lexicon.learnt
    for name, kept in through.named_buffers():
        assert torch.equal(dict(resumed.named_buffers())[name], kept), name
    encoder.eval(), through.eval(), resumed.eval()
    losses = [each(encoder, BATCH, generator(9)).losses for each in (through, resumed)]
    assert losses[0] == losses[1]
    assert float(losses[0]["ngram"].detach()) > 0


def test_processes_that_share_a_step_count_the_whole_batch_and_predict_their_own() -> None:
    encoder, alone = learnt(ratio=0.4)
    whole = alone.predictions(encoder, BATCH, generator(5))
    parts = [alone.predictions(encoder, shard_of(BATCH, rank, 2), generator(5)) for rank in range(2)]
    for name, found in whole.items():
        assert torch.equal(torch.cat([part[name].targets for part in parts]), found.targets)
        torch.testing.assert_close(torch.cat([part[name].states for part in parts]), found.states)
    assert len(whole["ngram"].targets) > 10
    counts = []
    for rank in range(2):
        encoder, objective = pair()
        objective(encoder, shard_of(BATCH, rank, 2), generator(0))
        counts.append(objective.lexicon.counts)
    assert torch.equal(*counts)
    assert int(counts[0].sum()) == 12 * 27


def test_targets_are_the_bigrams_tokens_and_their_numbers() -> None:
    encoder, objective = learnt(ratio=0.4)
    found = objective.predictions(encoder, BATCH, generator(0))
    masked, ngram = found["masked"], found["ngram"]
    assert torch.equal(masked.targets, BATCH.tokens[masked.positions])
    pairs = torch.stack((BATCH.tokens[ngram.positions], BATCH.tokens[ngram.positions + 1]), dim=1)
    assert ngram.choices is not None
    assert torch.equal(ngram.choices.tokens[ngram.targets], pairs)
    assert set(ngram.positions.tolist()) | set((ngram.positions + 1).tolist()) < set(masked.positions.tolist())
    # One mask, two predictions: they differ by the learned vector of the place.
    first, second = (torch.isin(masked.positions, ngram.positions + behind) for behind in (0, 1))
    assert ((masked.states[first] - masked.states[second]).abs().amax(dim=1) > 1e-4).all()
    with torch.no_grad():
        objective.place.weight.zero_()
        same = objective.predictions(encoder, BATCH, generator(0))["masked"].states
    torch.testing.assert_close(same[first], same[second])


def test_single_masks_are_read_without_a_place() -> None:
    encoder, objective = learnt(ratio=0.4)
    objective.train()(encoder, BATCH, generator(0)).total.backward()
    gradient = objective.place.weight.grad
    assert (objective.place.weight[0] == 0).all()
    assert (gradient[0] == 0).all()
    assert (gradient[1:].abs().sum(dim=1) > 0).all()


def test_switches_say_what_is_predicted_of_a_bigram() -> None:
    def places(**settings: bool) -> dict[str, list[int]]:
        encoder, objective = learnt(ratio=0.4, **settings)
        return {name: p.positions.tolist() for name, p in objective.predictions(encoder, BATCH, generator(0)).items()}

    both = places()
    explicit, comprehensive = places(comprehensive=False), places(explicit=False)
    assert explicit["ngram"] == both["ngram"]
    bigrams = {t + behind for t in both["ngram"] for behind in (0, 1)}
    assert set(explicit["masked"]) == set(both["masked"]) - bigrams
    assert comprehensive == {"masked": both["masked"]}


def test_contiguous_masking_hides_the_same_tokens_behind_masks_of_their_own() -> None:
    shown = []
    encoder, objective = learnt(ratio=0.4)
    encoder.register_forward_pre_hook(lambda module, arguments: shown.append(arguments[0]))
    joined = objective.predictions(encoder, BATCH, generator(0))
    _, baseline = learnt(ratio=0.4, contiguous=True)
    apart = baseline.predictions(encoder, BATCH, generator(0))
    assert set(apart) == {"masked"}
    assert torch.equal(apart["masked"].positions, joined["masked"].positions)
    assert shown[1].tokens.numel() == BATCH.num_tokens
    assert shown[0].tokens.numel() == BATCH.num_tokens - len(joined["ngram"].positions)
    assert torch.equal((shown[1].tokens == TOY_VOCABULARY.mask).nonzero().squeeze(1), apart["masked"].positions)


def test_texts_without_words() -> None:
    encoder, objective = learnt()
    objective.train()
    output = objective(encoder, toy_batch(0, (2, 2)), generator(0))
    output.total.backward()
    assert torch.isfinite(output.total)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"lexicon": 0}, "lexicon"),
        ({"counting": 1.0}, "counting"),
        ({"counting": -0.1}, "counting"),
        ({"explicit": False, "comprehensive": False}, "explicit, comprehensive"),
    ],
)
def test_settings_out_of_range(settings: dict[str, object], named: str) -> None:
    with pytest.raises(ReknitError, match=named):
        ExplicitNgramSpec(**settings)
