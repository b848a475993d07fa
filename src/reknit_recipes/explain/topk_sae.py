"""TopK: a sparse autoencoder in which every input keeps its k largest activations."""

from reknit.interpretability.top_k import TopKSpec
from reknit.recipe import Card, Method

SYSTEM = Method(
    card=Card(
        name="topk-sae",
        title="Scaling and evaluating sparse autoencoders",
        year=2024,
        family="interpretability",
        capability="explain",
        system="top-afa-sae",
        paper="https://arxiv.org/abs/2406.04093; code: https://github.com/openai/sparse_autoencoder",
        adds="A sparse autoencoder's sparsity is set by keeping the k largest activations of each input.",
        facts="Read: the authors' code (model.py, loss.py, train.py): bias before the encoder, bias of the features, "
        "top k, then ReLU; unit-norm decoder with projected gradients, tied initial weights; auxiliary loss in which "
        "the largest of the dead features predict what is left over. Not read: the paper's text.",
        claim="TopK autoencoders reconstruct better at a given number of active features than those with an L1 "
        "penalty.",
        citation="@article{gao2024scaling, title={Scaling and evaluating sparse autoencoders}, author={Gao, Leo and "
        "Dupr{\\'e} la Tour, Tom and Tillman, Henk and others}, journal={arXiv:2406.04093}, year={2024}}",
        status="deviates",
        deviates=(
            "As Bussmann et al. 2024 and Lee et al. 2025 train it beside their own methods: no bias of the features, "
            "the other bias begins at 0, the auxiliary loss is a plain mean, features are dead after 5 steps, no "
            "average of weights.",
            "Batches of 512 states and a learning rate of 2e-3, for minutes on a processor.",
        ),
    ),
    part=TopKSpec(),
)
