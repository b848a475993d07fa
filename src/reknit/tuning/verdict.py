"""Tuned model or frozen probe: decided text by text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from reknit.evaluation.significance import paired_test


@dataclass(frozen=True)
class Verdict:
    """use: what to take. difference: accuracy of the tuned model minus that of the frozen probe, with its 95% interval
    (bootstrap over the texts) and p value (sign flips). texts: that judged. sentence: all of it in plain English."""

    use: Literal["tuned", "probe"]
    difference: float
    ci95: tuple[float, float]
    p: float
    texts: int
    sentence: str


def decide(tuned: np.ndarray, probe: np.ndarray, seed: int) -> Verdict:
    """tuned, probe: [texts] 1.0 where a text got its label, else 0.0.

    The answer is "tuned" only where the interval of the difference lies above 0 and the sign-flip test agrees.
    """
    paired = paired_test(tuned, probe, seed)
    significant = paired.is_significant
    use: Literal["tuned", "probe"] = "tuned" if significant and paired.difference > 0 else "probe"
    before, after = float(np.mean(probe)), float(np.mean(tuned))
    numbers = f"({paired.in_words}, {len(tuned)} texts)"
    if use == "tuned":
        answer = f"Use the tuned model: accuracy rises from {before:.3f} to {after:.3f}"
    elif significant:
        answer = f"Keep the frozen probe: accuracy falls from {before:.3f} to {after:.3f}"
    else:
        answer = f"Keep the frozen probe: no significant gain, accuracy goes from {before:.3f} to {after:.3f}"
    return Verdict(use, paired.difference, paired.ci95, paired.p, len(tuned), f"{answer} {numbers}.")
