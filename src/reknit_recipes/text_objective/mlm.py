"""Masked language modelling as "Should We Still Pretrain Encoders with Masked Language Modeling?" trains it."""

from reknit.encoders.spec import TextEncoderSpec
from reknit.objectives.masked_language_model import MaskedLanguageModelSpec
from reknit.recipe import Card, OptimiserSpec, Recipe

RECIPE = Recipe(
    card=Card(
        name="mlm",
        system="mlm-vs-clm",
        title="Masked language modelling",
        year=2025,
        family="text-objective",
        capability="pretrain",
        paper="https://arxiv.org/abs/2507.00994; after BERT, https://arxiv.org/abs/1810.04805",
        adds="A controlled comparison of masked and causal pre-training of one backbone at equal budget.",
        facts=(
            "Read: abstract and summaries (ratios 20, 30, 40 and 50% swept on 210M to 1B parameters, bidirectional "
            "attention, 100B FineWeb-Edu tokens, batches of 2.36M tokens, warm-up-stable-decay schedule); the "
            "EuroBERT trainer's documentation (every predicted token becomes the mask token: 100/0/0, not BERT's "
            "80/10/10; peak rate 1e-4). Not read: which ratio the paper's default runs use; 40% is from a secondary "
            "note."
        ),
        claim="MLM alone beats CLM alone on text representation; CLM is more data-efficient and stable; CLM then MLM "
        "is best at a fixed budget.",
        citation="@article{gisserot2025mlm, title={Should We Still Pretrain Encoders with Masked Language Modeling?}, "
        "author={Gisserot-Boukhlef, Hippolyte and Boizard, Nicolas and Faysse, Manuel and others}, "
        "journal={arXiv:2507.00994}, year={2025}}",
        deviates=(
            "Linear warm-up and decay with AdamW's BERT settings instead of warm-up-stable-decay: small budgets.",
            "A BERT-shaped encoder by default instead of EuroBERT's rotary one, and batches of 4,096 tokens: runs on "
            "a CPU.",
            "The head is BERT's (dense, GELU, norm, tied table).",
        ),
        status="deviates",
    ),
    objective=MaskedLanguageModelSpec(ratio=0.4, random_share=0.0, keep_share=0.0),
    encoder=TextEncoderSpec(pooling="mean"),
    optimiser=OptimiserSpec(learning_rate=1e-4, adam_beta2=0.999),
)
