"""The token store against the tokenizer itself."""

import json
import random

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reknit.data.batch import Batch, Vocabulary
from reknit.errors import ReknitError
from reknit.sources.token_store import TEXTS_PER_CHUNK, TokenStore
from reknit.tokenizers.tokenizer import TokenisedText, Tokenizer, train_tokenizer

WORDS = ["the", "quick", "unbelievable", "brown", "[MASK]", "fox", "jumps."]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(["the quick brown unbelievable fox jumps."] * 9, 120)


def some_texts(count: int) -> list[str]:
    rng = random.Random(0)
    return [" ".join(rng.choices(WORDS, k=rng.randrange(12))) for _ in range(count)]


def assert_equal(one: Batch, two: Batch) -> None:
    for name in ("tokens", "cu_seqlens", "special", "word_starts"):
        assert torch.equal(getattr(one, name), getattr(two, name)), name
        assert getattr(one, name).dtype == getattr(two, name).dtype
    assert one.vocabulary == two.vocabulary


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), min_size=1, max_size=12),
    max_length=st.integers(3, 20),
    data=st.data(),
)
def test_a_batch_is_what_packing_the_texts_gives(tmp_path, tokenizer, texts, max_length, data):
    store = TokenStore.build(texts, tokenizer, tmp_path / "store", max_length=max_length)
    indices = data.draw(st.lists(st.integers(0, len(texts) - 1), min_size=1, max_size=15))
    chosen = [texts[index] for index in indices]
    assert_equal(store.batch(indices), tokenizer.pack(chosen, max_length))
    # The slow way: one sequence at a time.
    assert_equal(store.batch(indices), Batch.pack([store.sequence(index) for index in indices], store.vocabulary))
    assert store.lengths.tolist() == [len(text.tokens) for text in tokenizer.encode_batch(texts, max_length)]


def test_a_store_of_several_chunks_opens_again(tmp_path, tokenizer):
    texts = some_texts(2 * TEXTS_PER_CHUNK + 7)
    TokenStore.build(iter(texts), tokenizer, tmp_path / "store", max_length=16)
    store = TokenStore.open(tmp_path / "store")
    assert len(store) == len(texts)
    assert (store.max_length, store.vocabulary) == (16, tokenizer.vocabulary)
    assert store.num_tokens == store.lengths.sum()
    indices = np.random.default_rng(0).permutation(len(texts))[:300]
    assert_equal(store.batch(indices), tokenizer.pack([texts[index] for index in indices], 16))


@pytest.mark.parametrize(("size", "dtype"), [(2**16, "uint16"), (2**16 + 1, "uint32"), (250_002, "uint32")])
def test_large_vocabularies_get_wider_numbers(tmp_path, size, dtype):
    class LargeTokenizer:
        vocabulary = Vocabulary(size, 0, 1, 2, 3, (0, 1, 2, 3))

        def encode_batch(self, texts, max_length, *, tagger="none"):
            tokens = np.array([2, size - 1, 3])
            return [TokenisedText(tokens, tokens < 4, np.ones(3, dtype=bool)) for _ in texts]

    store = TokenStore.build(["a"], LargeTokenizer(), tmp_path / "store", max_length=3)
    assert store.batch([0]).tokens.tolist() == [2, size - 1, 3]
    assert json.loads((tmp_path / "store" / "store.json").read_text())["dtype"] == dtype


def test_a_build_that_fails_leaves_the_old_store(tmp_path, tokenizer):
    TokenStore.build(["the fox"], tokenizer, tmp_path / "store", max_length=9)

    def failing():
        yield from some_texts(TEXTS_PER_CHUNK)
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        TokenStore.build(failing(), tokenizer, tmp_path / "store", max_length=9)
    assert len(TokenStore.open(tmp_path / "store")) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["store"]
    TokenStore.build(["the", "fox"], tokenizer, tmp_path / "store", max_length=9)
    assert len(TokenStore.open(tmp_path / "store")) == 2


