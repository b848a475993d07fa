"""SMITH: documents as blocks of sentences; masked words within blocks, masked blocks within documents."""

from reknit.claim import ClaimCheck, Pair
from reknit.encoders.spec import TextEncoderSpec
from reknit.objectives.sentence_blocks import SentenceBlocksSpec
from reknit.recipe import Card, OptimiserSpec, Recipe
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit.sources.passages import PassageSpec

RECIPE = Recipe(
    card=Card(
        name="smith",
        title="Beyond 512 Tokens: Siamese Multi-depth Transformer-based Hierarchical Encoder for Long-Form Document "
        "Matching",
        year=2020,
        family="retrieval-embedding",
        capability="search",
        paper="https://arxiv.org/abs/2004.12297; code: https://github.com/google-research/google-research (smith)",
        adds="Masked sentence blocks: a second transformer over a document's block vectors must find the masked ones "
        "among those of the batch.",
        facts=(
            "Read in the authors' code (preprocessing_smith.py, layers.py, modeling.py, loss_fns.py, configs): blocks "
            "of 32 tokens, three of them special, filled with whole sentences, a longer one cut off; 15% of a block's "
            "tokens, 5 at most; a block's vector is BERT's pooled output through a ReLU layer, at length 1; two "
            "blocks of a document at least give way to a learned vector; the guess (3 layers of width 256, then "
            "dense, GELU, norm) is multiplied with all masked vectors of the batch; both sides learn; loss = words + "
            "blocks. Read of the paper: the abstract. From a reimplementation's notes: batch 32, Adam at 5e-5."
        ),
        claim="The hierarchical encoder with masked sentence blocks beats BERT for long documents and extends inputs "
        "from 512 to 2048 tokens.",
        citation="@inproceedings{yang2020beyond, title={Beyond 512 Tokens: Siamese Multi-depth Transformer-based "
        "Hierarchical Encoder for Long-Form Document Matching}, author={Yang, Liu and Zhang, Mingyang and Li, Cheng "
        "and Bendersky, Michael and Najork, Marc}, booktitle={CIKM}, year={2020}}",
        deviates=(
            "The block encoder alone is exported, and reads a document whole: pre-training has taught it the first 32 "
            "positions only, so it needs tuning on longer texts before it is used on them.",
            "A block's vector is the exported one (here the mean), at length 1, without the authors' dense layers.",
            "The rest of a long sentence continues in the next block. A fifth of a document's blocks are masked, one "
            "at least, drawn among those that exist; there is no bias for each place of the batch.",
            "A sentence end that the end of a block gives away is not predicted.",
            "Passages of 256 tokens and 4,096 tokens a step by default, about ten blocks a text: runs on a CPU. "
            "No Siamese tuning on pairs of documents; reknit's own tuning follows.",
        ),
        status="deviates",
    ),
    objective=SentenceBlocksSpec(),
    data=PassageSpec(max_length=256),
    encoder=TextEncoderSpec(pooling="mean"),
    optimiser=OptimiserSpec(learning_rate=1e-4, adam_beta2=0.999),
    check=ClaimCheck(
        experiment=PretrainingExperiment(eval=("sts/stsb_en", "retrieval/cranfield"), settings=("max_length=256",)),
        better=(
            Pair("smith", "smith:objective.blocks_weight=0.0"),
            Pair("smith", "mlm:objective.ratio=0.15"),
        ),
        measures="proxy",
        needs="Pairs of long documents, and a model that keeps the document transformer; texts have 256 tokens here.",
    ),
)
