"""Training a tokenizer: deterministic, within the size asked for, never failing on a small corpus."""

import hashlib
import os
import random
import subprocess
import sys

import pytest

from reknit.errors import ReknitError
from reknit.tokenizers.tokenizer import train_tokenizer


def corpus(words: int = 3000) -> list[str]:
    rng = random.Random(0)
    syllables = [a + b for a in "bdfgklmnprst" for b in ("a", "e", "i", "o", "u", "an", "er")]
    vocabulary = ["".join(rng.choices(syllables, k=rng.randrange(1, 4))) for _ in range(400)]
    return [" ".join(rng.choices(vocabulary, k=10)).capitalize() + "." for _ in range(words // 10)]


def digest(tokenizer) -> str:
    return hashlib.md5(str(sorted(tokenizer.hf.get_vocab().items())).encode()).hexdigest()


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_one_corpus_gives_one_vocabulary_in_every_process(family):
    expected = digest(train_tokenizer(corpus(), 500, family=family))
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_tokenizer_training import corpus, digest; from reknit.tokenizers.tokenizer import train_tokenizer\n"
        f"print(*[digest(train_tokenizer(iter(corpus()), 500, family={family!r})) for _ in range(3)])"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "5"}
    folder = os.path.dirname(__file__)
    run = subprocess.run(
        [sys.executable, "-c", code, folder], capture_output=True, text=True, check=True, env=environment
    )
    assert run.stdout.split() == [expected] * 3


@pytest.mark.slow
def test_the_rust_trainer_alone_would_not_be_deterministic():
    """Why training.py hands over the alphabet; when this fails, that can go."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    def train() -> str:
        rust = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        rust.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        rust.train_from_iterator(corpus(), trainers.WordPieceTrainer(vocab_size=500, show_progress=False))
        return str(sorted(rust.get_vocab().items()))

    assert len({train() for _ in range(5)}) > 1


@pytest.mark.parametrize("size", [7, 12, 40, 200, 500])
def test_wordpiece_is_never_larger_than_asked_for(size):
    tokenizer = train_tokenizer(corpus(), size)
    assert tokenizer.vocabulary.size <= size
    assert tokenizer.vocabulary.size == size or size < 40, "and uses its room where the corpus supports it"
    rows = sorted(tokenizer.hf.get_vocab().values())
    assert rows == list(range(tokenizer.vocabulary.size)), "without holes"
    ids = tokenizer.encode_batch(corpus()[:20], 64)
    assert max(text.tokens.max() for text in ids) < size


@pytest.mark.parametrize("texts", [[], [""], ["a"], ["a b"], ["\ud800"], ["日本語"], ["x" * 5000]])
@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_tiny_corpora_give_small_vocabularies(texts, family):
    tokenizer = train_tokenizer(texts, 8000, family=family)
    assert 6 <= tokenizer.vocabulary.size < 300
    assert len(tokenizer.encode_batch(["a b [MASK]"], 16)[0].tokens) >= 3


def test_known_text_has_no_unknown_tokens_and_case_is_kept_when_asked():
    for lowercase in (True, False):
        tokenizer = train_tokenizer(corpus(), 500, lowercase=lowercase)
        unknown = tokenizer.hf.unk_token_id
        assert not any((text.tokens == unknown).any() for text in tokenizer.encode_batch(corpus(), 64))
        first = corpus()[0].split()[0]
        tokens = [text.tokens.tolist() for text in tokenizer.encode_batch([first, first.lower()], 16)]
        assert (tokens[0] == tokens[1]) == lowercase


def test_frequent_words_become_one_piece():
    tokenizer = train_tokenizer(["retrieval of passages"] * 50 + corpus(), 500)
    assert len(tokenizer.encode_batch(["retrieval of passages"], 16)[0].tokens) == 5


def test_byte_level_bpe_knows_every_character():
    tokenizer = train_tokenizer(corpus(), 400, family="modernbert", lowercase=False)
    text = "Ünïcode ☕ 日本語 \t tabs"
    assert tokenizer.decode(tokenizer.encode_batch([text], 99)[0].tokens) == text


def test_bad_requests():
    with pytest.raises(ReknitError, match="at least 7 rows, got 6"):
        train_tokenizer(corpus(), 6)
    with pytest.raises(ReknitError, match="at least 261 rows, got 100"):
        train_tokenizer(corpus(), 100, family="modernbert")
    with pytest.raises(ReknitError, match="family 't5'"):
        train_tokenizer(corpus(), 100, family="t5")
