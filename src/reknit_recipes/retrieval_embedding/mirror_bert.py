"""Mirror-BERT: a text and itself with a span of characters masked, contrasted for a few minutes."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.contrastive import ContrastiveSpec
from reknit.recipe import Card, OptimiserSpec
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit.sources.pairs import PairSpec
from reknit_recipes.retrieval_embedding.simcse import RECIPE as SIMCSE

RECIPE = replace(
    SIMCSE,
    card=Card(
        name="mirror-bert",
        title="Fast, Effective, and Self-Supervised: Transforming Masked Language Models into Universal Lexical and "
        "Sentence Encoders",
        year=2021,
        family="retrieval-embedding",
        capability="search",
        paper="https://arxiv.org/abs/2104.08027; code: https://github.com/cambridgeltl/mirror-bert",
        adds="Random span masking on one side of a pair of equal strings, beside dropout.",
        facts=(
            "Read in the authors' code (contrastive_learning.py, data_loader.py, train.py, mirror_sentence_bert.sh): "
            "a random span of 5 characters becomes the mask token on one side when the string has at least 30; "
            "dropout 0.1; NT-Xent over both sides (all 2B - 2 others are negatives) with temperature 0.04 (0.2 for "
            "words); batch 200, rate 2e-5, weight decay 0.01, constant rate, 50 tokens, one epoch of 10k strings."
        ),
        claim="Masked language models become strong lexical and sentence encoders in under a minute, without data or "
        "labels, on STS near Sentence-BERT.",
        citation="@inproceedings{liu2021fast, title={Fast, Effective, and Self-Supervised: Transforming Masked "
        "Language Models into Universal Lexical and Sentence Encoders}, author={Liu, Fangyu and Vuli{\\'c}, Ivan and "
        "Korhonen, Anna and Collier, Nigel}, booktitle={EMNLP}, year={2021}}",
        deviates=(
            "Texts are the first 50 tokens of the corpus's passages, not 10k sentences of the target task.",
            "The mean excludes padding (the authors' code averages over it for BERT); a start model keeps its pooling.",
            "Passages of one document are not each other's negatives.",
            "Drophead, optional in the paper, is left out.",
        ),
        status="deviates",
    ),
    objective=ContrastiveSpec(temperature=0.04, symmetric=True, same_side=True),
    data=PairSpec(pair_kinds=("span-mask",), max_length=50, query_max_length=50, pairs_per_batch=200),
    optimiser=OptimiserSpec(
        learning_rate=2e-5, warmup_ratio=0.0, lr_scheduler_type="constant", adam_beta2=0.999, adam_epsilon=1e-8
    ),
    check=ClaimCheck(
        experiment=PretrainingExperiment(eval=("sts/stsb_en",), settings=("tuning=none", "max_length=64")),
        better=(Pair("mirror-bert", "mlm", measure="stsb_en Spearman"),),
        measures="proxy",
        needs="A masked language model to begin with: here both begin with random weights.",
    ),
)
