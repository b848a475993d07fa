"""What all arms of a comparison are trained on and measured by."""

from __future__ import annotations

from dataclasses import dataclass

from reknit.research.config import ComparisonConfig, shared_run
from reknit.research.folder import ComparisonFolder
from reknit.research.measures import Measure, open_measures
from reknit.training.config import SCRATCH
from reknit.training.corpus import Corpus, prepare_corpus
from reknit.training.run_folder import RunFolder
from reknit.training.start import prepare_tokenizer

_DATA_SEED = 0


@dataclass(frozen=True)
class Material:
    """corpus: curated, without the measures' queries. measures: those of the folders named."""

    corpus: Corpus
    measures: list[Measure]

    @classmethod
    def prepared(
        cls, config: ComparisonConfig, folder: ComparisonFolder, measures: list[Measure] | None = None
    ) -> Material:
        """Open all, and make in the folder what is not there yet."""
        if measures is None:
            measures = open_measures(config.eval, config.classified_texts, config.sizes, config.fine_tuning)
        unseen = {text for measure in measures for text in measure.unseen}
        shared = RunFolder(folder.path, data=folder.data)
        corpus = prepare_corpus(shared_run(config, _DATA_SEED), shared, unseen)
        if config.start == SCRATCH:
            prepare_tokenizer(config.encoder, shared, corpus, _DATA_SEED)
        return cls(corpus, measures)
