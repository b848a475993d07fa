"""Whether features are worth reading: they reconstruct, and their words say more than those of random directions."""

from __future__ import annotations

import numpy as np

from reknit.explanation.result import Measured, Verdict

NOTHING = "These features explain nothing here"


def judge(trained: Measured, control: Measured, scores: np.ndarray, control_scores: np.ndarray) -> Verdict:
    """The verdict.

    scores, control_scores: [n] AUROC of each tested feature, and of each tested random direction. The features explain
    something where their error is below 1, which is the mean predictor's, and below the random directions', and the
    whole interval of the difference in mean AUROC is above 0.
    """
    difference, interval = _difference(scores, control_scores)
    error, random_error = trained.quality.error, control.quality.error
    if error >= min(1.0, random_error):
        than = "the mean of all states" if error >= 1.0 else "random directions"
        errors = f"error {error:.2f}, random directions {random_error:.2f}"
        why = f"they reconstruct token states no better than {than} ({errors})"
        return Verdict(False, difference, interval, f"{NOTHING}: {why}.")
    if difference is None or interval is None:
        why = "too few of them have words that could be tested on unseen passages; give more texts, or raise states"
        return Verdict(False, None, None, f"{NOTHING}: {why}.")
    about = (
        f"on unseen passages, their words have a mean AUROC of {scores.mean():.3f}, those of random directions "
        f"{control_scores.mean():.3f} (difference {difference:+.3f}, 95% interval {interval[0]:+.3f} to "
        f"{interval[1]:+.3f})"
    )
    if interval[0] <= 0:
        return Verdict(False, difference, interval, f"{NOTHING}: {about}.")
    kept = f"they keep {1 - error:.0%} of what differs between token states"
    return Verdict(True, difference, interval, f"These features can be read: {kept}, and {about}.")


def _difference(scores: np.ndarray, control: np.ndarray) -> tuple[float | None, tuple[float, float] | None]:
    """Difference of means with Welch's 95% interval, which allows both sides a spread of their own."""
    from scipy.stats import ttest_ind

    if len(scores) < 2 or len(control) < 2 or not scores.std() + control.std() > 0:
        return None, None
    found = ttest_ind(scores, control, equal_var=False).confidence_interval(0.95)
    return float(scores.mean() - control.mean()), (float(found.low), float(found.high))
