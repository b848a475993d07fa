"""Tokenizers: loaded from any model with a fast (Rust) tokenizer, used on whole batches without a loop over tokens."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from reknit.data.batch import Batch, Vocabulary, counted_spans
from reknit.data.text.taggers import TaggerName, span_numbers, tagger_named
from reknit.errors import ReknitError
from reknit.jobs.quiet import quiet_libraries
from reknit.tokenizers.files import TokenizerFacts, facts_of, read_facts
from reknit.tokenizers.training import train_byte_level, train_wordpiece

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import PreTrainedTokenizerFast

TEXTS_PER_CHUNK = 1000
_VOCABULARY_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model", "tekken.json")
_WORD_MARKS = ("▁", "Ġ")
_SENTENCE_ENDS = tuple(mark + end for mark in ("", *_WORD_MARKS) for end in ".!?。！？")


@dataclass(frozen=True, slots=True)
class TokenisedText:
    """One text as tokens: tokens [L] int64, special [L] bool, word_starts [L] bool (see `Batch`).

    tagged: [L] int64, number of the tagged span that each token is in, -1 for none; None without a tagger.
    """

    tokens: np.ndarray
    special: np.ndarray
    word_starts: np.ndarray
    tagged: np.ndarray | None = None


class Tokenizer:
    """A fast Hugging Face tokenizer as corruptions and encoders need it.

    vocabulary: what corruptions and heads must know. is_special: [vocabulary] bool, of each token. `hf` is the
    tokenizer that is saved with the model; reknit encodes with a copy of its Rust part, so that padding and truncation
    set by other code never reach it.
    """

    def __init__(self, hf: PreTrainedTokenizerFast):
        if not getattr(hf, "is_fast", False):
            raise ReknitError("this tokenizer has no fast (Rust) form; reknit needs one with a tokenizer.json")
        self._hf: PreTrainedTokenizerFast | None = hf
        self._folder: Path | None = None
        # A tokenizer.json may carry a fixed padding or truncation (all-MiniLM-L6-v2 has both): never wanted.
        self._take(facts_of(hf))

    def _take(self, facts: TokenizerFacts) -> None:
        self._rust, self._facts = facts.rust, facts
        self.vocabulary = _vocabulary(facts)
        self._num_added = self._rust.num_special_tokens_to_add(False)
        rows = np.zeros(self.vocabulary.size, dtype=bool)
        rows[list(self.vocabulary.special)] = True
        self.is_special = rows
        self._starts_word = None if _pre_tokenizer_knows_words(self._rust) else _marked_rows(self._rust, rows.size)

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Load from a local folder or a hub id.

        Raises ReknitError when there is no tokenizer, when it cannot be read or downloaded, or when it has no fast
        form. Code from the repository is never run, and transformers is not imported where the files speak for
        themselves.
        """
        folder = Path(path)
        if folder.is_dir() and not any(any(folder.glob(pattern)) for pattern in _VOCABULARY_FILES):
            raise ReknitError(f"{folder} holds no tokenizer (no tokenizer.json, vocabulary or *.model file)")
        if folder.is_file():
            raise ReknitError(f"{folder} is a file; give the folder that holds tokenizer.json")
        facts = read_facts(folder)
        if facts is None:
            return cls(_load_with_transformers(path))
        tokenizer = cls.__new__(cls)
        tokenizer._hf, tokenizer._folder = None, folder
        tokenizer._take(facts)
        return tokenizer

    @property
    def hf(self) -> PreTrainedTokenizerFast:
        """The transformers tokenizer, for export and for parity checks."""
        if self._hf is None:
            assert self._folder is not None
            self._hf = _load_with_transformers(self._folder)
            facts_of(self._hf)
        return self._hf

    @property
    def mask_token(self) -> str:
        """The mask token as text; empty when the tokenizer has none."""
        return self._facts.mask_token if self.vocabulary.mask >= 0 else ""

    def save(self, folder: str | Path) -> None:
        """Write tokenizer.json and tokenizer_config.json, as transformers and sentence-transformers load them."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        # Code that shares `hf` may have switched padding on since; an exported tokenizer must not pad by itself.
        self.hf.backend_tokenizer.no_padding()
        self.hf.backend_tokenizer.no_truncation()
        self.hf.save_pretrained(str(folder))
        config = Path(folder, "tokenizer_config.json")
        fields = json.loads(config.read_text(encoding="utf-8"))
        if fields.get("tokenizer_class") == "TokenizersBackend":
            # The name that transformers 4 and most servers know for the same class.
            fields["tokenizer_class"] = "PreTrainedTokenizerFast"
            config.write_text(json.dumps(fields, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def decode(self, ids: Sequence[int] | np.ndarray | torch.Tensor) -> str:
        """Token ids back to text, without special tokens."""
        text: str = self._rust.decode([int(token) for token in ids], skip_special_tokens=True)
        return text

    def encode_batch(
        self, texts: Sequence[str], max_length: int | Sequence[int], *, tagger: TaggerName = "none"
    ) -> list[TokenisedText]:
        """Tokenise texts, special tokens added, each truncated to `max_length` tokens (one number, or one per text)."""
        result: list[TokenisedText] = []
        for lengths, *arrays in self._flat_chunks(texts, max_length, tagger):
            cuts = np.cumsum(lengths)[:-1]
            parts = (np.split(array, cuts) for array in arrays)
            result.extend(TokenisedText(*one) for one in zip(*parts, strict=True))
        return result

    def pack(
        self,
        texts: Sequence[str],
        max_length: int | Sequence[int],
        *,
        sequences_per_example: int = 1,
        groups: torch.Tensor | None = None,
        tagger: TaggerName = "none",
    ) -> Batch:
        """Tokenise texts into one packed batch; tagger: whose spans are marked, other arguments as in `Batch`."""
        if len(texts) == 0:
            raise ReknitError("there is nothing to tokenise: no texts were given")
        chunks = list(self._flat_chunks(texts, max_length, tagger))
        lengths, *arrays = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
        tokens, special, word_starts, *tagged = map(torch.from_numpy, arrays)
        cu_seqlens = torch.from_numpy(np.concatenate(([0], np.cumsum(lengths))))
        return Batch(
            tokens=tokens,
            cu_seqlens=cu_seqlens,
            special=special,
            word_starts=word_starts,
            vocabulary=self.vocabulary,
            sequences_per_example=sequences_per_example,
            groups=groups,
            tagged=counted_spans(tagged[0], cu_seqlens) if tagged else None,
        )

    def spans(self, text: str, max_length: int) -> np.ndarray:
        """[L, 2] int64: of each token that `encode_batch` makes of the text, where its characters begin and end in it;
        the same place twice for a token that was added."""
        encoding = self._encodings([text], 0)[0]
        added = np.array(encoding.special_tokens_mask, dtype=bool)
        total = np.array([len(added)])
        keep = added | self._within(~added, np.zeros(len(added), dtype=np.int64), total, np.array([max_length]))
        spans: np.ndarray = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)[keep]
        return spans

    def _flat_chunks(
        self, texts: Sequence[str], max_length: int | Sequence[int], tagger: TaggerName
    ) -> Iterator[tuple[np.ndarray, ...]]:
        """The lengths, and on one flat axis (tokens, special, word_starts) and with a tagger the numbers of spans, for
        about 1000 texts at a time."""
        limits = np.broadcast_to(np.asarray(max_length, dtype=np.int64), (len(texts),))
        if limits.size and limits.min() <= self._num_added:
            raise ReknitError(f"max_length must be above the {self._num_added} special tokens, got {limits.min()}")
        spans_of = tagger_named(tagger)
        for start in range(0, len(texts), TEXTS_PER_CHUNK):
            stop = start + TEXTS_PER_CHUNK
            encodings, numbers = self._encodings(texts[start:stop], start), None
            if spans_of is not None:
                pairs = zip(encodings, texts[start:stop], strict=True)
                numbers = np.concatenate([span_numbers(each.offsets, spans_of(text)) for each, text in pairs])
            yield self._flatten(encodings, limits[start:stop], numbers)

    def _encodings(self, texts: Sequence[str], start: int) -> list[Encoding]:
        for number, text in enumerate(texts, start):
            if not isinstance(text, str):
                raise ReknitError(f"text number {number} is of type {type(text).__name__}, not str")
        try:
            if len(texts) == 1:  # without waking the tokenizer's threads, which a single query would wait for
                return [self._rust.encode(texts[0])]
            encodings: list[Encoding] = self._rust.encode_batch(list(texts))
            return encodings
        except (UnicodeEncodeError, TypeError):
            # Half of a surrogate pair, as broken JSON escapes leave it, is not Unicode text.
            repaired: list[Encoding] = self._rust.encode_batch(
                [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
            )
            return repaired

    def _flatten(
        self, encodings: list[Encoding], limits: np.ndarray, numbers: np.ndarray | None
    ) -> tuple[np.ndarray, ...]:
        """As `_flat_chunks` says; numbers: [T] of all tokens, before they are truncated."""
        lists = [encoding.ids for encoding in encodings]
        lengths = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
        total = int(lengths.sum())
        tokens = np.fromiter(chain.from_iterable(lists), dtype=np.int64, count=total)
        added = np.fromiter(chain.from_iterable(e.special_tokens_mask for e in encodings), dtype=bool, count=total)
        # Tokens of no word have None there, which numpy reads as not-a-number: unequal to everything, itself included.
        words = np.fromiter(chain.from_iterable(e.word_ids for e in encodings), dtype=np.float64, count=total)
        sequence = np.repeat(np.arange(len(lists)), lengths)

        keep = added | self._within(~added, sequence, lengths, limits)
        if not keep.all():
            tokens, added, words, sequence = tokens[keep], added[keep], words[keep], sequence[keep]
            lengths = np.bincount(sequence, minlength=len(lists))
            numbers = None if numbers is None else numbers[keep]

        special = added | self.is_special[tokens]
        starts = np.ones(len(tokens), dtype=bool)
        starts[1:] = (words[1:] != words[:-1]) | (sequence[1:] != sequence[:-1])
        if self._starts_word is not None:
            starts |= self._starts_word[tokens]
        # A mask token that the text itself holds may stand within a span.
        tagged = () if numbers is None else (np.where(special, -1, numbers),)
        return lengths, tokens, special, starts | special, *tagged

    def _within(self, content: np.ndarray, sequence: np.ndarray, lengths: np.ndarray, limits: np.ndarray) -> np.ndarray:
        """[T] bool: content tokens that fit within each sequence's limit beside its special tokens.

        Truncating here rather than in the Rust tokenizer keeps that one free of state, so threads may share it.
        """
        count = np.bincount(sequence, weights=content, minlength=len(lengths)).astype(np.int64)
        room = (limits - (lengths - count))[sequence]
        rank = np.cumsum(content) - (np.cumsum(count) - count)[sequence]
        if (self._hf or self._facts).truncation_side == "left":
            rank = count[sequence] - rank + 1
        within: np.ndarray = content & (rank <= room)
        return within


def train_tokenizer(
    texts: Iterable[str], vocabulary: int, *, family: Literal["bert", "modernbert"] = "bert", lowercase: bool = True
) -> Tokenizer:
    """Train a tokenizer on texts, which are read once; the same texts always give the same tokenizer.

    family "bert": WordPiece (https://arxiv.org/abs/1609.08144); "modernbert": byte-level BPE. Both have the special
    tokens [PAD] [UNK] [CLS] [SEP] [MASK]. vocabulary: rows at most; a small corpus supports fewer. Raises ReknitError
    when `vocabulary` cannot even hold the special tokens and an alphabet.
    """
    train = {"bert": train_wordpiece, "modernbert": train_byte_level}.get(family)
    if train is None:
        raise ReknitError(f"no tokenizer can be trained for the family {family!r}; choose bert or modernbert")
    return Tokenizer(train(texts, vocabulary, lowercase=lowercase))


def _load_with_transformers(path: str | Path) -> Any:
    from transformers import AutoTokenizer

    try:
        # It warns of model types that it does not know; reknit's own is one.
        with quiet_libraries():
            return AutoTokenizer.from_pretrained(str(path), use_fast=True, trust_remote_code=False)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        where = "cannot be read" if Path(path).is_dir() else "is no local folder and could not be loaded from the hub"
        raise ReknitError(f"the tokenizer of {path} {where}: {reason}") from error


def _vocabulary(facts: TokenizerFacts) -> Vocabulary:
    """cls and sep are read off an encoded text: what the tokenizer names so, but does not add, would mislead."""
    rust = facts.rust
    size = max(rust.get_vocab(with_added_tokens=True).values(), default=-1) + 1
    added = {token for token, fields in rust.get_added_tokens_decoder().items() if fields.special}
    special = sorted(added | set(facts.special_ids))
    if size <= len(special):
        raise ReknitError("the tokenizer has no vocabulary besides its special tokens; its files are incomplete")
    probe = rust.encode("a")
    first, last = (probe.special_tokens_mask[0], probe.special_tokens_mask[-1]) if probe.ids else (0, 0)
    return Vocabulary(
        size=size,
        pad=facts.pad,
        mask=facts.mask,
        cls=probe.ids[0] if first else -1,
        sep=probe.ids[-1] if last else -1,
        special=tuple(special),
        sentence_ends=tuple(sorted(row for piece in _SENTENCE_ENDS if (row := rust.token_to_id(piece)) is not None)),
    )


def _pre_tokenizer_knows_words(rust: Any) -> bool:
    """False for tokenizers that cut no words before their model (Llama, Gemma): their word ids are all alike."""
    words = rust.encode("one two three", add_special_tokens=False).word_ids
    return len(set(words)) >= 3


def _marked_rows(rust: Any, size: int) -> np.ndarray:
    """[vocabulary] bool: pieces that begin with the mark that stands for a space."""
    rows = np.zeros(size, dtype=bool)
    rows[[row for piece, row in rust.get_vocab().items() if piece.startswith(_WORD_MARKS)]] = True
    return rows
