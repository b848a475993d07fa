"""SSP: were these two spans taken from one paragraph? Asked beside masked language modelling of both."""

from dataclasses import replace

from reknit.claim import ClaimCheck, Pair
from reknit.objectives.related_texts import RelatedTextsSpec
from reknit.sources.pairs import PairSpec
from reknit_recipes.text_objective.rts import RECIPE as RTS

RECIPE = replace(
    RTS,
    card=replace(
        RTS.card,
        name="ssp",
        title="Structural Self-Supervised Objectives for Transformers: spans in the same paragraph",
        paper="https://arxiv.org/abs/2309.08272, part two; https://arxiv.org/abs/2205.10455",
        adds="Two spans are read as one text, and the encoder classifies whether they come from the same paragraph. "
        "Spans from elsewhere in its document are the hard negatives.",
        facts=(
            "Read: the abstract, and the authors' code of a sibling paper that makes the same pairs "
            "(github.com/amazon-science/wqa-multi-sentence-inference): a sentence, and one or two consecutive ones of "
            "its paragraph, before or behind it; up to 2 negatives of other paragraphs of the document, and others of "
            "other documents until there are 4; MLM is trained together with it; rate 1e-4. From memory: binary "
            "cross-entropy, both losses weigh the same."
        ),
        claim="Continued with SSP, SP or PSD, a model selects answer sentences better, above all with few labels.",
        deviates=(
            "A passage (of up to 160 words, cut between paragraphs where possible) stands for a paragraph.",
            "Hard negatives are the second spans of the document's other pairs in the batch: 4 of a document meet.",
            "The vector that is exported is asked (the mean here, [CLS] as published); one token type for both texts.",
            "It trains from the start instead of going on from BERT, RoBERTa or ELECTRA.",
            "A BERT-shaped encoder and 32 pairs a step by default: runs on a CPU.",
        ),
    ),
    objective=RelatedTextsSpec(),
    data=PairSpec(pair_kinds=("sentences",), pairs_per_batch=32, pairs_per_document=4),
    check=ClaimCheck(
        # Worse than no training may still be better than MLM: at the small size MLM loses similarity.
        better=(
            *(Pair(name, "mlm:objective.ratio=0.15") for name in ("ssp", "sp", "psd")),
            Pair("ssp", "untrained"),
        ),
        measures="proxy",
        needs="No answer sentences are selected by a model that reads both texts at once, as in the paper (WikiQA, "
        "TREC-QA, ASNQ): the vectors of single texts are measured after contrastive tuning; and at equal budget a pair "
        "with four negatives reads a text five times.",
    ),
)
