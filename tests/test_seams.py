"""The places where the design must bend, each bent once by a toy of the system that needs it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional
from toy_models import TOY_VOCABULARY, toy_batch, toy_encoder

from reknit.corruptions.masking import mask_tokens
from reknit.data.attention_rules import AttentionContext, Both, causal
from reknit.data.batch import Batch, View
from reknit.encoders.base import Encoder
from reknit.encoders.pooling import pool
from reknit.objectives.base import Objective, StepOutput


class ReplacedTokenDetection(Objective):
    """ELECTRA in small: the corruption needs a model, so the generator is the objective's own."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = toy_encoder(seed=1)
        self.detector = nn.Linear(32, 1)

    def forward(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        masked = mask_tokens(batch, rng, ratio=0.3)
        logits = self.generator(masked).last @ self.generator.table.T
        noise = -torch.empty(logits.shape).exponential_(generator=rng).log()
        sampled = torch.where(masked.predict, (logits + noise).argmax(dim=1), batch.tokens)
        view = replace(View.clean(batch), tokens=sampled)
        replaced = (sampled != batch.tokens).float()
        scores = self.detector(encoder(view).last).squeeze(1)
        losses = {
            "generator": functional.cross_entropy(logits[masked.predict], masked.targets[masked.predict]),
            "detector": 50 * functional.binary_cross_entropy_with_logits(scores, replaced),
        }
        return StepOutput(losses)


def test_electra_owns_its_generator() -> None:
    encoder, objective, batch = toy_encoder(), ReplacedTokenDetection(), toy_batch(0)
    output = objective(encoder, batch, torch.Generator().manual_seed(0))
    output.total.backward()
    assert encoder.table.grad is not None
    assert objective.generator.table.grad is not None
    again = objective(encoder, batch, torch.Generator().manual_seed(0))
    assert set(again.losses) == {"generator", "detector"}


def test_starbucks_gets_every_layer_in_one_pass() -> None:
    encoder = toy_encoder().eval()
    view = View.clean(toy_batch(0))
    encoded = encoder(view, layers=range(1, encoder.depth + 1))
    assert sorted(encoded.states) == [1, 2]
    losses = [pool(encoded, "cls", layer=layer)[:, : 8 * layer].pow(2).sum() for layer in encoded.states]
    torch.stack(losses).sum().backward()
    alone = encoder(view, layers=[1])
    assert torch.allclose(alone.last, encoded.states[1])


class SelfDistillation(Objective):
    """A moving-average teacher: it follows the student in `after_step`."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.teacher = copy.deepcopy(encoder).requires_grad_(False)

    def forward(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        view = mask_tokens(batch, rng)
        return StepOutput({"distance": (encoder(view).last - self.teacher(View.clean(batch)).last).pow(2).mean()})

    def after_step(self, encoder: Encoder, progress: float) -> None:
        with torch.no_grad():
            for mine, theirs in zip(self.teacher.parameters(), encoder.parameters(), strict=True):
                mine.lerp_(theirs, 0.1)


def test_teachers_move_after_a_step() -> None:
    encoder = toy_encoder()
    objective = SelfDistillation(encoder)
    before = objective.teacher.table.detach().clone()
    with torch.no_grad():
        encoder.table.add_(1.0)
    objective.after_step(encoder, 0.5)
    assert torch.allclose(objective.teacher.table, before + 0.1)


def test_image_models_drop_positions_before_the_blocks() -> None:
    """SimMIM keeps all patches, MAE only some: the dropped ones must not be seen by anyone."""
    encoder, batch = toy_encoder().eval(), toy_batch(0)
    kept = torch.arange(batch.num_tokens)[::2]
    kept = torch.unique(torch.cat([kept, batch.cu_seqlens[:-1]]))
    view = replace(View.clean(batch), kept=kept)
    encoded = encoder(view)
    assert encoded.last.shape == (kept.numel(), encoder.dim)
    changed = batch.tokens.clone()
    dropped = torch.ones(batch.num_tokens, dtype=torch.bool)
    dropped[kept] = False
    changed[dropped] = 7
    assert torch.equal(encoder(replace(view, tokens=changed)).last, encoded.last)
    assert not torch.allclose(encoder(View.clean(batch)).last[kept], encoded.last)


@dataclass(frozen=True)
class Bottleneck:
    """GEM in small: what comes after the special token sees the special token, and nothing before it."""

    place: int

    def __call__(self, context: AttentionContext) -> Tensor:
        return (context.query <= self.place) | (context.key >= self.place)


def test_masks_of_other_systems_are_rules() -> None:
    encoder = toy_encoder().eval()
    batch = toy_batch(0, lengths=(12,))
    view = View.clean(batch, Both(causal, Bottleneck(5)))
    first = encoder(view, layers=[1]).last
    tokens = batch.tokens.clone()
    tokens[2] = 9
    second = encoder(replace(view, tokens=tokens), layers=[1]).last
    assert torch.equal(first[6:], second[6:])
    assert not torch.allclose(first[5], second[5])
    assert torch.equal(first[:2], second[:2])


def test_decoders_own_their_positions() -> None:
    """A rotary encoder has no position table; the RetroMAE decoder works on it all the same."""
    from reknit.catalogue import find
    from reknit.encoders.spec import TextEncoderSpec

    shape = TextEncoderSpec(family="modernbert", dim=32, depth=2, heads=2, intermediate=64, max_positions=64)
    encoder = shape.build(TOY_VOCABULARY.size)
    objective = find("retromae").objective.build(encoder, TOY_VOCABULARY, "cls")
    objective(encoder, toy_batch(0), torch.Generator().manual_seed(0)).total.backward()
    assert encoder.table.grad is not None
