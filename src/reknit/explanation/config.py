"""The settings of a `reknit explain` run, and its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reknit import catalogue
from reknit.data.text.passages import PASSAGE_WORDS
from reknit.errors import ReknitError
from reknit.interpretability.activation_store import Stored
from reknit.interpretability.feature_model import FeatureModelSpec
from reknit.interpretability.features_folder import FOLDER as FEATURES
from reknit.jobs.files import read_json, write_json
from reknit.jobs.folder import JobFolder
from reknit.ranges import NonNegativeInt, PositiveInt
from reknit.runs.config import to_json, with_overrides

VERB = FeatureModelSpec.verb
DEFAULT_METHOD = "topk-sae"


@dataclass(frozen=True)
class ExplainConfig:
    """Features of a model's token states, trained, described and tested on a corpus."""

    model: str
    """Model folder, run folder or hub id; an argument of the command."""
    corpus: str
    """Folder or file of texts, or "python-docs"; `--corpus` of the command."""
    method: str
    """Name of the feature model in the catalogue; `--method` of the command."""
    part: FeatureModelSpec
    """Settings of the feature model and of its training."""
    layer: NonNegativeInt | None = None
    """Layer whose token states are explained, 0 for the input of the first one; None for the middle one."""
    states: PositiveInt = 200_000
    """Token states that are sampled from the corpus, in whole passages: features are trained and described on one half
    of the passages and tested on the other.
    """
    training_states: PositiveInt = 500_000
    """Token states of the whole training; the sampled ones are repeated until there are so many."""
    passage_words: PositiveInt = PASSAGE_WORDS
    """Words of a passage, at most; longer documents are cut into passages."""
    stored: Stored = "float16"
    """Number format of the token states on disk; float32 takes twice the space."""
    words: PositiveInt = 10
    """Words that describe a feature, at most."""
    shown: PositiveInt = 30
    """Features on the page, drawn at random from the live ones; result.json has all of those."""
    excerpts: PositiveInt = 4
    """Passages on the page for each feature, those in which it fires most."""
    seed: NonNegativeInt = 0
    """Seed of all random numbers: the sample, the training, the control, and the features on the page."""
    max_bad: NonNegativeInt = 100
    """Unreadable records of the corpus that are skipped before the job gives up; `--max-bad` of the command."""


def configured(model: str, corpus: str, method: str, settings: Sequence[str]) -> ExplainConfig:
    """The configuration of a run by a feature model of the catalogue, changed by "a.b=c" settings.

    Raises ReknitError for an unknown method, with the nearest names, and for settings that cannot be.
    """
    part = catalogue.find_method(method, VERB).part
    if not isinstance(part, FeatureModelSpec):
        raise ReknitError(f"{method} is a {part.role}; `reknit {VERB}` takes feature models only")
    config = with_overrides(ExplainConfig(model, corpus, method, part), tuple(settings))
    config.part.check()
    if (config.model, config.corpus, config.method) != (model, corpus, method):
        raise ReknitError("--set cannot change model, corpus or method: change them in the command itself")
    return config


class ExplanationFolder(JobFolder):
    """features/, result.json and report.html; while the job runs, also data/: passages, token states, checkpoints."""

    kind = "explanation"
    own = ("data", FEATURES, "result.json", "report.html", "config.json")

    def __init__(self, path: Path | str) -> None:
        super().__init__(path)
        self.data = self.path / "data"
        self.features = self.path / FEATURES
        self.result = self.path / "result.json"
        self.report = self.path / "report.html"

    def take(self, config: ExplainConfig, *, resume: bool, overwrite: bool) -> None:
        """Make the folder ready, or raise ReknitError when it is not free for what is asked."""
        stored = read_json(self.config) if self.is_taken() else {"explanation": {}}
        if not isinstance(stored, dict) or "explanation" not in stored:
            raise ReknitError(f"{self.path} holds something other than an explanation: give a new folder with --out")
        self.check(resume=resume, overwrite=overwrite)
        wanted = to_json(config)
        if resume and stored["explanation"] != wanted:
            changed = [name for name, value in wanted.items() if stored["explanation"].get(name) != value]
            raise ReknitError(
                f"{self.path} was started with another {', '.join(changed)}: repeat its command with --resume; only "
                "the query may change"
            )
        self.make(overwrite=overwrite)
        write_json(self.config, {"explanation": wanted})
