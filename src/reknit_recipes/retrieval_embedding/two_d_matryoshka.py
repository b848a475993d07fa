"""2D Matryoshka: in each step the last layer at every width, and one random layer at a random width."""

from dataclasses import replace

from reknit.objectives.elastic import ElasticContrastiveSpec
from reknit_recipes.retrieval_embedding.starbucks import RECIPE as STARBUCKS

RECIPE = replace(
    STARBUCKS,
    card=replace(
        STARBUCKS.card,
        name="2dmse",
        title="2D Matryoshka Sentence Embeddings",
        paper="https://arxiv.org/abs/2402.14776",
        adds="A loss at one random layer beside the last one, both at several widths, so that a model can be cut in "
        "depth and width.",
        facts=(
            "From the project's table of systems, marked as verified there: per step the last layer's Matryoshka loss, "
            "one uniformly drawn layer below it with drawn coordinates, and a divergence with weight 1 from the last "
            "layer's."
        ),
        claim="One model is usable at any layer and width, with far better shallow quality than cutting a Matryoshka "
        "or an ordinary model.",
        citation="@article{li2024twod, title={2D Matryoshka Sentence Embeddings}, author={Li, Xianming and Li, Zongxi "
        "and Li, Jing and Xie, Haoran and Li, Qing}, journal={arXiv:2402.14776}, year={2024}}",
        deviates=(
            "Pairs mined from the corpus instead of labelled ones; InfoNCE instead of AnglE's loss.",
            "The last layer's narrow vectors are aligned with its full ones too, and all sizes of a step count the "
            "same.",
            "The divergence is of scores in the batch, not of softmaxed coordinates at temperature 0.3.",
        ),
    ),
    objective=ElasticContrastiveSpec(temperature=0.05, symmetric=True, trained="one"),
    check=replace(STARBUCKS.check, better=(("2dmse", "infonce-pairs"),), needs="") if STARBUCKS.check else None,
)
