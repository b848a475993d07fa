"""Prefix tuning: learned keys and values in every layer."""

from reknit.adapters.prefix import PrefixSpec
from reknit.recipe import Card, Method

SYSTEM = Method(
    card=Card(
        name="prefix",
        title="Prefix-Tuning: Optimizing Continuous Prompts for Generation",
        year=2021,
        family="adaptation-peft",
        paper="https://arxiv.org/abs/2101.00190; gate after LLaMA-Adapter, https://arxiv.org/abs/2303.16199",
        adds="Learned keys and values, which belong to no token, are added to the attention of each layer.",
        facts="From LLaMA-Adapter's code (OpenGVLab/LLaMA-Adapter, alpaca_finetuning_v1/llama/model.py): the prefix "
        "has a softmax of its own, multiplied by the hyperbolic tangent of a gate of each head, zero at first. From "
        "memory of Li and Liang: prefixes begin well as activations of real words.",
        claim="A prefix of 0.1% of the weights does as well as full fine-tuning in generation, and better with few "
        "examples.",
        citation="@inproceedings{li2021prefix, title={Prefix-Tuning: Optimizing Continuous Prompts for Generation}, "
        "author={Li, Xiang Lisa and Liang, Percy}, booktitle={ACL}, year={2021}}",
        deviates=(
            "Prefix and text have separate softmaxes and a gate; Li and Liang have one softmax over both.",
            "The prefix is learned as it is, not through a network that makes it.",
            "In rotary models queries meet the prefix before they are rotated; LLaMA-Adapter rotates them.",
        ),
        status="deviates",
        system="peft-review",
        capability="tune",
    ),
    part=PrefixSpec(),
)
