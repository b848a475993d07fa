"""What the survey finds in common: weak pairs of many kinds, InfoNCE, the mean of the tokens."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit_recipes.retrieval_embedding.infonce_pairs import RECIPE as INFONCE_PAIRS

RECIPE = replace(
    INFONCE_PAIRS,
    card=replace(
        INFONCE_PAIRS.card,
        name="gpte-survey",
        title="On The Role of Pretrained Language Models in General-Purpose Text Embeddings: A Survey",
        year=2025,
        paper="https://arxiv.org/abs/2507.20783",
        adds="A map of general-purpose embedding: backbone, pooling, objectives, stages, data, evaluation.",
        facts=(
            "From the project's table of systems, from memory: embeddings by [CLS], mean or last token; objectives "
            "InfoNCE, CoSENT, AnglE, Matryoshka, distillation; stages of weak and of labelled pairs. Their places "
            "here: `encoder.pooling`, contrastive recipes, 2dmse and starbucks, hybrid-distillation, and `--recipe` "
            "with a tuning after it for two stages. CoSENT and AnglE need graded labels and are absent."
        ),
        claim="A pre-trained backbone with contrastive stages on pairs explains most of the quality; the mean is at "
        "least as good as [CLS] where no bottleneck was trained.",
        citation="@article{zhang2025role, title={On The Role of Pretrained Language Models in General-Purpose Text "
        "Embeddings: A Survey}, author={Zhang, Meishan and Zhang, Xin and Zhao, Xinping and others}, "
        "journal={arXiv:2507.20783}, year={2025}}",
    ),
    check=ClaimCheck(
        experiment=PretrainingExperiment(
            eval=("sts/stsb_en", "retrieval/cranfield"), settings=("tuning=none", "max_length=64")
        ),
        better=(
            Pair("gpte-survey", "gpte-survey:encoder.pooling=cls"),
            Pair("gpte-survey", "gpte-survey:data.pair_kinds=twin"),
        ),
        # [CLS] from random weights is at the floor: it could not be seen to be better than anything.
        control=Pair("gpte-survey", "untrained"),
        measures="part",
        needs="Stages are compared elsewhere: by `reknit compare mlm retromae infonce-pairs`, whose tuning is the "
        "second.",
    ),
)
