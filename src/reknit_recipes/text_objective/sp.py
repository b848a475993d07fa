"""SP: was this sentence taken from this paragraph, which is now without it?"""

from dataclasses import replace

from reknit.sources.pairs import PairSpec
from reknit_recipes.text_objective.ssp import RECIPE as SSP

RECIPE = replace(
    SSP,
    card=replace(
        SSP.card,
        name="sp",
        title="Structural Self-Supervised Objectives for Transformers: span in paragraph",
        adds="A sentence and a paragraph are read as one text, and the encoder classifies whether the sentence was "
        "cut out of the paragraph.",
    ),
    data=PairSpec(pair_kinds=("crop",), pairs_per_batch=32, pairs_per_document=4),
    check=None,
)
