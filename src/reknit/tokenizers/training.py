"""Training a tokenizer from a corpus.

The Rust trainer of WordPiece numbers the continuing characters ("##a") in the order of a hash map, and breaks ties
between merges by those numbers: two runs on one corpus give two vocabularies. Here the alphabet is counted beforehand
and handed to the trainer in sorted order, so that a corpus has one vocabulary.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import IO, Any

from reknit.errors import ReknitError

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# By the encoder's family. One character needs two rows of a WordPiece vocabulary: as the first of a word, and as a
# continuation; a byte-level one has all bytes.
LEAST_VOCABULARY = {"bert": len(SPECIAL_TOKENS) + 2, "modernbert": len(SPECIAL_TOKENS) + 256}
MAX_ALPHABET = 1000
MAX_COUNTED_WORDS = 2_000_000
MODEL_MAX_LENGTH = 512


def train_wordpiece(texts: Iterable[str], vocabulary: int, *, lowercase: bool) -> Any:
    """A transformers BertTokenizer with a WordPiece vocabulary of at most `vocabulary` rows. Reads `texts` once."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import BertTokenizer

    _check_size(vocabulary, LEAST_VOCABULARY["bert"])
    rust = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    rust.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    rust.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as spool:
        words = _count_words(texts, rust.normalizer, spool)
        first, continuing = _alphabet(words, rust.pre_tokenizer, vocabulary - len(SPECIAL_TOKENS))
        trainer = trainers.WordPieceTrainer(
            vocab_size=vocabulary,
            min_frequency=2,
            special_tokens=[*SPECIAL_TOKENS, *(f"##{character}" for character in continuing)],
            initial_alphabet=first,
            limit_alphabet=len(first),
            show_progress=False,
        )
        if first:
            rust.train_from_iterator(_spooled(spool), trainer)
    pieces = rust.get_vocab() if first else {token: row for row, token in enumerate(SPECIAL_TOKENS)}
    # At least one row must not be special, or nothing could be predicted or drawn at random.
    if len(pieces) == len(SPECIAL_TOKENS):
        pieces["a"] = len(pieces)
    return BertTokenizer(vocab=pieces, do_lower_case=lowercase, model_max_length=MODEL_MAX_LENGTH)


def train_byte_level(texts: Iterable[str], vocabulary: int, *, lowercase: bool) -> Any:
    """A byte-level BPE tokenizer with BERT's special tokens, as ModernBERT has. Reads `texts` once."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    _check_size(vocabulary, LEAST_VOCABULARY["modernbert"])
    rust = Tokenizer(models.BPE())
    rust.normalizer = normalizers.Sequence([normalizers.NFC(), *([normalizers.Lowercase()] if lowercase else [])])
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        # The space before a word is part of its first piece here, so a masked word must swallow it, as in ModernBERT.
        special_tokens=[AddedToken(token, lstrip=token == "[MASK]", special=True) for token in SPECIAL_TOKENS],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    rust.train_from_iterator(map(_unicode, texts), trainer)
    rust.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, rust.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=rust,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token=AddedToken("[MASK]", lstrip=True, special=True),
        model_max_length=MODEL_MAX_LENGTH,
        model_input_names=["input_ids", "attention_mask"],
    )


def _check_size(vocabulary: int, least: int) -> None:
    if vocabulary < least:
        raise ReknitError(f"a vocabulary needs at least {least} rows, got {vocabulary}; ask for a larger one")


def _count_words(texts: Iterable[str], normalizer: Any, spool: IO[str]) -> Counter[str]:
    """Count the words between white space, and spool the texts for the trainer, which needs the alphabet first."""
    words: Counter[str] = Counter()
    for text in texts:
        clean = _unicode(text)
        spool.write(json.dumps(clean) + "\n")
        words.update(normalizer.normalize_str(clean).split())
        if len(words) > MAX_COUNTED_WORDS:
            words = Counter({word: count for word, count in words.items() if count > 1})
    return words


def _spooled(spool: IO[str]) -> Iterator[str]:
    spool.seek(0)
    return (json.loads(line) for line in spool)


def _alphabet(words: Counter[str], pre_tokenizer: Any, room: int) -> tuple[list[str], list[str]]:
    """The most frequent characters, and those of them that continue a word; at most half the rows go to the two."""
    every: Counter[str] = Counter()
    continuing: Counter[str] = Counter()
    for word, count in words.items():
        for piece, _ in pre_tokenizer.pre_tokenize_str(word):
            for character in piece:
                every[character] += count
            for character in piece[1:]:
                continuing[character] += count
    ranked = sorted(every, key=lambda character: (-every[character], character))
    first = ranked[: min(MAX_ALPHABET, max(1, room // 4))]
    return sorted(first), sorted(set(first) & set(continuing))


def _unicode(text: str) -> str:
    """The text without halves of surrogate pairs, which are not Unicode text and which Rust refuses."""
    return text.encode("utf-8", "replace").decode("utf-8")
