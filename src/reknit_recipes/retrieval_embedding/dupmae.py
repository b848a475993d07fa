"""DupMAE (RetroMAE v2): RetroMAE, and the text's bag of words from its ordinary tokens."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.retromae import RetroMAESpec
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit_recipes.retrieval_embedding.retromae import RECIPE as RETROMAE

RECIPE = replace(
    RETROMAE,
    card=replace(
        RETROMAE.card,
        name="dupmae",
        title="RetroMAE-2: Duplex Masked Auto-Encoder For Pre-Training Retrieval-Oriented Language Models",
        year=2023,
        paper="https://arxiv.org/abs/2305.02564; code: https://github.com/staoxiao/RetroMAE",
        adds="A second task: predict the bag of words from the maximum over the ordinary tokens' vocabulary logits.",
        facts=(
            "As retromae, and read in modeling_duplex.py and data.py: logits of the masked-language-model head on the "
            "encoder's (masked) output, maximum over the tokens, log-softmax, target 1 / length at each distinct word; "
            "mean over texts; weight 0.1 (default in the repository's arguments, read in a fork)."
        ),
        claim="Training [CLS] and the ordinary tokens together beats RetroMAE, BERT and coCondenser as a starting "
        "point for dense retrieval (MS MARCO, BEIR).",
        citation="@inproceedings{liu2023retromae2, title={RetroMAE-2: Duplex Masked Auto-Encoder For Pre-Training "
        "Retrieval-Oriented Language Models}, author={Liu, Zheng and Xiao, Shitao and Shao, Yingxia and Cao, Zhao}, "
        "booktitle={ACL}, year={2023}}",
        deviates=(
            *RETROMAE.card.deviates,
            "The bag-of-words loss is computed on an eighth of a step's texts, sampled again each time, not on all: "
            "unbiased, and for the same reason. As published: objective.bag_of_words_share=1.",
            "The maximum leaves out [SEP] and special ids in the text as well as [CLS]; the authors' code leaves out "
            "[CLS] only. As in their code and not in the paper's text, masked places take part in it, and the loss is "
            "divided by the text's length and weighted 0.1.",
            "The exported vector is the pooled one alone, not its concatenation with the strongest pooled logits.",
        ),
    ),
    objective=RetroMAESpec(decoded_share=0.15, bag_of_words_weight=0.1, bag_of_words_share=0.125),
    check=ClaimCheck(
        experiment=PretrainingExperiment(settings=("encoder.pooling=cls",)),
        better=(
            Pair("dupmae", "retromae", measure="cranfield nDCG@10"),
            Pair("retromae", "mlm", measure="cranfield nDCG@10"),
        ),
        measures="proxy",
    ),
)
