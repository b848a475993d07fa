"""PSD: do these two paragraphs come from one document?"""

from dataclasses import replace

from reknit.objectives.related_texts import RelatedTextsSpec
from reknit.sources.pairs import PairSpec
from reknit_recipes.text_objective.ssp import RECIPE as SSP

RECIPE = replace(
    SSP,
    card=replace(
        SSP.card,
        name="psd",
        title="Structural Self-Supervised Objectives for Transformers: paragraphs in the same document",
        adds="Two paragraphs are read as one text, and the encoder classifies whether they are from the same document.",
        deviates=(
            SSP.card.deviates[0],
            "Both are neighbours in their document; where a document has one passage only, a sentence of it and the "
            "rest.",
            *SSP.card.deviates[2:],
        ),
    ),
    # All negatives come from other documents.
    objective=RelatedTextsSpec(hard_negatives=0),
    data=PairSpec(pair_kinds=("neighbour",), pairs_per_batch=32, query_max_length=128),
    check=None,
)
