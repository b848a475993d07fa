"""BudgetLongformer: replaced-token detection with windowed attention on long texts."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.encoders.spec import TextEncoderSpec
from reknit.objectives.replaced_token_detection import ReplacedTokenDetectionSpec
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit.sources.passages import PassageSpec
from reknit_recipes.text_objective.electra import RECIPE as ELECTRA

RECIPE = replace(
    ELECTRA,
    card=replace(
        ELECTRA.card,
        name="budget-longformer",
        title="BudgetLongformer: Can we Cheaply Pretrain a SotA Legal Language Model From Scratch?",
        year=2022,
        paper="https://arxiv.org/abs/2211.17135",
        adds="ELECTRA's task on an encoder whose layers attend within a window, so that long texts are cheap.",
        facts=(
            "From the project's table of systems, where it is from memory: Longformer's attention, 4,096 tokens, 25% "
            "masked, batch 32, 50k to 200k steps on the Pile of Law; summarisation of bills and papers is the test."
        ),
        claim="Cheap pre-training from scratch by replaced-token detection and windowed attention meets or beats the "
        "baselines of its size on long legal texts.",
        citation="@article{niklaus2022budgetlongformer, title={BudgetLongformer: Can we Cheaply Pretrain a SotA Legal "
        "Language Model From Scratch?}, author={Niklaus, Joel and Giofr{\\'e}, Daniele}, journal={arXiv:2211.17135}, "
        "year={2022}}",
        deviates=(
            *ELECTRA.card.deviates[:2],
            "ModernBERT's windows of 64 tokens on either side with every third layer global, instead of Longformer's.",
            "1,024 tokens instead of 4,096; no summarisation.",
        ),
    ),
    objective=ReplacedTokenDetectionSpec(ratio=0.25, max_positions=1024),
    data=PassageSpec(max_length=1024, tokens_per_batch=8192),
    encoder=TextEncoderSpec(family="modernbert", pooling="mean", max_positions=1024),
    check=ClaimCheck(
        experiment=PretrainingExperiment(
            settings=(
                "encoder.family=modernbert",
                "encoder.max_positions=512",
                "max_length=512",
                "passage_words=400",
            )
        ),
        better=(Pair("budget-longformer", "mlm"),),
        measures="proxy",
        needs="No long labelled texts are among the measures.",
    ),
)
