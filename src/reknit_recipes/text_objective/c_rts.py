"""C-RTS: random replacements from clusters of tokens, those likelier that the detector overlooks."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.clustered_token_detection import ClusteredTokenDetectionSpec
from reknit_recipes.text_objective.rts import RECIPE as RTS

RECIPE = replace(
    RTS,
    card=replace(
        RTS.card,
        name="c-rts",
        title="Structural Self-Supervised Objectives for Transformers: cluster-based random token substitution",
        adds="Random replacements become harder as the detector learns: they come from the clusters of tokens that it "
        "overlooks most often. There is still no generator.",
        claim="C-RTS, like RTS, reaches MLM's quality with less pre-training time.",
        facts=(
            "Read: the thesis's abstract and the authors' code (github.com/lucadiliello/transformers-framework), where "
            "the clusters come from a file; counts for pairs of clusters begin with 1; a replaced token that the "
            "detector gets wrong adds 1, one that it gets right takes 1 away, summed over all processes; a row of them "
            "is min-max normalised, multiplied by beta (2) and put through a softmax; in the cluster drawn all tokens "
            "are equally likely. From memory: the clusters are k-means of embeddings; 15% of the tokens."
        ),
        deviates=(
            "The embeddings clustered are the encoder's own after a fifth of the budget, in which replacements are "
            "RTS's: here it starts from random weights. With objective.warm_up=0 they are those it starts from.",
            "100 clusters: how many the authors had was not found.",
            "A replacement is never the token itself; in the authors' code it may be, and is labelled as replaced.",
            "Every occurrence of a pair of clusters in a batch is counted; the authors' code counts one of them. What "
            "was not replaced is never counted; in their newer code that is a switch.",
            *RTS.card.deviates,
        ),
    ),
    objective=ClusteredTokenDetectionSpec(),
    check=ClaimCheck(
        no_worse=(
            Pair("c-rts", "rts", margin=0.005),
            Pair("c-rts", "mlm:objective.ratio=0.15", margin=0.005),
        ),
        measures="part",
    ),
)
