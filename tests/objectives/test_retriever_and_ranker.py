"""What the generic checks cannot see of the game: which passages are listed, and who learns from whom."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from toy_models import TOY_VOCABULARY, generator, toy_batch, toy_encoder, toy_pairs

from reknit.data.shard import shard_of
from reknit.encoders.huggingface.loading import HuggingFaceEncoder
from reknit.errors import ReknitError
from reknit.objectives.adversarial_ranking import AdversarialRanking, AdversarialRankingSpec, hardest_lists, score_lists
from reknit.objectives.contrastive import ContrastiveSpec


def game(dropout: float = 0.0, **settings: object) -> tuple[HuggingFaceEncoder, AdversarialRanking]:
    encoder = toy_encoder(dropout=dropout)
    spec = AdversarialRankingSpec(**{"warm_up": 0.0, **settings})
    return encoder, spec.build(encoder, TOY_VOCABULARY, "mean")


def numbers(*values: int) -> torch.Tensor:
    return torch.tensor(values)


# --- lists ---------------------------------------------------------------------------------------------------------


def test_lists_are_the_nearest_of_other_groups() -> None:
    similarities = torch.randn(7, 7, generator=generator(0))
    groups = numbers(0, 1, 1, 2, 3, 1, 0)
    listed, present = hardest_lists(similarities, groups, 3)
    assert present.all()
    for query, row in enumerate(listed.tolist()):
        others = [place for place in range(7) if groups[place] != groups[query]]
        nearest = sorted(others, key=lambda place, query=query: -float(similarities[query, place]))
        assert row == [query, *nearest[:3]]


def test_lists_are_shorter_where_there_are_few_others() -> None:
    listed, present = hardest_lists(torch.eye(4), numbers(0, 0, 0, 1), 3)
    assert present.tolist() == [[True, True, False, False]] * 3 + [[True] * 4]
    assert listed[:, 1].tolist()[:3] == [3, 3, 3]
    assert hardest_lists(torch.eye(3), None, 9)[1].sum(dim=1).tolist() == [3, 3, 3]
    assert hardest_lists(torch.eye(1), None, 3)[1].tolist() == [[True, False]]


def test_pairs_longer_than_the_encoder_are_cut_to_it() -> None:
    encoder, objective = game()
    long = replace(toy_batch(0, (30, 60) * 4), sequences_per_example=2)
    losses = objective(encoder, long, generator(0)).losses
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_a_score_belongs_to_its_pair_and_no_neighbour_moves_it() -> None:
    _, objective = game(negatives=2)
    batch = replace(toy_pairs(0, pairs=5), groups=numbers(0, 0, 0, 0, 1))
    listed, present = hardest_lists(torch.randn(5, 5, generator=generator(1)), batch.groups, 2)
    assert not present.all()
    ranked = score_lists(batch, listed, present, objective.ranker)
    for query, place in present.nonzero().tolist():
        alone = objective.ranker(batch, numbers(2 * query), 2 * listed[query, place][None] + 1)
        torch.testing.assert_close(ranked[query, place], alone[0], atol=1e-6, rtol=1e-5)
    assert not ranked[~present].any()
    assert ranked[present].unique().numel() == int(present.sum())


def test_each_share_ranks_its_own_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    _, objective = game()
    batch = toy_pairs(0, pairs=7)
    listed, present = hardest_lists(torch.randn(7, 7, generator=generator(1)), None, 3)
    place = lambda rows, first, total: torch.nn.functional.pad(rows, (0, 0, first, total - first - len(rows)))  # noqa: E731
    monkeypatch.setattr("reknit.objectives.adversarial_ranking.gathered_rows", place)
    shares = [score_lists(shard_of(batch, rank, 3), listed, present, objective.ranker) for rank in range(3)]
    assert sum((share != 0).any(dim=1).long() for share in shares).tolist() == [1] * 7
    torch.testing.assert_close(sum(shares), score_lists(batch, listed, present, objective.ranker))


# --- who learns from whom ------------------------------------------------------------------------------------------


def test_retriever_and_ranker_have_weights_of_their_own() -> None:
    encoder, objective = game()
    mine, theirs = dict(encoder.named_parameters()), dict(objective.ranker.encoder.named_parameters())
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) and mine[name] is not theirs[name] for name in mine)
    losses = objective(encoder, toy_pairs(0), generator(0)).losses
    assert set(losses) == {"contrastive", "adversarial", "distilled", "ranker"}
    for name in ("contrastive", "adversarial", "distilled"):
        losses[name].backward(retain_graph=True)
        assert all(p.grad is None for p in objective.parameters()), f"{name} trains the ranker"
    encoder.zero_grad()
    losses["ranker"].backward()
    assert all(p.grad is None for p in encoder.parameters()), "the ranker's loss trains the retriever"
    assert all(p.grad is not None and p.grad.any() for p in objective.ranker.encoder.blocks.parameters() if p.ndim > 1)


def test_the_game_begins_after_the_warm_up_also_after_a_resume() -> None:
    encoder, batch = toy_encoder(), toy_pairs(0)
    for progress, stage in ((0.0, "warm-up"), (0.29, "warm-up"), (0.3, "game"), (1.0, "game")):
        _, objective = game(warm_up=0.3)
        objective.after_step(encoder, progress)
        _, resumed = game(warm_up=0.3)
        resumed.load_state_dict(objective.state_dict())
        assert resumed.stage == stage
        more = {"adversarial", "distilled"} if stage == "game" else set()
        assert set(resumed(encoder, batch, generator(0)).losses) == {"contrastive", "ranker"} | more


def test_weights_and_what_is_left_out() -> None:
    encoder, usual = game(contrastive=ContrastiveSpec(temperature=0.1))
    batch = toy_pairs(0)
    losses = usual(encoder, batch, generator(0)).losses
    for settings, factors in (
        ({"adversarial_weight": 0.0}, {"contrastive": 1, "distilled": 2, "ranker": 1}),
        ({"adversarial_weight": 1.0}, {"contrastive": 1, "adversarial": 2, "ranker": 1}),
        ({"contrastive_weight": 0.0}, {"adversarial": 1, "distilled": 1, "ranker": 1}),
        ({"contrastive_weight": 0.5}, {"contrastive": 0.5, "adversarial": 1, "distilled": 1, "ranker": 1}),
        ({"contrastive_weight": 0.5, "warm_up": 1.0}, {"contrastive": 1, "ranker": 1}),
    ):
        usual.spec = replace(AdversarialRankingSpec(warm_up=0.0, contrastive=usual.spec.contrastive), **settings)
        found = usual(encoder, batch, generator(0)).losses
        torch.testing.assert_close(found, {name: factor * losses[name] for name, factor in factors.items()})


def test_one_pair_has_nothing_to_rank() -> None:
    encoder, objective = game()
    output = objective(encoder, toy_pairs(0, pairs=1), generator(0))
    assert {name: float(loss.detach()) for name, loss in output.losses.items()} == pytest.approx(
        dict.fromkeys(output.losses, 0.0), abs=1e-6
    )
    output.total.backward()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"warm_up": 1.1}, "warm_up is 1.1"),
        ({"adversarial_weight": -0.1}, "adversarial_weight is -0.1"),
        ({"contrastive_weight": -1.0}, "contrastive_weight is -1.0"),
        ({"negatives": 0}, "negatives is 0"),
    ],
)
def test_settings_out_of_range(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ReknitError, match=message):
        AdversarialRankingSpec(**settings)
