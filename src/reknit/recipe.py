"""A published system as data: its card and its typed settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from reknit.claim import ClaimCheck
from reknit.encoders.spec import EncoderSpec, TextEncoderSpec
from reknit.objectives.base import ObjectiveSpec
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

    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    adam_beta1: float = 0.9
    adam_beta2: float = 0.98
    adam_epsilon: float = 1e-6
    warmup_ratio: float = 0.06
    lr_scheduler_type: Literal["linear", "cosine", "constant"] = "linear"
    max_grad_norm: float = 1.0


@dataclass(frozen=True)
class BudgetSpec:
    """Training ends when the first of the given budgets is spent; None means no limit of that kind."""

    tokens: int | None = None
    flops: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class System:
    """What the catalogue lists: a published system, its card and how its claim is checked.

    A survey or an analysis is a plain `System`; what trains is a `Recipe`; what a verb takes as `--method` a `Method`.
    """

    card: Card
    check: ClaimCheck | None = None


@dataclass(frozen=True, kw_only=True)
class Recipe(System):
    """A training objective and typed settings. A descendant is made with `replace` and states only its difference.

    after: recipes that train before this one, in order, each on the same encoder; they divide its budget in proportion
    to their own.
    """

    objective: ObjectiveSpec
    data: DataSpec = field(default_factory=PassageSpec)
    encoder: EncoderSpec = field(default_factory=TextEncoderSpec)
    optimiser: OptimiserSpec = field(default_factory=OptimiserSpec)
    budget: BudgetSpec = field(default_factory=lambda: BudgetSpec(tokens=5_000_000))
    after: tuple[Recipe, ...] = ()


class Part:
    """One component with typed settings (a frozen dataclass) that a verb takes as a method.

    role: what it is (adapter, weight map, mixer, tokenizer transfer, feature model ...). verb: the verb that takes it.
    """

    role: ClassVar[str]
    verb: ClassVar[str]


@dataclass(frozen=True, kw_only=True)
class Method(System):
    """A published system that is one part of a verb's job."""

    part: Part
