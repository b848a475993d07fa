"""`reknit vocabulary`: a tokenizer of the corpus's own in place of the one that a model has, and whether it pays."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import torch

from reknit.data.retrieval_set import RetrievalSet
from reknit.data.text.corpus import Corpus
from reknit.data.text.documents import ReadReport
from reknit.data.text.readers import read_documents
from reknit.errors import ReknitError
from reknit.evaluation.beir import load_beir
from reknit.jobs.files import disk_full_explained, written_aside
from reknit.jobs.interrupt import Interrupted, listen_for_stop
from reknit.jobs.precision import best_device
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.loading import load_embedding_model
from reknit.runs.config import DEFAULT_START
from reknit.runs.corpus import check_corpus_path, prepare_corpus
from reknit.runs.start import TOKENIZER_WORDS
from reknit.tokenizers.tokenizer import Tokenizer, train_tokenizer
from reknit.training.budget import format_budget
from reknit.vocabulary.alignment import WordPair, read_pairs
from reknit.vocabulary.config import DEFAULT_METHOD, VocabularyConfig, configured
from reknit.vocabulary.deliver import deliver
from reknit.vocabulary.folder import VocabularyFolder
from reknit.vocabulary.model import tokenizer_kind, with_vocabulary, writes_lower_case
from reknit.vocabulary.result import VocabularyResult
from reknit.vocabulary.training import train_on
from reknit.vocabulary.transfer import NewRows, TransferMaterial, rows_to_keep

logger = logging.getLogger("reknit")


def vocabulary(
    corpus: str | Path,
    out: str | Path,
    *,
    start: str | Path = DEFAULT_START,
    method: str = DEFAULT_METHOD,
    budget: str | None = None,
    eval: Sequence[str | Path] = (),
    settings: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
) -> VocabularyResult:
    """Train a tokenizer on `corpus`, give `start` the rows for it, and measure what is gained and lost.

    method: how the new rows are made, a tokenizer transfer of the catalogue, or "random". budget: of masked language
    modelling after that, such as "10m"; none when None. eval: labelled BEIR folders, which decide in place of the probe
    cut from the corpus. settings: "a.b=c" changes to any field of `VocabularyConfig`. The run folder `out` gets the
    model with the new tokenizer, whatever the verdict. Raises ReknitError on bad input, and Interrupted after Ctrl-C
    with everything saved for `resume`.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ReknitError("a vocabulary is made in one process: start it without torchrun")
    config = configured(str(corpus), str(start), method, budget, tuple(map(str, eval)), settings)
    config.check()
    folder = VocabularyFolder(out)
    check_corpus_path(config.corpus, folder.path)
    if config.source_texts is not None:
        check_corpus_path(config.source_texts, folder.path)
    pairs = () if config.translations is None else tuple(read_pairs(config.translations))
    collections = [load_beir(path) for path in config.eval]
    old = load_embedding_model(config.start)
    tokenizer_kind(old)
    _ = old.tokenizer.hf  # read it whole now: the folder may belong to the run that this one replaces
    folder.take(config, resume=resume, overwrite=overwrite)
    command = _command(config, folder, budget, settings)
    try:
        with folder.logging(), disk_full_explained(str(folder.path)):
            return _run(config, folder, old, pairs, collections, command, resume=resume)
    except KeyboardInterrupt:
        raise Interrupted("stopped") from None


def _run(
    config: VocabularyConfig,
    folder: VocabularyFolder,
    old: EmbeddingModel,
    pairs: tuple[WordPair, ...],
    collections: list[RetrievalSet],
    command: str,
    *,
    resume: bool,
) -> VocabularyResult:
    queries = {text for collection in collections for text in collection.queries.values()}
    with folder.preparing(resume=resume):
        corpus = prepare_corpus(config, folder, queries, reader=old)
        tokenizer = prepare_tokenizer(config, folder, corpus, old)
        made = transfer(config, corpus, old, tokenizer, pairs)
    logger.info("%s: %s", config.method, ", ".join(f"{count} rows {name}" for name, count in made.counts().items()))
    old.encoder.to(best_device())
    new = with_vocabulary(old, tokenizer, torch.from_numpy(made.rows))
    with listen_for_stop() as stop:
        training = train_on(config, folder, corpus, new, stop)
    if stop.asked:
        raise Interrupted("stopped after training")
    return deliver(config, folder, corpus, old, new, made, training, collections, command)


def prepare_tokenizer(
    config: VocabularyConfig, folder: VocabularyFolder, corpus: Corpus, old: EmbeddingModel
) -> Tokenizer:
    """A tokenizer of the corpus, of the old one's kind; trained once, a resumed run finds it."""
    saved = folder.data / "tokenizer"
    if not saved.exists():
        size = old.tokenizer.vocabulary.size if config.vocabulary is None else config.vocabulary
        logger.info("training a tokenizer of up to %d pieces on the corpus", size)
        texts = corpus.sampled_training_texts(TOKENIZER_WORDS, config.seed)
        lowercase = writes_lower_case(old.tokenizer)
        tokenizer = train_tokenizer(texts, size, family=tokenizer_kind(old), lowercase=lowercase)
        with written_aside(saved) as aside:
            tokenizer.save(aside)
    return Tokenizer.load(saved)


def transfer(
    config: VocabularyConfig, corpus: Corpus, old: EmbeddingModel, tokenizer: Tokenizer, pairs: tuple[WordPair, ...]
) -> NewRows:
    """The new table, by the method of `config`. Raises ReknitError where the texts do not suffice for it."""
    source_texts = config.source_texts
    material = TransferMaterial(
        rows=old.encoder.table.detach().float().cpu().numpy(),
        source=old.tokenizer,
        target=tokenizer,
        kept=rows_to_keep(old.tokenizer, tokenizer, shared=config.keeps_shared),
        texts=lambda: corpus.sampled_training_texts(TOKENIZER_WORDS, config.seed),
        source_texts=None if source_texts is None else lambda: _texts_of(source_texts, config.max_bad),
        translations=pairs,
        seed=config.seed,
    )
    return config.part.new_rows(material)


def _texts_of(path: str, max_bad: int):  # type: ignore[no-untyped-def]
    report = ReadReport()
    return (f"{document.title} {document.text}" for document in read_documents(Path(path), report, max_bad=max_bad))


def _command(config: VocabularyConfig, folder: VocabularyFolder, budget: str | None, settings: Sequence[str]) -> str:
    words = ["reknit", "vocabulary", config.corpus, "--start", config.start, "--out", str(folder.path)]
    words += ["--method", config.method]
    words += [] if budget is None else ["--budget", format_budget(config.budget)]
    for name, values in (("--eval", config.eval), ("--set", settings)):
        words += [part for value in values for part in (name, value)]
    return shlex.join(words)
