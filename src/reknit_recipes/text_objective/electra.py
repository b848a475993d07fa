"""ELECTRA: find the tokens that a small generator has replaced."""

from reknit.objectives.replaced_token_detection import ReplacedTokenDetectionSpec
from reknit.recipe import Card, ClaimCheck, EncoderSpec, OptimiserSpec, Recipe

RECIPE = Recipe(
    card=Card(
        name="electra",
        title="ELECTRA: Pre-training Text Encoders as Discriminators Rather Than Generators",
        year=2020,
        family="text-objective",
        paper="https://arxiv.org/abs/2003.10555; code: https://github.com/google-research/electra",
        adds="Replaced-token detection: a small generator fills gaps, and the encoder decides for every token whether "
        "it is the text's own.",
        facts=(
            "Read in the authors' code (configure_pretraining.py, run_pretraining.py): 15% of the tokens; the "
            "generator has all layers, a quarter of the width (small; a third in base), an inner width of 4 times its "
            "own and the token embeddings of the encoder; its samples, at temperature 1, replace what was asked for; a "
            "sample equal to the text counts as original; loss = generator + 50 * detection; small: 128 tokens, batch "
            "128, rate 5e-4, warm-up 10k of 1M steps, weight decay 0.01; pretrain_helpers.py: 85% of the tokens asked "
            "for become the mask token, the rest stay."
        ),
        claim="Deciding about all tokens uses compute better than predicting 15% of them: ELECTRA beats MLM at equal "
        "compute, most for small models.",
        citation="@inproceedings{clark2020electra, title={ELECTRA: Pre-training Text Encoders as Discriminators Rather "
        "Than Generators}, author={Clark, Kevin and Luong, Minh-Thang and Le, Quoc V. and Manning, Christopher D.}, "
        "booktitle={ICLR}, year={2020}}",
        deviates=(
            "Special tokens are neither decided about nor sampled; the authors decide about them too.",
            "The table is as wide as the encoder (ELECTRA-small: 128 beside 256); position embeddings are not shared.",
            "Passages of 128 tokens and 4,096 tokens a step by default: runs on a CPU.",
        ),
        status="deviates",
    ),
    objective=ReplacedTokenDetectionSpec(),
    encoder=EncoderSpec(pooling="mean"),
    optimiser=OptimiserSpec(learning_rate=5e-4, warmup_ratio=0.01, adam_beta2=0.999),
    check=ClaimCheck(
        better=(
            ("electra", "mlm:objective.ratio=0.15"),
            ("electra", "electra:objective.decided=masked"),
        )
    ),
)