def test_missing_damaged_and_empty_stores(tmp_path, tokenizer):
    with pytest.raises(ReknitError, match="no token store"):
        TokenStore.open(tmp_path / "store")
    with pytest.raises(ReknitError, match="nothing to tokenise"):
        TokenStore.build([], tokenizer, tmp_path / "store", max_length=9)
    store = TokenStore.build(["the fox"], tokenizer, tmp_path / "store", max_length=9)
    for numbers in ([1], [-1]):
        with pytest.raises(IndexError, match="within 0 and 0"):
            store.batch(numbers)
    (tmp_path / "store" / "flags.bin").write_bytes(b"")
    with pytest.raises(ReknitError, match=r"flags\.bin is not \d+ bytes long"):
        TokenStore.open(tmp_path / "store")
    header = tmp_path / "store" / "store.json"
    header.write_text(header.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(ReknitError, match="version 99"):
        TokenStore.open(tmp_path / "store")
    header.write_text("{")
    with pytest.raises(ReknitError, match="damaged"):
        TokenStore.open(tmp_path / "store")


def spans_of(batch: Batch) -> list[str]:
    """The tokens of each tagged span, "5 6"; also that spans are numbered from 0 without gaps and lie in one piece."""
    found: dict[int, list[int]] = {}
    for place, number in enumerate(batch.tagged.tolist()):
        if number >= 0:
            found.setdefault(number, []).append(place)
    assert list(found) == list(range(len(found)))
    for places in found.values():
        assert places == list(range(places[0], places[-1] + 1))
        assert not batch.special[places].any()
    return [" ".join(str(int(batch.tokens[place])) for place in places) for places in found.values()]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.lists(st.sampled_from([*WORDS, "Fox", "nation", "b2"]), max_size=8), min_size=1, max_size=12),
    max_length=st.integers(3, 20),
    data=st.data(),
)
def test_a_store_gives_back_what_was_tagged(tmp_path, tokenizer, texts, max_length, data):
    texts = [" ".join(words) for words in texts]
    store = TokenStore.build(texts, tokenizer, tmp_path / "store", max_length=max_length, tagger="linguistic")
    indices = data.draw(st.lists(st.integers(0, len(texts) - 1), min_size=1, max_size=15))
    batch, packed = store.batch(indices), tokenizer.pack([texts[n] for n in indices], max_length, tagger="linguistic")
    assert_equal(batch, packed)
    assert torch.equal(batch.tagged, packed.tagged)
    assert batch.tagged.dtype == torch.int64
    spans_of(batch)
    # The slow way: each text by itself, packed together.
    one_by_one = tokenizer.encode_batch(texts, max_length, tagger="linguistic")
    parts = [(one.tokens, one.special, one.word_starts, one.tagged) for one in (one_by_one[n] for n in indices)]
    tensors = [tuple(torch.from_numpy(array) for array in part) for part in parts]
    assert torch.equal(Batch.pack(tensors, store.vocabulary).tagged, batch.tagged)


def test_the_tokens_of_a_span_are_those_of_its_words(tmp_path, tokenizer):
    texts = ["the jumps. of Brown Fox quicker quick", "unbelievable", "quick [MASK] foxes and the Brown [MASK] Fox"]
    store = TokenStore.build(texts, tokenizer, tmp_path / "store", max_length=64, tagger="linguistic")

    def tokens(text: str) -> str:
        return " ".join(map(str, tokenizer.encode_batch([text], 64)[0].tokens[1:-1]))

    # "jumps" ends a sentence, so "of" begins the next; a mask token in the text parts the name around it.
    words = ("jumps", "brown fox", "quicker", "foxes", "brown", "fox")
    assert spans_of(store.batch([0, 1, 2])) == [tokens(word) for word in words]
    assert spans_of(store.batch([2, 0])) == [tokens(word) for word in (*words[3:], *words[:3])]
    # Cut in the middle of a span, it goes as far as the text does.
    cut = tokenizer.pack([texts[0]], len(tokens("the jumps. of brown").split()) + 2, tagger="linguistic")
    assert spans_of(cut) == [tokens("jumps"), tokens("brown")]


def test_offsets_of_byte_level_tokens_are_characters_too():
    tokenizer = train_tokenizer(["the quick brown Fox jumps übel"] * 9, 300, family="modernbert", lowercase=False)
    batch = tokenizer.pack(["the übel Fox met José"], 64, tagger="linguistic")
    assert [tokenizer.decode(batch.tokens[batch.tagged == n]).strip() for n in range(2)] == ["Fox", "José"]
    assert int(batch.tagged.max()) == 1


def test_stores_without_tags_open_as_they_did(tmp_path, tokenizer):
    plain = TokenStore.build(["the Brown Fox"], tokenizer, tmp_path / "plain", max_length=9)
    header = tmp_path / "plain" / "store.json"
    fields = json.loads(header.read_text())
    assert fields.pop("tagger") == "none"
    header.write_text(json.dumps(fields))  # as it was written before there were taggers
    store = TokenStore.open(tmp_path / "plain")
    assert (store.tagger, store.batch([0]).tagged) == ("none", None)
    assert set(np.fromfile(tmp_path / "plain" / "flags.bin", dtype=np.uint8)) <= {0, 1, 3}
    assert torch.equal(plain.batch([0]).tokens, store.batch([0]).tokens)
    with pytest.raises(ReknitError, match="no tagger 'nouns'"):
        TokenStore.build(["the fox"], tokenizer, tmp_path / "other", max_length=9, tagger="nouns")
