"""The survey of parameter-efficient fine-tuning: each class that it lists is an option of `reknit tune`."""

from reknit.claim import Bound, ClaimCheck, Pair
from reknit.recipe import Card, System
from reknit.research.tuning.experiment import ACCURACY, FULL, PROBE, TRAINED, TuningExperiment

METHODS = ("bottleneck", "parallel", "prompt", "prefix", "ia3", "bitfit", "lora", "mam", "propetl")
FAMILIES = ("bottleneck", "bitfit", "lora", "mam", "propetl")

SYSTEM = System(
    card=Card(
        name="peft-review",
        title="Parameter-Efficient Fine-Tuning Methods for Pretrained Language Models: A Critical Review and "
        "Assessment",
        year=2023,
        family="adaptation-peft",
        paper="https://arxiv.org/abs/2312.12148",
        adds="A catalogue in five classes (additive, partial, reparameterised, hybrid, unified), compared by accuracy, "
        "trained weights and memory.",
        facts="The abstract and summaries of others were read, not the paper. Classes and their options here: "
        "additive (bottleneck, parallel, prompt, prefix, ia3), partial (bitfit), reparameterised (lora), hybrid (mam: "
        "a prefix and a parallel adapter), unified (propetl: one bottleneck for all layers, masked for each). The "
        "cards of these say what was read of them.",
        claim="Most methods reach about what full fine-tuning does with about 1% of its trained weights; LoRA and "
        "adapters balance best.",
        citation="@article{xu2023peft, title={Parameter-Efficient Fine-Tuning Methods for Pretrained Language Models: "
        "A Critical Review and Assessment}, author={Xu, Lingling and Xie, Haoran and Qin, Si-Zhao Joe and Tao, Xiaohui "
        "and Wang, Fu Lee}, journal={arXiv:2312.12148}, year={2023}}",
        deviates=(
            "The survey measures RoBERTa on GLUE, T5 and LLaMA; here all-MiniLM-L6-v2 learns intents of banking77.",
            "One learning rate for each method, chosen on other labels; the survey's search is not known.",
            "The linear layer begins as logistic regression on the frozen vectors, with every method.",
            "Memory is that of a step counted tensor by tensor, not the peak of a process.",
        ),
        status="deviates",
        capability="tune",
    ),
    check=ClaimCheck(
        experiment=TuningExperiment(),
        better=tuple(Pair(method, PROBE, ACCURACY) for method in FAMILIES),
        no_worse=tuple(Pair(method, FULL, ACCURACY, margin=0.02) for method in ("lora", "bottleneck")),
        bounds=tuple(Bound(method, TRAINED, 2.0) for method in METHODS),
        seeds=5,
    ),
)
