"""RetroMAE: an encoder whose sentence vector must let a weak decoder restore the text."""

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.retromae import RetroMAESpec
from reknit.recipe import Card, OptimiserSpec, Recipe
from reknit.research.pretraining.experiment import PretrainingExperiment

RECIPE = Recipe(
    card=Card(
        name="retromae",
        title="RetroMAE: Pre-Training Retrieval-oriented Language Models Via Masked Auto-Encoder",
        year=2022,
        family="retrieval-embedding",
        capability="search",
        paper="https://aclanthology.org/2022.emnlp-main.35; code: https://github.com/staoxiao/RetroMAE",
        adds="A one-layer decoder that restores every token from the sentence vector and a random half of the words.",
        facts=(
            "Read in the authors' code (modeling.py, data.py, arguments.py, the pre-training README, and the decoder "
            "layer in two forks): whole-word masks, 30% for the encoder (80/10/10) and 50% for each decoder row; "
            "special tokens always visible to the decoder; row i never sees token i; queries are sentence vector + "
            "position, keys and values the sentence vector and token embeddings; one post-norm BERT layer with its "
            "residual from the query; every ordinary token is decoded; one shared head; loss = encoder MLM + decoder; "
            "rate 1e-4, warm-up 10%, weight decay 0.01, 8 epochs from BERT-base, 512 tokens. The abstract gives 15 to "
            "30% and 50 to 70% as the range."
        ),
        claim="RetroMAE is a better starting point for dense retrieval than BERT, Condenser and coCondenser (MS MARCO, "
        "BEIR, also zero-shot).",
        citation="@inproceedings{xiao2022retromae, title={RetroMAE: Pre-Training Retrieval-oriented Language Models "
        "Via Masked Auto-Encoder}, author={Xiao, Shitao and Liu, Zheng and Shao, Yingxia and Cao, Zhao}, "
        "booktitle={EMNLP}, pages={538--548}, year={2022}}",
        deviates=(
            "The bottleneck is the vector that is exported: [CLS] as in the paper, but the mean for a start model that "
            "pools the mean.",
            "The decoder has position embeddings and a norm of its own instead of the encoder's: rotary encoders have "
            "no positions to lend. The query is normalised and dropped out like the keys (the authors' DupMAE code "
            "does so, their RetroMAE code does not).",
            "Each decoder row samples its own visible words, each masked with probability 0.5; the authors share at "
            "most 256 draws of about half of the tokens per text.",
            "Shares are of the ordinary tokens, special ids in the text are never predicted, and the prediction head "
            "begins with random weights also where the encoder does not; the authors count all tokens and begin with "
            "BERT's head.",
            "The decoder restores 15% of the ordinary tokens a step, sampled again each time, not all: an unbiased "
            "estimate of the same loss for far less vocabulary work, so more steps in the same time. As published: "
            "objective.decoded_share=1.",
            "Passages of 128 tokens and 4,096 tokens a step by default: runs on a CPU.",
        ),
        status="deviates",
    ),
    objective=RetroMAESpec(decoded_share=0.15),
    optimiser=OptimiserSpec(learning_rate=1e-4, warmup_ratio=0.1, adam_beta2=0.999, adam_epsilon=1e-8),
    check=ClaimCheck(
        experiment=PretrainingExperiment(settings=("encoder.pooling=cls",)),
        better=(Pair("retromae", "mlm", measure="cranfield nDCG@10"),),
        measures="proxy",
    ),
)
