"""CamemBERT v2 (a): replaced-token detection with gradient-disentangled embeddings, as DeBERTa v3 trains."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.replaced_token_detection import ReplacedTokenDetectionSpec
from reknit_recipes.text_objective.electra import RECIPE as ELECTRA

RECIPE = replace(
    ELECTRA,
    card=replace(
        ELECTRA.card,
        name="camembert2",
        title="CamemBERT 2.0: A Smarter French Language Model Aged to Perfection",
        year=2024,
        paper="https://arxiv.org/abs/2411.08868; the objective: DeBERTa v3, https://arxiv.org/abs/2111.09543",
        adds="ELECTRA's task with an embedding table that the generator moves and the encoder refines "
        "(gradient-disentangled), beside MLM at 40% on the same data.",
        facts=(
            "From secondary pages and memory: CamemBERTa v2 trains by DeBERTa v3's replaced-token detection for one "
            "epoch, CamemBERT v2 by MLM at 40% for three, of 275B tokens; the encoder's table is the generator's, "
            "without gradient, plus a part of its own. The MLM arm is the recipe mlm."
        ),
        claim="The model trained by replaced-token detection is better than the MLM one and needs fewer tokens.",
        citation="@article{antoun2024camembert, title={CamemBERT 2.0: A Smarter French Language Model Aged to "
        "Perfection}, author={Antoun, Wissam and Kulumba, Francis and Touchent, Rian and de la Clergerie, {\\'E}ric "
        "and Sagot, Beno{\\^i}t and Seddah, Djam{\\'e}}, journal={arXiv:2411.08868}, year={2024}}",
        deviates=(
            *ELECTRA.card.deviates,
            "A BERT-shaped encoder without DeBERTa's relative positions; any language; no tokenizer of its own.",
            "The generator has half of the width and all layers; DeBERTa v3's, from memory, all of the width and "
            "half of the layers.",
            "Weight decay acts on the encoder's whole table, not on its own part alone.",
        ),
    ),
    objective=ReplacedTokenDetectionSpec(embeddings="disentangled", generator_width=0.5),
    check=ClaimCheck(
        better=(Pair("camembert2", "mlm"),),
        measures="part",
    ),
)
