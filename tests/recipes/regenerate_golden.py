"""Write the golden losses of recipes: `python tests/recipes/regenerate_golden.py [NAME ...]`.

Without names it writes those of the recipes that have none, so that a new recipe adds its own file alone. With names it
writes these anew: only after a change that is meant to be one.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "support"))

from cases import RECIPES
from golden import golden_losses, write_golden_losses

if __name__ == "__main__":
    names = sys.argv[1:] or [name for name in RECIPES if golden_losses(name) is None]
    for name in names:
        print(write_golden_losses(RECIPES[name]))
