"""NV-Embed: tokens look at learned latents before their mean becomes the embedding; no causal mask."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.encoders.spec import TextEncoderSpec
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit_recipes.retrieval_embedding.infonce_pairs import RECIPE as INFONCE_PAIRS

RECIPE = replace(
    INFONCE_PAIRS,
    card=replace(
        INFONCE_PAIRS.card,
        name="nv-embed",
        title="NV-Embed: Improved Techniques for Training LLMs as Generalist Embedding Models",
        year=2024,
        paper="https://arxiv.org/abs/2405.17428",
        adds="Latent-attention pooling: each token of the last layer attends to trained latents before the mean.",
        facts=(
            "Checked in the abstract, and in a copy of the authors' modeling_nvembed.py that ULLME keeps: queries are "
            "the tokens, keys and values the latents; norms before, residual connections around attention and GEGLU; "
            "mean, then length 1. From the project's table (marked as verified there): 512 latents of the model's "
            "width, 8 heads; Mistral-7B with LoRA and no causal mask; retrieval data first, then other tasks without "
            "in-batch negatives; the mean leaves out the instruction."
        ),
        claim="Latent attention beats the mean and the last token; tuning works better without the causal mask.",
        citation="@article{lee2024nvembed, title={NV-Embed: Improved Techniques for Training LLMs as Generalist "
        "Embedding Models}, author={Lee, Chankyu and Roy, Rajarshi and Xu, Mengyao and others}, "
        "journal={arXiv:2405.17428}, year={2024}}",
        deviates=(
            *INFONCE_PAIRS.card.deviates,
            "The first stage only, on mined pairs: no other tasks, labelled data, hard negatives or instructions.",
            "A small encoder from random weights instead of Mistral-7B; 64 latents, and heads of 64 dimensions.",
            "Other libraries cannot run the pooling and take the plain mean of an exported model.",
        ),
    ),
    encoder=TextEncoderSpec(pooling="latent-attention"),
    check=ClaimCheck(
        experiment=PretrainingExperiment(
            eval=("sts/stsb_en", "retrieval/cranfield"),
            settings=("tuning=none", "max_length=64", "encoder.pooling=latent-attention"),
        ),
        better=(
            Pair("nv-embed", "nv-embed:encoder.pooling=mean"),
            Pair("nv-embed:encoder.pooling=mean", "nv-embed:encoder.pooling=last:encoder.attention=causal"),
        ),
        measures="part",
        needs="A language model trained with a causal mask, which is then removed; the second stage.",
    ),
)
