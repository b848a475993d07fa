"""LEM: masked language modelling that asks for one token of each named entity, noun or verb, and of nothing else."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.masked_language_model import MaskedLanguageModelSpec
from reknit.sources.passages import PassageSpec
from reknit_recipes.text_objective.mlm import RECIPE as MLM

RECIPE = replace(
    MLM,
    card=replace(
        MLM.card,
        name="lem",
        system="",
        title="Linguistic Entity Masking to Improve Cross-Lingual Representation of Multilingual Language Models for "
        "Low-Resource Languages",
        year=2025,
        paper="https://arxiv.org/abs/2501.05700",
        adds="Only named entities, nouns and verbs are masked, one token of each, so that the rest of a word or name "
        "stays visible.",
        facts=(
            "Read: the abstract and two summaries (candidates are named entities, nouns and verbs; a single token of "
            "each span; continued pre-training of XLM-R, first on monolingual, then on parallel text; English, Sinhala "
            "and Tamil; masking named entities gives most of the gain). Not read: the budget and what becomes of a "
            "token; 15% and 80/10/10 are BERT's and XLM-R's."
        ),
        claim="Continued pre-training with it beats MLM and TLM on bitext mining, parallel data curation and sentiment "
        "analysis of code-mixed text.",
        citation="@article{fernando2025lem, title={Linguistic Entity Masking to Improve Cross-Lingual Representation "
        "of Multilingual Language Models for Low-Resource Languages}, author={Fernando, Aloka and Ranathunga, "
        "Surangika}, journal={arXiv:2501.05700}, year={2025}}",
        deviates=(
            "The monolingual stage only; there is no stage on parallel text.",
            "Words are tagged by a heuristic for English (capitals, suffixes, a list of function words), not by a "
            "tagger: nouns and verbs without such an ending are never predicted.",
            "In a text with too few spans, fewer than 15% of the tokens are predicted; in one without any, one "
            "ordinary token. Counted on 6,000 passages: 14.7% of Wikipedia's tokens, 15.0% of arXiv's, 10.9% of "
            "novels'.",
            "A BERT-shaped encoder from scratch by default, not XLM-R trained on (--start takes any model); batches "
            "of 4,096 tokens: runs on a CPU.",
        ),
    ),
    objective=MaskedLanguageModelSpec(ratio=0.15, random_share=0.1, keep_share=0.1, one_of_span=True),
    data=PassageSpec(tagger="linguistic"),
    check=ClaimCheck(
        better=(Pair("lem", "mlm:objective.ratio=0.15:objective.random_share=0.1:objective.keep_share=0.1"),),
        measures="proxy",
        needs="The paper's claim is about low-resource languages and parallel text, and a multilingual model that goes "
        "on training; measured here is English from scratch.",
    ),
)
