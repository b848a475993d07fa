"""The checks that every objective must pass. Each raises AssertionError and says what it found.

"The loss falls" and "every parameter gets a gradient" catch almost nothing; `tests/recipes/test_planted_*.py` prove for
each check here that it fails on the bug it is for. Each checks something of every objective, or asks the objective to
declare why there is nothing to check.
"""

from recipe_checks.flow import check_bottleneck, check_gradients_reach_encoder, check_untrained
from recipe_checks.leaks import check_entropy_floor, check_no_peek
from recipe_checks.losses import check_against_naive, check_loss_falls, check_positives, first_losses
from recipe_checks.neighbours import check_packing_invariance, check_padding_invariance

__all__ = [
    "check_against_naive",
    "check_bottleneck",
    "check_entropy_floor",
    "check_gradients_reach_encoder",
    "check_loss_falls",
    "check_no_peek",
    "check_packing_invariance",
    "check_padding_invariance",
    "check_positives",
    "check_untrained",
    "first_losses",
]
