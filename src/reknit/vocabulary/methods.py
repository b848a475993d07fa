"""The methods of `reknit vocabulary`: the catalogue's tokenizer transfers, and random rows."""

from __future__ import annotations

from typing import cast

from reknit import catalogue
from reknit.recipe import Recipe
from reknit.vocabulary.transfer import RandomRows, TokenizerTransfer

RANDOM = "random"


def method_named(name: str) -> TokenizerTransfer:
    """A method of the catalogue, or "random", the baseline of all. Raises ReknitError for any other name."""
    if name == RANDOM:
        return RandomRows()
    return cast(TokenizerTransfer, catalogue.find_method(name, TokenizerTransfer.verb).part)


def training_recipe() -> Recipe:
    """What trains a model after the transfer."""
    return catalogue.find("mlm")
