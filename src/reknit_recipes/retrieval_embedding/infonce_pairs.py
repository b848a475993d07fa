"""InfoNCE on pairs that the corpus itself offers: title and body, neighbours, a sentence and the rest, twins."""

from dataclasses import replace

from reknit.encoders.spec import TextEncoderSpec
from reknit.objectives.contrastive import ContrastiveSpec
from reknit.recipe import Card, OptimiserSpec
from reknit.sources.pairs import PairSpec
from reknit_recipes.retrieval_embedding.simcse import RECIPE as SIMCSE

RECIPE = replace(
    SIMCSE,
    card=Card(
        name="infonce-pairs",
        title="Contrastive pre-training on pairs mined from the corpus",
        year=2022,
        family="retrieval-embedding",
        capability="search",
        paper="After E5, https://arxiv.org/abs/2212.03533 (titles); cpt-text, https://arxiv.org/abs/2201.10005 "
        "(neighbours); the inverse cloze task, https://arxiv.org/abs/1906.00300 (a sentence and the rest)",
        adds="Weak query-passage pairs without labels, from what a corpus has: titles, order and sentences.",
        facts=(
            "No single paper: the kinds of pair are those of the papers named, from memory of them; temperature, "
            "rate and batch are this project's choice for one small machine, and not tuned."
        ),
        claim="Contrastive training on mined pairs improves retrieval on the same corpus over the start model.",
        citation="@article{wang2022text, title={Text Embeddings by Weakly-Supervised Contrastive Pre-training}, "
        "author={Wang, Liang and Yang, Nan and Huang, Xiaolong and others}, journal={arXiv:2212.03533}, year={2022}}",
        deviates=(
            "Batches of 64 pairs and temperature 0.05 instead of E5's tens of thousands and 0.01: runs on a CPU.",
            "No consistency filter, no shared query and passage prefixes.",
        ),
        status="deviates",
    ),
    objective=ContrastiveSpec(temperature=0.05, symmetric=True),
    # Where there are titles they are nearest to what people type, so they are half of the pairs.
    data=PairSpec(
        pair_kinds=("title", "title", "title", "neighbour", "crop", "twin"),
        max_length=96,
        query_max_length=32,
    ),
    encoder=TextEncoderSpec(pooling="mean"),
    optimiser=OptimiserSpec(learning_rate=2e-5, warmup_ratio=0.1, adam_beta2=0.999, adam_epsilon=1e-8),
)
