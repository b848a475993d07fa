"""How the claim of a published system is measured here: what should be better than what, and how large the runs are."""

from __future__ import annotations

from dataclasses import dataclass


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
