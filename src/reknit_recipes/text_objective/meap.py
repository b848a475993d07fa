"""MEAP: causal language modelling in which some of the past is masked."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.causal_language_model import CausalLanguageModelSpec
from reknit.recipe import OptimiserSpec
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit_recipes.text_objective.clm import RECIPE as CLM

RECIPE = replace(
    CLM,
    card=replace(
        CLM.card,
        name="meap",
        system="",
        title="Mask-Enhanced Autoregressive Prediction: Pay Less Attention to Learn More",
        year=2025,
        paper="https://arxiv.org/abs/2502.07490; code: https://github.com/scitix/MEAP",
        adds="15% of the input tokens are masked before ordinary next-token prediction.",
        facts=(
            "Read: the abstract and the introduction (a small part of the input is masked, then standard next-token "
            "prediction by a decoder, no change of architecture). From the project's table of systems, marked as "
            "verified there: 15% of the positions, the loss on all next tokens, rate 4e-4, 1.1B parameters."
        ),
        claim="Key information in a long context is found better than after next-token prediction at equal cost, "
        "and commonsense reasoning is no worse.",
        citation="@inproceedings{zhuang2025mask, title={Mask-Enhanced Autoregressive Prediction: Pay Less Attention "
        "to Learn More}, author={Zhuang, Xialie and Jia, Zhikai and Li, Jianjin and Zhang, Zhenyu and Shen, Li and "
        "Cao, Zheng and Liu, Shiwei}, booktitle={ICML}, year={2025}}",
        deviates=(
            *CLM.card.deviates[-2:],
            "A BERT-shaped encoder under a causal mask, passages of 128 tokens: runs on a CPU.",
            "Its form for fine-tuning (each text twice, once masked) is not here.",
        ),
    ),
    objective=CausalLanguageModelSpec(masked_share=0.15),
    optimiser=OptimiserSpec(learning_rate=4e-4, adam_beta2=0.999),
    check=ClaimCheck(
        experiment=PretrainingExperiment(eval=("cls/banking77", "bench/blimp")),
        no_worse=(Pair("meap", "clm", margin=0.005),),
        measures="part",
        needs="Finding key information in long contexts is not measured, only that nothing is lost.",
    ),
)
