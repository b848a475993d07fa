"""Mined pairs: of the right kind, deterministic, and never the probe's own."""

import random
from collections import Counter
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from small_corpus import spelt

from reknit.data.text.documents import Document
from reknit.data.text.holdout import hold_out
from reknit.data.text.passage_store import PassageStore
from reknit.data.text.readers import normalise
from reknit.errors import ReknitError
from reknit.sources.pair_miner import PairKind, PairMiner

ALL_KINDS: tuple[PairKind, ...] = get_args(PairKind)


def make_store(folder, count=60, titles=True) -> PassageStore:
    rng = random.Random(0)

    def body() -> str:
        sentences = [" ".join(rng.choices([f"w{n}" for n in range(400)], k=10)).capitalize() + "." for _ in range(9)]
        return " ".join(sentences)

    documents = [Document(f"d{n}", f"Title of number {spelt(n)}" if titles else "", body()) for n in range(count)]
    return PassageStore.build(documents, folder / "store.arrow", max_words=45)


def test_each_kind_is_what_it_says(tmp_path):
    store = make_store(tmp_path)
    for kind in ALL_KINDS:
        miner = PairMiner(store, (kind,), None, seed=0, mask_token="<mask>")
        assert len(miner) == len(store)
        for index in range(40):
            pair = miner.pair(index, 0)
            assert pair.kind == kind
            of_document = [p for p in store if p.document == pair.group]
            if kind == "title":
                assert (pair.query, pair.passage) in {(p.title, p.text) for p in of_document}
            elif kind == "neighbour":
                parts = {p.text: p.part for p in of_document} | {p.full_text: p.part for p in of_document}
                assert abs(parts[pair.query] - parts[pair.passage]) == 1
            elif kind == "crop":
                assert pair.query not in pair.passage
                words = sorted(f"{pair.query} {pair.passage}".split())
                assert words in [sorted(p.full_text.split()) for p in of_document]
            elif kind == "sentences":
                text = next(p.text for p in of_document if pair.query in p.text)
                assert pair.passage in text.replace(pair.query, "|")
                assert pair.query.count(".") == 1 <= pair.passage.count(".") <= 2
            elif kind == "twin":
                assert pair.query == pair.passage in [p.full_text for p in of_document]
            elif kind in ("deletion", "reorder"):
                assert pair.query in [p.full_text for p in of_document]
                assert set(pair.passage.split()) <= set(pair.query.split())
            else:
                before, after = pair.passage.split("<mask>")
                assert pair.query.startswith(before)
                assert pair.query.endswith(after)
                assert len(before) + len(after) + 5 == len(pair.query)


def test_a_pair_is_a_pure_function_of_seed_epoch_and_index(tmp_path):
    store = make_store(tmp_path)
    first = PairMiner(store, ALL_KINDS, None, seed=4)
    epochs = [[first.pair(index, epoch) for index in range(len(store))] for epoch in (0, 1)]
    again = PairMiner(store, ALL_KINDS, None, seed=4)
    for epoch, index in ((1, 7), (0, 3), (1, 0), (0, len(store) - 1)):
        assert again.pair(index, epoch) == epochs[epoch][index]
    assert epochs[0] != epochs[1]
    other = PairMiner(store, ALL_KINDS, None, seed=5)
    assert [other.pair(index, 0) for index in range(len(store))] != epochs[0]


def test_an_epoch_uses_every_passage_once_and_spreads_documents(tmp_path):
    store = make_store(tmp_path)
    miner = PairMiner(store, ("twin",), None, seed=0)
    pairs = [miner.pair(index, 2) for index in range(len(miner))]
    assert sorted(pair.query for pair in pairs) == sorted(passage.full_text for passage in store)
    together = sum(a.group == b.group for a, b in pairwise(pairs))
    assert together < 0.1 * len(pairs), "passages of one document do not stand next to each other"


def test_pairs_of_a_document_stand_together_where_they_should(tmp_path):
    store = make_store(tmp_path)
    miner = PairMiner(store, ("twin",), None, seed=0, together=2)
    pairs = [miner.pair(index, 2) for index in range(len(miner))]
    assert sorted(pair.query for pair in pairs) == sorted(passage.full_text for passage in store)
    together = sum(a.group == b.group for a, b in pairwise(pairs))
    assert 60 <= together < 75, "each has three passages, so a run of two and a single one"


