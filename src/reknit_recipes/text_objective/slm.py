"""SLM: predict the text's own tokens where random ones replace them; there is no mask token."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.masked_language_model import MaskedLanguageModelSpec
from reknit_recipes.text_objective.rts import RECIPE as RTS

RECIPE = replace(
    RTS,
    card=replace(
        RTS.card,
        name="slm",
        title="Structural Self-Supervised Objectives for Transformers: swapped language modelling",
        adds="Masked language modelling without a mask token: predicted tokens are always replaced by random ones.",
        claim="It beats MLM on some tasks at the same compute.",
        facts=(
            "Read: the thesis's abstract and summaries. From memory: 15% of the tokens become random ones and are "
            "predicted, the others are not."
        ),
    ),
    objective=MaskedLanguageModelSpec(ratio=0.15, random_share=1.0, keep_share=0.0),
    check=ClaimCheck(
        better=(Pair("slm", "mlm:objective.ratio=0.15"),),
        measures="part",
    ),
)
