"""The scaled parallel adapter: a bottleneck beside the feed-forward network."""

from reknit.adapters.bottleneck import ParallelSpec
from reknit.recipe import Card, Method

SYSTEM = Method(
    card=Card(
        name="parallel",
        title="Towards a Unified View of Parameter-Efficient Transfer Learning (scaled parallel adapter)",
        year=2021,
        family="adaptation-peft",
        paper="https://arxiv.org/abs/2110.04366",
        adds="A bottleneck beside the feed-forward network, with the same input; its scaled output is added to that "
        "of the network.",
        facts="From the authors' code (jxhe/unify-parameter-efficient-tuning, petl/petl_factory.py): ReLU, no norm, "
        "scale 4, weights begin as LoRA's; 512 units beside networks of width 1024.",
        claim="A scaled parallel adapter beside the feed-forward network does better than sequential adapters and "
        "prefixes.",
        citation="@inproceedings{he2022unified, title={Towards a Unified View of Parameter-Efficient Transfer "
        "Learning}, author={He, Junxian and Zhou, Chunting and Ma, Xuezhe and Berg-Kirkpatrick, Taylor and "
        "Neubig, Graham}, booktitle={ICLR}, year={2022}}",
        deviates=(
            "32 units, for a model of width 384.",
            "No dropout in the bottleneck.",
        ),
        status="deviates",
        system="peft-review",
        capability="tune",
    ),
    part=ParallelSpec(),
)
