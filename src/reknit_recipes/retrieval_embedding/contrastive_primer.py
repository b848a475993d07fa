"""The edited views of the primer on contrastive pre-training: a text and itself with words missing or out of order."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.encoders.spec import TextEncoderSpec
from reknit.objectives.contrastive import ContrastiveSpec
from reknit.recipe import Card
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit.sources.pairs import PairSpec
from reknit_recipes.retrieval_embedding.simcse import RECIPE as SIMCSE

RECIPE = replace(
    SIMCSE,
    card=Card(
        name="contrastive-primer",
        title="A Primer on Contrastive Pretraining in Language Processing: Methods, Lessons Learned and Perspectives",
        year=2021,
        family="retrieval-embedding",
        capability="search",
        paper="https://arxiv.org/abs/2102.12982; views after CLEAR, https://arxiv.org/abs/2012.15466",
        adds="A taxonomy: two views of an input, or an input and its label, contrasted by InfoNCE with negatives of "
        "many kinds.",
        facts=(
            "From the project's table of systems (classes of methods: input-input by dropout, by edits and by "
            "cropping; input-label). Their places here: simcse (dropout), mirror-bert (masked spans), infonce-pairs "
            "(crops, titles, neighbours), this recipe (deleted words, shuffled runs; `--set "
            "tune.data.pair_kinds=...` takes any of them). From memory of CLEAR: deletion and reordering of words "
            "and spans."
        ),
        claim="Contrast works best where the views keep the meaning: dropout and crops before edits.",
        citation="@article{rethmeier2021primer, title={A Primer on Contrastive Pretraining in Language Processing: "
        "Methods, Lessons Learned and Perspectives}, author={Rethmeier, Nils and Augenstein, Isabelle}, "
        "journal={arXiv:2102.12982}, year={2021}}",
        deviates=(
            "Contrast of an input with its label needs labels, which are not used here.",
            "The second view alone is edited; three words in ten are deleted, five runs are shuffled: guesses.",
        ),
        status="deviates",
    ),
    objective=ContrastiveSpec(temperature=0.05, symmetric=True),
    data=PairSpec(pair_kinds=("deletion", "reorder"), max_length=64, query_max_length=64),
    encoder=TextEncoderSpec(pooling="mean"),
    check=ClaimCheck(
        experiment=PretrainingExperiment(
            eval=("sts/stsb_en", "retrieval/cranfield"), settings=("tuning=none", "max_length=64")
        ),
        better=(
            Pair("contrastive-primer:data.pair_kinds=twin", "contrastive-primer"),
            Pair("contrastive-primer:data.pair_kinds=crop", "contrastive-primer"),
        ),
        measures="part",
    ),
)
