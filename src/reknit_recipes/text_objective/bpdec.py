"""BPDec: masked language modelling through decoder layers that are dropped after pre-training."""

from reknit.claim import ClaimCheck, Pair
from reknit.encoders.spec import TextEncoderSpec
from reknit.objectives.decoded_language_model import DecodedLanguageModelSpec
from reknit.recipe import Card, OptimiserSpec, Recipe

RECIPE = Recipe(
    card=Card(
        name="bpdec",
        title="BPDec: Unveiling the Potential of Masked Language Modeling Decoder in BERT pretraining",
        year=2024,
        family="text-objective",
        capability="pretrain",
        paper="https://arxiv.org/abs/2401.15861",
        adds="Transformer layers on top of the encoder in pre-training only, which see the masked positions little by "
        "little.",
        facts=(
            "Read: abstract and summaries (a decoder of several layers, dropped afterwards; gradual unmasking "
            "attention: the first decoder layer may look at a random part of the masked positions, the next at the "
            "rest; the output mixes the encoder's and the decoder's at random). Not read: how many layers, and how "
            "much is mixed."
        ),
        claim="At the same cost of fine-tuning and inference, the encoder is better than BERT on GLUE and SQuAD.",
        citation="@article{liang2024bpdec, title={BPDec: Unveiling the Potential of Masked Language Modeling Decoder "
        "in BERT pretraining}, author={Liang, Wen and Liang, Youzhi}, journal={arXiv:2401.15861}, year={2024}}",
        deviates=(
            "Two layers, and a tenth of the predictions made from the encoder's output: guesses.",
            "Passages of 128 tokens and 4,096 tokens a step by default: runs on a CPU.",
        ),
        status="deviates",
    ),
    objective=DecodedLanguageModelSpec(),
    encoder=TextEncoderSpec(pooling="mean"),
    optimiser=OptimiserSpec(learning_rate=1e-4, adam_beta2=0.999),
    check=ClaimCheck(
        better=(Pair("bpdec", "mlm:objective.ratio=0.15:objective.random_share=0.1:objective.keep_share=0.1"),),
        measures="proxy",
    ),
)
