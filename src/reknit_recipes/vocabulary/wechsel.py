"""WECHSEL: new tokens begin as means of the old tokens with a similar meaning, also in another language."""

from reknit.claim import Bound, ClaimCheck, Pair
from reknit.recipe import Card, Method
from reknit.research.vocabulary.experiment import FRACTION, LOSS, GermanTransfer
from reknit.vocabulary.wechsel import Wechsel

SYSTEM = Method(
    card=Card(
        name="wechsel",
        title="WECHSEL: Effective initialization of subword embeddings for cross-lingual transfer of monolingual "
        "language models",
        year=2022,
        family="tokenizer-vocabulary",
        capability="vocabulary",
        paper="https://arxiv.org/abs/2112.06598",
        adds="Embeddings of new tokens are softmax-weighted means of those of the nearest old tokens, by static word "
        "vectors of both languages in one space.",
        facts=(
            "Read: the authors' code (CPJKU/wechsel at 395e3d4). A piece's vector is fastText's of its n-grams, or the "
            "mean of the words that contain it, weighted by frequency, words cut with and without a space before them; "
            "orthogonal Procrustes on a bilingual dictionary; softmax(cosine / 0.1) over the 10 nearest old tokens; no "
            "vector: a draw from a normal distribution with each column's mean and deviation; special tokens copied; a "
            "separate output table likewise. Read of the paper: abstract and introduction. Not read: its training "
            "settings."
        ),
        claim="Models transferred in this way beat random new rows and training from scratch, with up to 64 times less "
        "training.",
        citation="@inproceedings{minixhofer2022wechsel, title={WECHSEL: Effective initialization of subword embeddings "
        "for cross-lingual transfer of monolingual language models}, author={Minixhofer, Benjamin and Paischer, Fabian "
        "and Rekabsaz, Navid}, booktitle={NAACL}, year={2022}}",
        deviates=(
            "Static vectors are trained on the user's texts (PPMI and SVD) instead of fastText's of Common Crawl, and "
            "have length 1 before they are aligned; a piece's vector is always the mean of the words that contain it.",
            "Words are aligned by the user's translations, or word pairs found in parallel sentences, and words that "
            "both languages write alike; the authors bring dictionaries.",
            "Old tokens without a vector are never neighbours (in the authors' code they have cosine 0).",
            "Where the corpus is of the model's own language there is one space of vectors and nothing to align, and "
            "tokens that both tokenizers have keep their rows (--set shared=false for the paper's way).",
            "Special tokens are matched by their part ([CLS]) instead of their spelling.",
        ),
        status="deviates",
    ),
    check=ClaimCheck(
        experiment=GermanTransfer(),
        better=(
            Pair("wechsel", "random", LOSS),
            Pair("wechsel", "scratch", LOSS),
            Pair("wechsel", "shuffled-wechsel", LOSS),
        ),
        bounds=(Bound("wechsel", FRACTION, at_most=0.25),),
        measures="claim",
        start="masked-en",
        needs="A start trained for days, texts without translations, and downstream tasks.",
    ),
    part=Wechsel(),
)
