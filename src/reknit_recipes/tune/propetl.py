"""ProPETL: one bottleneck for all layers, masked for each."""

from reknit.adapters.shared_bottleneck import SharedBottleneckSpec
from reknit.recipe import Card, Method

SYSTEM = Method(
    card=Card(
        name="propetl",
        title="One Network, Many Masks: Towards More Parameter-Efficient Transfer Learning",
        year=2023,
        family="adaptation-peft",
        paper="https://arxiv.org/abs/2305.17682",
        adds="All layers share one adapter, and each layer learns which of its weights it uses: one bit for each "
        "weight and layer in a file.",
        facts="From the authors' code (ChaosCodes/ProPETL, adapters/modeling.py, scripts/run_adapter.sh): adapters "
        "after the feed-forward network, masks keep the half of largest scores, gradients straight through, "
        "scores by Kaiming's uniform rule, biases not masked.",
        claim="Masked sharing does better than other methods with about a tenth of the storage.",
        citation="@inproceedings{zeng2023propetl, title={One Network, Many Masks: Towards More Parameter-Efficient "
        "Transfer Learning}, author={Zeng, Guangtao and Zhang, Peiyuan and Lu, Wei}, booktitle={ACL}, "
        "year={2023}}",
        deviates=(
            "Scores and weights have one learning rate; the authors' scores have thirty times that of the weights.",
            "The second matrix begins at zero, so that attaching changes nothing.",
            "GELU, and 32 units for a model of width 384.",
            "Sharing over layers only, not over tasks.",
        ),
        status="deviates",
        system="peft-review",
        capability="tune",
    ),
    part=SharedBottleneckSpec(),
)