def test_spans_of_a_passage_lie_on_either_side(tmp_path):
    store = PassageStore.build([Document("d", "", "One. Two. Three. Four.")], tmp_path / "store.arrow")
    miner = PairMiner(store, ("sentences",), None, seed=0)
    pairs = [miner.pair(0, epoch) for epoch in range(4000)]
    single = Counter(pair.query for pair in pairs)
    assert set(single) == {"One.", "Two.", "Three.", "Four."}
    assert {len(pair.passage.split()) for pair in pairs} == {1, 2}
    behind = sum(
        "One. Two. Three. Four.".index(pair.query) < "One. Two. Three. Four.".index(pair.passage) for pair in pairs
    )
    assert 0.47 < behind / len(pairs) < 0.53
    two = PassageStore.build([Document("d", "", "One. Two.")], tmp_path / "two.arrow")
    found = {
        (pair.query, pair.passage) for pair in (PairMiner(two, ("sentences",), None, 0).pair(0, n) for n in range(40))
    }
    assert found == {("One.", "Two."), ("Two.", "One.")}
    one = PassageStore.build([Document("d", "", "One single sentence.")], tmp_path / "one.arrow")
    assert PairMiner(one, ("sentences",), None, seed=0).pair(0, 0).kind == "twin"


def test_pairs_of_some_passages_are_of_these_alone(tmp_path):
    store = make_store(tmp_path)
    chosen = np.flatnonzero(store.document_numbers % 3 == 1)
    miner = PairMiner(store, ("twin",), None, seed=0, passages=chosen)
    pairs = [miner.pair(index, 1) for index in range(len(miner))]
    assert sorted(pair.query for pair in pairs) == sorted(store[int(number)].full_text for number in chosen)
    assert {pair.group for pair in pairs} == set(range(1, 60, 3))
    everything = np.arange(len(store))
    one, other = (PairMiner(store, ALL_KINDS, None, seed=4, passages=given) for given in (None, everything))
    assert [one.pair(index, 3) for index in range(50)] == [other.pair(index, 3) for index in range(50)]


def test_kinds_are_equally_likely_among_those_offered(tmp_path):
    miner = PairMiner(make_store(tmp_path, count=300), ALL_KINDS, None, seed=0)
    kinds = Counter(miner.pair(index, epoch).kind for epoch in range(2) for index in range(len(miner)))
    expected = 2 * len(miner) / len(ALL_KINDS)
    assert all(abs(count - expected) < 4 * (expected * (1 - 1 / len(ALL_KINDS))) ** 0.5 for count in kinds.values()), (
        kinds
    )


def test_passages_that_offer_no_wished_kind_give_a_crop_or_a_twin(tmp_path):
    documents = [Document("long", "", "One two three four five six. " * 3), Document("short", "", "Two words")]
    store = PassageStore.build(documents, tmp_path / "store.arrow")
    miner = PairMiner(store, ("title", "neighbour"), None, seed=0)
    assert {miner.pair(index, 0).kind for index in (0, 1)} == {"crop", "twin"}
    miner = PairMiner(store, ("span-mask",), None, seed=0)
    assert {(pair.kind, pair.group) for pair in (miner.pair(0, 0), miner.pair(1, 0))} == {("span-mask", 0), ("twin", 1)}


@pytest.mark.parametrize("titles", [True, False])
def test_the_probes_queries_are_never_trained_on_with_their_document(tmp_path, titles):
    store = make_store(tmp_path, count=260, titles=titles)
    held = hold_out(store, seed=0)
    assert held.kind == ("title" if titles else "sentence")
    by_id = {passage.id: passage.document for passage in store}
    queries = {
        by_id[next(iter(part.qrels[query_id]))]: normalise(query)
        for part in (held.dev, held.test)
        for query_id, query in part.queries.items()
    }

    def leaks(miner: PairMiner) -> int:
        pairs = [miner.pair(index, epoch) for epoch in range(3) for index in range(len(miner))]
        return sum(queries.get(p.group, "\0") in normalise(f"{p.query} {p.passage}") for p in pairs)

    assert leaks(PairMiner(store, ALL_KINDS, held, seed=0)) == 0
    assert leaks(PairMiner(store, ALL_KINDS, None, seed=0)) > 0, "the check sees a leak where there is one"


def test_bad_requests(tmp_path):
    store = make_store(tmp_path, count=2)
    for kinds in ((), ("cropp",)):
        with pytest.raises(ReknitError, match="pair kinds must be some of title"):
            PairMiner(store, kinds, None, seed=0)
    with pytest.raises(IndexError):
        PairMiner(store, ("twin",), None, seed=0).pair(len(store), 0)


def test_edited_views_keep_the_words_they_should(tmp_path):
    store = make_store(tmp_path)
    miner = PairMiner(store, ("deletion", "reorder"), None, seed=0)
    pairs = [miner.pair(index, epoch) for epoch in range(3) for index in range(len(miner))]
    assert {pair.kind for pair in pairs} == {"deletion", "reorder"}
    shares = []
    for pair in pairs:
        words, changed = pair.query.split(), pair.passage.split()
        if pair.kind == "reorder":
            assert sorted(words) == sorted(changed)
        else:
            rest = iter(words)
            assert changed
            assert all(word in rest for word in changed)
            shares.append(len(changed) / len(words))
    assert any(pair.kind == "reorder" and pair.query != pair.passage for pair in pairs)
    assert 0.6 < sum(shares) / len(shares) < 0.8
