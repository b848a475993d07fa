"""Gated linear attention: a layer whose memory decays as the text says, at a cost that grows with the length alone."""

from reknit.claim import Bound, ClaimCheck, Pair
from reknit.encoders.mixers.named import MixerPart
from reknit.recipe import Card, Method
from reknit.research.length.experiment import BYTES, EXACT, LOSS, RECALL, SECONDS, LengthExperiment

SYSTEM = Method(
    card=Card(
        name="gla",
        title="Gated Linear Attention Transformers with Hardware-Efficient Training",
        year=2023,
        family="backbone",
        capability="mixers",
        paper="https://arxiv.org/abs/2312.06635; code: https://github.com/sustcsonglin/flash-linear-attention",
        adds="Linear attention with a decay for each dimension of the key, computed from the token, in a chunked form.",
        facts="Read: the abstract, the authors' layer (fla/layers/gla.py) and recurrence (fla/ops/gla/naive.py). "
        "S_t = diag(alpha_t) S_(t-1) + k_t v_t, o_t = q_t S_t, queries over the root of their width; alpha = "
        "sigmoid(W2 W1 x + b)^(1/16) through 16 dimensions, b only behind W2, 0 at first; keys of half the width, "
        "values of all of it, 4 heads; output normed by head (RMSNorm in the code) and gated by swish. Not read: the "
        "paper's text, its kernels and training settings.",
        claim="Competitive with attention and Mamba as a language model of moderate size, good at recall and at "
        "lengths beyond those trained on, at a cost that is linear in the length.",
        citation="@inproceedings{yang2024gla, title={Gated Linear Attention Transformers with Hardware-Efficient "
        "Training}, author={Yang, Songlin and Wang, Bailin and Shen, Yikang and Panda, Rameswar and Kim, Yoon}, "
        "booktitle={ICML}, year={2024}}",
        deviates=(
            "In BERT's block: norms behind each sublayer, GELU, learned positions, biases in the projections and "
            "normal initial weights, where the authors have LLaMA's block without positions; so no text is longer than "
            "the position table, and lengths beyond it are not claimed.",
            "A bidirectional encoder reads a text a second time from its end, with the same weights and decays, and "
            "adds both: a token counts itself twice. After clm the exported model does so too.",
            "Chunks of 64 tokens are halved down to single tokens, by matrix products whose exponents are never above "
            "0; the paper has one level of blocks below the chunk, and kernels for a GPU.",
            "Decays stronger than exp(-20) a token are taken for exp(-20).",
            "Recall is of a generated world in which one token binds a key to a value; language is not measured.",
        ),
        status="deviates",
    ),
    part=MixerPart(mixer="gla"),
    check=ClaimCheck(
        experiment=LengthExperiment(),
        better=(
            Pair("gla", "linear", RECALL),
            Pair("gla", "retention", RECALL),
            Pair("gla", "linear", LOSS),
            Pair("gla", "retention", LOSS),
            Pair("gla", "attention", SECONDS, at_least=2.0),
        ),
        no_worse=(Pair("gla", "attention", RECALL, margin=0.05),),
        bounds=(Bound("gla", EXACT, 1e-4), Bound("gla", SECONDS, 1.5), Bound("gla", BYTES, 1.2)),
        measures="mechanism",
        needs="Language modelling at 340 million weights, Mamba, and texts longer than those trained on.",
    ),
)
