"""LoRA: an update of low rank beside frozen projections."""

from reknit.adapters.low_rank import LoRASpec
from reknit.recipe import Card, Method

SYSTEM = Method(
    card=Card(
        name="lora",
        title="LoRA: Low-Rank Adaptation of Large Language Models",
        year=2021,
        family="adaptation-peft",
        paper="https://arxiv.org/abs/2106.09685",
        adds="Updates of low rank beside frozen projections, which can be added to the weights after training.",
        facts="From the authors' code (microsoft/LoRA, loralib/layers.py): W x + (alpha / r) B A x, A by Kaiming's "
        "uniform rule, B zero; query and value projections by default, from memory of the paper.",
        claim="Updates of low rank reach full fine-tuning with a small fraction of its trained weights and no cost "
        "at inference.",
        citation="@inproceedings{hu2022lora, title={LoRA: Low-Rank Adaptation of Large Language Models}, author={Hu, "
        "Edward J. and Shen, Yelong and Wallis, Phillip and Allen-Zhu, Zeyuan and Li, Yuanzhi and Wang, Shean "
        "and Wang, Lu and Chen, Weizhu}, booktitle={ICLR}, year={2022}}",
        deviates=(
            "No dropout before the update.",
            "rank 8 and alpha 16 for every model; the paper sets both by model and task.",
        ),
        status="deviates",
        system="peft-review",
        capability="tune",
    ),
    part=LoRASpec(),
)
