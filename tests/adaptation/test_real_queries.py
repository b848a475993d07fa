"""What users asked and clicked: what trains, what judges, and how it enters the teacher's targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_corpus import write_small_corpus

from reknit.adaptation.answers import ANSWERED, ASKED_SHARE, MOST_REPEATED, mix_in, repeated
from reknit.adaptation.distillation import make_distillation_targets
from reknit.adaptation.job import adapt_config
from reknit.adaptation.real_queries import FEWEST_TO_JUDGE, RealQueries, real_queries
from reknit.data.text.corpus import Corpus
from reknit.data.text.curation import normalise
from reknit.data.text.query_log import LoggedQuery, Pair
from reknit.errors import ReknitError
from reknit.runs.corpus import prepare_corpus
from reknit.runs.run_folder import RunFolder
from reknit.sources.distillation_targets import DistillationTargets
from reknit.sources.queries import TeacherSpec


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("real")
    path = write_small_corpus(folder / "corpus.jsonl", documents=120)
    return prepare_corpus(adapt_config(path, "model"), RunFolder(folder / "run"), ())


def clicks(count: int) -> list[Pair]:
    return [Pair(f"query number {place}", f"d{place % 100}", 1.0 + place) for place in range(count)]


def encode(texts: list[str], kind: str) -> np.ndarray:
    """Counts of letters."""
    return np.array([[1.0 + text.lower().count(letter) for letter in "abcdefghij"] for text in texts], dtype=np.float32)


def test_a_fifth_of_the_queries_with_pairs_judges_and_trains_nothing(corpus: Corpus) -> None:
    log = [LoggedQuery(f"QUERY number {place}", place) for place in range(300)]
    found = real_queries(log, clicks(300), corpus, set(), 0)
    assert found.judging is not None
    held = {normalise(text) for text in found.judging.queries.values()}
    assert FEWEST_TO_JUDGE <= len(held) < 90
    assert not held & {normalise(text) for text in found.texts}
    assert not held & {normalise(text) for text in found.answers}
    assert len(found.answers) == 300 - len(held)
    assert held <= found.withheld
    assert len({normalise(text) for text in found.texts}) == len(found.texts) == 300 - len(held)
    assert found.texts[: len(found.answers)] == tuple(found.answers), "those with answers come first"
    for query, text in found.judging.queries.items():
        number = int(text.split()[-1])
        assert set(found.judging.qrels[query]) == {f"d{number % 100}"}
        assert found.judging.documents.keys() >= set(found.judging.qrels[query])
    # The same queries are held whatever else is there.
    again = real_queries([], clicks(280), corpus, set(), 0).judging
    assert again is not None
    assert {text for text in held if int(text.split()[-1]) < 280} == {*map(normalise, again.queries.values())}


def test_few_pairs_all_train(corpus: Corpus) -> None:
    found = real_queries([], clicks(3 * FEWEST_TO_JUDGE), corpus, set(), 0)
    assert found.judging is None
    assert len(found.answers) == 3 * FEWEST_TO_JUDGE
    weights = [sum(of.values()) for of in found.answers.values()]
    assert weights == sorted(weights, reverse=True)


def test_queries_of_labelled_collections_are_left_out(corpus: Corpus) -> None:
    log = [LoggedQuery("Reset it!", 4), LoggedQuery("vpn", 1)]
    found = real_queries(log, clicks(3), corpus, {"reset it", "Query number 2"}, 0)
    assert found.texts == ("query number 1", "query number 0", "vpn")
    assert set(found.answers) == {"query number 0", "query number 1"}


def test_the_probe_s_queries_are_not_learnt_from(corpus: Corpus) -> None:
    title, *_ = corpus.held_out.whole.queries.values()
    found = real_queries([LoggedQuery(title.upper(), 9)], [Pair(title, "d1", 1.0)], corpus, set(), 0)
    assert (found.texts, found.answers) == ((), {})


def test_many_queries_take_no_time(corpus: Corpus) -> None:
    """Each is looked at once: with a look at all of them for each, this would take hours."""
    log = [LoggedQuery(f"{place} asked", 1) for place in range(50_000)]
    found = real_queries(log, clicks(500), corpus, set(), 0)
    assert len(found.texts) == 50_000 + len(found.answers)


def test_the_sample_is_drawn_as_often_as_was_asked(corpus: Corpus) -> None:
    found = real_queries(
        [LoggedQuery("often", 99), LoggedQuery("seldom", 1), LoggedQuery("never", 0)], [], corpus, set(), 0
    )
    assert 960 < found.sample.count("often") <= 1000
    assert found.sample.count("never") == 0
    assert found == real_queries(
        [LoggedQuery("often", 99), LoggedQuery("seldom", 1), LoggedQuery("never", 0)], [], corpus, set(), 0
    )


def test_pairs_of_unknown_documents(corpus: Corpus, caplog: pytest.LogCaptureFixture) -> None:
    found = real_queries([], [Pair("a", "d1", 1.0), Pair("b", "nowhere", 1.0)], corpus, set(), 0)
    assert set(found.answers) == {"a"}
    assert "1 of 2 pairs name no document of the corpus, or one that repeats another, such as 'nowhere'" in caplog.text
    with pytest.raises(ReknitError, match="none of the 1 pairs names a document of the corpus, the first 'nowhere'"):
        real_queries([], [Pair("b", "nowhere", 1.0)], corpus, set(), 0)


def test_answers_get_their_part_of_the_probability() -> None:
    """Beside a naive way: a dense row for each query."""
    rng = np.random.default_rng(0)
    ranked = np.array([rng.permutation(9)[:5] for _ in range(4)], dtype=np.int32)
    probabilities = -np.sort(-rng.dirichlet(np.ones(5), size=4), axis=1).astype(np.float32)
    queries = ["none", "one", "two", "outside"]
    answers = {
        "one": [([int(ranked[1, 3])], 2.0)],
        # Of a document's passages the one that is ranked highest counts.
        "two": [([int(ranked[2, 4]), int(ranked[2, 0])], 3.0), ([int(ranked[2, 1])], 1.0)],
        "outside": [([next(place for place in range(9) if place not in ranked[3])], 1.0)],
    }
    expected = np.zeros((4, 9))
    np.put_along_axis(expected, ranked.astype(np.int64), probabilities, axis=1)
    expected[3, ranked[3, 4]] = 0.0
    expected[1:] *= (1 - ANSWERED) / expected[1:].sum(axis=1, keepdims=True)
    expected[1, ranked[1, 3]] += ANSWERED
    expected[2, ranked[2, 0]] += ANSWERED * 0.75
    expected[2, ranked[2, 1]] += ANSWERED * 0.25
    expected[3, answers["outside"][0][0]] += ANSWERED
    mix_in(answers, queries, ranked, probabilities)
    found = np.zeros((4, 9))
    np.put_along_axis(found, ranked.astype(np.int64), probabilities, axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_an_answer_is_never_replaced_by_another_one() -> None:
    ranked = np.array([[0, 1, 2]], dtype=np.int32)
    probabilities = np.array([[0.6, 0.3, 0.1]], dtype=np.float32)
    # The last one is an answer itself; one document is named twice, by its id and by that of its passage.
    answers = {"q": [([2], 1.0), ([5], 3.0), ([5], 1.0), ([6], 0.5), ([7], 0.1)]}
    mix_in(answers, ["q"], ranked, probabilities)
    assert sorted(ranked[0].tolist()) == [2, 5, 6], "that of least weight is left out"
    found = dict(zip(ranked[0].tolist(), probabilities[0].tolist(), strict=True))
    assert sum(found.values()) == pytest.approx(1.0)
    assert found[5] == pytest.approx(ANSWERED * 4 / 5.5)
    assert found[6] == pytest.approx(ANSWERED * 0.5 / 5.5)
    assert found[2] == pytest.approx(ANSWERED * 1 / 5.5 + (1 - ANSWERED))


def test_answers_may_take_every_place() -> None:
    ranked, probabilities = np.array([[0, 1]], dtype=np.int32), np.array([[0.9, 0.1]], dtype=np.float32)
    mix_in({"q": [([7], 1.0), ([8], 3.0)]}, ["q"], ranked, probabilities)
    assert dict(zip(ranked[0].tolist(), probabilities[0].tolist(), strict=True)) == pytest.approx({8: 0.75, 7: 0.25})


@pytest.mark.parametrize(("asked", "mined"), [(0, 50), (10, 90), (1, 1000), (500, 100), (3, 0)])
def test_users_queries_are_a_share_of_the_lessons(asked: int, mined: int) -> None:
    rows = repeated(asked, mined)
    times = np.bincount(rows, minlength=asked + mined)
    assert set(times[asked:]) <= {1}
    if asked:
        assert len(set(times[:asked])) == 1
        assert 1 <= times[0] <= MOST_REPEATED
        share = times[0] * asked / len(rows)
        assert share >= ASKED_SHARE * 0.6 or times[0] == MOST_REPEATED


def test_what_was_asked_is_among_the_targets(corpus: Corpus, tmp_path: Path) -> None:
    real = RealQueries(texts=("gilak turns", "homip"), answers={"gilak turns": {"d7": 1.0}})
    make_distillation_targets(
        tmp_path / "targets", corpus, [encode], TeacherSpec(documents=40), seconds=None, seed=0, real=real
    )
    targets = DistillationTargets.open(tmp_path / "targets")
    assert targets.facts["asked"] == 2
    assert targets.texts.count("homip") == targets.texts.count("gilak turns") == MOST_REPEATED
    row = targets.texts.index("gilak turns")
    best = int(targets.ranked[row][np.argmax(targets.probabilities[row])])
    # d7 is ranked, whichever forty passages were drawn.
    (number,) = corpus.store.numbers_of(["d7"])["d7"]
    drawn = sorted({number, *[one for one in corpus.drawn(40, 0).tolist() if one != number][:39]})
    assert drawn[best] == number


def test_a_query_that_judges_is_not_mined(corpus: Corpus, tmp_path: Path) -> None:
    spec = TeacherSpec(documents=40)
    make_distillation_targets(tmp_path / "all", corpus, [encode], spec, seconds=None, seed=0)
    texts = DistillationTargets.open(tmp_path / "all").texts
    real = RealQueries(withheld=frozenset({normalise(texts[3])}))
    make_distillation_targets(tmp_path / "less", corpus, [encode], spec, seconds=None, seed=0, real=real)
    assert DistillationTargets.open(tmp_path / "less").texts == [text for text in texts if text != texts[3]]


def test_users_queries_have_no_source_to_leave_out(corpus: Corpus, tmp_path: Path) -> None:
    real = RealQueries(texts=("gilak turns", "homip"))
    make_distillation_targets(tmp_path / "targets", corpus, [encode], TeacherSpec(), seconds=None, seed=0, real=real)
    targets = DistillationTargets.open(tmp_path / "targets")
    row = targets.texts.index("homip")
    np.testing.assert_allclose(np.asarray(targets.probabilities).sum(axis=1), 1.0, atol=1e-3)
    assert targets.left_out[row].tolist() == [0, 0]


def test_clicks_on_what_was_shown_first_teach_the_ranking_that_showed_it(corpus: Corpus, tmp_path: Path) -> None:
    """The bias that docs/adaptation.md names: where users click the first result, right or not, the targets move to
    it, half of the probability and no more."""
    queries = [f"The {thing} turns" for thing in ("barak", "celet", "dorip", "fenon", "gilak")]
    shown = {query: f"d{place}" for place, query in enumerate(queries)}
    plain, biased = (
        RealQueries(texts=tuple(queries), answers=answers) for answers in ({}, {q: {d: 9.0} for q, d in shown.items()})
    )
    mass = []
    for name, real in (("plain", plain), ("biased", biased)):
        make_distillation_targets(tmp_path / name, corpus, [encode], TeacherSpec(), seconds=None, seed=0, real=real)
        targets = DistillationTargets.open(tmp_path / name)
        found = []
        for query, document in shown.items():
            (place,) = corpus.store.numbers_of([document])[document]
            row = targets.texts.index(query)
            found.append(float(targets.probabilities[row][targets.ranked[row] == place].sum()))
        mass.append(np.array(found))
    np.testing.assert_allclose(mass[1], (1 - ANSWERED) * mass[0] + ANSWERED, atol=1e-5)
