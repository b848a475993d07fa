"""BatchTopK: the k largest activations an input on average, chosen over the whole batch."""

from reknit.interpretability.top_k import BatchTopKSpec
from reknit.recipe import Card, Method

SYSTEM = Method(
    card=Card(
        name="batchtopk-sae",
        title="BatchTopK Sparse Autoencoders",
        year=2024,
        family="interpretability",
        capability="explain",
        system="top-afa-sae",
        paper="https://arxiv.org/abs/2412.06410; code: https://github.com/bartbussmann/BatchTopK",
        adds="On average k activations are kept for each input, the largest of a whole batch, so that an input may "
        "have more or fewer.",
        facts="Read: the authors' code (sae.py, training.py, config.py): standardised inputs, one bias, ReLU, the "
        "batch's k * B largest activations; mean squared error, auxiliary loss (512 dead features, 1/32, dead after 5 "
        "batches), unit-norm decoder, projected gradients, Adam 0.9 / 0.99. Not read: the paper's text.",
        claim="BatchTopK reconstructs better than TopK at the same average number of active features.",
        citation="@article{bussmann2024batchtopk, title={BatchTopK Sparse Autoencoders}, author={Bussmann, Bart and "
        "Leask, Patrick and Nanda, Neel}, journal={arXiv:2412.06410}, year={2024}}",
        status="deviates",
        deviates=(
            "In evaluation a threshold replaces the batch, a running mean of the smallest activation kept; the code "
            "that was read has none (the paper is said to have one, which was not checked).",
            "The decoder is normalised after each step, not before it.",
            "Batches of 512 states and a learning rate of 2e-3 (published: 4,096 and 3e-4), for minutes on a "
            "processor.",
        ),
    ),
    part=BatchTopKSpec(),
)
