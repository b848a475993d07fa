"""Text from its vector alone: the survey's theme of inverting embeddings, as a way of training them (as TSDAE does)."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.denoising import DenoisingSpec
from reknit.recipe import Card
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit_recipes.text_objective.bart import RECIPE as BART

RECIPE = replace(
    BART,
    card=Card(
        name="embedding-llm-survey",
        title="When Text Embedding Meets Large Language Model: A Comprehensive Survey",
        year=2024,
        family="retrieval-embedding",
        capability="search",
        paper="https://arxiv.org/abs/2412.09165; after TSDAE, https://arxiv.org/abs/2104.06979",
        adds="A map of three themes: language models that make training data, language models that embed, and "
        "embeddings that are turned back into text.",
        facts=(
            "From the project's table of systems (themes of the survey). The third theme runs here: a decoder writes "
            "the text from its vector. From memory of TSDAE: 60% of the words are deleted, the decoder sees the "
            "sentence vector only, and its weights are the encoder's."
        ),
        claim="A vector holds enough of its text to write it again, and training for that makes better vectors.",
        citation="@article{nie2024when, title={When Text Embedding Meets Large Language Model: A Comprehensive "
        "Survey}, author={Nie, Zhijie and Feng, Zhangchi and Li, Mingxin and others}, journal={arXiv:2412.09165}, "
        "year={2024}}",
        deviates=(
            "The survey's other themes have recipes of their own (kalm-v2, hybrid-distillation) or need a large "
            "language model.",
            "The decoder has half of the encoder's usual depth and weights of its own; tokens are deleted, not words.",
        ),
        status="deviates",
    ),
    objective=DenoisingSpec(noise="deletion", ratio=0.6, permute_sentences=False, memory="vector", layers=1),
    check=ClaimCheck(
        experiment=PretrainingExperiment(eval=("cls/banking77", "sts/stsb_en", "retrieval/cranfield")),
        better=(
            Pair("embedding-llm-survey", "embedding-llm-survey:objective.memory=tokens"),
            Pair("embedding-llm-survey", "mlm"),
        ),
        measures="part",
        needs="How much of a text can be read off its vector is not measured, only what the vectors are worth.",
    ),
)
