"""CLM first, then MLM: the schedule that "Should We Still Pretrain Encoders with MLM?" recommends."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.masked_language_model import MaskedLanguageModelSpec
from reknit.objectives.scheduled import CausalThenMaskedSpec
from reknit_recipes.text_objective.mlm import RECIPE as MLM

RECIPE = replace(
    MLM,
    card=replace(
        MLM.card,
        name="mlm-vs-clm",
        system="",
        title="Should We Still Pretrain Encoders with Masked Language Modeling?",
        adds="One training in two phases: causal language modelling, then masked language modelling.",
        facts=(
            "Read: abstract and summaries (splits of 100-0, 75-25, 50-50, 25-75 and 0-100 under 12k, 22k and 42k "
            "steps; the biphasic ones are best at a fixed budget). The two pure ends are the recipes mlm and clm."
        ),
        deviates=(
            *MLM.card.deviates,
            "One warm-up and one decay for both phases, not a schedule each; the second phase's head starts new.",
        ),
    ),
    objective=CausalThenMaskedSpec(
        switch_at=0.5, masked=MaskedLanguageModelSpec(ratio=0.4, random_share=0.0, keep_share=0.0)
    ),
    check=ClaimCheck(
        better=(
            Pair("mlm-vs-clm", "mlm"),
            Pair("mlm", "clm"),
        ),
        measures="part",
    ),
)
