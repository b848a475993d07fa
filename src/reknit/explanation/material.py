"""What features are trained, described and tested on: a sample of a corpus's passages, and their token states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reknit.data.text.curation import curate
from reknit.data.text.documents import Document, ReadReport
from reknit.data.text.passage_store import Passage, PassageStore
from reknit.data.text.readers import open_corpus
from reknit.errors import ReknitError
from reknit.explanation.config import ExplainConfig, ExplanationFolder
from reknit.explanation.result import Sample
from reknit.interpretability.activation_store import ActivationStore, sample_texts
from reknit.jobs.files import disk_full_explained
from reknit.jobs.interrupt import Interrupted, StopRequest
from reknit.jobs.progress import Progress
from reknit.models.embedding_model import EmbeddingModel

LEAST_PASSAGES = 20


@dataclass(frozen=True)
class Material:
    """passages: of the whole corpus. sampled: numbers of those whose states are in `store`, in its order; the first
    half of them is looked at, the other half tests. layer: whose states they are."""

    config: ExplainConfig
    model: EmbeddingModel
    layer: int
    passages: PassageStore
    sampled: list[int]
    store: ActivationStore

    @classmethod
    def prepare(
        cls, config: ExplainConfig, model: EmbeddingModel, layer: int, folder: ExplanationFolder, stop: StopRequest
    ) -> Material:
        """Read the corpus, draw the sample and encode it; what the folder holds already is taken from there.

        Raises ReknitError for a corpus with fewer than `LEAST_PASSAGES` passages in the sample.
        """
        with Progress() as progress:
            passages = _passages(config, folder, progress, stop)
            sampled = sample_texts(
                len(passages),
                lambda number: passages[number].full_text,
                lambda text: len(model.tokenizer.encode_batch([text], model.max_length)[0].tokens),
                config.states,
                config.seed,
            )
            if len(sampled) < LEAST_PASSAGES:
                raise ReknitError(
                    f"the sample has {len(sampled)} passages, and {LEAST_PASSAGES} are needed to describe features and "
                    "test them: give more texts, or raise states"
                )
            path = folder.data / "states"
            if path.is_dir():
                return cls(config, model, layer, passages, sampled, ActivationStore.open(path))
            progress.start("encode", unit="tokens")

            def tell(done: int, total: int) -> None:
                progress.update(done, total)
                _heed(stop)

            texts = [passages[number].full_text for number in sampled]
            store = ActivationStore.build(model, texts, path, layer=layer, stored=config.stored, on_progress=tell)
        return cls(config, model, layer, passages, sampled, store)

    @property
    def seen(self) -> int:
        """Passages of the sample that train and describe the features; the others test them."""
        return len(self.store) // 2

    @property
    def seen_states(self) -> int:
        return int(self.store.offsets[self.seen])

    def passage(self, number: int) -> Passage:
        """By its number in the sample."""
        return self.passages[self.sampled[number]]

    def facts(self) -> Sample:
        passages, store = self.passages, self.store
        return Sample(passages.num_documents, len(passages), len(store), store.num_states, self.seen, self.seen_states)


def _passages(config: ExplainConfig, folder: ExplanationFolder, progress: Progress, stop: StopRequest) -> PassageStore:
    path = folder.data / "passages.arrow"
    if path.is_file():
        return PassageStore.open(path)
    report = ReadReport()
    progress.start("read corpus", unit="documents")
    documents = curate(open_corpus(config.corpus, report, max_bad=config.max_bad), report)
    with disk_full_explained(str(path)):
        return PassageStore.build(_counted(documents, progress, stop), path, max_words=config.passage_words)


def _counted(documents: Iterable[Document], progress: Progress, stop: StopRequest) -> Iterator[Document]:
    for number, document in enumerate(documents, 1):
        progress.update(number)
        _heed(stop)
        yield document


def _heed(stop: StopRequest) -> None:
    if stop.asked:
        raise Interrupted("stopped before the features were trained")
