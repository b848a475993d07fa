"""KaLM-Embedding-V2's contrastive loss: what is learnt counts less, and hard negatives are mixed into harder ones."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.contrastive import ContrastiveSpec
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit_recipes.retrieval_embedding.infonce_pairs import RECIPE as INFONCE_PAIRS

RECIPE = replace(
    INFONCE_PAIRS,
    card=replace(
        INFONCE_PAIRS.card,
        name="kalm-v2",
        title="KaLM-Embedding-V2: Superior Training Techniques and Data Inspire A Versatile Embedding Model",
        year=2025,
        paper="https://arxiv.org/abs/2506.20923",
        adds="Focal reweighting of examples and online mixing of hard negatives in the contrastive loss.",
        facts=(
            "From the project's table of systems (the abstract is marked as verified there): a weight (1 - p)^gamma, "
            "gamma 0.5 unsure; negatives mixed from the hardest ones, in pairs and lists; temperature 0.01; weak "
            "pairs, then fine-tuning, then an average of weights; Qwen2-0.5B without its causal mask, mean pooling."
        ),
        claim="With these the 0.5B model beats its peers and rivals models of 3 to 26 times its size on MTEB.",
        citation="@article{zhao2025kalm, title={KaLM-Embedding-V2: Superior Training Techniques and Data Inspire A "
        "Versatile Embedding Model}, author={Zhao, Xinping and Hu, Xinshuo and Shan, Zifei and others}, "
        "journal={arXiv:2506.20923}, year={2025}}",
        deviates=(
            *INFONCE_PAIRS.card.deviates,
            "Mixing is listwise only and not random: the 4 hardest negatives, weighted by their softmax.",
            "One stage, no average of weights, no distillation; a small encoder instead of Qwen2.",
        ),
    ),
    objective=ContrastiveSpec(temperature=0.05, symmetric=True, focal=0.5, mixed_negatives=4),
    check=ClaimCheck(
        experiment=PretrainingExperiment(
            eval=("sts/stsb_en", "retrieval/cranfield"), settings=("tuning=none", "max_length=64")
        ),
        better=(Pair("kalm-v2", "infonce-pairs"),),
        measures="part",
        needs="The stages, labelled pairs and weight averages of the paper are not among the arms.",
    ),
)
