"""BitFit: only the biases are trained."""

from reknit.adapters.bias import BiasSpec
from reknit.recipe import Card, Method

SYSTEM = Method(
    card=Card(
        name="bitfit",
        title="BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked Language-models",
        year=2022,
        family="adaptation-peft",
        paper="https://arxiv.org/abs/2106.10199",
        adds="Only the bias vectors of a pre-trained encoder are trained.",
        facts="From the authors' code (benzakenelad/BitFit, GLUEvaluator.py): every parameter named bias, those of "
        "norms included; all other weights are frozen.",
        claim="On small and medium data training the biases alone is as good as full fine-tuning, or better.",
        citation="@inproceedings{benzaken2022bitfit, title={BitFit: Simple Parameter-efficient Fine-tuning for "
        "Transformer-based Masked Language-models}, author={Ben Zaken, Elad and Goldberg, Yoav and Ravfogel, "
        "Shauli}, booktitle={ACL}, year={2022}}",
        deviates=("BERT's pooler, whose bias the authors train too, has no part in a pooled mean.",),
        status="deviates",
        system="peft-review",
        capability="tune",
    ),
    part=BiasSpec(),
)
