"""The checks that every recipe must pass. Each raises AssertionError and says what it found.

"The loss falls" and "every parameter gets a gradient" catch almost nothing; test_planted_bugs.py proves for each
check here that it fails on the bug it is for.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from unittest import mock

import torch
from naive_losses import (
    naive_adversarial_ranking,
    naive_bag_of_words,
    naive_binary_cross_entropy,
    naive_cross_entropy,
    naive_distilled_ranking,
    naive_distribution_divergence,
    naive_info_nce,
    naive_list_cross_entropy,
    naive_matching,
    naive_ranking_divergence,
    naive_reweighted,
    naive_score_divergence,
)
from naive_pairs import naive_related_texts
from naive_sizes import naive_elastic_autoencoder
from torch import Tensor, nn
from toy_models import amplify, generator

from reknit.data.batch import Batch, View
from reknit.encoders.attention import layout
from reknit.encoders.base import Encoded, Encoder
from reknit.encoders.pooling import pool
from reknit.objectives import related_texts
from reknit.objectives.adversarial_ranking import AdversarialRanking
from reknit.objectives.base import EmbeddingObjective, Objective
from reknit.objectives.causal_language_model import ReweightedLanguageModel
from reknit.objectives.contrastive import Contrastive
from reknit.objectives.draws import draw_seed, drawn_texts
from reknit.objectives.elastic import ElasticContrastive
from reknit.objectives.elastic_autoencoder import ElasticAutoencoder
from reknit.objectives.explicit_ngrams import ExplicitNgrams
from reknit.objectives.generation_augmented import GenerationAugmented
from reknit.objectives.predictions import (
    Choices,
    Decisions,
    Distributions,
    Matches,
    Predictions,
    ReconstructionObjective,
)
from reknit.objectives.ranking_distillation import RankingDistillation
from reknit.objectives.related_texts import RelatedTexts
from reknit.objectives.retromae import RetroMAE


def check_gradients_reach_encoder(objective: Objective, encoder: nn.Module, batch: Batch) -> None:
    """Each named loss alone sends a gradient to every block and to the table, but an auxiliary one to no block."""
    for name, gradients in _gradients_by_loss(objective, encoder, batch).items():
        table = id(encoder.table)
        if name in objective.auxiliary:
            reached = sum(float(gradients[id(p)].abs().sum()) for p in encoder.blocks.parameters())
            assert reached == 0, f"loss {name!r} is auxiliary, but does reach the encoder's blocks"
            continue
        assert gradients[table].abs().sum() > 0, f"loss {name!r} does not reach the embedding table"
        for number, block in enumerate(encoder.blocks[:1] if name in objective.partial else encoder.blocks):
            reached = sum(float(gradients[id(p)].abs().sum()) for p in block.parameters() if id(p) in gradients)
            assert reached > 0, f"loss {name!r} does not reach block {number}"


def check_bottleneck(objective: Objective, encoder: nn.Module, batch: Batch, name: str) -> None:
    """With "cls" pooling, loss `name` reaches the encoder through the first row of every sequence, and only there.

    Where it predicts tokens, every sequence is every one that has a token asked for.
    """
    captured: list[Encoded] = []

    def keep(module: nn.Module, arguments: object, encoded: Encoded) -> None:
        encoded.last.retain_grad()
        captured.append(encoded)

    hook = encoder.register_forward_hook(keep)
    objective(encoder, batch, generator(0)).losses[name].backward()
    hook.remove()
    encoder.zero_grad(), objective.zero_grad()
    # A damaged text may have another length than the clean one.
    states, starts = captured[0].last, captured[0].cu_seqlens[:-1]
    rows = states.grad.abs().sum(dim=1) if states.grad is not None else torch.zeros(len(states))
    first = torch.zeros(len(states), dtype=torch.bool)
    first[starts] = True
    asked = torch.arange(batch.num_sequences)
    if isinstance(objective, ReconstructionObjective):
        places = _shown(objective, encoder, batch)[name].positions
        asked = torch.searchsorted(batch.cu_seqlens, places, right=True).unique() - 1
        assert asked.numel() > batch.num_sequences // 3, f"loss {name!r} asks for tokens of too few sequences"
    reached = rows[starts[asked]]
    assert (reached > 0).all(), f"loss {name!r} does not reach the sentence vector of every sequence"
    assert (rows[~first] == 0).all(), f"loss {name!r} goes around the sentence vector"


def check_packing_invariance(objective: Objective, encoder: Encoder, batch: Batch, other: Batch) -> None:
    """What is computed for the first example of `batch` is the same beside other neighbours.

    `other` must start with the same example and go on with neighbours of other lengths.
    """
    length = int(batch.cu_seqlens[batch.sequences_per_example])
    assert torch.equal(batch.tokens[:length], other.tokens[:length])
    objective.eval(), encoder.eval()
    alone = nullcontext()
    if isinstance(objective, RelatedTexts):  # neighbours are what a first text is read with, besides its own
        alone = mock.patch.object(related_texts, "drawn_lists", _own_pairs)
    with torch.no_grad(), alone:
        results = [_first_sequence(objective, encoder, each, length) for each in (batch, other)]
    assert any(values.numel() for values in results[0].values()), "nothing is computed for the first sequence"
    for name, here in results[0].items():
        there = results[1][name]
        assert here.shape == there.shape, f"{name!r}: {here.shape} here, {there.shape} beside other neighbours"
        difference = _difference(here, there)
        assert difference < 1e-5, f"{name!r} of a sequence moves by {difference:.2g} with its neighbours"


def check_padding_invariance(objective: Objective, encoder: nn.Module, batch: Batch) -> None:
    """Every token's state, every loss and every gradient are the same without padding and with all of it.

    Without: each sequence is attended to alone. With: all are padded to the longest, as plain batches are.
    """
    objective.eval(), encoder.eval()
    alone = _all_results(objective, encoder, batch, lambda lengths: [(n, n + 1) for n in range(len(lengths))])
    padded = _all_results(objective, encoder, batch, lambda lengths: [(0, len(lengths))])
    for name, expected in alone.items():
        difference = _difference(padded[name], expected)
        assert difference < 1e-5, f"{name} moves by {difference:.2g} with padding"


def check_entropy_floor(
    objective: Objective,
    encoder: nn.Module,
    fresh_batch: Callable[[int], Batch],
    floors: dict[str, float],
    *,
    steps: int = 60,
    learning_rate: float = 1e-2,
    tolerance: float = 0.06,
) -> None:
    """On random data, fresh each step, training cannot push a loss below chance."""
    optimiser = torch.optim.Adam([*encoder.parameters(), *objective.parameters()], lr=learning_rate, fused=True)
    objective.train(), encoder.train()
    recent: dict[str, list[float]] = {name: [] for name in floors}
    torch.manual_seed(1)
    for step in range(steps):
        output = objective(encoder, fresh_batch(step), generator(step))
        optimiser.zero_grad()
        output.total.backward()
        optimiser.step()
        if step >= steps - 15:
            # Where chance decides what a step is about, it need not have every loss.
            for name in floors.keys() & output.losses.keys():
                recent[name].append(float(output.losses[name].detach()))
    for name, floor in floors.items():
        assert recent[name], f"the last steps have no loss {name!r}"
        reached = sum(recent[name]) / len(recent[name])
        assert reached > floor - tolerance, f"loss {name!r} reached {reached:.3f} on noise; chance is {floor:.3f}"


def check_no_peek(objective: ReconstructionObjective, encoder: Encoder, batch: Batch, probes: int = 6) -> None:
    """Change a token that is predicted unseen; its prediction must not move.

    Where sequences of tokens are predicted whole, one is put in the place of another. An objective whose units are the
    bigrams that it knows hides other places in another text, so for the comparison it finds bigrams where they were.
    """
    objective.eval(), encoder.eval()
    amplify(objective, encoder)
    same_units = nullcontext()
    if isinstance(objective, ExplicitNgrams):
        same_units = mock.patch.object(objective, "bigrams", return_value=objective.bigrams(batch))
    with torch.no_grad(), same_units:
        for name, before in objective.predictions(encoder, batch, generator(0)).items():
            unseen = before.unseen.nonzero().squeeze(1)
            assert unseen.numel() > 0, f"loss {name!r} predicts no token unseen"
            for row in unseen[:: max(1, unseen.numel() // probes)].tolist():
                tokens = batch.tokens.clone()
                place = int(before.positions[row])
                wanted = _put_another(tokens, place, before.choices)
                after = objective.predictions(encoder, replace(batch, tokens=tokens), generator(0))[name]
                assert after.targets[row] == wanted, f"loss {name!r} does not ask for the token at its position"
                difference = float((after.states[row] - before.states[row]).abs().max())
                assert difference < 1e-6, f"the prediction of a hidden token moves by {difference:.2g} with it ({name})"
        for name, matches in objective.matches(encoder, batch, generator(0)).items():
            _check_no_peek_of_vector(objective, encoder, batch, name, matches, probes)


def _check_no_peek_of_vector(
    objective: ReconstructionObjective, encoder: Encoder, batch: Batch, name: str, before: Matches, probes: int
) -> None:
    """Change a token of what is hidden: the vector to be found moves, and the guess at it does not.

    Where nothing is hidden, because guess and vector are readings of one text, both move and none of another text does.
    """
    # A token that ends a sentence may decide what is hidden at all.
    ends = torch.tensor(batch.vocabulary.sentence_ends)
    rows = (~torch.isin(batch.tokens[before.positions], ends)).nonzero().squeeze(1)
    assert rows.numel() > 0, f"loss {name!r} hides nothing"
    moved = 0.0
    for row in rows[:: max(1, rows.numel() // probes)].tolist():
        tokens = batch.tokens.clone()
        place = int(before.positions[row])
        tokens[place] = 5 if tokens[place] != 5 else 6
        after = objective.matches(encoder, replace(batch, tokens=tokens), generator(0))[name]
        differences = (after.states - before.states).abs().amax(dim=1)
        if before.unseen:
            difference = float(differences[row])
            assert difference < 1e-6, f"the guess at a hidden vector moves by {difference:.2g} with it ({name})"
        else:
            moving = differences + (after.targets - before.targets).abs().amax(dim=1) > 1e-6
            assert moving.nonzero().squeeze(1).tolist() == [row], f"other texts' vectors move ({name})"
            assert differences[row] > 1e-4, f"loss {name!r} has vectors of a text that do not tell of it"
        moved = max(moved, float((after.targets[row] - before.targets[row]).abs().max()))
    # Of one that is masked besides, the vector cannot tell; but not all are.
    assert moved > 1e-4, f"loss {name!r} does not ask for the vector at its position"


def _put_another(tokens: Tensor, place: int, choices: Choices | None) -> int:
    """Change the token at `place`, or the tokens of the choice that begins there, to others; returns the new target."""
    if choices is None:
        tokens[place] = 5 if tokens[place] != 5 else 6
        return int(tokens[place])
    here = tokens[place : place + choices.tokens.shape[1]]
    # Every token must change: one that stays would hide that it is seen.
    other = int((choices.tokens != here).logical_and(choices.tokens >= 0).all(dim=1).nonzero()[0])
    here.copy_(choices.tokens[other])
    return other


def check_teacher_moves(objective: Objective, encoder: Encoder, batch: Batch) -> None:
    """After a step, a teacher (attribute `teacher`) has changed, and not by gradient."""
    teacher = objective.teacher
    before = [parameter.detach().clone() for parameter in teacher.parameters()]
    trained = [p for p in (*encoder.parameters(), *objective.parameters()) if p.requires_grad]
    assert not {id(p) for p in trained} & {id(p) for p in teacher.parameters()}, "the teacher is trained by gradient"
    optimiser = torch.optim.Adam(trained, lr=1e-2, fused=True)
    objective(encoder, batch, generator(0)).total.backward()
    optimiser.step()
    objective.after_step(encoder, 0.0)
    moved = sum(float((a - b).abs().sum()) for a, b in zip(teacher.parameters(), before, strict=True))
    assert moved > 0, "the teacher does not move"


def check_against_naive(objective: Objective, encoder: Encoder, batch: Batch) -> None:
    """The losses of the objective are those of loops, over its predictions or over random vectors."""
    objective.eval(), encoder.eval()
    with torch.no_grad():
        if isinstance(objective, ElasticContrastive):
            vectors = torch.randn(batch.num_sequences, 3, 8, generator=generator(3))
            losses, expected = objective.score(vectors, batch).losses, _naive_elastic(objective, vectors, batch)
        elif isinstance(objective, Contrastive):
            vectors = torch.randn(batch.num_sequences, 8, generator=generator(3))
            losses, expected = objective.score(vectors, batch).losses, _naive_contrastive(objective, vectors, batch)
        elif isinstance(objective, GenerationAugmented):  # its other losses: tests/objectives
            vectors = torch.randn(batch.num_sequences, 8, generator=generator(3))
            contrastive = objective.contrastive
            losses, expected = objective.score(vectors, batch).losses, _naive_contrastive(contrastive, vectors, batch)
        elif isinstance(objective, AdversarialRanking):
            # A fresh ranker gives all pairs almost the same score, whatever it reads.
            amplify(objective.ranker), amplify(objective.ranker.score, factor=20.0)
            vectors = torch.randn(batch.num_sequences, 8, generator=generator(3))
            losses, expected = objective.score(vectors, batch).losses, _naive_game(objective, vectors, batch)
        elif isinstance(objective, RankingDistillation):
            vectors = torch.randn(batch.num_sequences, 32, generator=generator(3))
            losses = objective.score(vectors, batch).losses
            expected = {"ranking": naive_ranking_divergence(vectors, batch.teacher_targets, objective.spec.temperature)}
        elif isinstance(objective, ElasticAutoencoder):
            amplify(objective, encoder, factor=2.0)  # what a fresh decoder says hardly depends on what it reads
            losses = objective(encoder, batch, generator(3)).losses
            expected = naive_elastic_autoencoder(objective, encoder, batch, generator(3))
        elif isinstance(objective, RelatedTexts):
            amplify(objective, encoder, factor=2.0)
            losses = objective(encoder, batch, generator(3)).losses
            expected = naive_related_texts(objective, encoder, batch, generator(3))
        else:
            losses = objective(encoder, batch, generator(3)).losses
            expected = _naive_reconstruction(objective, encoder, batch)
    assert set(expected) == set(losses), f"losses {sorted(losses)}, expected {sorted(expected)}"
    for name, value in expected.items():
        assert torch.allclose(losses[name], value, atol=1e-5, rtol=1e-5), (
            f"loss {name!r} is {float(losses[name]):.6f}; loops give {float(value):.6f}"
        )


def check_positives(objective: EmbeddingObjective, batch: Batch) -> None:
    """Vectors that are equal within pairs and orthogonal across them score better than the same ones out of step.

    A ranker that teaches the vectors knows the pairs.
    """
    pairs = batch.num_sequences // 2
    perfect = torch.eye(pairs, 32).repeat_interleave(2, dim=0)
    shifted = perfect.clone()
    shifted[1::2] = perfect[1::2].roll(1, dims=0)
    if isinstance(objective, ElasticContrastive):  # vectors of several sizes
        perfect, shifted = (vectors[:, None].expand(-1, 2, -1) for vectors in (perfect, shifted))
    if isinstance(objective, AdversarialRanking):
        objective.ranker.forward = _knowing_ranker
    good, bad = (float(objective.score(vectors, batch).total) for vectors in (perfect, shifted))
    if isinstance(objective, AdversarialRanking):
        del objective.ranker.forward
    assert good < 0.1 < bad, f"true pairs lose {good:.3f}, wrong pairs {bad:.3f}"


def check_loss_falls(objective: Objective, encoder: nn.Module, batch: Batch, steps: int = 40) -> None:
    """On one fixed batch every loss is finite and falls."""
    optimiser = torch.optim.Adam([*encoder.parameters(), *objective.parameters()], lr=5e-3, fused=True)
    objective.train(), encoder.train()
    torch.manual_seed(2)
    history: dict[str, list[float]] = {}
    for step in range(steps):
        output = objective(encoder, batch, generator(step))
        optimiser.zero_grad()
        output.total.backward()
        optimiser.step()
        objective.after_step(encoder, 0.0)  # a schedule stays in its first part
        for name, loss in output.losses.items():
            history.setdefault(name, []).append(float(loss.detach()))
        assert all(torch.isfinite(loss) for loss in output.losses.values()), f"step {step}: {output.losses}"
    for name, values in history.items():
        assert len(values) >= 8, f"loss {name!r} came in {len(values)} of {steps} steps"
        early, late = sum(values[:3]) / 3, sum(values[-5:]) / 5
        assert late < 0.97 * early, f"loss {name!r} went from {early:.4f} to {late:.4f}"


def first_losses(objective: Objective, encoder: Encoder, batch: Batch) -> dict[str, float]:
    """Losses of the amplified, untrained model without dropout, to be held against golden.json."""
    objective.eval(), encoder.eval()
    amplify(objective, encoder)
    with torch.no_grad():
        return {name: float(loss) for name, loss in objective(encoder, batch, generator(5)).losses.items()}


def _own_pairs(batch: Batch, negatives: int, hard: int, seed: int) -> tuple[Tensor, Tensor]:
    """In place of `drawn_lists`: no negatives."""
    own = torch.arange(batch.num_sequences // 2)[:, None]
    return own, torch.ones_like(own, dtype=torch.bool)


def _difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max()) if one.numel() else 0.0


Shown = Predictions | Decisions | Distributions | Matches


def _comparable(found: Shown) -> Tensor:
    """States, and vectors to be found; the first logits of a detection head are tiny, so they are brought to the size
    of states."""
    if isinstance(found, Matches):
        return torch.cat((found.states, found.targets), dim=1)
    if not isinstance(found, Decisions):
        return found.states
    return found.states / found.states.detach().abs().max().clamp_min(1e-6)


def _gradients_by_loss(
    objective: Objective, encoder: nn.Module, batch: Batch, training: bool = True
) -> dict[str, dict[int, Tensor]]:
    objective.train(training), encoder.train(training)
    found = {}
    for name in objective(encoder, batch, generator(0)).losses:
        encoder.zero_grad(), objective.zero_grad()
        objective(encoder, batch, generator(0)).losses[name].backward()
        found[name] = {
            id(p): p.grad.clone() if p.grad is not None else torch.zeros_like(p) for p in encoder.parameters()
        }
    encoder.zero_grad(), objective.zero_grad()
    return found


def _first_sequence(objective: Objective, encoder: Encoder, batch: Batch, length: int) -> dict[str, Tensor]:
    if isinstance(objective, EmbeddingObjective):
        return {"embedding": objective.embed(encoder, batch, generator(0))[0]}
    shown = _shown(objective, encoder, batch)
    return {name: _comparable(_rows_before(found, length)) for name, found in shown.items()}


def _rows_before(found: Shown, length: int) -> Shown:
    here = found.positions < length
    if isinstance(found, Matches):
        return replace(found, states=found.states[here], targets=found.targets[here])
    return replace(found, states=found.states[here])


def _shown(objective: ReconstructionObjective, encoder: Encoder, batch: Batch) -> dict[str, Shown]:
    return {
        **objective.predictions(encoder, batch, generator(0)),
        **objective.decisions(encoder, batch, generator(0)),
        **objective.distributions(encoder, batch, generator(0)),
        **objective.matches(encoder, batch, generator(0)),
    }


def _all_results(
    objective: Objective, encoder: nn.Module, batch: Batch, buckets: Callable[[list[int]], list[tuple[int, int]]]
) -> dict[str, Tensor]:
    """What an objective computes on the way and in the end, with sequences padded together as `buckets` says."""
    with mock.patch.object(layout, "_bucket_bounds", buckets):
        if isinstance(objective, EmbeddingObjective):
            results = {"the embedding": objective.embed(encoder, batch, generator(0))}
        else:
            shown = _shown(objective, encoder, batch)
            results = {f"a state of {name!r}": _comparable(found) for name, found in shown.items()}
        losses = objective(encoder, batch, generator(0)).losses
        results |= {f"loss {name!r}": loss for name, loss in losses.items()}
        gradients = _gradients_by_loss(objective, encoder, batch, training=False)
    found = {key: value.detach() for key, value in results.items()}
    for name, by_parameter in gradients.items():
        found[f"the gradient of {name!r}"] = torch.cat([gradient.flatten() for gradient in by_parameter.values()])
    return found


def _naive_contrastive(objective: Contrastive, vectors: Tensor, batch: Batch) -> dict[str, Tensor]:
    groups = None if batch.groups is None else batch.groups.tolist()
    spec = objective.spec
    loss = naive_info_nce(
        vectors[0::2],
        vectors[1::2],
        groups,
        spec.temperature,
        spec.symmetric,
        spec.same_side,
        spec.focal,
        spec.mixed_negatives,
    )
    return {"contrastive": loss}


def _knowing_ranker(batch: Batch, queries: Tensor, passages: Tensor) -> Tensor:
    """In place of a ranker's scores: high for each query's own passage, low for all others."""
    return 40.0 * (passages == queries + 1)


def _naive_game(objective: AdversarialRanking, vectors: Tensor, batch: Batch) -> dict[str, Tensor]:
    spec, ranker, ends = objective.spec, objective.ranker, batch.cu_seqlens.tolist()
    groups = list(range(batch.num_sequences // 2)) if batch.groups is None else batch.groups.tolist()
    retrieved, ranked = [], []
    for i, group in enumerate(groups):
        found = [
            vectors[2 * i] @ vectors[2 * j + 1] / (vectors[2 * i].norm() * vectors[2 * j + 1].norm())
            for j in range(len(groups))
        ]
        others = sorted((j for j, other in enumerate(groups) if other != group), key=lambda j: -float(found[j]))
        listed = [i, *others[: spec.negatives]]
        retrieved.append(torch.stack([found[j] for j in listed]) / spec.contrastive.temperature)
        scores = []
        for j in listed:
            query = batch.tokens[ends[2 * i] : ends[2 * i + 1]]
            passage = batch.tokens[ends[2 * j + 1] : ends[2 * j + 2]]
            together = Batch.pack([(torch.cat((query, passage[1:])),) * 3], batch.vocabulary)
            vector = pool(ranker.encoder(View.clean(together)), ranker.pooling)[0]
            scores.append(vector @ ranker.score.weight[0] + ranker.score.bias[0])
        ranked.append(torch.stack(scores))
    contrastive = _naive_contrastive(objective.contrastive, vectors, batch)["contrastive"]
    losses = {"ranker": naive_list_cross_entropy(ranked), "contrastive": contrastive}
    if float(objective.progress) < spec.warm_up:
        return losses
    return {
        "ranker": losses["ranker"],
        "contrastive": spec.contrastive_weight * contrastive,
        "adversarial": spec.adversarial_weight * naive_adversarial_ranking(retrieved, ranked),
        "distilled": (1 - spec.adversarial_weight) * naive_distilled_ranking(retrieved, ranked),
    }


def _naive_elastic(objective: ElasticContrastive, vectors: Tensor, batch: Batch) -> dict[str, Tensor]:
    groups = list(range(batch.num_sequences // 2)) if batch.groups is None else batch.groups.tolist()
    spec = objective.spec
    sizes = [vectors[:, size] for size in range(vectors.shape[1])]
    losses = [naive_info_nce(one[0::2], one[1::2], groups, spec.temperature, spec.symmetric) for one in sizes]
    aligned = sizes[:-1] if spec.trained == "every" else sizes[: len(sizes) // 2]
    divergences = [naive_score_divergence(one, sizes[-1], groups, spec.temperature) for one in aligned]
    return {
        "contrastive": torch.stack(losses).mean(),
        "alignment": spec.alignment * torch.stack(divergences).mean(),
    }


def _naive_reconstruction(objective: ReconstructionObjective, encoder: Encoder, batch: Batch) -> dict[str, Tensor]:
    outputs: list[Encoded] = []
    seen: list[View] = []

    def keep(module: nn.Module, arguments: tuple[View, ...], encoded: Encoded) -> None:
        seen.append(arguments[0]), outputs.append(encoded)

    hook = encoder.register_forward_hook(keep)
    predicted = objective.predictions(encoder, batch, generator(3))
    table = objective.prediction_table(encoder) if hasattr(objective, "prediction_table") else encoder.table
    expected = {}
    for name, p in predicted.items():
        if isinstance(objective, ReweightedLanguageModel):
            rows = [(p.positions >= start) & (p.positions < end) for start, end in pairwise(batch.cu_seqlens.tolist())]
            means = [naive_cross_entropy(p.states[n], table, objective.head.bias, p.targets[n]) for n in rows]
            temperature = 100.0 if objective.spec.warm_up else objective.spec.temperature
            found = naive_reweighted(means, objective.spec.strategy, temperature)
        elif p.choices is None:
            found = naive_cross_entropy(p.states, table, objective.head.bias, batch.tokens[p.positions])
        else:
            spelled = [tuple(tokens) for tokens in p.choices.tokens.tolist()]
            asked = (tuple(batch.tokens[t : t + len(spelled[0])].tolist()) for t in p.positions.tolist())
            targets = torch.tensor([spelled.index(tokens) for tokens in asked])
            found = naive_cross_entropy(p.states, p.choices.table, p.choices.bias, targets)
        expected[name] = p.weight * found
    for name, decided in objective.decisions(encoder, batch, generator(3)).items():
        special = batch.vocabulary.special
        ordinary = [place for place in range(batch.num_tokens) if int(batch.tokens[place]) not in special]
        if getattr(objective.spec, "decided", "all") == "all":
            assert decided.positions.tolist() == ordinary, "not every ordinary token is decided about"
        if name == "tagging":
            labels = [int(batch.tagged[place]) != -1 for place in ordinary]
        else:
            shown = seen[-1].tokens.tolist()
            labels = [shown[place] != int(batch.tokens[place]) for place in decided.positions.tolist()]
        expected[name] = decided.weight * naive_binary_cross_entropy(decided.states, labels)
    for name, wanted in objective.distributions(encoder, batch, generator(3)).items():
        expected[name] = naive_distribution_divergence(wanted.states, table, objective.head.bias, wanted.targets)
    for name, found in objective.matches(encoder, batch, generator(3)).items():
        expected[name] = found.weight * naive_matching(found.states, found.targets)
    hook.remove()
    if isinstance(objective, RetroMAE) and objective.spec.bag_of_words_weight:
        asked = drawn_texts(batch, draw_seed(generator(3)), objective.spec.bag_of_words_share).tolist()
        special = batch.vocabulary.special
        ordinary = [t for t in range(batch.num_tokens) if int(batch.tokens[t]) not in special and asked[t]]
        offsets = [sum(t < int(end) for t in ordinary) for end in batch.cu_seqlens]
        states = objective.head(outputs[0].last[ordinary])
        words = batch.tokens[ordinary].tolist()
        loss = naive_bag_of_words(states, encoder.table, objective.head.bias, offsets, words)
        expected["bag_of_words"] = objective.spec.bag_of_words_weight * loss
    return expected
