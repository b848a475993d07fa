"""ELECTRA: find the tokens that a small generator has replaced."""

from reknit.claim import ClaimCheck, Pair
from reknit.encoders.spec import TextEncoderSpec
from reknit.objectives.replaced_token_detection import ReplacedTokenDetectionSpec
from reknit.recipe import Card, OptimiserSpec, Recipe

RECIPE = Recipe(
    card=Card(
        name="electra",
        title="ELECTRA: Pre-training Text Encoders as Discriminators Rather Than Generators",
        year=2020,
        family="text-objective",
        capability="pretrain",
        paper="https://arxiv.org/abs/2003.10555; code: https://github.com/google-research/electra",
        adds="Replaced-token detection: a small generator fills masked positions, and the encoder classifies every "
        "token as original or replaced.",
        facts=(
            "Read in the authors' code (configure_pretraining.py, run_pretraining.py): 15% of the tokens; the "
            "generator has all layers, a quarter of the width (small; a third in base), an inner width of 4 times its "
            "own and the token embeddings of the encoder; its samples, at temperature 1, replace the predicted "
            "tokens; a sample equal to the text's own token counts as original; loss = generator + 50 * detection; "
            "small: 128 tokens, batch 128, rate 5e-4, warm-up 10k of 1M steps, weight decay 0.01; "
            "pretrain_helpers.py: 85% of the predicted tokens become the mask token, the rest stay; both losses are "
            "means, over the predicted tokens and over all; modeling.py: the generator reads the encoder's "
            "embeddings, projected after their norm."
        ),
        claim="Deciding about all tokens uses compute better than predicting 15% of them: ELECTRA beats MLM at equal "
        "compute, most for small models.",
        citation="@inproceedings{clark2020electra, title={ELECTRA: Pre-training Text Encoders as Discriminators Rather "
        "Than Generators}, author={Clark, Kevin and Luong, Minh-Thang and Le, Quoc V. and Manning, Christopher D.}, "
        "booktitle={ICLR}, year={2020}}",
        deviates=(
            "Special tokens are neither classified nor sampled; the authors classify them too and may sample any id.",
            "15% of the ordinary tokens are predicted, each once; the authors take 15% of all tokens and sample "
            "positions with replacement, so that about 14% are distinct.",
            "The table is as wide as the encoder (ELECTRA-small: 128 beside 256), and it alone is shared: positions "
            "and the embeddings' norm are the generator's own.",
            "4,096 tokens a step (the authors' small: 128 texts of 128) and an encoder of 4 layers (12) by default: "
            "runs on a CPU.",
        ),
        status="deviates",
    ),
    objective=ReplacedTokenDetectionSpec(),
    encoder=TextEncoderSpec(pooling="mean"),
    optimiser=OptimiserSpec(learning_rate=5e-4, warmup_ratio=0.01, adam_beta2=0.999),
    check=ClaimCheck(
        better=(
            Pair("electra", "mlm:objective.ratio=0.15"),
            Pair("electra", "electra:objective.decided=masked"),
        ),
        measures="proxy",
    ),
)
