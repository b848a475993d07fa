"""What values say of a control, pairs, bounds and a claim: effects are planted, so the right answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reknit.claim import Bound, ClaimCheck, Pair
from reknit.errors import ReknitError
from reknit.research.statistics import Interval
from reknit.research.verdict import answer_of, judge_check, overall, shown_verdict

CONTROL = (Pair("trained", "untrained", "accuracy"),)
CHECK = ClaimCheck(better=(Pair("new", "old", "accuracy"),))


def planted(seeds: int = 5, *, untrained: float = 0.2, new: float = 0.6, old: float = 0.5) -> dict:
    """{arm: {measure: [seeds]}}: what a seed does to all arms alike is larger than the difference of the arms."""
    drawn = np.random.default_rng(0)
    shared = drawn.normal(scale=0.1, size=seeds)
    effects = {"untrained": untrained, "trained": 0.5, "new": new, "old": old}
    found = {}
    for arm, effect in effects.items():
        accuracy = effect + shared + drawn.normal(scale=0.005, size=seeds)
        found[arm] = {"accuracy": accuracy.tolist(), "loss": (1 - accuracy).tolist(), "error": [0.0] * seeds}
    return found


def lower(label: str) -> bool:
    return label in ("loss", "error")


def judged(check: ClaimCheck = CHECK, controls: tuple[Pair, ...] = CONTROL, **effects: float) -> dict:
    return judge_check(check, controls, planted(**effects), lower)


def test_a_planted_effect_holds_where_the_control_is_seen() -> None:
    found = judged()
    assert found["verdict"] == "holds"
    assert found["reason"] == ""
    assert found["control"]["seen"]
    assert found["control"]["difference"] == pytest.approx(0.3, abs=0.02)
    assert found["pairs"][0]["difference"] == pytest.approx(0.1, abs=0.02)
    low, high = found["pairs"][0]["ci95"]
    # Paired: what the seeds do to all arms alike is gone, a hundred times the width that is left.
    assert low > 0.05 and high < 0.15  # noqa: PT018


def test_the_opposite_effect_does_not_hold_and_none_is_undecided() -> None:
    assert judged(new=0.4)["verdict"] == "does not hold"
    assert judged(new=0.5)["verdict"] == "undecided"


@pytest.mark.parametrize("untrained", [0.5, 0.7], ids=["not seen", "wrong sign"])
def test_without_a_seen_control_the_claim_is_blind_whatever_its_pairs_say(untrained: float) -> None:
    for new in (0.6, 0.4):
        found = judged(untrained=untrained, new=new)
        assert found["verdict"] == "blind"
        assert found["reason"].startswith("control not seen: trained minus untrained by accuracy is ")
        assert found["pairs"][0]["answer"] != "undecided", "the pairs are judged all the same"


def test_a_control_must_be_as_large_as_it_is_asked_to_be() -> None:
    assert judged(controls=(replace(CONTROL[0], at_least=0.2),))["verdict"] == "holds"
    assert judged(controls=(replace(CONTROL[0], at_least=0.4),))["verdict"] == "blind"


def test_a_control_of_a_loss_is_seen_when_it_is_lower() -> None:
    assert judged(controls=(replace(CONTROL[0], measure="loss"),))["verdict"] == "holds"
    turned = (Pair("untrained", "trained", "loss"),)
    assert judged(controls=turned)["verdict"] == "blind"


def test_a_claim_of_pairs_without_a_control_is_blind() -> None:
    found = judged(controls=())
    assert (found["verdict"], found["reason"]) == ("blind", "no control is named")
    assert found["control"] is None


def test_a_control_whose_arms_were_not_trained_is_not_measured() -> None:
    values = planted()
    del values["untrained"]
    found = judge_check(CHECK, CONTROL, values, lower)
    assert (found["verdict"], found["reason"]) == ("blind", "control not measured")
    assert found["control"]["difference"] is None


def test_all_controls_must_be_seen_but_those_that_cannot_apply() -> None:
    values = planted()
    both = (*CONTROL, Pair("trained", "unigram", "language loss"))
    values["unigram"] = {"language loss": [6.9] * 5}
    for losses, verdict in (([6.5] * 5, "holds"), ([7.2] * 5, "blind"), ([None] * 5, "holds")):
        values["trained"]["language loss"] = losses
        found = judge_check(CHECK, both, values, lambda label: label.endswith("loss") or lower(label))
        assert found["verdict"] == verdict
        assert len(found["control"]["further"]) == (losses[0] is not None)
    # The first must apply, and one half of a control is none.
    values["trained"]["language loss"] = [6.5] * 5
    values["unigram"]["language loss"] = [None] * 5
    for controls in (both, both[::-1]):
        found = judge_check(CHECK, controls, values, lambda label: label.endswith("loss") or lower(label))
        assert (found["verdict"], found["reason"]) == ("blind", "control not measured")
    values["trained"]["language loss"] = [None] * 5
    found = judge_check(CHECK, both[::-1], values, lower)
    assert (found["verdict"], found["reason"]) == ("blind", "control not measured")


def test_of_losses_the_lower_one_is_better() -> None:
    pair = Pair("new", "old", "loss")
    assert judged(ClaimCheck(better=(pair,)))["verdict"] == "holds"
    assert judged(ClaimCheck(better=(replace(pair, first="old", second="new"),)))["verdict"] == "does not hold"
    worse = Pair("old", "new", "loss", margin=0.3)
    assert judged(ClaimCheck(no_worse=(worse,)))["verdict"] == "holds"
    assert judged(ClaimCheck(no_worse=(replace(worse, margin=0.01),)))["verdict"] == "does not hold"
    assert judged(ClaimCheck(no_worse=(worse,)))["pairs"][0]["asked"] == "no worse"


def test_better_by_at_least() -> None:
    for at_least, verdict in ((0.05, "holds"), (0.1, "undecided"), (0.2, "does not hold")):
        assert judged(ClaimCheck(better=(Pair("new", "old", "accuracy", at_least),)))["verdict"] == verdict


def test_bounds_are_of_every_seed() -> None:
    values = planted()
    values["new"]["error"] = [1e-6, 1e-6, 2e-5, 1e-6, 1e-6]
    for at_most, verdict in ((1e-4, "holds"), (2e-5, "holds"), (1e-5, "does not hold")):
        check = ClaimCheck(bounds=(Bound("new", "error", at_most),))
        assert judge_check(check, (), values, lower)["verdict"] == verdict
    values["new"]["error"] = [float("nan")]
    found = judge_check(ClaimCheck(bounds=(Bound("new", "error", 1.0),)), (), values, lower)
    assert found["verdict"] == "does not hold"
    # A bound does not make up for a control that a claim's pairs need.
    both = ClaimCheck(better=CHECK.better, bounds=(Bound("old", "error", 1.0),))
    assert judge_check(both, (), planted(), lower)["verdict"] == "blind"
    assert judge_check(both, CONTROL, planted(), lower)["verdict"] == "holds"


@pytest.mark.parametrize(
    ("ci95", "pair", "no_worse", "answer"),
    [
        ((0.01, 0.03), Pair("a", "b"), False, "holds"),
        ((-0.01, 0.03), Pair("a", "b"), False, "undecided"),
        ((-0.03, -0.01), Pair("a", "b"), False, "does not hold"),
        ((0.0, 0.0), Pair("a", "b"), False, "does not hold"),
        ((0.0, 0.0), Pair("a", "b"), True, "holds"),
        ((0.01, 0.03), Pair("a", "b", at_least=0.02), False, "undecided"),
        ((0.02, 0.03), Pair("a", "b", at_least=0.02), False, "holds"),
        ((0.01, 0.015), Pair("a", "b", at_least=0.02), False, "does not hold"),
        ((-0.004, 0.003), Pair("a", "b", margin=0.005), True, "holds"),
        ((-0.01, 0.003), Pair("a", "b", margin=0.005), True, "undecided"),
        ((-0.02, -0.006), Pair("a", "b", margin=0.005), True, "does not hold"),
        ((float("nan"), float("nan")), Pair("a", "b"), False, "undecided"),
        (None, Pair("a", "b"), False, "undecided"),
    ],
)
def test_the_whole_interval_decides(ci95: tuple[float, float] | None, pair: Pair, no_worse: bool, answer: str) -> None:
    assert answer_of(Interval(0.0, ci95), pair, no_worse=no_worse) == answer
    turned = None if ci95 is None else (-ci95[1], -ci95[0])
    assert answer_of(Interval(0.0, turned), pair, lower_is_better=True, no_worse=no_worse) == answer


def test_a_claim_of_several_parts() -> None:
    assert overall(["holds", "holds"]) == "holds"
    assert overall(["holds", "undecided"]) == "undecided"
    assert overall(["holds", "undecided", "does not hold"]) == "does not hold"


def test_the_mean_is_of_what_both_arms_have_and_of_which_more_is_better() -> None:
    values = {
        "new": {"a": [0.9, 0.8, 0.9], "b": [0.5, 0.6, 0.5], "loss": [9.0, 9.0, 9.0]},
        "old": {"a": [0.1, 0.1, 0.2], "b": [None, None, None], "loss": [1.0, 1.0, 1.0]},
        "rival": {"a": [0.7, 0.8, 0.7], "b": [0.1, 0.2, 0.1]},
    }
    found = judge_check(ClaimCheck(better=(Pair("new", "old"), Pair("new", "rival"))), (), values, lower)
    assert [pair["difference"] for pair in found["pairs"]] == [pytest.approx(2.2 / 3), pytest.approx((0.4 + 1.2) / 6)]
    with pytest.raises(ReknitError, match="no measure in common"):
        judge_check(ClaimCheck(better=(Pair("new", "none"),)), (), values | {"none": {"c": [1.0] * 3}}, lower)


def test_a_measure_that_is_not_there_is_named() -> None:
    with pytest.raises(ReknitError, match="new is not measured by 'speed'; it has accuracy, loss, error"):
        judged(ClaimCheck(better=(Pair("new", "old", "speed"),)))
    with pytest.raises(ReknitError, match="new is not measured by 'speed'"):
        judged(ClaimCheck(bounds=(Bound("new", "speed", 1.0),)))


def test_a_check_that_asks_nothing_is_none() -> None:
    with pytest.raises(ReknitError, match="measures nothing"):
        ClaimCheck()


def test_what_was_measured_is_shown_with_the_verdict() -> None:
    record = {"verdict": "holds", "measures": "mechanism", "control": None}
    assert shown_verdict(record) == "holds (mechanism)"
    assert shown_verdict(record | {"measures": "claim"}) == "holds"
    assert shown_verdict(record | {"verdict": "blind"}) == "blind"
    assert shown_verdict({"verdict": "holds"}) == "blind", "a record from before there were controls"
