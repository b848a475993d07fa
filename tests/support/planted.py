"""A check fails on a planted bug, and says what it is there to say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import recipe_checks as checks

# What each check says when it fails for its own reason, and not because the planted bug broke something else.
REASONS: dict[Callable[..., None], str] = {
    checks.check_gradients_reach_encoder: "does not reach",
    checks.check_bottleneck: "does not reach the sentence vector|goes around|reaches sentence vectors alone",
    checks.check_untrained: "does not change after|changes, though|declared as `untrained`",
    checks.check_packing_invariance: "with its neighbours",
    checks.check_padding_invariance: "with padding",
    checks.check_entropy_floor: "on noise; chance is|`floors` tells of|no floor may be empty",
    checks.check_no_peek: "of a hidden token moves|about a hidden token moves|at a hidden vector moves|called seen|"
    "does not ask for the vector|other texts' vectors move|do not tell of it|say why in `visible`",
    checks.check_against_naive: "loops give|has no naive twin",
    checks.check_positives: "true pairs lose",
    checks.check_loss_falls: "went from|step 0",
}


def fails(check: Callable[..., None], *arguments: object, **settings: object) -> None:
    with pytest.raises(AssertionError, match=REASONS[check]):
        check(*arguments, **settings)
