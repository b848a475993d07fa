"""GEM: a causal language model that learns to press what came before into one token, which then is the embedding."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.encoders.spec import TextEncoderSpec
from reknit.objectives.bottleneck_language_model import BottleneckLanguageModelSpec
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit_recipes.text_objective.clm import RECIPE as CLM

RECIPE = replace(
    CLM,
    card=replace(
        CLM.card,
        name="gem",
        capability="search",
        system="",
        title="GEM: Empowering LLM for both Embedding Generation and Language Understanding",
        year=2025,
        family="retrieval-embedding",
        paper="https://arxiv.org/abs/2506.04344",
        adds="A special token in the middle of a text is the only one of the first half that the second half attends "
        "to; next-token losses with and without it.",
        facts=(
            "From the project's table of systems, in part marked as verified there: special tokens at a random "
            "place; the suffix attends to them and itself, not to the prefix; a mix of both losses; embeddings are "
            "the special tokens' states on the whole text; models of 1B to 8B. Unsure: how many tokens, and the "
            "weights of the mix."
        ),
        claim="A language model becomes a good embedder while its understanding of language is kept.",
        citation="@article{zhang2025gem, title={GEM: Empowering LLM for both Embedding Generation and Language "
        "Understanding}, author={Zhang, Caojin and Zhang, Qiang and Li, Ke and others}, journal={arXiv:2506.04344}, "
        "year={2025}}",
        deviates=(
            "One special token, the tokenizer's own closing one, so that the exported model is an ordinary one that "
            "pools the last token under causal attention.",
            "From random weights, with equal weights of both losses; the contrastive stage is a tuning of its own.",
            "A BERT-shaped causal encoder, passages of 128 tokens and 4,096 tokens a step by default: runs on a CPU.",
        ),
    ),
    objective=BottleneckLanguageModelSpec(),
    encoder=TextEncoderSpec(pooling="last", attention="causal"),
    check=ClaimCheck(
        experiment=PretrainingExperiment(settings=("encoder.attention=causal", "encoder.pooling=last")),
        better=(
            Pair("gem", "gem:objective.bottleneck_weight=0.0"),
            Pair("gem", "gem:objective.bottleneck_weight=0.0:encoder.pooling=mean"),
        ),
        measures="part",
        needs="Understanding (MMLU) needs a large language model.",
    ),
)
