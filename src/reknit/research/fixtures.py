"""Fixtures: models that are trained once, and that claims start from instead of from random weights.

They lie outside the tree, in $REKNIT_CACHE or ~/.cache/reknit, each in a folder named by a hash of all that made it.
"""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from reknit.errors import ReknitError
from reknit.evaluation.measures import open_measures
from reknit.jobs.files import made_by_one, read_json, write_json, written_aside
from reknit.jobs.interrupt import StopRequest
from reknit.jobs.machine import machine, versions
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.loading import load_embedding_model
from reknit.objectives.base import Objective
from reknit.research.content import content_hash, files_below, settings_hash
from reknit.research.minilm import minilm
from reknit.research.pretraining.arm import outcome_of, run_arm, unigram_outcome
from reknit.research.pretraining.config import LOSS, ComparisonConfig, parse_arm, shared_recipe
from reknit.research.pretraining.folder import ComparisonFolder
from reknit.research.pretraining.material import Material
from reknit.runs.config import SCRATCH, to_json, with_overrides
from reknit.training.budget import parse_budget
from reknit.training.checkpoint import CheckpointFolder

FORMAT = 1
"""Raised by hand where the code changes so that it would train another model from the same settings."""

LARGEST = 100_000_000
"""Bytes of a fixture at most, as many claims and machines keep a copy. The weights of all-MiniLM-L6-v2 have 91 MB."""

CACHE = "REKNIT_CACHE"

logger = logging.getLogger("reknit")


@dataclass(frozen=True)
class Fixture:
    """A model trained by one arm with one seed.

    arm, budget, settings: as of `reknit compare`. from_minilm: whether training starts from all-MiniLM-L6-v2 and not
    from random weights. corpus: below the data folder. kept_out: labelled folders and texts below it, whose texts are
    left out of the corpus, as claims measure on them.
    """

    name: str
    arm: str
    budget: str
    settings: tuple[str, ...]
    from_minilm: bool = False
    corpus: str = "text/mix_en.jsonl.zst"
    kept_out: tuple[str, ...] = ()
    seed: int = 0

    def config(self, data: Path) -> ComparisonConfig:
        """The training as a comparison of one arm, which is neither tuned nor measured."""
        start = minilm() if self.from_minilm else SCRATCH
        config = ComparisonConfig(str(data / self.corpus), parse_budget(self.budget), start=start)
        return with_overrides(config, ("tuning=none", *self.settings))


_MEASURED_ON = (
    "retrieval/cranfield",
    "retrieval/npl",
    "retrieval/scifact",
    "retrieval/xquad_en",
    "retrieval/xquad_en/corpus.jsonl",
)

MASKED_EN = Fixture(
    # Masking alone does not leave the plateau of the unigram entropy in thousands of steps; next-token prediction does
    # in a few hundred, and masking continues from there.
    name="masked-en",
    arm="mlm-vs-clm:objective.switch_at=0.4:objective.masked.ratio=0.15",
    budget="3Mtok",
    settings=(
        "corpus_share=0.2",
        "tokens_per_batch=1024",
        "encoder.family=modernbert",
        "encoder.dim=128",
        "encoder.depth=3",
        "encoder.heads=2",
        "encoder.intermediate=512",
        "encoder.vocabulary=8000",
        "optimiser.learning_rate=1e-3",
        "curve_points=1",
    ),
    kept_out=_MEASURED_ON,
)

MASKED_MINILM = Fixture(
    # A model whose vectors are good already, as a masked language model with a head of its own: what is too small to
    # learn good vectors by masking, as masked-en is, cannot show that a second training improves them.
    name="masked-minilm",
    arm="mlm:objective.ratio=0.15",
    budget="300ktok",
    from_minilm=True,
    settings=(
        "corpus_share=0.03",
        "tokens_per_batch=1024",
        "encoder.family=bert",
        "encoder.dim=384",
        "encoder.depth=6",
        "encoder.heads=12",
        "encoder.intermediate=1536",
        "encoder.vocabulary=8000",
        "optimiser.learning_rate=2e-4",
        "curve_points=1",
        "tuning_budget.tokens=60000",
    ),
    kept_out=_MEASURED_ON,
)

FIXTURES = {fixture.name: fixture for fixture in (MASKED_EN, MASKED_MINILM)}


def find_fixture(name: str) -> Fixture:
    """The fixture of that name. Raises ReknitError that names those there are."""
    if name not in FIXTURES:
        raise ReknitError(f"there is no fixture {name!r}; there are {', '.join(sorted(FIXTURES))}")
    return FIXTURES[name]


