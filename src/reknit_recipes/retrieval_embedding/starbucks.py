"""Starbucks' fine-tuning (SRL): a fixed list of sizes, all trained in every step, aligned with the full model."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.elastic import ElasticContrastiveSpec
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit_recipes.retrieval_embedding.infonce_pairs import RECIPE as INFONCE_PAIRS

RECIPE = replace(
    INFONCE_PAIRS,
    card=replace(
        INFONCE_PAIRS.card,
        name="starbucks",
        capability="reshape",
        title="Starbucks: Improved Training for 2D Matryoshka Embeddings",
        year=2024,
        family="elastic-embedding",
        paper="https://arxiv.org/abs/2410.13230; code: https://github.com/ielab/Starbucks",
        adds="Fixed pairs of layers and dimensions, small to full, trained together, each aligned with the full "
        "model's scores.",
        facts=(
            "Read in the authors' code for retrieval (modeling.py): (2, 32), (4, 64), (6, 128), (8, 256), (10, 512), "
            "(12, 768); the sum of the contrastive losses of all sizes and the divergence of their scores from the "
            "full model's, detached, with weight 1. Their code for similarity aligns softmaxed dimensions with the "
            "last layer's at the same width instead, not detached, with weight 0.3."
        ),
        claim="One model's sizes match or beat models trained for each size, and are far above random sampling of "
        "sizes (2D Matryoshka).",
        citation="@article{zhuang2024starbucks, title={Starbucks: Improved Training for 2D Matryoshka Embeddings}, "
        "author={Zhuang, Shengyao and Wang, Shuai and Koopman, Bevan and Zuccon, Guido}, journal={arXiv:2410.13230}, "
        "year={2024}}",
        deviates=(
            "Pairs mined from the corpus instead of labelled ones with hard negatives; means over the sizes instead of "
            "sums, so that the alignment weighs a fifth more beside the contrastive loss.",
            "Cosines at temperature 0.05, contrast in both directions and mean pooling; the authors: dot products, "
            "queries to passages, [CLS].",
            "Dimensions halve from size to size, also in the first step from the full model (the paper: 768 to 512).",
            "It starts from any encoder; its pre-training (SMAE) is the recipe smae.",
        ),
    ),
    objective=ElasticContrastiveSpec(temperature=0.05, symmetric=True),
    check=ClaimCheck(
        experiment=PretrainingExperiment(
            eval=("sts/stsb_en", "retrieval/cranfield"), settings=("tuning=none", "sizes=1x32,2x64", "max_length=64")
        ),
        better=(
            Pair("starbucks", "2dmse"),
            Pair("2dmse", "infonce-pairs"),
        ),
        measures="part",
        needs="Models trained for each size alone are not among the arms yet. The pre-training has a check of its own: "
        "smae.",
    ),
)
