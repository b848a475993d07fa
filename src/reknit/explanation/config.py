"""The setting of a `reknit explain` run, and its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reknit.data.text.passages import PASSAGE_WORDS
from reknit.errors import ReknitError
from reknit.interpretability.activation_store import Stored
from reknit.interpretability.feature_model import FeatureModelSpec
from reknit.interpretability.features_folder import FOLDER as FEATURES
from reknit.jobs.files import read_json, write_json
from reknit.jobs.folder import JobFolder
from reknit.runs.config import to_json

DEFAULT_METHOD = "topk-sae"


@dataclass(frozen=True)
class ExplainConfig:
    """What is explained, and how.

    model, corpus: as given. method, part: the feature model. layer: whose token states it reads, 0 for the input of the
    first layer; None for the middle one. states: token states that are sampled from the corpus, in whole passages; the
    features are trained and described on one half of the passages, and tested on the other. training_states: states
    that the training sees, each as often as it takes. passage_words: of a passage at most. stored: number format of the
    states on disk. words: that describe a feature at most. shown: features on the page. excerpts: passages shown of
    each. seed: of the sample, the training and the choice of features. max_bad: unreadable records to skip before
    giving up.
    """

    model: str
    corpus: str
    method: str
    part: FeatureModelSpec
    layer: int | None = None
    states: int = 200_000
    training_states: int = 500_000
    passage_words: int = PASSAGE_WORDS
    stored: Stored = "float16"
    words: int = 10
    shown: int = 30
    excerpts: int = 4
    seed: int = 0
    max_bad: int = 100

    def __post_init__(self) -> None:
        for name in ("states", "training_states", "passage_words", "words", "shown"):
            if getattr(self, name) < 1:
                raise ReknitError(f"{name} is {getattr(self, name)}: it must be 1 or more")


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
            raise ReknitError(f"{self.path} holds something else than an explanation: give a new folder with --out")
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
