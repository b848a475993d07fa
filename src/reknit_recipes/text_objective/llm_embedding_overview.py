"""A causal model turned into an encoder: next tokens first, then masked ones, read one place to the left."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.masked_language_model import MaskedLanguageModelSpec
from reknit.objectives.scheduled import CausalThenMaskedSpec
from reknit_recipes.text_objective.clm import RECIPE as CLM

RECIPE = replace(
    CLM,
    card=replace(
        CLM.card,
        name="llm-embedding-overview",
        capability="search",
        system="",
        title="LLMs are Also Effective Embedding Models: An In-depth Overview",
        year=2024,
        paper="https://arxiv.org/abs/2412.12591; after LLM2Vec, https://arxiv.org/abs/2404.05961",
        adds="A map of how language models embed: prompting or tuning, pooling, attention. Here: the causal mask is "
        "lifted and the model learns masked next-token prediction.",
        facts=(
            "From the project's table of systems, from memory: direct prompting (echo, one word), pooling of the "
            "last token or the mean, the switch to attention in both directions with masked next-token prediction "
            "and SimCSE. Their places here: `encoder.pooling`, this recipe, simcse after it. From memory of LLM2Vec: "
            "20% masked, read one place to the left."
        ),
        claim="Causal models are effective embedders; with attention in both directions and masked next tokens they "
        "are better, and the mean is better than the last token.",
        citation="@article{tao2024llms, title={LLMs are Also Effective Embedding Models: An In-depth Overview}, "
        "author={Tao, Chongyang and Shen, Tao and Gao, Shen and others}, journal={arXiv:2412.12591}, year={2024}}",
        deviates=(
            *CLM.card.deviates,
            "Both parts share one budget and one schedule; the second has a head of its own. Prompts need a large "
            "model.",
        ),
    ),
    objective=CausalThenMaskedSpec(
        switch_at=0.5,
        masked=MaskedLanguageModelSpec(ratio=0.2, random_share=0.0, keep_share=0.0, read_before=True),
    ),
    check=ClaimCheck(
        better=(
            Pair("llm-embedding-overview", "clm"),
            Pair("clm", "clm:encoder.pooling=last"),
        ),
        measures="part",
        needs="Prompts (echo, one word) need a large language model.",
    ),
)
