"""The settings of a `reknit vocabulary` run: those of any run, and those of its tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from reknit.errors import ReknitError
from reknit.ranges import NonNegativeFloat, PositiveInt
from reknit.runs.config import ExpansionSpec, RunConfig, with_overrides
from reknit.training.budget import parse_budget
from reknit.vocabulary.methods import method_named, training_recipe
from reknit.vocabulary.transfer import TokenizerTransfer
from reknit.vocabulary.wechsel import Wechsel

VERB = TokenizerTransfer.verb
DEFAULT_METHOD = "wechsel"


@dataclass(frozen=True)
class VocabularyConfig(RunConfig):
    """A start model that is given a tokenizer trained on the corpus, and token embeddings for it.

    Of the phases of `RunConfig`, `pretrain` is the training that follows, None for none; `tune` is not used.
    """

    method: str = DEFAULT_METHOD
    """How the embeddings of new tokens are made: a tokenizer transfer of the catalogue, or "random"; `--method` of the
    command.
    """
    part: TokenizerTransfer = field(default_factory=Wechsel)
    """Settings of the method."""
    vocabulary: PositiveInt | None = None
    """Tokens of the new tokenizer, at most; None for as many as the old one has."""
    shared: bool | None = None
    """Whether tokens that both tokenizers spell alike keep their embeddings; None for yes where the corpus is of the
    model's own language, that is where source_texts is None.
    """
    source_texts: str | None = None
    """Texts (file or folder) of the model's own language, where the corpus is of another; None where it is the same."""
    translations: str | None = None
    """File with a word or sentence of the model's language, a tab and its translation on each line, by which the two
    languages are aligned; None for words that both spell alike.
    """
    margin: NonNegativeFloat = 0.02
    """nDCG@10 that the new tokenizer may cost, at most, and still be recommended."""

    @property
    def keeps_shared(self) -> bool:
        return self.source_texts is None if self.shared is None else self.shared

    def check(self) -> None:
        """Raise ReknitError for settings that do not go together."""
        if self.from_scratch:
            raise ReknitError("a new model has no tokenizer to replace: give a trained one with --start")
        if self.translations is not None and self.source_texts is None:
            raise ReknitError(
                "translations align the corpus with texts of the model's own language: name these with --set "
                "source_texts=PATH, or leave translations out"
            )


def configured(
    corpus: str,
    start: str,
    method: str,
    budget: str | None = None,
    eval: Sequence[str] = (),
    settings: Sequence[str] = (),
) -> VocabularyConfig:
    """The configuration of a run by a method of the catalogue, or by "random", changed by "a.b=c" settings.

    budget: of the training that follows the transfer; none when None. Raises ReknitError for an unknown method, with
    the nearest names, and for settings that cannot be.
    """
    given = VocabularyConfig(
        corpus=corpus,
        start=start,
        method=method,
        part=method_named(method),
        pretrain=None if budget is None else training_recipe(),
        keep="last",
        eval=tuple(eval),
        expansion=ExpansionSpec(words=0),
    )
    if budget is not None:
        given = replace(given, budget=parse_budget(budget))
    return with_overrides(given, tuple(settings))
