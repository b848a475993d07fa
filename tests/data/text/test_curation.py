"""Curation: what is dropped is what should be, and it is counted."""

from hypothesis import given, settings
from hypothesis import strategies as st

from reknit.data.text.curation import phrases_standing_in
from reknit.data.text.documents import Document, ReadReport
from reknit.data.text.readers import curate, normalise


def run(documents, **options):
    report = ReadReport()
    return list(curate(documents, report, **options)), report


def test_normalise():
    assert normalise("  What IS\n\tthis? ") == "what is this"
    assert normalise("ﬁne Straße .") == "fine strasse"
    assert normalise("a+b") != normalise("a-b"), "marks inside a text tell code apart"
    assert normalise(" ?!") == ""


def test_empty_documents_and_duplicates_are_dropped_and_counted():
    documents, report = run(
        [
            Document("1", "T", "Some text."),
            Document("2", "t", " some   TEXT "),
            Document("3", "Other", "Some text."),
            Document("4", "", " \n"),
            Document("5", "Only a title", ""),
            Document("6", "", "+"),
            Document("7", "", "-"),
        ]
    )
    assert [document.id for document in documents] == ["1", "3", "5", "6", "7"]
    assert documents[2] == Document("5", "", "Only a title")
    assert (report.documents, report.duplicates, report.empty) == (5, 1, 1)


def test_documents_that_stay_keep_their_source():
    documents, _ = run(
        [
            Document("1", "", "Same text.", "es/a.txt"),
            Document("1", "", "Other text.", "en/a.txt"),
            Document("2", "", "same text", "en/b.txt"),
            Document("3", "Why is it so?", "A body.", "en/c.txt"),
        ],
        exclude=frozenset({"why is it so"}),
    )
    assert [(document.id, document.source) for document in documents] == [
        ("1", "es/a.txt"),
        ("1~2", "en/a.txt"),
        ("3", "en/c.txt"),
    ]


def test_queries_of_evaluations_leave_the_corpus():
    exclude = frozenset({"What is shear flow?", "", "?"})
    documents, report = run(
        [
            Document("1", "what is shear flow", "A body that stays."),
            Document("2", "A title", "What is  shear flow ?"),
            Document("3", "", "What is shear flow? A longer text."),
            Document("4", "what is SHEAR flow", ""),
            Document("5", "", "a body that stays"),
            Document("6", "A title", "Before it. WHAT is -- shear flow?! After it; what is shear strength?"),
            Document("7", "What is shear flow?", "What is shear flow"),
        ],
        exclude=exclude,
    )
    # Document 5 is what document 1 becomes without its title.
    assert documents == [
        Document("1", "", "A body that stays."),
        Document("3", "", "A longer text."),
        Document("6", "A title", "Before it. After it; what is shear strength?"),
    ]
    assert (report.eval_overlaps, report.duplicates, report.empty) == (6, 1, 0)


def test_short_queries_are_cut_as_whole_titles_and_texts_only():
    documents, report = run(
        [Document("1", "Shear flow", "About shear flow."), Document("2", "", "shear flow")],
        exclude=frozenset({"shear flow"}),
    )
    assert documents == [Document("1", "", "About shear flow.")]
    assert report.eval_overlaps == 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abcd"), max_size=14), st.lists(st.sampled_from("abcd"), min_size=3, max_size=4))
def test_no_query_stands_in_what_is_kept(words, query):
    documents, _ = run([Document("1", "", " ".join(words))], exclude=frozenset({" ".join(query)}))
    original, left = " ".join(words), " ".join(document.text for document in documents)
    if " ".join(query) not in original:
        assert left == original
    else:
        assert len(left.split()) <= len(words) - len(query)


def test_shared_ids_become_unique():
    documents, _ = run([Document("x", "", f"text {number}") for number in range(3)] + [Document("x~2", "", "more")])
    assert [document.id for document in documents] == ["x", "x~2", "x~3", "x~2~2"]


def test_curation_streams():
    def endless():
        number = 0
        while True:
            yield Document(str(number), "", f"text {number}")
            number += 1

    assert next(curate(endless(), ReadReport())).id == "0"


@given(
    st.lists(st.lists(st.sampled_from("abcd"), max_size=5), max_size=6), st.lists(st.sampled_from("abcd"), max_size=14)
)
def test_phrases_are_found_as_by_a_loop(phrases: list[list[str]], text: list[str]) -> None:
    found = phrases_standing_in([", ".join(words).upper() for words in phrases])(" ".join(text))
    assert found == {
        number
        for number, words in enumerate(phrases)
        if len(words) >= 3 and any(text[place : place + len(words)] == words for place in range(len(text)))
    }
