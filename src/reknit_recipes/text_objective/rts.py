"""RTS: find the tokens that were replaced by random ones, without any generator."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.replaced_token_detection import RandomTokenDetectionSpec
from reknit.recipe import OptimiserSpec
from reknit_recipes.text_objective.mlm import RECIPE as MLM

RECIPE = replace(
    MLM,
    card=replace(
        MLM.card,
        name="rts",
        system="rts-slm",
        title="Structural Self-Supervised Objectives for Transformers: random token substitution",
        year=2023,
        paper="https://arxiv.org/abs/2309.08272",
        adds="Detection of randomly replaced tokens: no generator and no vocabulary head, so a cheaper step.",
        facts=(
            "Read: the thesis's abstract, and the authors' code (github.com/lucadiliello/transformers-framework): 15% "
            "of the tokens become uniformly random ones; a binary label for every token."
        ),
        claim="Detecting random replacements reaches MLM's quality with less pre-training time.",
        citation="@phdthesis{diliello2023structural, title={Structural Self-Supervised Objectives for Transformers}, "
        "author={Di Liello, Luca}, school={University of Trento}, year={2023}}",
        deviates=("A BERT-shaped encoder, passages of 128 tokens and 4,096 tokens a step by default: runs on a CPU.",),
    ),
    objective=RandomTokenDetectionSpec(),
    optimiser=OptimiserSpec(learning_rate=1e-4, adam_beta2=0.999),
    check=ClaimCheck(
        no_worse=(Pair("rts", "mlm:objective.ratio=0.15", margin=0.005),),
        measures="part",
    ),
)
