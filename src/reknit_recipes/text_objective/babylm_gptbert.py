"""GPT-BERT: causal and masked next-token prediction in one batch; winner of the second BabyLM challenge."""

from reknit.claim import ClaimCheck, Pair
from reknit.encoders.spec import TextEncoderSpec
from reknit.objectives.hybrid_language_model import HybridLanguageModelSpec
from reknit.recipe import Card, OptimiserSpec, Recipe
from reknit.research.pretraining.experiment import PretrainingExperiment

RECIPE = Recipe(
    card=Card(
        name="babylm-gptbert",
        title="Findings of the Second BabyLM Challenge; GPT or BERT: why not both?",
        year=2024,
        family="text-objective",
        capability="pretrain",
        paper="https://arxiv.org/abs/2412.05149; GPT-BERT: https://arxiv.org/abs/2410.24159",
        adds="Masked tokens are predicted from the position before them, as in causal modelling, so that one model "
        "learns both.",
        facts=(
            "From the project's table of systems, marked as verified there: parts of a batch of 1:15 to 15:1; spans of "
            "at most 3 tokens, 30% falling to 15%, 10% random and 10% kept; 128 to 512 tokens; LAMB at 1.41e-2, weight "
            "decay 0.1, z-loss 1e-4, moving average 0.999."
        ),
        claim="The hybrid of both objectives is better than either alone on both text tracks of the challenge.",
        citation="@inproceedings{charpentier2024gpt, title={GPT or BERT: why not both?}, author={Charpentier, Lucas "
        "Georges Gabriel and Samuel, David}, booktitle={BabyLM Challenge at CoNLL}, year={2024}}",
        deviates=(
            "Half of the texts are causal; the authors' best runs use more masked ones.",
            "AdamW instead of LAMB; no z-loss, moving average, growing batch or growing length.",
            "A BERT-shaped encoder instead of LTG-BERT's; special tokens are not predicted.",
        ),
        status="deviates",
    ),
    objective=HybridLanguageModelSpec(),
    encoder=TextEncoderSpec(pooling="mean"),
    optimiser=OptimiserSpec(learning_rate=5e-4, weight_decay=0.1, adam_beta2=0.98),
    check=ClaimCheck(
        experiment=PretrainingExperiment(eval=(*PretrainingExperiment.eval, "bench/blimp")),
        better=(
            Pair("babylm-gptbert", "mlm"),
            Pair("babylm-gptbert", "clm"),
        ),
        measures="part",
    ),
)
