"""A published system as data: its card and its typed settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from reknit.data.pairs import PairKind
from reknit.data.taggers import TaggerName
from reknit.encoders.pooling import TrainedPoolingMode
from reknit.errors import ReknitError
from reknit.objectives.base import ObjectiveSpec


@dataclass(frozen=True)
class Card:
    """Where a system comes from and how far this recipe follows it.

    name: the name on the command line. adds: what it contributes, in one sentence. facts: the settings that were
    checked against the paper. deviates: each place where the recipe differs from the paper, and why. claim: the
    paper's central claim, in one sentence. citation: BibTeX. system: the published system that it belongs to, where
    that has several recipes; else the name.
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


@dataclass(frozen=True)
class DataSpec:
    """What a training batch is made of.

    source: "passages" (single texts), "pairs", or "queries" (pseudo-queries with a teacher's ranking). pair_kinds:
    which pairs are mined, for "pairs"; a kind that is named several times is drawn that much more often. max_length:
    tokens per sequence at most. tokens_per_batch: packed tokens per step for passages. pairs_per_batch: examples per
    step for pairs and queries. query_max_length: tokens of a query, or of the first sequence of a pair, at most.
    pairs_per_document: pairs of a document that stand side by side, as far as it has them: 2 or more give an objective
    negatives from the same document. tagger: whose spans the tokens of passages are marked with (`data/taggers.py`),
    for objectives that need to know what kind of word a token belongs to. below: train on the corpus's files whose path
    below its folder begins with this, such as "es/"; all of them when empty.
    """

    source: Literal["passages", "pairs", "queries"] = "passages"
    pair_kinds: tuple[PairKind, ...] = ()
    max_length: int = 128
    tokens_per_batch: int = 4096
    pairs_per_batch: int = 64
    query_max_length: int = 64
    pairs_per_document: int = 1
    tagger: TaggerName = "none"
    below: str = ""

    def __post_init__(self) -> None:
        if self.tagger != "none" and self.source != "passages":
            raise ReknitError(f"only passages are tagged, not {self.source}: set data.tagger=none")
        if self.below and self.source == "queries":
            raise ReknitError("a teacher's queries are of the whole corpus: leave data.below empty")


@dataclass(frozen=True)
class TeacherSpec:
    """The teacher that ranks documents for pseudo-queries: BM25 and the start model together.

    documents, queries: at most so many passages are ranked, for so many pseudo-queries. queries_per_passage: at most.
    time_share: with a time budget, making the teacher may take about this share of it. neighbours: each document
    speaks for so many nearest ones too (good where questions have many answers, harmful where they have one; see
    docs/adaptation.md). neighbour_weight: their weight, all together, beside the document's own 1.
    temperature: divides the teacher's standard scores. ranked: documents kept of each ranking. epochs: the student sees
    every query at most so many times; a small corpus has few, and it would learn them by heart.
    """

    documents: int = 20_000
    queries: int = 20_000
    queries_per_passage: int = 8
    time_share: float = 0.3
    neighbours: int = 0
    neighbour_weight: float = 0.4
    temperature: float = 0.25
    ranked: int = 256
    epochs: float = 3.0

    def __post_init__(self) -> None:
        if not self.epochs > 0:
            raise ReknitError(f"teacher.epochs is {self.epochs}: it must be above 0")


@dataclass(frozen=True)
class EncoderSpec:
    """The encoder that is built when a run starts from scratch; an existing start model keeps its own shape.

    attention: "causal" for a model that sees what came before only, when it is trained and when it embeds; it should
    pool "last" or "mean". pooling: one of those by name, or a pooling that is trained with the encoder
    (`encoders/trained_pooling.py`), with so many latents. token_table: "latent-semantic" begins with what the corpus's
    words have in common (`encoders/latent_semantic.py`); it needs the pooling "mean".
    """

    family: Literal["bert", "modernbert"] = "bert"
    dim: int = 256
    depth: int = 4
    heads: int = 4
    intermediate: int = 1024
    max_positions: int = 512
    vocabulary: int = 16_000
    dropout: float = 0.1
    pooling: Literal["cls", "mean", "last", TrainedPoolingMode] = "cls"
    latents: int = 64
    attention: Literal["bidirectional", "causal"] = "bidirectional"
    token_table: Literal["random", "latent-semantic"] = "random"


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


@dataclass(frozen=True)
class ClaimSize:
    """How large the trainings of a claim are: the budget of each, and `a.b=c` settings of the comparison."""

    budget: str
    settings: tuple[str, ...]


CLAIM_SIZES = {
    # Three arms with three seeds end in 15 minutes on two cores.
    "small": ClaimSize(
        "2Tflop",
        (
            "corpus_share=0.1",
            "encoder.dim=128",
            "encoder.depth=3",
            "encoder.heads=2",
            "encoder.intermediate=512",
            "encoder.vocabulary=8000",
            "tuning_budget.tokens=200000",
            "curve_points=4",
        ),
    ),
    # Each claim within ten minutes on a GPU such as the H100, with three seeds.
    "large": ClaimSize(
        "40Tflop",
        (
            "corpus_share=0.2",
            "tokens_per_batch=8192",
            "encoder.dim=256",
            "encoder.depth=4",
            "encoder.heads=4",
            "encoder.intermediate=1024",
            "encoder.vocabulary=8000",
            "tuning_budget.tokens=300000",
            "curve_points=4",
        ),
    ),
}


@dataclass(frozen=True)
class ClaimCheck:
    """How a card's claim is measured here, small: by a comparison, as `reknit compare` makes it.

    better: (arm, other arm) pairs, arms as `reknit compare` reads them: the first is expected to be better than the
    second. no_worse: pairs of which the first may be worse by `margin` and the claim still holds. metric: a measure's
    label, or "all" for the mean of all measures. corpus, eval: below the data folder. settings: `a.b=c` changes to the
    comparison, on top of those of the size (CLAIM_SIZES). needs: what the claim would need to be seen and this check
    lacks, if so.
    """

    better: tuple[tuple[str, str], ...] = ()
    no_worse: tuple[tuple[str, str], ...] = ()
    margin: float = 0.005
    metric: str = "all"
    corpus: str = "text/mix_en.jsonl.zst"
    eval: tuple[str, ...] = ("cls/banking77", "sts/stsb_en", "retrieval/cranfield")
    settings: tuple[str, ...] = ()
    needs: str = ""


@dataclass(frozen=True)
class Recipe:
    """A card and typed settings. A descendant is made with `dataclasses.replace` and states only its difference."""

    card: Card
    objective: ObjectiveSpec
    data: DataSpec = field(default_factory=DataSpec)
    encoder: EncoderSpec = field(default_factory=EncoderSpec)
    optimiser: OptimiserSpec = field(default_factory=OptimiserSpec)
    budget: BudgetSpec = field(default_factory=lambda: BudgetSpec(tokens=5_000_000))
    teacher: TeacherSpec = field(default_factory=TeacherSpec)
    check: ClaimCheck | None = None
