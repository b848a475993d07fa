"""SP: was this sentence taken from this paragraph, which is now without it?"""

from dataclasses import replace

from reknit_recipes.text_objective.ssp import RECIPE as SSP

RECIPE = replace(
    SSP,
    card=replace(
        SSP.card,
        name="sp",
        title="Structural Self-Supervised Objectives for Transformers: span in paragraph",
        adds="A sentence and a paragraph are read as one text: was it cut out of that?",
    ),
    data=replace(SSP.data, pair_kinds=("crop",)),
    check=None,
)
