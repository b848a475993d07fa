"""UniXcoder: one transformer as encoder, decoder and both, and vectors of code by contrast."""

from reknit.claim import ClaimCheck, Pair
from reknit.encoders.spec import TextEncoderSpec
from reknit.objectives.unified_modes import UnifiedModesSpec
from reknit.recipe import Card, OptimiserSpec, Recipe
from reknit.research.pretraining.experiment import PretrainingExperiment

RECIPE = Recipe(
    card=Card(
        name="unixcoder",
        title="UniXcoder: Unified Cross-Modal Pre-training for Code Representation",
        year=2022,
        family="text-objective",
        capability="pretrain",
        paper="https://arxiv.org/abs/2203.03850; code: https://github.com/microsoft/CodeBERT/tree/master/UniXcoder",
        adds="One transformer is an encoder, a decoder or both, depending on its attention mask: it predicts masked "
        "words bidirectionally, next tokens from left to right, and the clean text after a corrupted one. In "
        "addition, texts are contrasted by their mean vectors.",
        facts=(
            "Read in the authors' repository: UniXcoder/unixcoder.py (RoBERTa's shape; a mode token between [CLS] and "
            "[SEP] before the text; one mask, full or lower triangular, what is generated seeing the source and itself "
            "to the left; logits by the tied embedding table; the mean over tokens as the vector), its README.md (a "
            "first model on C4 and code without comments, then pairs of code and comment of CodeSearchNet in six "
            "languages) and downstream-tasks/zero-shot-search/model.py (mean, then length 1). Its pre-training code is "
            "not public. In the abstract (a public copy): masks with prefixes, a one-to-one flattening of syntax "
            "trees, contrast, generation of comments. From memory of section 3, not read again: 15% masked tokens, 15% "
            "of the tokens in spans of 5 on average, pairs by two dropout masks with the batch as negatives; 12 "
            "layers, 1,024 tokens. The temperature is SimCSE's."
        ),
        claim="One model with three attention modes, contrast and several losses is the best at zero-shot code search; "
        "each part adds.",
        citation="@inproceedings{guo2022unixcoder, title={UniXcoder: Unified Cross-Modal Pre-training for Code "
        "Representation}, author={Guo, Daya and Lu, Shuai and Duan, Nan and Wang, Yanlin and Zhou, Ming and Yin, "
        "Jian}, booktitle={ACL}, year={2022}}",
        deviates=(
            "Text as it stands: no syntax trees, and no comments as a part of their own, so no generation of comments.",
            "No mode prefix: the attention mask alone tells the modes apart, and no token joins the vocabulary.",
            "One mask token for all spans, and behind the damaged text the whole clean text is written, not the spans "
            "alone; spans have Poisson's lengths.",
            "A text that does not fit twice into the encoder's positions is written again only as far as half of them "
            "reach.",
            "One task a step, each as likely as any other; all from the first step on, not one model trained after "
            "another. BERT's head (a dense layer and a norm) before the tied table.",
            "A tokenizer and a small encoder of the run's own; passages of 128 tokens and 4,096 tokens a step by "
            "default: runs on a CPU.",
        ),
        status="deviates",
    ),
    objective=UnifiedModesSpec(),
    encoder=TextEncoderSpec(pooling="mean"),
    optimiser=OptimiserSpec(learning_rate=2e-4, adam_beta2=0.999),
    check=ClaimCheck(
        experiment=PretrainingExperiment(
            corpus="retrieval/cosqa/corpus.jsonl", eval=("retrieval/cosqa",), settings=("corpus_share=1.0",)
        ),
        better=(Pair("unixcoder", "mlm"), Pair("unixcoder", "unixcoder:objective.contrastive_weight=0.0")),
        measures="proxy",
        needs="Millions of functions with comments in six languages, and code to be found by code; here 6,267 of "
        "Python, and search by a question is all that is measured.",
    ),
)
