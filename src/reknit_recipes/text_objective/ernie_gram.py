"""ERNIE-Gram: replace an n-gram by one mask token and predict it as one entry of a lexicon."""

from reknit.claim import ClaimCheck, Pair
from reknit.encoders.spec import TextEncoderSpec
from reknit.objectives.explicit_ngrams import ExplicitNgramSpec
from reknit.recipe import Card, OptimiserSpec, Recipe

RECIPE = Recipe(
    card=Card(
        name="ernie-gram",
        title="ERNIE-Gram: Pre-Training with Explicitly N-Gram Masked Language Modeling for Natural Language "
        "Understanding",
        year=2021,
        family="text-objective",
        capability="pretrain",
        paper="https://arxiv.org/abs/2010.12148; models: https://github.com/PaddlePaddle/ERNIE",
        adds="An n-gram is replaced by one mask token and predicted both as an entry of a lexicon and token by token.",
        facts=(
            "Read: the abstract, the beginning of the paper's introduction (contiguous masking predicts the tokens of "
            "an n-gram independently of each other; n-grams are masked with one symbol and predicted by explicit "
            "identities, coarsely and finely), a review (a lexicon by t-test, boundaries by maximum matching, "
            "attention masks for the fine prediction, a generator and replaced-token detection). The authors' "
            "repository has no n-gram pre-training: its reader masks single tokens or whole words. From the project's "
            "table, unsure: 200,000 bigrams and 100,000 trigrams, 15% of the tokens, later positions keep their places."
        ),
        claim="Explicit n-gram masking beats contiguous span masking on language understanding at the same size.",
        citation="@inproceedings{xiao2021erniegram, title={ERNIE-Gram: Pre-Training with Explicitly N-Gram Masked "
        "Language Modeling for Natural Language Understanding}, author={Xiao, Dongling and Li, Yu-Kun and Zhang, Han "
        "and Sun, Yu and Tian, Hao and Wu, Hua and Wang, Haifeng}, booktitle={NAACL}, year={2021}}",
        deviates=(
            "No enhanced n-gram relation modelling: no generator that fills in n-grams, no replaced-token detection.",
            "The lexicon is counted while the first tenth of the budget trains by masking of single tokens, not before "
            "the training from the whole corpus; counts of bigrams that share a bucket may be too low.",
            "Bigrams of tokens only, 4,096 of them, which may hold punctuation or a part of a word; no trigrams.",
            "A bigram's tokens are predicted from its one mask and a learned vector of their place, not from further "
            "positions of the encoder.",
            "The tokens behind a masked bigram move up by one place.",
            "A BERT-shaped encoder, passages of 128 tokens and 4,096 tokens a step by default: runs on a CPU.",
        ),
        status="deviates",
    ),
    objective=ExplicitNgramSpec(),
    encoder=TextEncoderSpec(pooling="mean"),
    optimiser=OptimiserSpec(learning_rate=1e-4, adam_beta2=0.999),
    check=ClaimCheck(
        better=(
            Pair("ernie-gram", "ernie-gram:objective.contiguous=true"),
            Pair("ernie-gram", "mlm:objective.ratio=0.15"),
        ),
        measures="part",
        needs="The paper's models are of BERT's size; relation modelling is left out, so not all of its gain can show.",
    ),
)
