"""Prompt tuning: learned rows before each text."""

from reknit.adapters.prompt import PromptSpec
from reknit.recipe import Card, Method

SYSTEM = Method(
    card=Card(
        name="prompt",
        title="The Power of Scale for Parameter-Efficient Prompt Tuning",
        year=2021,
        family="adaptation-peft",
        paper="https://arxiv.org/abs/2104.08691",
        adds="Learned vectors before the embedded text are all that is trained.",
        facts="From the authors' code (google-research/prompt-tuning, prompts.py): the rows begin as embeddings of "
        "drawn tokens.",
        claim="With large models prompt tuning comes close to full fine-tuning; with small ones it does not.",
        citation="@inproceedings{lester2021power, title={The Power of Scale for Parameter-Efficient Prompt Tuning}, "
        "author={Lester, Brian and Al-Rfou, Rami and Constant, Noah}, booktitle={EMNLP}, year={2021}}",
        deviates=(
            "An encoder that pools its text's rows, where the paper has T5; the prompt's own rows are not pooled.",
            "8 rows, all at position 0; the text keeps its positions, as an encoder has a learned vector for each.",
            "Drawn from the whole vocabulary, not from its most frequent tokens.",
        ),
        status="deviates",
        system="peft-review",
        capability="tune",
    ),
    part=PromptSpec(),
)
