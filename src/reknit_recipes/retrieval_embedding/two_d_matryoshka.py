"""2D Matryoshka: in each step one random layer and the last, each whole and cut to one random width."""

from dataclasses import replace

from reknit.claim import Pair
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
            "Read in the authors' code (AnglE, AngleTDMSETrainer): per step one uniformly drawn layer below the last "
            "and one drawn width below all; losses of both layers at all dimensions and at that width, the lower "
            "layer's divided by its number; the divergence of its softmaxed dimensions from the last layer's, all of "
            "them, at temperature 1 (0.3 in sentence-transformers), in one version times log(2 + layer). The weights "
            "by layer differ between the paper's versions; in the first there are none."
        ),
        claim="One model is usable at any layer and width, with far better shallow quality than cutting a Matryoshka "
        "or an ordinary model.",
        citation="@article{li2024twod, title={2D Matryoshka Sentence Embeddings}, author={Li, Xianming and Li, Zongxi "
        "and Li, Jing and Xie, Haoran and Li, Qing}, journal={arXiv:2402.14776}, year={2024}}",
        deviates=(
            "Pairs mined from the corpus instead of labelled ones; InfoNCE instead of AnglE's loss.",
            "The divergence is of scores in the batch, at both widths, and its teacher is held fixed; the authors' is "
            "of softmaxed dimensions, and both sides learn.",
            "Widths halve from all dimensions down (the authors: 8, 16, 32 and so on); no weights by layer; mean "
            "pooling.",
        ),
    ),
    objective=ElasticContrastiveSpec(temperature=0.05, symmetric=True, trained="one"),
    check=replace(
        STARBUCKS.check,
        better=(Pair("2dmse", "infonce-pairs", measure="stsb_en Spearman at 2x64"),),
        measures="part",
        needs="A Matryoshka model, whose last layer alone is trained at several widths, is not among the arms.",
    )
    if STARBUCKS.check
    else None,
)
