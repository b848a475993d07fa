"""The last part of a vocabulary run: count tokens, judge, export, report. Killed here, a resume does it again."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.data.text.corpus import Corpus
from reknit.evaluation.probe import drop_shared_words
from reknit.evaluation.retrieval import evaluate_retrieval
from reknit.evaluation.scores import Evaluation
from reknit.export.check import check_export
from reknit.export.sentence_transformers import save
from reknit.jobs.files import write_json
from reknit.jobs.machine import machine, versions
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.encode_texts import encoder_function
from reknit.runs.config import to_json
from reknit.runs.result import CorpusFacts, ProbeFacts, Training
from reknit.tokenizers.tokenizer import Tokenizer
from reknit.version import __version__
from reknit.vocabulary.config import VocabularyConfig
from reknit.vocabulary.folder import VocabularyFolder
from reknit.vocabulary.page import write_page
from reknit.vocabulary.result import CutWord, TokenizerFacts, VocabularyResult
from reknit.vocabulary.transfer import NewRows
from reknit.vocabulary.verdict import NEW, OLD, decide
from reknit.vocabulary.word_vectors import split_words

logger = logging.getLogger("reknit")
COUNTED_TEXTS = 2000
_WORDS_SHOWN = 12
_WORDS_COMPARED = 5000
_CHECKED_TEXTS = 16
_WHOLE = 1_000_000  # tokens of a text: none is cut


def deliver(
    config: VocabularyConfig,
    folder: VocabularyFolder,
    corpus: Corpus,
    old: EmbeddingModel,
    new: EmbeddingModel,
    made: NewRows,
    training: Training | None,
    collections: list[RetrievalSet],
    command: str,
) -> VocabularyResult:
    """Write model/, report.html and last of all result.json; returns what that holds.

    Raises ReknitError when the exported model's vectors differ between reknit, transformers and sentence-transformers.
    """
    drawn = np.random.default_rng([config.seed, 7]).permutation(len(corpus.store))[:COUNTED_TEXTS]
    texts = [corpus.store[number].full_text for number in np.sort(drawn).tolist()]
    before, after = (tokens_of(model.tokenizer, texts) for model in (old, new))
    evaluations = _evaluated(config, corpus, old, new, collections)
    verdict = decide(evaluations, before, after, margin=config.margin, seed=config.seed)
    logger.info("verdict: %s", verdict.sentence)
    save(new, folder.model)
    result = VocabularyResult(
        reknit_version=__version__,
        command=command,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=config.seed,
        start=config.start,
        method=config.method,
        settings=to_json(config),
        corpus=_corpus_facts(corpus),
        before=_facts(old, before),
        after=_facts(new, after),
        counted_texts=len(texts),
        rows=made.counts(),
        verdict=verdict,
        evaluations=tuple(evaluations),
        words=cut_less(old.tokenizer, new.tokenizer, texts),
        training=training,
        export=check_export(new, folder.model, texts[:_CHECKED_TEXTS]),
        machine=machine(),
        versions=versions(),
    )
    write_page(folder.report, result)
    write_json(folder.result, result.to_json())
    return result


def tokens_of(tokenizer: Tokenizer, texts: list[str]) -> np.ndarray:
    """[texts] tokens of each whole text, special ones included."""
    return np.array([len(one.tokens) for one in tokenizer.encode_batch(texts, _WHOLE)], dtype=np.float64)


def cut_less(old: Tokenizer, new: Tokenizer, texts: list[str]) -> tuple[CutWord, ...]:
    """The words of `texts` for which the new tokenizer saves most tokens in all, at most a dozen."""
    counts = Counter(word.lower() for text in texts for word in split_words(text))
    frequent = sorted(counts, key=lambda word: (-counts[word], word))[:_WORDS_COMPARED]
    cut = zip(frequent, pieces_of(old, frequent), pieces_of(new, frequent), strict=True)
    words = [CutWord(word, counts[word], before, after) for word, before, after in cut if len(after) < len(before)]
    words.sort(key=lambda word: -word.count * (len(word.old) - len(word.new)))
    return tuple(words[:_WORDS_SHOWN])


def pieces_of(tokenizer: Tokenizer, words: list[str]) -> list[tuple[str, ...]]:
    """The pieces of each word as they stand inside a text."""
    found = tokenizer.encode_batch([f" {word}" for word in words], _WHOLE)
    return [tuple(tokenizer.hf.convert_ids_to_tokens(one.tokens[~one.special].tolist())) for one in found]


def _evaluated(
    config: VocabularyConfig,
    corpus: Corpus,
    old: EmbeddingModel,
    new: EmbeddingModel,
    collections: list[RetrievalSet],
) -> list[Evaluation]:
    encode = {name: encoder_function(model, config.precision) for name, model in ((OLD, old), (NEW, new))}
    probe = drop_shared_words(corpus.held_out.whole)
    found = []
    for collection in (probe, *collections):
        logger.info("evaluating on %s (%d documents)", collection.name, len(collection.documents))
        # The probe's queries are cut out of documents.
        split = collection is not probe
        found.append(evaluate_retrieval(collection, encode, split_identifiers=split, seed=config.seed))
    return found


def _corpus_facts(corpus: Corpus) -> CorpusFacts:
    facts, held_out = asdict(corpus.report), corpus.held_out
    return CorpusFacts(
        **facts | {"problems": tuple(facts["problems"])},
        passages=len(corpus.store),
        words=corpus.store.words,
        passage_words=corpus.passage_words,
        probe=ProbeFacts(held_out.kind, len(held_out.dev.queries), len(held_out.test.queries), judged_by_all=True),
        language=corpus.language,
    )


def _facts(model: EmbeddingModel, tokens: np.ndarray) -> TokenizerFacts:
    table = model.encoder.table
    return TokenizerFacts(len(table), 4 * table.numel(), float(tokens.mean()))
