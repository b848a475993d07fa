"""Causal language modelling, the other arm of "Should We Still Pretrain Encoders with Masked Language Modeling?"."""

from dataclasses import replace

from reknit.objectives.causal_language_model import CausalLanguageModelSpec
from reknit_recipes.text_objective.mlm import RECIPE as MLM

RECIPE = replace(
    MLM,
    card=replace(
        MLM.card,
        name="clm",
        title="Causal language modelling",
        adds="Next-token prediction under causal attention, the data-efficient first phase of an encoder's training.",
        facts=(
            "Read: abstract and summaries (causal attention, the loss is the negative log-likelihood of each token "
            "given those before it; same backbone, tokens and steps as the masked arm; 12k, 22k and 42k steps)."
        ),
        deviates=(
            *MLM.card.deviates,
            "Special tokens are not predicted, so the model learns no end of text.",
            "Exported models attend in both directions and pool the mean; [CLS] alone would have seen nothing.",
        ),
    ),
    objective=CausalLanguageModelSpec(),
)
