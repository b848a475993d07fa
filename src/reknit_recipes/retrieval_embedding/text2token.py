"""Text2Token: the vector of a text predicts its key tokens."""

from reknit.claim import ClaimCheck, Pair
from reknit.encoders.spec import TextEncoderSpec
from reknit.objectives.token_targets import TokenTargetSpec
from reknit.recipe import Card, OptimiserSpec, Recipe
from reknit.research.pretraining.experiment import PretrainingExperiment

RECIPE = Recipe(
    card=Card(
        name="text2token",
        title="Text2Token: Unsupervised Text Representation Learning with Token Target Prediction",
        year=2025,
        family="retrieval-embedding",
        capability="search",
        paper="https://arxiv.org/abs/2510.10224",
        adds="The pooled vector, through the language-model head, must give the distribution of the text's key tokens; "
        "no pairs are contrasted.",
        facts=(
            "Read: the abstract and a summary (key tokens of the text, then tokens beyond it derived from the model; "
            "two stages by divergence). From the project's table of systems, partly marked as verified there: "
            "divergence from a target distribution; first targets from the data (frequent tokens left out, weights "
            "like tf-idf; the exact weighting is unsure), then from the model of the first stage; a language model "
            "with its head, frozen or not is unsure."
        ),
        claim="Without contrastive pairs it is competitive with unsupervised contrastive learning of language-model "
        "embedders.",
        citation="@article{an2025text2token, title={Text2Token: Unsupervised Text Representation Learning with Token "
        "Target Prediction}, author={An, Ruize and Zhang, Richong and Nie, Zhijie and Wu, Zhanyu and Zhang, Yanzhao "
        "and Long, Dingkun}, journal={arXiv:2510.10224}, year={2025}}",
        deviates=(
            "An encoder instead of a language model; the head is trained too.",
            "Document frequencies are those of the texts trained on so far; the weighting is plain tf-idf.",
            "Each stage has half of the budget; the second's targets are the 32 likeliest tokens of the first's model, "
            "without the frequent ones. Both numbers are this project's.",
        ),
        status="deviates",
    ),
    objective=TokenTargetSpec(),
    encoder=TextEncoderSpec(pooling="mean"),
    optimiser=OptimiserSpec(learning_rate=1e-4, adam_beta2=0.999),
    check=ClaimCheck(
        experiment=PretrainingExperiment(settings=("tuning=none",)),
        better=(Pair("text2token", "text2token:objective.first_stage=1.0"),),
        no_worse=(Pair("text2token", "simcse", margin=0.005),),
        measures="part",
        needs="Both begin with random weights here, not with a language model.",
    ),
)
