"""(IA)3: keys, values and inner units are scaled."""

from reknit.adapters.scale import ScaleSpec
from reknit.recipe import Card, Method

SYSTEM = Method(
    card=Card(
        name="ia3",
        title="Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning",
        year=2022,
        family="adaptation-peft",
        paper="https://arxiv.org/abs/2205.05638",
        adds="Three learned vectors a layer multiply keys, values and the inner units of the feed-forward network.",
        facts="From the authors' code (r-three/t-few, configs/ia3.json and src/models/lora.py): outputs of k, v and "
        "of the gated network's linear half are scaled, by 1 at first; learning rate 3e-3.",
        claim="(IA)3 is more accurate than in-context learning and than other ways of tuning few weights.",
        citation="@inproceedings{liu2022tfew, title={Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper "
        "than In-Context Learning}, author={Liu, Haokun and Tam, Derek and Muqeeth, Mohammed and Mohta, Jay "
        "and Huang, Tenghao and Bansal, Mohit and Raffel, Colin}, booktitle={NeurIPS}, year={2022}}",
        deviates=("Without the unlikelihood and length-normalised losses of T-Few, which are for generated answers.",),
        status="deviates",
        system="peft-review",
        capability="tune",
    ),
    part=ScaleSpec(),
)
