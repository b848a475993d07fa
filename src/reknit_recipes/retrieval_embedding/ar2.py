"""AR2: a retriever looks for what fools a ranker that reads query and passage together, and the ranker teaches it."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.adversarial_ranking import AdversarialRankingSpec
from reknit.objectives.contrastive import ContrastiveSpec
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit_recipes.retrieval_embedding.infonce_pairs import RECIPE as INFONCE_PAIRS

RECIPE = replace(
    INFONCE_PAIRS,
    card=replace(
        INFONCE_PAIRS.card,
        name="ar2",
        title="Adversarial Retriever-Ranker for dense text retrieval",
        year=2022,
        paper="https://arxiv.org/abs/2110.03611",
        adds="A cross-encoder ranker is trained on the negatives that the retriever currently finds, and the "
        "retriever on the ranker's scores.",
        facts=(
            "From the project's table of systems and the authors' code (github.com/microsoft/AR2), not read in the "
            "paper: warm dual encoder, warm ranker (lists of 1 positive and 15 negatives), then in turns a ranker that "
            "learns by cross-entropy over the list (rate 1e-6) and a retriever (1e-5) with lambda times the "
            "adversarial loss and 1 - lambda times distillation at temperature 1, lambda .5, the ranker frozen; the "
            "adversarial sum includes the positive; negatives are mined anew every 2,000 steps or so."
        ),
        claim="The minimax game lifts a retriever above static hard negatives and plain distillation.",
        citation="@inproceedings{zhang2022adversarial, title={Adversarial Retriever-Ranker for Dense Text Retrieval}, "
        "author={Zhang, Hang and Gong, Yeyun and Shen, Yelong and Lv, Jiancheng and Duan, Nan and Chen, Weizhu}, "
        "booktitle={ICLR}, year={2022}}",
        deviates=(
            *INFONCE_PAIRS.card.deviates,
            "Negatives are the 3 hardest passages of the step's batch, not 15 of an index of the corpus.",
            "Retriever and ranker step at once and at one rate instead of in turns.",
            "The adversarial loss is a mean over queries, where the authors' code sums.",
            "One encoder for queries and passages, compared by cosine / temperature; no inverse cloze pre-training.",
            "The ranker begins as a copy of the encoder before training and reads its vector as that is read (mean).",
            "The contrastive loss is kept beside the adversarial ones (as published: objective.contrastive_weight=0).",
        ),
    ),
    objective=AdversarialRankingSpec(contrastive=ContrastiveSpec(temperature=0.05, symmetric=True)),
    check=ClaimCheck(
        experiment=PretrainingExperiment(
            eval=("sts/stsb_en", "retrieval/cranfield"), settings=("tuning=none", "max_length=64")
        ),
        better=(
            Pair("ar2", "infonce-pairs"),
            Pair("ar2", "ar2:objective.adversarial_weight=0.0"),
        ),
        measures="part",
        needs="Labelled pairs, a ranker warmed up by itself and negatives from a whole index are not among the arms.",
    ),
)
