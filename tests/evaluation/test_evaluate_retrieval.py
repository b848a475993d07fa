"""Whole evaluations of toy models whose quality is known beforehand."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
from evaluation_samples import topic_collection

from reknit.data.retrieval_set import RetrievalSet
from reknit.errors import ReknitError
from reknit.evaluation.metrics import METRICS
from reknit.evaluation.retrieval import evaluate_retrieval
from reknit.evaluation.scores import Evaluation
from reknit.jobs.typed_json import from_plain
from reknit.retrieval.system import SearchSystem

OF_ADAPTED = SearchSystem.of(["adapted"])
OF_START = {"hybrid": SearchSystem.of(["start"], 0.5)}


class TopicModel:
    """One dimension per topic number, and noise: perfect at 0, useless when large. Counts its calls."""

    def __init__(self, noise: float) -> None:
        self.noise = noise
        self.calls: list[tuple[str, int]] = []

    def __call__(self, texts, kind):
        self.calls.append((kind, len(texts)))
        rng = np.random.default_rng(len(self.calls))
        vectors = rng.normal(0, self.noise, (len(texts), 200)) if self.noise else np.zeros((len(texts), 200))
        for row, text in enumerate(texts):
            vectors[row, int(re.search(r"topic(\d+)", text).group(1))] += 1
        return vectors.astype(np.float32)


def test_rows_are_in_order_and_say_what_is_known_of_each_system():
    good, bad = TopicModel(0.0), TopicModel(3.0)
    models, systems = {"start": bad, "adapted": good}, {"hybrid": SearchSystem.of(["adapted"], 0.5)}
    found = evaluate_retrieval(topic_collection(), models, systems=systems, seed=0)
    assert list(found.rows) == ["random", "bm25", "start", "adapted", "hybrid"]
    assert (found.dataset, found.queries, found.documents, found.notes) == ("topics", 30, 150, ("made up",))
    value = {system: row["nDCG@10"].value for system, row in found.rows.items()}
    assert value["adapted"] == value["bm25"] == value["hybrid"] == 1.0
    assert value["start"] < 0.5
    assert value["random"] < 0.2
    for system, row in found.rows.items():
        assert tuple(row) == METRICS
        for metric, cell in row.items():
            assert set(found.per_query[system][metric]) == set(topic_collection().queries)
            assert cell.value == pytest.approx(np.mean(list(found.per_query[system][metric].values())))
            low, high = cell.ci95
            assert low <= cell.value <= high


def test_each_model_is_called_once_for_documents_and_once_for_queries():
    model = TopicModel(0.1)
    found = evaluate_retrieval(topic_collection(), {"model": model}, seed=0)
    assert model.calls == [("document", 150), ("query", 30)]
    assert "hybrid" not in found.rows
    assert not found.systems


def test_the_hybrid_weight_moves_from_bm25_to_the_model():
    models = {"start": TopicModel(1.0), "adapted": TopicModel(0.5)}
    asked = {"words": ("start", 0.0), "vectors": ("start", 1.0), "others": ("adapted", 1.0)}
    systems = {name: SearchSystem.of([model], weight) for name, (model, weight) in asked.items()}
    found = evaluate_retrieval(topic_collection(), models, systems=systems, seed=0)
    assert list(found.rows) == ["random", "bm25", "start", "adapted", "words", "vectors", "others"]
    values = {system: row["RR@10"] for system, row in found.rows.items()}
    assert values["words"] == values["bm25"] != values["start"] == values["vectors"]
    assert values["others"] == values["adapted"] != values["start"]
    assert found.systems == systems


def test_the_hybrid_at_other_weights_is_what_it_would_be_there():
    found = evaluate_retrieval(topic_collection(), {"start": TopicModel(1.0)}, systems=OF_START, seed=0)
    by_weight = found.by_weight["hybrid"]
    assert list(by_weight) == [f"0.{tenth}" for tenth in range(1, 10)]
    values = {}
    for weight, one in by_weight.items():
        systems = {"hybrid": SearchSystem.of(["start"], float(weight))}
        there = evaluate_retrieval(topic_collection(), {"start": TopicModel(1.0)}, systems=systems, seed=0)
        assert one["value"] == pytest.approx(there.rows["hybrid"]["nDCG@10"].value)
        values[weight] = np.array(list(there.per_query["hybrid"]["nDCG@10"].values()))
    best = max(values.values(), key=np.mean)
    for weight, one in by_weight.items():
        distances = best - values[weight]
        assert one["standard_error"] == pytest.approx(float(np.std(distances)) / len(distances) ** 0.5)


def test_json_holds_everything_but_single_queries_and_rounds_nothing():
    found = evaluate_retrieval(topic_collection(queries=3), {"start": TopicModel(1.0)}, systems=OF_START, seed=0)
    plain = found.to_json()
    assert json.loads(json.dumps(plain)) == plain
    assert set(plain) == {field.name for field in dataclasses.fields(Evaluation)} - {"per_query"}
    assert plain["rows"]["start"]["nDCG@10"]["value"] == found.rows["start"]["nDCG@10"].value
    assert from_plain(Evaluation, json.loads(json.dumps(plain)), "it") == dataclasses.replace(found, per_query={})


def test_the_same_seed_gives_the_same_evaluation():
    first, second = (
        evaluate_retrieval(topic_collection(), {"start": TopicModel(0.5)}, systems=OF_START, seed=7) for _ in range(2)
    )
    assert first == second


def test_a_query_that_is_also_a_document_is_nothing_special():
    collection = RetrievalSet("own", {"q": "topic1 text", "d": "topic2"}, {"q": "topic1 text"}, {"q": {"q": 1}})
    found = evaluate_retrieval(collection, {"start": TopicModel(0.0)}, seed=0)
    assert found.rows["bm25"]["RR@10"].value == found.rows["start"]["RR@10"].value == 1.0


def test_the_order_of_documents_does_not_matter():
    collection = topic_collection()
    turned = dataclasses.replace(collection, documents=dict(reversed(collection.documents.items())))
    constant = {"start": lambda texts, kind: np.ones((len(texts), 4), np.float32)}
    one, other = (evaluate_retrieval(each, constant, systems=OF_START, seed=0) for each in (collection, turned))
    assert one.per_query == other.per_query


@pytest.mark.parametrize(
    ("collection", "models", "systems", "message"),
    [
        (RetrievalSet("none", {}, {}, {}), {}, None, "0 documents and 0 queries"),
        (
            RetrievalSet("none", {"d": "x"}, {"q": "x"}, {}),
            {},
            None,
            "query 'q' of collection 'none' has no judgements",
        ),
        (topic_collection(), {"bm25": TopicModel(0)}, None, "may not be named 'bm25'"),
        (topic_collection(), {"start": TopicModel(0)}, {"hybrid": SearchSystem.of(["adapted"])}, "no model 'adapted'"),
        (
            topic_collection(),
            {"hybrid": TopicModel(0)},
            {"hybrid": SearchSystem.of(["hybrid"])},
            "may not be named 'hybrid'",
        ),
        (topic_collection(), {"start": TopicModel(0)}, {"bm25": SearchSystem.of(["start"])}, "may not be named 'bm25'"),
        (
            topic_collection(),
            {"start": lambda texts, kind: np.ones((3, 4))},
            None,
            "model 'start' on collection 'topics'",
        ),
        (topic_collection(), {"start": lambda texts, kind: np.full((len(texts), 4), np.nan)}, None, "NaN"),
    ],
)
def test_bad_input_is_refused(collection, models, systems, message):
    with pytest.raises(ReknitError, match=message):
        evaluate_retrieval(collection, models, systems=systems, seed=0)
