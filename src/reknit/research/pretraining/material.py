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
from reknit.research.pretraining.checks import check_arms
from reknit.research.pretraining.config import Arm, ComparisonConfig, shared_run, training_config
from reknit.research.pretraining.folder import ComparisonFolder
from reknit.runs.config import SCRATCH
from reknit.runs.corpus import check_corpus_path, prepare_corpus
from reknit.runs.phases import check_parts
from reknit.runs.run_folder import RunFolder
from reknit.runs.start import prepare_tokenizer

_DATA_SEED = 0


@dataclass(frozen=True)
class Material:
    """corpus: curated, without the texts that the measures keep out. measures: those of the places named."""

    corpus: Corpus
    measures: list[Measure]

    @property
    def size(self) -> dict[str, int]:
        """Documents, passages and words of the corpus."""
        store = self.corpus.store
        return {"documents": self.corpus.report.documents, "passages": len(store), "words": store.words}

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


def prepare_comparison(
    arms: Sequence[Arm], config: ComparisonConfig, folder: ComparisonFolder, *, resume: bool, overwrite: bool
) -> Material:
    """Make the folder ready and in it what all arms share.

    Raises ReknitError for arms and places that cannot be compared, before anything is trained.
    """
    measures = open_measures(config.eval, config.classified_texts, config.sizes, config.fine_tuning)
    check_arms(arms, config, measures)
    check_corpus_path(config.corpus, folder.path)
    folder.open(config, resume=resume, overwrite=overwrite)
    with folder.preparing(resume=resume):
        material = Material.prepared(config, folder, measures)
        for arm in arms:
            check_parts(training_config(arm, config, 0), material.corpus)
    return material


@lru_cache(maxsize=1)
def opened(config: ComparisonConfig, folder: Path) -> Material:
    """What `Material.prepared` has made in a comparison's folder; one training after another shares it."""
    return Material.prepared(config, ComparisonFolder(folder))


def _check_unchanged(file: Path, unseen: Sequence[str]) -> None:
    """Raise ReknitError where a comparison that is resumed took other texts out of its corpus."""
    found = hash_text("\0".join(unseen))
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {"hash": found})
    elif read_json(file)["hash"] != found:
        raise ReknitError(
            "the --eval data changed since the comparison was started, so the corpus may now contain it: restore the "
            "folders and files of --eval, or start a new comparison"
        )
