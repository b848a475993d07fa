"""Verdicts on models that were planted better, worse and equal."""

from __future__ import annotations

import json

import numpy as np
import pytest
from evaluation_samples import made_evaluation

from reknit.adaptation.verdict import decide
from reknit.errors import ReknitError
from reknit.evaluation.scores import Evaluation
from reknit.jobs.typed_json import to_plain


def planted(name: str, effect: float, queries: int = 150, seed: int = 0) -> Evaluation:
    """An evaluation in which the adapted model is better by `effect` on average."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(0.2, 0.8, queries)
    return made_evaluation(name, {"start": start, "adapted": start + effect + rng.normal(0, 0.1, queries)})


@pytest.mark.parametrize(("effect", "use"), [(0.05, "adapted"), (-0.05, "start"), (0.0, "start")])
def test_planted_models_are_judged_rightly(effect, use):
    verdict = decide([planted("probe", effect)], seed=0)
    assert verdict.use == use
    assert verdict.decided_by == "probe"
    assert verdict.difference == pytest.approx(effect, abs=0.03)
    assert verdict.ci95[0] <= verdict.difference <= verdict.ci95[1]


def test_chance_alone_is_rarely_called_an_improvement():
    wrong = sum(decide([planted("probe", 0.0, 60, seed)], seed=seed).use == "adapted" for seed in range(100))
    assert wrong <= 8  # 2.5 expected


def test_sentences_are_plain_and_hold_the_numbers():
    start = np.full(150, 0.512)
    adapted = start + np.tile([0.148, -0.052, 0.048], 50)
    better = decide([made_evaluation("probe", {"start": start, "adapted": adapted})], seed=0)
    assert better.sentence.startswith(
        "Use the adapted model: nDCG@10 on probe rises from 0.512 to 0.560 (+0.048, 95% interval +0.0"
    )
    assert better.sentence.endswith(", p < 0.001, 150 queries).")
    worse = decide([made_evaluation("probe", {"start": adapted, "adapted": start})], seed=0)
    assert worse.sentence.startswith("Keep the start model: nDCG@10 on probe falls from 0.560 to 0.512 (-0.048, 95%")
    equal = decide([made_evaluation("probe", {"start": start, "adapted": start})], seed=0)
    assert equal.sentence == (
        "Keep the start model: no significant gain, nDCG@10 on probe goes from 0.512 to 0.512 "
        "(+0.000, 95% interval +0.000 to +0.000, p 1.000, 150 queries)."
    )


def test_another_system_may_stand_for_the_adapted_one():
    start = np.random.default_rng(0).uniform(0.2, 0.8, 150)
    evaluation = made_evaluation("probe", {"start": start, "adapted": start + 0.1, "plain": start - 0.1})
    assert decide([evaluation], seed=0).use == "adapted"
    assert decide([evaluation], system="plain", seed=0).difference == pytest.approx(-0.1)
    with pytest.raises(ReknitError, match='both "other" and "start"'):
        decide([evaluation], system="other", seed=0)


def test_labelled_collections_decide_before_the_probe():
    verdict = decide([planted("probe", 0.2), planted("scifact", -0.1)], seed=0)
    assert (verdict.use, verdict.decided_by) == ("start", "scifact")
    verdict = decide([planted("probe", -0.2), planted("scifact", 0.1), planted("npl", 0.1, 90, seed=1)], seed=0)
    assert (verdict.use, verdict.decided_by) == ("adapted", "scifact, npl")
    assert "mean nDCG@10 over 2 collections (scifact, npl) rises" in verdict.sentence
    assert "240 queries" in verdict.sentence


def test_one_collection_that_is_surely_worse_forbids_the_change():
    verdict = decide([planted("large", 0.2), planted("small", -0.08, seed=1)], seed=0)
    assert verdict.ci95[0] > 0
    assert verdict.use == "start"
    assert "but on small it falls (-0.0" in verdict.sentence
    harmless = decide([planted("large", 0.2), planted("small", 0.0, seed=1)], seed=0)
    assert harmless.use == "adapted"


def test_a_handful_of_queries_is_never_enough():
    # The bootstrap of one value has no width; the sign-flip test knows better.
    verdict = decide([made_evaluation("probe", {"start": np.array([0.1]), "adapted": np.array([0.9])})], seed=0)
    assert verdict.ci95 == pytest.approx((0.8, 0.8))
    assert (verdict.use, verdict.p) == ("start", 1.0)
    assert "1 query)" in verdict.sentence


def test_the_same_queries_are_paired_whatever_their_order():
    one = planted("probe", 0.05)
    turned = planted("probe", 0.05)
    turned.per_query["adapted"]["nDCG@10"] = dict(reversed(turned.per_query["adapted"]["nDCG@10"].items()))
    assert decide([one], seed=0) == decide([turned], seed=0)


def test_json_is_plain_and_complete():
    verdict = decide([planted("probe", 0.05)], seed=0)
    plain = to_plain(verdict)
    assert json.loads(json.dumps(plain)) == plain
    assert set(plain) == {"use", "metric", "difference", "ci95", "p", "decided_by", "sentence"}


def test_what_cannot_be_decided_is_refused():
    only_start = made_evaluation("probe", {"start": np.array([0.1, 0.2])})
    for evaluations in ([], [only_start]):
        with pytest.raises(ReknitError, match="no verdict without"):
            decide(evaluations, seed=0)
    with pytest.raises(ReknitError, match="has no 'MAP'"):
        decide([planted("probe", 0.1)], metric="MAP", seed=0)
    unequal = planted("probe", 0.1)
    unequal.per_query["start"]["nDCG@10"].popitem()
    with pytest.raises(ReknitError, match="same queries"):
        decide([unequal], seed=0)
