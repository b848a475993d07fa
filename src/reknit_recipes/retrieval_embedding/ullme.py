"""ULLME: contrast, generation of the passage from the query, and agreement of both, in one model."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.contrastive import ContrastiveSpec
from reknit.objectives.generation_augmented import GenerationAugmentedSpec
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit_recipes.retrieval_embedding.infonce_pairs import RECIPE as INFONCE_PAIRS

RECIPE = replace(
    INFONCE_PAIRS,
    card=replace(
        INFONCE_PAIRS.card,
        name="ullme",
        title="ULLME: A Unified Framework for Large Language Model Embeddings with Generation-Augmented Learning",
        year=2024,
        paper="https://arxiv.org/abs/2408.03402; code: https://github.com/nlp-uoregon/ullme",
        adds="Generation-augmented learning: one model embeds with bidirectional attention and generates a passage "
        "from its query with causal attention; its two rankings of passages are trained to agree.",
        facts=(
            "From the project's table of systems, marked as verified there: NT-Xent at 0.05 with cached gradients; "
            "generation by likelihood or by preferences (DPO and others); the divergence between the softmax over "
            "passages of mean token log-probabilities and that of cosines; a sum of the three; LoRA of 7B models."
        ),
        claim="Generation-augmented learning beats contrast alone and contrast with generation on MTEB.",
        citation="@inproceedings{man2024ullme, title={ULLME: A Unified Framework for Large Language Model Embeddings "
        "with Generation-Augmented Learning}, author={Man, Hieu and Ngo, Nghia Trung and Dernoncourt, Franck and "
        "Nguyen, Thien Huu}, booktitle={EMNLP: System Demonstrations}, year={2024}}",
        deviates=(
            *INFONCE_PAIRS.card.deviates,
            "Generation by likelihood only, of one pair in four; lists of one negative, the nearest of the batch.",
            "The divergence is that of the cosines from the generation and teaches the cosines alone (the paper: the "
            "other way round, and both); all weights of a small encoder are trained.",
        ),
    ),
    objective=GenerationAugmentedSpec(contrastive=ContrastiveSpec(temperature=0.05, symmetric=True)),
    check=ClaimCheck(
        experiment=PretrainingExperiment(
            eval=("sts/stsb_en", "retrieval/cranfield"), settings=("tuning=none", "max_length=64")
        ),
        better=(
            Pair("ullme", "infonce-pairs"),
            Pair("ullme", "ullme:objective.agreement_weight=0.0"),
        ),
        measures="part",
        needs="A language model to begin with: here the generation is learnt from nothing.",
    ),
)
