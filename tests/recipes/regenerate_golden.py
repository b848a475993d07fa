"""Write golden.json anew: `python tests/recipes/regenerate_golden.py`. Only after a change that is meant to be one."""

import json

from test_every_recipe import GOLDEN, RECIPES, current_first_losses

if __name__ == "__main__":
    losses = {name: current_first_losses(recipe) for name, recipe in RECIPES.items()}
    rounded = {name: {loss: round(value, 6) for loss, value in by_loss.items()} for name, by_loss in losses.items()}
    GOLDEN.write_text(json.dumps(rounded, indent=1, sort_keys=True) + "\n")
