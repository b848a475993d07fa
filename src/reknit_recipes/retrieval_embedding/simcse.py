"""Unsupervised SimCSE: a text and itself, told apart from other texts by dropout alone."""

from reknit.objectives.contrastive import ContrastiveSpec
from reknit.recipe import Card, OptimiserSpec, Recipe
from reknit.sources.pairs import PairSpec

RECIPE = Recipe(
    card=Card(
        name="simcse",
        title="SimCSE: Simple Contrastive Learning of Sentence Embeddings",
        year=2021,
        family="retrieval-embedding",
        capability="search",
        paper="https://arxiv.org/abs/2104.08821; code: https://github.com/princeton-nlp/SimCSE",
        adds="Dropout as the only augmentation: the positive of a text is the same text encoded again.",
        facts=(
            "Read in the authors' code and README (models.py, run_unsup_example.sh): [CLS], then dense + tanh in "
            "training only (mlp_only_train for the unsupervised model); cosine / 0.05; cross-entropy over the batch in "
            "one direction; BERT-base: batch 64, rate 3e-5, one epoch of 1M Wikipedia sentences, 32 tokens; dropout "
            "0.1."
        ),
        claim="Dropout twins alone make BERT a strong sentence encoder: 76.3 mean Spearman on STS for BERT-base.",
        citation="@inproceedings{gao2021simcse, title={SimCSE: Simple Contrastive Learning of Sentence Embeddings}, "
        "author={Gao, Tianyu and Yao, Xingcheng and Chen, Danqi}, booktitle={EMNLP}, year={2021}}",
        deviates=(
            "Texts are the first 32 tokens of the corpus's passages, not Wikipedia sentences.",
            "Passages of one document are not each other's negatives.",
            "A start model keeps its own pooling.",
        ),
        status="deviates",
    ),
    objective=ContrastiveSpec(temperature=0.05, projection=True),
    data=PairSpec(pair_kinds=("twin",), max_length=32, query_max_length=32, pairs_per_batch=64),
    optimiser=OptimiserSpec(
        learning_rate=3e-5, weight_decay=0.0, warmup_ratio=0.0, adam_beta2=0.999, adam_epsilon=1e-8
    ),
)
