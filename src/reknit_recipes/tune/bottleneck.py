"""Adapters of Houlsby et al.: a bottleneck after each sublayer."""

from reknit.adapters.bottleneck import BottleneckSpec
from reknit.recipe import Card, Method

SYSTEM = Method(
    card=Card(
        name="bottleneck",
        title="Parameter-Efficient Transfer Learning for NLP",
        year=2019,
        family="adaptation-peft",
        paper="https://arxiv.org/abs/1902.00751",
        adds="A bottleneck with a residual connection after the attention and after the feed-forward network of "
        "each layer.",
        facts="From the authors' code (google-research/adapter-bert, modeling.py): GELU, 64 units, weights near zero "
        "(deviation 0.001); from memory: before the residual connection and norm of each sublayer.",
        claim="Adapters come within 0.4% of full fine-tuning on GLUE with 3.6% of the weights for each task.",
        citation="@inproceedings{houlsby2019adapters, title={Parameter-Efficient Transfer Learning for NLP}, "
        "author={Houlsby, Neil and Giurgiu, Andrei and Jastrzebski, Stanislaw and Morrone, Bruna and de "
        "Laroussilhe, Quentin and Gesmundo, Andrea and Attariyan, Mona and Gelly, Sylvain}, booktitle={ICML}, "
        "year={2019}}",
        deviates=(
            "The second matrix begins at zero, so that attaching changes nothing at all.",
            "The norms are not trained along.",
            "16 units instead of 64, for a model of width 384.",
        ),
        status="deviates",
        system="peft-review",
        capability="tune",
    ),
    part=BottleneckSpec(),
)
