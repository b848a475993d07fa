"""Future token prediction: a token's state alone must tell a small decoder the next eight tokens."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.future_tokens import FutureTokensSpec
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit_recipes.text_objective.clm import RECIPE as CLM

RECIPE = replace(
    CLM,
    card=replace(
        CLM.card,
        name="ftp",
        system="",
        title="Future Token Prediction: Causal Language Modelling with Per-Token Semantic State Vector for Multi-Token "
        "Prediction",
        year=2024,
        paper="https://arxiv.org/abs/2410.18160",
        adds="Each state of a causal encoder is unfolded into a pseudo-sequence, from which a small decoder predicts "
        "the next N tokens.",
        facts=(
            "Read: the abstract and summaries (causal encoder; the top state is projected linearly to a "
            "pseudo-sequence that a small decoder cross-attends to; losses weighted down exponentially with "
            "distance; OpenWebText). From the project's table, unsure: 8 tokens ahead, 12 vectors, 3 layers. Not "
            "read: the rate of decay."
        ),
        claim="Its states vary smoothly along a text and represent its topic better than a GPT's of the same "
        "perplexity.",
        citation="@article{walker2024future, title={Future Token Prediction -- Causal Language Modelling with "
        "Per-Token Semantic State Vector for Multi-Token Prediction}, author={Walker, Nicholas}, "
        "journal={arXiv:2410.18160}, year={2024}}",
        deviates=(
            *CLM.card.deviates,
            "In each step the futures of a random eighth of the tokens are predicted; a decay of 0.8 is a guess.",
        ),
    ),
    objective=FutureTokensSpec(),
    check=ClaimCheck(
        experiment=PretrainingExperiment(eval=("cls/banking77", "cls/sst2", "sts/stsb_en")),
        better=(Pair("ftp", "clm"),),
        measures="proxy",
        needs="Smoothness and the coherence of generated text are not measured; budgets are equal, not perplexities.",
    ),
)
