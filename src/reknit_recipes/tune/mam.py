"""The mix-and-match adapter: a short prefix and a parallel adapter."""

from reknit.adapters.mixed import MixAndMatchSpec
from reknit.recipe import Card, Method

SYSTEM = Method(
    card=Card(
        name="mam",
        title="Towards a Unified View of Parameter-Efficient Transfer Learning (mix-and-match adapter)",
        year=2021,
        family="adaptation-peft",
        paper="https://arxiv.org/abs/2110.04366",
        adds="A short prefix for the attention and a wider scaled parallel adapter for the feed-forward network, "
        "together.",
        facts="From the authors' code (jxhe/unify-parameter-efficient-tuning, README): prefix of 30, parallel "
        "adapter of 512 units, scale 4, no norm, weights begin as LoRA's.",
        claim="The mix matches full fine-tuning where each method alone does not.",
        citation="@inproceedings{he2022unified, title={Towards a Unified View of Parameter-Efficient Transfer "
        "Learning}, author={He, Junxian and Zhou, Chunting and Ma, Xuezhe and Berg-Kirkpatrick, Taylor and "
        "Neubig, Graham}, booktitle={ICLR}, year={2022}}",
        deviates=(
            "The prefix has a softmax of its own and a gate, as `prefix` says.",
            "A prefix of 8 and 32 units, for a model of width 384.",
        ),
        status="deviates",
        system="peft-review",
        capability="tune",
    ),
    part=MixAndMatchSpec(),
)
