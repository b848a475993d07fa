"""Ettin's encoder: masked language modelling at 30% in ModernBERT's shape, one of a pair with a decoder."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.encoders.spec import TextEncoderSpec
from reknit.objectives.masked_language_model import MaskedLanguageModelSpec
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit_recipes.text_objective.mlm import RECIPE as MLM

RECIPE = replace(
    MLM,
    card=replace(
        MLM.card,
        name="ettin",
        system="",
        title="Seq vs Seq: An Open Suite of Paired Encoders and Decoders",
        paper="https://arxiv.org/abs/2507.11412; code: https://github.com/JHU-CLSP/ettin-encoder-vs-decoder",
        adds="Encoders and decoders of one shape, trained on the same data in the same order, so that only the "
        "objective differs; each is also trained further with the other's objective.",
        facts=(
            "From the project's table of systems, where it is marked as read in the authors' files: MLM at 30%, then "
            "15% in the last phase; ModernBERT's shape, 17M to 1B parameters; the decoders are causal throughout; the "
            "cross-objective runs train for 50B tokens more. The decoder is the recipe clm with this encoder, the "
            "decoder turned encoder is mlm-vs-clm with objective.switch_at=0.8."
        ),
        claim="By the same recipe, encoders win classification and retrieval, and going on with the other objective "
        "does not close the gap.",
        citation="@article{weller2025seq, title={Seq vs Seq: An Open Suite of Paired Encoders and Decoders}, "
        "author={Weller, Orion and Ricci, Kathryn and Marone, Marc and Chaffin, Antoine and Lawrie, Dawn and Van "
        "Durme, Benjamin}, journal={arXiv:2507.11412}, year={2025}}",
        deviates=(
            "One phase at one ratio and one length; AdamW with warm-up and decay instead of StableAdamW with a "
            "plateau.",
            "Every predicted token becomes the mask token, and the head is BERT's.",
        ),
    ),
    objective=MaskedLanguageModelSpec(ratio=0.3, random_share=0.0, keep_share=0.0),
    encoder=TextEncoderSpec(family="modernbert", pooling="mean"),
    check=ClaimCheck(
        experiment=PretrainingExperiment(settings=("encoder.family=modernbert",)),
        better=(
            Pair("ettin", "clm"),
            Pair("ettin", "mlm-vs-clm:objective.switch_at=0.8:objective.masked.ratio=0.3"),
        ),
        measures="part",
        needs="The decoder's side (generation is better by it) is not measured yet.",
    ),
)
