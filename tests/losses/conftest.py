"""The toy models and naive losses of tests/recipes serve these tests too."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "recipes"))
