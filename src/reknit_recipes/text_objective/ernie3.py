"""ERNIE 3.0: one trunk under a branch that fills gaps and a branch that writes on."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.masked_language_model import MaskedLanguageModelSpec
from reknit.objectives.shared_trunk import SharedTrunkSpec
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit_recipes.text_objective.mlm import RECIPE as MLM

RECIPE = replace(
    MLM,
    card=replace(
        MLM.card,
        name="ernie3",
        system="",
        title="ERNIE 3.0: Large-scale Knowledge Enhanced Pre-training for Language Understanding and Generation",
        year=2021,
        paper="https://arxiv.org/abs/2107.02137",
        adds="A shared trunk with two branches of a few layers each, one for understanding (bidirectional attention) "
        "and one for generation (causal attention).",
        facts=(
            "Read: the abstract and summaries (universal module and two task modules of Transformer-XL layers, the one "
            "for understanding in both directions, the one for writing in one; knowledge-masked language model, "
            "document language model, sentence reordering and distance, universal knowledge-text prediction). From the "
            "project's table: 48 layers of width 4096 and 12 of width 768."
        ),
        claim="One model that joins auto-encoding and auto-regression is strong at both understanding and writing.",
        citation="@article{sun2021ernie, title={ERNIE 3.0: Large-scale Knowledge Enhanced Pre-training for Language "
        "Understanding and Generation}, author={Sun, Yu and Wang, Shuohuan and Feng, Shikun and others}, "
        "journal={arXiv:2107.02137}, year={2021}}",
        deviates=(
            *MLM.card.deviates,
            "Whole words are masked, not phrases and entities: no lexicon. No tasks on sentences or knowledge graphs.",
            "BERT's layers without memory of earlier segments; branches as wide as the trunk; the trunk is exported.",
        ),
    ),
    objective=SharedTrunkSpec(masked=MaskedLanguageModelSpec(ratio=0.15, whole_words=True)),
    check=ClaimCheck(
        experiment=PretrainingExperiment(eval=("cls/banking77", "sts/stsb_en", "retrieval/cranfield")),
        no_worse=(
            Pair("ernie3", "ernie3:objective.causal_weight=0.0", margin=0.005),
            Pair("ernie3", "clm", margin=0.005),
        ),
        measures="part",
        needs="Knowledge graphs and writing are not measured; what is, is whether the second branch costs anything.",
    ),
)
