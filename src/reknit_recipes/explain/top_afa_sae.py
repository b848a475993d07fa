"""Top-AFA: a sparse autoencoder that chooses the number of active features of each input by matching norms."""

from reknit.claim import Bound, ClaimCheck, Pair
from reknit.interpretability.top_afa import TopAFASpec
from reknit.recipe import Card, Method
from reknit.research.features.experiment import BOUND, CURVE_ARMS, RELATIVE, FeatureExperiment

SYSTEM = Method(
    card=Card(
        name="top-afa-sae",
        title="Evaluating and Designing Sparse Autoencoders by Approximating Quasi-Orthogonality",
        year=2025,
        family="interpretability",
        capability="explain",
        paper="https://arxiv.org/abs/2503.24277; code: https://github.com/SewoongLee/top-afa-sae",
        adds="Each input keeps the number of features that brings the norm of the code nearest to its own, so there "
        "is no k to set.",
        facts="Read: the authors' code (sae.py, training.py, config.py, the notebooks): each state standardised over "
        "its own numbers; acts = ReLU((x - b) W); squares of acts times decoder norms, sorted and summed up; k = "
        "argmin | sqrt(sum) - ||x - b|| | + 1, the last sum never matching; MSE + coefficient * (||f|| - ||x||)^2 "
        "with 1/128 to 1/16 + auxiliary loss (512 dead features, 1/32, dead after 5 batches); unit-norm decoder, tied "
        "initial weights, projected gradients, Adam 3e-4, 0.9 / 0.99, batches of 4,096, 20,000 steps; GPT-2 small, "
        "layers 6 to 8, 12,288 features, beside TopK and BatchTopK of k = 32 to 8,192. Its logs: top-AFA has 315 to "
        "2,419 active features. Not read: the paper's text.",
        claim="The link of norms removes the setting k, and matches or beats TopK autoencoders with a tuned k.",
        citation="@article{lee2025evaluating, title={Evaluating and Designing Sparse Autoencoders by Approximating "
        "Quasi-Orthogonality}, author={Lee, Sewoong and others}, journal={arXiv:2503.24277}, year={2025}}",
        status="deviates",
        deviates=(
            "The decoder is normalised after each step, not before it, so that decoder norms are 1 wherever they are "
            "used.",
            "Batches of 512 states and a learning rate of 2e-3 (published: 4,096 and 3e-4), 1,024 features and a "
            "coefficient of 1/32 by default, for minutes on a processor; states of an embedding model instead of "
            "GPT-2's.",
        ),
    ),
    part=TopAFASpec(),
    check=ClaimCheck(
        experiment=FeatureExperiment(),
        no_worse=(Pair("top-afa-sae", "topk-sae:part.k=32", RELATIVE, margin=0.02),),
        bounds=tuple(Bound(arm, BOUND, 1.0) for arm in ("top-afa-sae", "batchtopk-sae:part.k=32", *CURVE_ARMS)),
        needs="Training as long as the paper's (80 million states; here 300,000), and its 12,288 features.",
    ),
)
