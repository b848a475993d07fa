"""A published system as data: its card and its typed settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from reknit.claim import ClaimCheck
from reknit.encoders.spec import EncoderSpec, TextEncoderSpec
from reknit.objectives.base import ObjectiveSpec
from reknit.part import Part
from reknit.ranges import FractionBelowOne, NonNegativeFloat, PositiveFloat, PositiveInt
from reknit.sources.passages import PassageSpec
from reknit.sources.spec import DataSpec

CAPABILITIES = {
    "search": "Search and compare texts by meaning",
    "pretrain": "Pre-train an encoder on your texts",
    "tune": "Adapt a model to labels or a domain, cheaply",
    "reshape": "Make a model smaller, sparser or elastic",
    "vocabulary": "Fit the vocabulary to your texts",
    "bytes": "Do without a fixed vocabulary",
    "curate": "Choose, clean, order and weigh your texts",
    "mixers": "Read long texts fast",
    "explain": "See what a model keys on",
    "compare": "Compare models on your tasks",
    "write": "Write with the corpus's own language model",
    "align": "Train a writer on its own output",
    "detect": "Tell who or what wrote a text",
    "forget": "Remove what must not be known",
    "images": "Pre-train on and search pictures",
    "signals": "Pre-train on clips, point clouds, volumes and sequences",
    "audio": "Pre-train on and search sounds",
    "image-text": "Search pictures with words",
    "documents": "Read words in pictures and pages",
    "segment": "Cut out what words name",
    "draw": "Generate and compress pictures",
    "ask": "Ask pictures, clips and sounds",
    "any-to-any": "Use one model for words, pictures and sounds",
}
"""What do you want to do? The groups of the catalogue, in its order."""


@dataclass(frozen=True)
class Card:
    """Where a system comes from and how far this recipe follows it.

    name: the name on the command line. adds: what it contributes, in one sentence. facts: the settings that were
    checked against the paper. deviates: each place where the recipe differs from the paper, and why. claim: the
    paper's central claim, in one sentence. citation: BibTeX. system: the published system that it belongs to, where
    that has several recipes; else the name. capability: what it is for, a key of CAPABILITIES.
    """

    name: str
    title: str
    year: int
    family: str
    paper: str
    adds: str
    facts: str
    claim: str
    citation: str
    deviates: tuple[str, ...] = ()
    status: Literal["faithful", "deviates"] = "faithful"
    system: str = ""
    capability: str = ""


@dataclass(frozen=True)
class OptimiserSpec:
    """AdamW with linear warm-up and decay; names follow transformers' TrainingArguments."""

    learning_rate: NonNegativeFloat = 1e-4
    """Highest learning rate, which is reached at the end of the warm-up."""
    weight_decay: NonNegativeFloat = 0.01
    """Decoupled weight decay of matrices; vectors (norms and biases) are not decayed."""
    adam_beta1: FractionBelowOne = 0.9
    """Decay rate of the running mean of gradients; a larger value averages over more steps."""
    adam_beta2: FractionBelowOne = 0.98
    """Decay rate of the running mean of squared gradients; a larger value averages over more steps."""
    adam_epsilon: NonNegativeFloat = 1e-6
    """Added to the root of the mean squared gradient before a step is divided by it."""
    warmup_ratio: FractionBelowOne = 0.06
    """Fraction of the budget over which the learning rate rises linearly to its highest value."""
    lr_scheduler_type: Literal["linear", "cosine", "constant"] = "linear"
    """The learning rate after the warm-up: "linear" or "cosine" falls to 0 at the end of the budget, "constant" stays.
    """
    max_grad_norm: NonNegativeFloat = 1.0
    """Norm of all gradients together, at most; larger gradients are scaled down to it."""


@dataclass(frozen=True)
class BudgetSpec:
    """Training ends when the first of the given budgets is spent."""

    tokens: PositiveInt | None = None
    """Tokens trained on, padding not counted; None for no limit."""
    flops: PositiveFloat | None = None
    """Floating-point operations of the matrix products of all parts that are trained, forward and backward, a
    multiply-add counted as 2; None for no limit.
    """
    seconds: PositiveFloat | None = None
    """Seconds of wall time, probes included; None for no limit."""


@dataclass(frozen=True, kw_only=True)
class System:
    """What the catalogue lists: a published system, its card and how its claim is checked.

    A survey or an analysis is a plain `System`; what trains is a `Recipe`; what a verb takes as `--method` a `Method`.
    """

    card: Card
    check: ClaimCheck | None = None


@dataclass(frozen=True, kw_only=True)
class Recipe(System):
    """A training objective and typed settings. A descendant is made with `replace` and states only its difference."""

    objective: ObjectiveSpec
    """What the model is trained to do."""
    data: DataSpec = field(default_factory=PassageSpec)
    """What a training batch is made of."""
    encoder: EncoderSpec = field(default_factory=TextEncoderSpec)
    """The encoder that is built when a run starts from scratch; a trained start model keeps its own."""
    optimiser: OptimiserSpec = field(default_factory=OptimiserSpec)
    """The optimiser and its learning-rate schedule."""
    budget: BudgetSpec = field(default_factory=lambda: BudgetSpec(tokens=5_000_000))
    """What `reknit pretrain` spends by default. To change it, set the run's own `budget`; where stages come before the
    recipe, all of them divide that in proportion to their own budgets of tokens.
    """
    after: tuple[Recipe, ...] = ()
    """Recipes that train before this one, in order, each on the same encoder; they divide its budget in proportion to
    their own.
    """


@dataclass(frozen=True, kw_only=True)
class Method(System):
    """A published system that is one part of a verb's job."""

    part: Part
