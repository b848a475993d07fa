"""Cutting text: nothing is lost, cuts fall where a reader would cut."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reknit.data.text.passages import count_words, cut_sentence, split_passages, split_sentences, without_leading_title

texts = st.text(alphabet="aB .!?\n\t\"')。文ก1", max_size=300)


def letters(text: str) -> str:
    return "".join(text.split())


@settings(max_examples=200, deadline=None)
@given(text=texts, max_words=st.integers(1, 20))
def test_passages_lose_nothing_and_keep_to_the_limit(text, max_words):
    passages = split_passages(text, max_words)
    assert letters("".join(passages)) == letters(text)
    assert all(passage == passage.strip() and passage for passage in passages)
    assert all(count_words(passage) <= max_words for passage in passages)


@settings(max_examples=200, deadline=None)
@given(text=texts)
def test_sentences_lose_nothing(text):
    sentences = split_sentences(text)
    assert letters("".join(sentences)) == letters(text)
    assert all(sentence == sentence.strip() and sentence for sentence in sentences)
    assert all(sentence in text for sentence in sentences), "each is a slice of the text"


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=100))
def test_count_words_equals_its_slow_definition(text):
    def naive(text: str) -> int:
        count = 0
        for word in text.split():
            run = {"other": 0, "unspaced": 0}
            for character in word:
                code = ord(character)
                ideograph = (
                    0x3040 <= code <= 0x30FF
                    or 0x3400 <= code <= 0x4DBF
                    or 0x4E00 <= code <= 0x9FFF
                    or 0xF900 <= code <= 0xFAFF
                )
                unspaced = 0x0E00 <= code <= 0x0EFF or 0x1000 <= code <= 0x109F or 0x1780 <= code <= 0x17FF
                kind = "" if ideograph else "unspaced" if unspaced else "other"
                count += ideograph
                for name, size in (("other", 40), ("unspaced", 5)):
                    if name == kind:
                        count += run[name] % size == 0
                        run[name] += 1
                    else:
                        run[name] = 0
        return count

    assert count_words(text) == naive(text)


def test_paragraphs_stay_whole_and_passages_are_balanced():
    paragraphs = [" ".join([f"p{number}"] * 60) for number in range(5)]
    passages = split_passages("\n\n".join(paragraphs), max_words=160)
    assert passages == ["\n\n".join(paragraphs[:2]), "\n\n".join(paragraphs[2:4]), paragraphs[4]]
    sentence = "One two three four five six seven eight nine ten. "
    sizes = [count_words(passage) for passage in split_passages(sentence * 17, max_words=160)]
    assert sizes == [90, 80], "not 160 and a crumb of 10"


def test_long_paragraphs_are_cut_between_sentences_then_words():
    text = "First sentence of five words. Second one has four. " * 4
    assert all(passage.endswith(".") for passage in split_passages(text, max_words=12))
    assert split_passages("a b c d e", max_words=2) == ["a b", "c d", "e"]
    assert split_passages("漢字仮名交", max_words=2) == ["漢字", "仮名", "交"]
    assert max(map(len, split_passages("x" * 10_000, max_words=10))) <= 400


def test_empty_text_has_no_passages():
    assert split_passages(" \n\n ") == []
    assert split_sentences("") == []
    assert split_passages("") == []


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Dr. Smith met J. R. Doe. They spoke.", ["Dr. Smith met J. R. Doe.", "They spoke."]),
        ("See Fig. 3, e.g. the left. Then stop!", ["See Fig. 3, e.g. the left.", "Then stop!"]),
        ("It cost 3.14 dollars. OK?", ["It cost 3.14 dollars.", "OK?"]),
        ('He said "no." She left.', ['He said "no."', "She left."]),
        ("shear flow . the body . end .", ["shear flow .", "the body .", "end ."]),
        ("これは本です。あれは？はい", ["これは本です。", "あれは？", "はい"]),
        ("Heading\n\nA text.", ["Heading", "A text."]),
        (
            "This line is wrapped by an editor at some width\nand goes on here. Next.",
            ["This line is wrapped by an editor at some width\nand goes on here.", "Next."],
        ),
        ("def f(x):\n    y = x.real\n    return y", ["def f(x):", "y = x.real", "return y"]),
    ],
)
def test_sentences(text, sentences):
    assert split_sentences(text) == sentences


@settings(max_examples=150, deadline=None)
@given(
    words=st.lists(st.sampled_from(["alpha", "beta", "gamma.", "Delta", "eps\n", "文"]), max_size=60),
    seed=st.integers(),
)
def test_a_cut_sentence_and_its_rest_make_the_text(words, seed):
    text = " ".join(words)
    cut = cut_sentence(text, random.Random(seed))
    if cut is None:
        assert count_words(text) < 12
        return
    sentence, rest = cut
    assert 6 <= count_words(sentence) <= 30
    assert count_words(rest) >= 6
    assert sorted(letters(sentence + rest)) == sorted(letters(text))
    assert cut == cut_sentence(text, random.Random(seed)), "the same generator draws the same sentence"


def test_text_without_sentences_gives_a_window_of_words():
    words = [f"w{number}" for number in range(40)]
    drawn = {cut_sentence(" ".join(words), random.Random(seed)) for seed in range(30)}
    assert len(drawn) > 10
    for sentence, rest in drawn:
        assert len(sentence.split()) == 10
        assert sorted(sentence.split() + rest.split()) == sorted(words)


@pytest.mark.parametrize(
    ("text", "title", "rest"),
    [
        ("Shear flow . we study", "shear flow .", "we study"),
        ("Assamese is a language", "Assam", "Assamese is a language"),
        ("Assam: a state", "Assam", "a state"),
        ("a body", "", "a body"),
        ("Same", "same", ""),
        ("Sa", "same thing", "Sa"),
    ],
)
def test_without_leading_title(text, title, rest):
    assert without_leading_title(text, title) == rest


@pytest.mark.parametrize("unit", [".", ". ", "\n", " ", "!)", "a", "a.", "。", "\n \n", '"'])
def test_long_runs_take_linear_time(unit):
    start = time.process_time()
    text = "a " + unit * 100_000 + "b"
    split_passages(text)
    split_sentences(text)
    assert time.process_time() - start < 20, "about 0.1 s; minutes where it grows with the square"
