"""Which of several start models is trained, and which are searched with beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from encoder_samples import minilm_folder

from reknit.adaptation.starts import choose_starts
from reknit.data.retrieval_set import RetrievalSet
from reknit.errors import ReknitError
from reknit.models.embedder import Embedder
from reknit.models.loading import load_embedding_model
from reknit.runs.config import RunConfig
from reknit.runs.run_folder import RunFolder
from reknit.runs.start import LoadedStart, load_starts

PROBE = RetrievalSet(
    "probe",
    {f"d{n}": f"text {n}" for n in range(30)},
    {f"q{n}": f"query {n}" for n in range(20)},
    {f"q{n}": {f"d{n}": 1} for n in range(20)},
)


def alike(name: str) -> float:
    """All are as fast."""
    return 1.0


def knows(share: float):
    """A model that finds the answer of so many of ten queries first."""

    def encode(texts: list[str], kind: str) -> np.ndarray:
        vectors = np.zeros((len(texts), 60), dtype=np.float32)
        for row, text in enumerate(texts):
            number = int(text.split()[1])
            vectors[row, number if kind == "document" or number % 10 < 10 * share else 59 - number] = 1.0
        return vectors

    return encode


class Frozen(Embedder):
    """A model that cannot be trained."""

    name, prompts, default_prompt, similarity, dims, max_length = "frozen", {}, None, "cosine", None, 8
    dim, has_unit_vectors = 60, True

    def encode(self, texts, **how):
        raise NotImplementedError


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.data.mkdir(parents=True)
    return folder


def test_the_best_that_can_be_trained_is_the_student(folder: RunFolder) -> None:
    model = load_embedding_model(minilm_folder())
    weak, good, best = (
        LoadedStart(name, name, of) for name, of in (("weak", model), ("good", model), ("best", Frozen()))
    )
    encoders = {"weak": knows(0.2), "good": knows(0.7), "best": knows(0.9)}
    starts = choose_starts([weak, good, best], encoders, PROBE, folder, alike)
    assert starts.student is good
    assert starts.others == (best, weak), "the best of the others, and what the user has"
    assert starts.have is weak
    assert choose_starts([good, weak, best], encoders, PROBE, folder, alike).others == (best,)


def test_of_two_that_are_as_good_the_faster_is_trained(folder: RunFolder) -> None:
    model = load_embedding_model(minilm_folder())
    best, fast, poor = (LoadedStart(name, name, model) for name in ("best", "fast", "poor"))
    encoders = {"best": knows(0.7), "fast": knows(0.6), "poor": knows(0.2)}
    seconds = {"best": 4.0, "fast": 2.0, "poor": 1.0}
    # One query in ten, of twenty: not significantly more.
    starts = choose_starts([best, fast, poor], encoders, PROBE, folder, seconds.__getitem__)
    assert starts.student is fast
    assert starts.others == (best,)


def test_a_resumed_run_measures_nothing(folder: RunFolder) -> None:
    model = load_embedding_model(minilm_folder())
    one, other = (LoadedStart(name, name, model) for name in ("one", "other"))
    encoders = {"one": knows(0.2), "other": knows(0.7)}
    first = choose_starts([one, other], encoders, PROBE, folder, alike)

    def never(texts: list[str], kind: str) -> np.ndarray:
        raise AssertionError("measured again")

    assert choose_starts([one, other], dict.fromkeys(encoders, never), PROBE, folder, alike) == first


def test_vectors_are_named_after_the_folders(tmp_path: Path) -> None:
    for name in ("a model", "start", "b+c", "start_expanded"):
        shutil.copytree(minilm_folder(), tmp_path / name)
    also = tuple(str(tmp_path / name) for name in ("start", "b+c", "start_expanded"))
    loaded = load_starts(RunConfig(corpus="c", start=str(tmp_path / "a model"), also_start=also))
    assert [one.name for one in loaded] == ["a-model", "start-2", "b-c", "start-3"]


@pytest.mark.parametrize(
    ("start", "also", "complaint"),
    [
        ("scratch", ("model",), "makes a new model, beside which no other can be given"),
        ("model", ("scratch",), "makes a new model, beside which no other can be given"),
        ("model", ("model",), "given twice"),
    ],
)
def test_starts_that_do_not_go_together_are_refused(
    start: str, also: tuple[str, ...], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").symlink_to(minilm_folder())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ReknitError, match=complaint):
        load_starts(RunConfig(corpus="c", start=start, also_start=also))
