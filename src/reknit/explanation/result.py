"""What a `reknit explain` run found, as one typed value: result.json is written from it and read into it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reknit.errors import ReknitError
from reknit.interpretability.descriptions import FeatureWord
from reknit.interpretability.quality import FeatureQuality
from reknit.jobs.files import read_json
from reknit.jobs.typed_json import from_plain, to_plain

VERSION = 1
"""Of result.json."""


@dataclass(frozen=True)
class Sample:
    """What was read: documents and passages of the corpus, and passages and token states of the sample; of these the
    first `seen_passages` and `seen_states` trained and described the features, the others tested them."""

    documents: int
    passages: int
    sampled_passages: int
    sampled_states: int
    seen_passages: int
    seen_states: int


@dataclass(frozen=True)
class DescriptionScore:
    """How well the words of features foretell where they fire in unseen passages.

    live: features that fire in at least ten of the seen passages. tested: of these, those whose words could be tested.
    auroc: their mean; None where there are none.
    """

    live: int
    tested: int
    auroc: float | None


@dataclass(frozen=True)
class Measured:
    """A feature model on the unseen passages."""

    quality: FeatureQuality
    descriptions: DescriptionScore


@dataclass(frozen=True)
class Verdict:
    """explains: whether the features are worth reading. difference, ci95: mean AUROC of the features' words less that
    of random directions' words, with its 95% interval (Welch; the feature is the unit); None where it cannot be said.
    sentence: all of it in plain English."""

    explains: bool
    difference: float | None
    ci95: tuple[float, float] | None
    sentence: str


@dataclass(frozen=True)
class Excerpt:
    """A passage in which a feature fires. marks: places in `text` where it does, at half of its largest activation in
    the passage or more. activation: the largest. unseen: whether the passage is one that tested the words."""

    id: str
    title: str
    text: str
    marks: tuple[tuple[int, int], ...]
    activation: float
    unseen: bool


@dataclass(frozen=True)
class Feature:
    """number: in the feature model. firing: fraction of the words on which it fires. auroc: of its words on unseen
    passages; None where it is not defined."""

    number: int
    firing: float
    auroc: float | None
    words: tuple[FeatureWord, ...]
    excerpts: tuple[Excerpt, ...] = ()


@dataclass(frozen=True)
class HitFeature:
    """A feature of a found passage. contribution: what the similarity to the query loses without it. in_query: whether
    it fires in the query too. fires_on: words of the passage, those with the largest activation first."""

    number: int
    contribution: float
    in_query: bool
    words: tuple[FeatureWord, ...]
    fires_on: tuple[str, ...]


@dataclass(frozen=True)
class Hit:
    """The passage found first for a query. searched: where. similarity: of query and passage. marks: places in `text`
    where the features that contribute most fire."""

    query: str
    searched: str
    id: str
    title: str
    text: str
    marks: tuple[tuple[int, int], ...]
    similarity: float
    features: tuple[HitFeature, ...]


@dataclass(frozen=True)
class ExplainResult:
    """config: as `to_json` gives it. trained, control: the features, and random directions in their place. features:
    all live ones by number; those on the page have excerpts. hit: of the query, if there is one."""

    command: str
    date: str
    config: dict[str, Any]
    model: str
    layer: int
    sample: Sample
    trained: Measured
    control: Measured
    verdict: Verdict
    features: tuple[Feature, ...]
    hit: Hit | None = None
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, nothing rounded."""
        return {"kind": "explanation", "version": VERSION} | {
            name: to_plain(getattr(self, name)) for name in self.__dataclass_fields__
        }

    @classmethod
    def from_json(cls, value: Any, where: str = "result.json") -> ExplainResult:
        """What `to_json` wrote. Raises ReknitError for something else, or of another version."""
        if not isinstance(value, dict) or (value.get("kind"), value.get("version")) != ("explanation", VERSION):
            raise ReknitError(f"{where} is no explanation of version {VERSION}: make it again with reknit explain")
        try:
            found: ExplainResult = from_plain(cls, value, "explanation")
        except ValueError as error:
            raise ReknitError(f"{where} is damaged ({error}): make it again with reknit explain") from error
        return found

    @classmethod
    def read(cls, path: Path) -> ExplainResult:
        """Of a result.json. Raises ReknitError as `from_json` does."""
        return cls.from_json(read_json(path), str(path))

    @property
    def shown(self) -> list[Feature]:
        """The features on the page, best described first."""
        return sorted((one for one in self.features if one.excerpts), key=lambda one: (-(one.auroc or 0.0), one.number))