def cache_folder() -> Path:
    """Where fixtures are kept."""
    given = os.environ.get(CACHE)
    return (Path(given) if given else Path.home() / ".cache" / "reknit") / "fixtures"


def fixture_folder(fixture: Fixture, data: Path) -> Path:
    """Where the fixture is, or would be: by all that decides its weights. Raises ReknitError for missing data."""
    config = fixture.config(data)
    missing = [place for place in (fixture.corpus, *fixture.kept_out) if not (data / place).exists()]
    if missing:
        raise ReknitError(f"{data} has no {missing[0]}: name the folder that holds the data sets with --data")
    recipe = shared_recipe(parse_arm(fixture.arm), config)
    assert recipe is not None, "a fixture is trained"
    made_of = {
        "format": FORMAT,
        "torch": ".".join(torch.__version__.split(".")[:2]),
        "recipe": {name: getattr(recipe, name) for name in ("objective", "data", "encoder", "optimiser", "after")},
        "settings": replace(config, corpus="", eval=(), start=_named(config.start)),
        "seed": fixture.seed,
        "texts": [content_hash(data / place) for place in (fixture.corpus, *fixture.kept_out)],
    }
    return cache_folder() / f"{fixture.name}-{settings_hash(made_of)[:12]}"


def _named(start: str) -> str:
    """A start model as what it holds, wherever it lies; a name on the hub as it is."""
    return content_hash(Path(start)) if Path(start).is_dir() else start


def train_fixture(fixture: Fixture, data: Path, stop: StopRequest) -> Path:
    """The fixture's folder, which is made where it is not there: model/, heads/ (of the objective), fixture.json.

    A training that was stopped is resumed. Raises ReknitError for missing data and for a fixture that is too large,
    and Interrupted on a stop request, with a checkpoint saved.
    """
    place = fixture_folder(fixture, data)
    with made_by_one(place):
        if not place.exists():
            work = place.with_name(f"{place.name}.training")
            _train(fixture, data, work, place, stop)
            shutil.rmtree(work)
    return place


def load_fixture(fixture: Fixture, folder: Path) -> tuple[EmbeddingModel, Objective]:
    """The model and its objective, with the heads that the training ended with."""
    model = load_embedding_model(folder / "model")
    recipe = parse_arm(fixture.arm).recipe
    assert recipe is not None, "a fixture is trained"
    settings = with_overrides(recipe, parse_arm(fixture.arm).settings)
    objective = settings.objective.build(model.encoder, model.tokenizer.vocabulary, model.pooling)
    CheckpointFolder(folder).load_objective("heads", objective)
    return model, objective.eval()


def _train(fixture: Fixture, data: Path, work: Path, place: Path, stop: StopRequest) -> None:
    config, folder, arm = fixture.config(data), ComparisonFolder(work), parse_arm(fixture.arm)
    logger.info("%s is not there: training it in %s", fixture.name, work)
    folder.open(config, resume=folder.is_taken(), overwrite=False)
    unseen = open_measures([data / kept for kept in fixture.kept_out], config.classified_texts)
    material = replace(Material.prepared(config, folder, unseen), measures=[])
    run = folder.run(arm, fixture.seed)
    outcome = outcome_of(run_arm(arm, config, fixture.seed, run, material, stop), run)
    unigram = unigram_outcome(config, folder, material).values[LOSS]
    with written_aside(place) as aside:
        aside.mkdir()
        shutil.copytree(run.model, aside / "model")
        shutil.copytree(run.phase("pretrain").folder / "final", aside / "heads")
        (aside / "heads" / "encoder.safetensors").unlink()
        size = sum(path.stat().st_size for path in files_below(aside))
        if size > LARGEST:
            raise ReknitError(f"{fixture.name} has {size:,} bytes; a fixture may have {LARGEST:,}: make it smaller")
        write_json(aside / "fixture.json", _facts(fixture, outcome.values[LOSS], unigram, outcome.spent, size))


def _facts(
    fixture: Fixture, loss: float | None, unigram: float | None, spent: dict[str, float], size: int
) -> dict[str, Any]:
    return {
        **to_json(fixture),
        "loss": loss,
        "unigram_entropy": unigram,
        "spent": spent,
        "bytes": size,
        "machine": machine(),
        "versions": versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def facts_of(folder: Path) -> dict[str, Any]:
    """What is known of a fixture that was trained: its settings, the loss it ended at, what it cost."""
    facts: dict[str, Any] = read_json(folder / "fixture.json")
    return facts
