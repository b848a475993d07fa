"""What all arms of a comparison are trained on and measured by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from reknit.data.text.corpus import Corpus
from reknit.data.text.curation import hash_text
from reknit.errors import ReknitError
from reknit.evaluation.measure import Measure
from reknit.evaluation.measures import open_measures
from reknit.jobs.files import read_json, write_json
from reknit.research.pretraining.config import ComparisonConfig, shared_run
from reknit.research.pretraining.folder import ComparisonFolder
from reknit.runs.config import SCRATCH
from reknit.runs.corpus import prepare_corpus
from reknit.runs.run_folder import RunFolder
from reknit.runs.start import prepare_tokenizer

_DATA_SEED = 0


@dataclass(frozen=True)
class Material:
    """corpus: curated, without what the measures ask for. measures: those of the places named."""

    corpus: Corpus
    measures: list[Measure]

    @classmethod
    def prepared(
        cls, config: ComparisonConfig, folder: ComparisonFolder, measures: list[Measure] | None = None
    ) -> Material:
        """Open all, and make in the folder what is not there yet."""
        if measures is None:
            measures = open_measures(config.eval, config.classified_texts, config.sizes, config.fine_tuning)
        unseen = sorted({text for measure in measures for text in measure.texts_to_keep_out})
        shared = RunFolder(folder.path, data=folder.data)
        _check_unchanged(shared.data / "unseen.json", unseen)
        corpus = prepare_corpus(shared_run(config, _DATA_SEED), shared, unseen)
        if config.start == SCRATCH:
            prepare_tokenizer(config.encoder, shared, corpus, _DATA_SEED)
        return cls(corpus, measures)


@lru_cache(maxsize=1)
def opened(config: ComparisonConfig, folder: Path) -> Material:
    """What `Material.prepared` has made in a comparison's folder; one training after another shares it."""
    return Material.prepared(config, ComparisonFolder(folder))


def _check_unchanged(file: Path, unseen: Sequence[str]) -> None:
    """Raise ReknitError where a comparison that is gone on with took other texts out of its corpus."""
    found = hash_text("\0".join(unseen))
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {"hash": found})
    elif read_json(file)["hash"] != found:
        raise ReknitError(
            "what is measured by has changed since the comparison was started, and the corpus may hold it now: give "
            "the folders and files of --eval back their content, or start anew"
        )
