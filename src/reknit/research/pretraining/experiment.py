"""Training objectives at equal budget as an experiment: what claims about objectives are measured by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reknit.claim import EVERY_MEASURE, Experiment, Outcome, Pair, Size
from reknit.jobs.interrupt import StopRequest
from reknit.research.pretraining.config import LOSS, UNIGRAM, UNTRAINED, ComparisonConfig, parse_arm
from reknit.research.pretraining.cost import training_flops
from reknit.runs.config import with_overrides
from reknit.training.budget import parse_budget


@dataclass(frozen=True)
class ClaimSize:
    """How large the trainings of a claim are: the budget of each, and `a.b=c` settings of the comparison."""

    budget: str
    settings: tuple[str, ...]


CLAIM_SIZES: dict[Size, ClaimSize] = {
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
class PretrainingExperiment(Experiment):
    """Objectives with the same encoder, tokenizer, data order and budget, measured as `reknit compare` measures them.

    corpus, eval: below the data folder. settings: `a.b=c` changes to the comparison, on top of those of the size.
    budget: of each training, such as "5Mtok"; "" for the size's own. sized: what `at` gave. start: the folder of the
    model that all arms start from; "" for random weights.

    Arms are those of `reknit compare`. The control: the arm that the first pair is compared with is better than the
    untrained encoder, which is tuned and measured as the others are; and its loss, if it trains a language model, is
    below the unigram entropy of the corpus. Where it is not, the arms differ in how little they have disturbed random
    weights, which is no finding about objectives.
    """

    # What reads data and trains is imported where it is used: every recipe that has a check imports this file.

    corpus: str = "text/mix_en.jsonl.zst"
    eval: tuple[str, ...] = ("cls/banking77", "sts/stsb_en", "retrieval/cranfield")
    settings: tuple[str, ...] = ()
    budget: str = ""
    sized: ClaimSize = CLAIM_SIZES["small"]
    start: str = ""

    def at(self, size: Size) -> PretrainingExperiment:
        return replace(self, sized=CLAIM_SIZES[size])

    def spends(self) -> str:
        return self.budget or self.sized.budget

    def with_budget(self, budget: str) -> PretrainingExperiment:
        return replace(self, budget=budget)

    def with_start(self, model: Path) -> PretrainingExperiment:
        return replace(self, start=str(model))

    def inputs(self) -> tuple[str, ...]:
        return (self.corpus, *self.eval)

    def controls(self, pairs: Sequence[Pair]) -> tuple[Pair, ...]:
        if not pairs:
            return ()
        reference, measure = pairs[0].second, pairs[0].measure
        if reference == UNTRAINED:
            reference = pairs[0].first
        return Pair(reference, UNTRAINED, measure), Pair(reference, UNIGRAM, LOSS)

    def lower_is_better(self, measure: str) -> bool:
        from reknit.evaluation.measures import lower_is_better

        return measure == LOSS or (measure != EVERY_MEASURE and lower_is_better(measure))

    def config(self, data: Path) -> ComparisonConfig:
        """What all arms share, as `reknit compare` would be given it."""
        places = tuple(str(data / place) for place in self.eval)
        config = ComparisonConfig(str(data / self.corpus), parse_budget(self.spends()), places)
        if self.start:
            config = replace(config, start=self.start)
        return with_overrides(config, (*self.sized.settings, *self.settings))

    def flops(self, arm: str) -> float:
        """Of training and tuning; measuring is small beside them. Raises ReknitError for a budget in seconds."""
        return 0.0 if arm == UNIGRAM else training_flops(parse_arm(arm), self.config(Path()))

    def prepare(self, data: Path, folder: Path, arms: Sequence[str]) -> None:
        from reknit.research.pretraining.folder import ComparisonFolder
        from reknit.research.pretraining.material import opened, prepare_comparison

        opened.cache_clear()
        comparison = ComparisonFolder(folder)
        trained = [parse_arm(arm) for arm in arms if arm != UNIGRAM]
        prepare_comparison(trained, self.config(data), comparison, resume=comparison.is_taken(), overwrite=False)

    def run(self, arm: str, seed: int, data: Path, folder: Path, stop: StopRequest) -> Outcome:
        from reknit.research.pretraining.arm import outcome_of, run_arm, unigram_outcome
        from reknit.research.pretraining.folder import ComparisonFolder
        from reknit.research.pretraining.material import opened

        config, comparison = self.config(data), ComparisonFolder(folder)
        material = opened(config, folder)
        if arm == UNIGRAM:
            return unigram_outcome(config, comparison, material)
        parsed = parse_arm(arm)
        place = comparison.run(parsed, seed)
        return outcome_of(run_arm(parsed, config, seed, place, material, stop), place)
