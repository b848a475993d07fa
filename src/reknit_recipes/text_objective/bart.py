"""BART: write a text from left to right that the encoder has seen with spans missing and sentences out of order."""

from reknit.claim import ClaimCheck, Pair
from reknit.encoders.spec import TextEncoderSpec
from reknit.objectives.denoising import DenoisingSpec
from reknit.recipe import Card, OptimiserSpec, Recipe

RECIPE = Recipe(
    card=Card(
        name="bart",
        title="BART: Denoising Sequence-to-Sequence Pre-training for Natural Language Generation, Translation, and "
        "Comprehension",
        year=2020,
        family="text-objective",
        capability="pretrain",
        paper="https://arxiv.org/abs/1910.13461; code: https://github.com/facebookresearch/fairseq",
        adds="Several kinds of noise for an encoder and a decoder: spans with Poisson-distributed lengths become one "
        "mask token each, sentences are shuffled, tokens are masked or deleted.",
        facts=(
            "Read in the authors' code (fairseq/data/denoising_dataset.py): all sentences are permuted first; the "
            "share to hide is rounded up and given to spans by Poisson's distribution, the last one cut, a mask "
            "token each; spans of length 0 are insertions; the target is the clean text. From memory: a share of "
            "0.3, a mean of 3, as many layers in the decoder as in the encoder, no layer before the vocabulary, "
            "Adam, no weight decay in the paper's text."
        ),
        claim="Infilling with shuffled sentences is the best noise of those tried; it matches RoBERTa on understanding "
        "and is better at writing.",
        citation="@inproceedings{lewis2020bart, title={BART: Denoising Sequence-to-Sequence Pre-training for Natural "
        "Language Generation, Translation, and Comprehension}, author={Lewis, Mike and Liu, Yinhan and Goyal, Naman "
        "and Ghazvininejad, Marjan and Mohamed, Abdelrahman and Levy, Omer and Stoyanov, Veselin and Zettlemoyer, "
        "Luke}, booktitle={ACL}, year={2020}}",
        deviates=(
            "Spans never overlap and are not of whole words; no random tokens stand for masks (the code: one in ten).",
            "Special tokens are not written, so the decoder learns no end of text.",
            "The encoder alone is exported; the paper reads a text's class off the decoder's last state.",
            "Passages of 128 tokens and 4,096 tokens a step by default: runs on a CPU.",
        ),
        status="deviates",
    ),
    objective=DenoisingSpec(),
    encoder=TextEncoderSpec(pooling="mean"),
    optimiser=OptimiserSpec(learning_rate=4e-4, adam_beta2=0.999),
    check=ClaimCheck(
        better=(
            Pair("bart", "bart:objective.noise=masking:objective.permute_sentences=false"),
            Pair("bart", "bart:objective.noise=none:objective.permute_sentences=false"),
        ),
        measures="part",
        needs="Writing (summaries) is not measured, only what the encoder has learnt.",
    ),
)
