"""Pooling And Attention: latents look at one state of every layer, and their mean becomes the embedding."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.encoders.spec import TextEncoderSpec
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit_recipes.retrieval_embedding.infonce_pairs import RECIPE as INFONCE_PAIRS

RECIPE = replace(
    INFONCE_PAIRS,
    card=replace(
        INFONCE_PAIRS.card,
        name="pooling-attention",
        title="Pooling And Attention: What Are Effective Designs For LLM-Based Embedding Models?",
        year=2024,
        paper="https://arxiv.org/abs/2409.02727",
        adds="A comparison of poolings with and without the causal mask; multi-layer trainable pooling.",
        facts=(
            "Checked in the abstract and the authors' code (github.com/yixuantt/PoolingAndAttn): 768 latents and 32 "
            "heads attend to the state of each layer above the embeddings plus a table's row for it: the mean of its "
            "tokens, the last token under the causal mask; norms before, residual connections around attention and "
            "GEGLU; mean over latents, length 1. From the project's table (marked as verified there): Mistral-7B, "
            "LoRA, 1,000 steps. Its designs here: this recipe, `encoder.pooling=token-attention` or `last`, each with "
            "`encoder.attention=causal` or without."
        ),
        claim="Without the causal mask, multi-layer pooling is best for similarity and retrieval; for clustering and "
        "classification the last token is as good.",
        citation="@article{tang2024pooling, title={Pooling And Attention: What Are Effective Designs For LLM-Based "
        "Embedding Models?}, author={Tang, Yixuan and Yang, Yi}, journal={arXiv:2409.02727}, year={2024}}",
        deviates=(
            *INFONCE_PAIRS.card.deviates,
            "A small encoder from random weights and mined pairs instead of Mistral-7B and labelled ones.",
            "64 latents, heads of 64 dimensions (2,048 in the code), a table of layers that begins near zero; under "
            "the causal mask a layer's state is the mean too.",
            "Latents never attend to padding, which the code's single-layer pooling does not leave out.",
            "Other libraries cannot run the pooling and take the plain mean of an exported model.",
        ),
    ),
    encoder=TextEncoderSpec(pooling="layer-attention"),
    check=ClaimCheck(
        experiment=PretrainingExperiment(
            eval=("sts/stsb_en", "retrieval/cranfield"),
            settings=("tuning=none", "max_length=64", "encoder.pooling=layer-attention"),
        ),
        better=(
            Pair("pooling-attention", "pooling-attention:encoder.pooling=last:encoder.attention=causal"),
            Pair("pooling-attention", "pooling-attention:encoder.pooling=mean"),
        ),
        control=Pair("pooling-attention", "untrained"),
        measures="proxy",
        needs="A trained language model, whose lower layers say what its last does not.",
    ),
)
