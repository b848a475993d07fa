"""CodeT5: an encoder and a decoder that write source code again, find its identifiers and guess them."""

from reknit.claim import ClaimCheck, Pair
from reknit.encoders.spec import TextEncoderSpec
from reknit.objectives.identifier_aware import IdentifierAwareSpec
from reknit.recipe import Card, OptimiserSpec, Recipe
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit.sources.passages import PassageSpec

RECIPE = Recipe(
    card=Card(
        name="codet5",
        title="CodeT5: Identifier-aware Unified Pre-trained Encoder-Decoder Models for Code Understanding and "
        "Generation",
        year=2021,
        family="text-objective",
        capability="pretrain",
        paper="https://arxiv.org/abs/2109.00859; code: https://github.com/salesforce/CodeT5",
        adds="Identifiers as a kind of token: besides restoring masked spans, the encoder classifies which tokens "
        "belong to an identifier, and the decoder restores identifiers that are masked at all their occurrences.",
        facts=(
            "Read in the paper's section 3 (a public copy): 15%, spans of 1 to 5 tokens (3 on average) of whole words; "
            "binary cross-entropy on the encoder's last states; all identifiers masked, a sentinel for each, which "
            "the decoder names; the three losses in turns with equal probability; dual generation afterwards. In the "
            "authors' repository: a byte-level BPE of 32,000 tokens (train_tokenizer.py); its pre-training code is not "
            "public. From memory: T5's layers, 100 epochs on CodeSearchNet with C and C#."
        ),
        claim="Knowing identifiers improves the understanding and the generation of code; each of the tasks helps.",
        citation="@inproceedings{wang2021codet5, title={CodeT5: Identifier-aware Unified Pre-trained Encoder-Decoder "
        "Models for Code Understanding and Generation}, author={Wang, Yue and Wang, Weishi and Joty, Shafiq and Hoi, "
        "Steven C.H.}, booktitle={EMNLP}, year={2021}}",
        deviates=(
            "No sentinels: a mask token for each span or masked token, and the decoder writes the whole clean text.",
            "Half of a text's identifiers are masked, not all: with one mask token for all of them, which are the same "
            "can only be told from what stays. Occurrences are known by equal tokens.",
            "Spans have Poisson's lengths and may cut words.",
            "Python only, by its own tokeniser and a regular expression, not by syntax trees; no dual generation.",
            "BERT's encoder and BART's decoder instead of T5's layers; the tokenizer is the run's; the encoder alone "
            "is exported; passages of 128 tokens and 4,096 tokens a step by default: runs on a CPU.",
        ),
        status="deviates",
    ),
    objective=IdentifierAwareSpec(),
    data=PassageSpec(tagger="code"),
    encoder=TextEncoderSpec(pooling="mean"),
    optimiser=OptimiserSpec(learning_rate=2e-4, adam_beta2=0.999),
    check=ClaimCheck(
        experiment=PretrainingExperiment(
            corpus="retrieval/cosqa/corpus.jsonl", eval=("retrieval/cosqa",), settings=("corpus_share=1.0",)
        ),
        better=(
            Pair("codet5", "codet5:objective.tagging_weight=0.0:objective.identifiers_weight=0.0"),
            Pair("codet5", "mlm"),
        ),
        measures="proxy",
        needs="Millions of functions in eight languages; here 6,267 of Python, and search by a question is all that is "
        "measured, no generation.",
    ),
)
