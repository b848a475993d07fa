"""BM25 against a naive reference and against published results."""

from __future__ import annotations

import itertools
import math
import re
import unicodedata

import pytest
import Stemmer
from bm25s.stopwords import STOPWORDS_EN
from evaluation_samples import REAL
from hypothesis import given, settings
from hypothesis import strategies as st

from reknit.data.text.language import language_of, stop_words
from reknit.data.text.words import UNSPACED
from reknit.errors import ReknitError
from reknit.evaluation.beir import load_beir
from reknit.evaluation.metrics import mean, per_query
from reknit.retrieval.bm25 import BM25
from reknit.retrieval.ranking import ranking

PAIRED = f"{UNSPACED}가-힣"

DOCUMENTS = {
    "b": "The wing lifts the heavy aircraft, the wings lift.",
    "a": "Heat conduction in composite slabs of wings",
    "c": "heat heat heat heat and nothing else",
    "e": "",
    "d": "heat heat heat heat and nothing else",
}


def naive_words(text: str) -> list[str]:
    """Character by character: runs of one kind, those without spaces between words as overlapping pairs."""
    runs: list[str] = []
    before = ""
    for character in unicodedata.normalize("NFKC", text):
        starts = "LN" if before != "word" else "LMN"  # a mark needs a letter before it
        inside = unicodedata.category(character)[0] in starts or character == "_"
        kind = "unspaced" if re.match(f"[{PAIRED}]", character) else "word" if inside else ""
        if kind and kind == before:
            runs[-1] += character
        elif kind:
            runs.append(character)
        before = kind
    found = []
    for run in runs:
        pairs = [first + second for first, second in itertools.pairwise(run)]
        for word in pairs if len(run) > 2 and re.match(f"[{PAIRED}]", run) else [run]:
            found += [word, *naive_parts(word)]
    return found


def naive_parts(word: str) -> list[str]:
    """Character by character: runs of small letters, capitals, digits and other letters, where the last capital before
    small letters is the first of theirs; none where that is the whole word."""
    runs: list[tuple[str, list[str]]] = []
    for character in word:
        category, kind = unicodedata.category(character), runs[-1][0] if runs else "other"
        if category[0] == "M" and kind in ("Lu", "Ll"):
            runs[-1][1][-1] += character
            continue
        kind = category if category in ("Lu", "Ll") else {"L": "other", "M": "other"}.get(category[0], category[0])
        if not runs or runs[-1][0] != kind:
            capital = [runs[-1][1].pop()] if runs and kind == "Ll" and runs[-1][0] == "Lu" else []
            runs.append((kind, capital))
        runs[-1][1].append(character)
    parts = ["".join(run) for kind, run in runs if kind != "P" and run]
    return [] if parts == [word] else parts


def naive_fold(word: str) -> str:
    plain = [letter for letter in unicodedata.normalize("NFKD", word) if not "\u0300" <= letter <= "\u036f"]
    return unicodedata.normalize("NFC", "".join(plain))


def naive_bm25(documents: dict[str, str], query: str) -> dict[str, float]:
    """Lucene's formula, one document and one word at a time."""
    language = language_of(list(documents.values()))
    stem = Stemmer.Stemmer(language).stemWord
    left_out = STOPWORDS_EN if language == "english" else stop_words(language)

    def words(text: str) -> list[str]:
        return [naive_fold(stem(word.lower())) for word in naive_words(text) if word.lower() not in left_out]

    split = {document: words(text) for document, text in documents.items()}
    average = sum(len(found) for found in split.values()) / len(split)
    scores = {}
    for document, found in split.items():
        score = 0.0
        for word in words(query):
            frequency = found.count(word)
            holders = sum(word in other for other in split.values())
            if frequency:
                idf = math.log(1 + (len(split) - holders + 0.5) / (holders + 0.5))
                score += idf * frequency / (frequency + 1.2 * (1 - 0.75 + 0.75 * len(found) / average))
        if score > 0:
            scores[document] = score
    return scores


@pytest.mark.parametrize("query", ["wings in the heat", "heat", "heat heat composite", "lifting a slab", "aircraft"])
def test_scores_equal_the_naive_formula(query):
    found = BM25(DOCUMENTS).search({"q": query})["q"]
    expected = naive_bm25(DOCUMENTS, query)
    assert found == pytest.approx(expected, rel=1e-5)
    assert list(found) == ranking(found)


def test_ties_go_by_document_id_even_at_the_cut():
    bm25 = BM25(DOCUMENTS)
    assert list(bm25.search({"q": "heat"}, top=1)["q"]) == ["c"]
    assert list(bm25.search({"q": "heat"}, top=2)["q"]) == ["c", "d"]


def test_queries_without_a_known_word_find_nothing():
    assert BM25(DOCUMENTS).search({"a": "", "b": "the and of", "c": "zebra", "d": "?!"}) == {
        "a": {},
        "b": {},
        "c": {},
        "d": {},
    }


def test_documents_without_words_can_be_indexed_and_no_documents_cannot():
    assert BM25({"a": "", "b": "the"}).search({"q": "wing"}) == {"q": {}}
    with pytest.raises(ReknitError, match="empty"):
        BM25({})


# Without characters that Python and regex, of different versions of Unicode, may not agree on.
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=30)
IDENTIFIERS = st.text("abAB\u0301éÉß_12²ªǅкК字の한국어कि", max_size=30)


@settings(max_examples=100, deadline=None)
@given(st.lists(ANY_TEXT | IDENTIFIERS, min_size=1, max_size=6), ANY_TEXT | IDENTIFIERS)
def test_any_text_scores_as_the_naive_formula(texts, query):
    documents = {f"d{number}": text for number, text in enumerate(texts)}
    assert BM25(documents).search({"q": query})["q"] == pytest.approx(naive_bm25(documents, query), rel=1e-4)


@pytest.mark.skipif(not REAL.is_dir(), reason="real collections are not here")
@pytest.mark.parametrize(
    ("name", "published", "gained"),
    [("cranfield", 0.519, 0.0), ("npl", 0.428, 0.0), ("scifact", 0.686, 0.014), ("cosqa", 0.332, 0.051)],
)
def test_full_collections_score_as_published_and_better_by_the_parts_of_identifiers(name, published, gained):
    """gained: by them, where there are any (`docs/adaptation.md`)."""
    collection = load_beir(REAL / name)
    whole, parts = (
        mean(per_query(bm25.search(collection.queries), collection.qrels)["nDCG@10"])
        for bm25 in (BM25(collection.documents, split_identifiers=split) for split in (False, True))
    )
    assert whole == pytest.approx(published, abs=0.01)
    assert parts - whole == pytest.approx(gained, abs=0.003)


@pytest.mark.skipif(not REAL.is_dir(), reason="real collections are not here")
def test_a_german_collection_is_searched_by_german_stems():
    collection = load_beir(REAL / "xquad_de")
    run = BM25(collection.documents).search(collection.queries)
    assert mean(per_query(run, collection.qrels)["nDCG@10"]) == pytest.approx(0.942, abs=0.003)  # English stems: .929
