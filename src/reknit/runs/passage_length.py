"""How long passages may be for a model that reads only so many tokens of a text."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import islice

import numpy as np

from reknit.data.text.documents import Document
from reknit.data.text.passage_store import cut_document
from reknit.data.text.passages import PASSAGE_WORDS, count_words
from reknit.models.embedding_model import EmbeddingModel

logger = logging.getLogger("reknit")

LEAST_PASSAGE_WORDS = 20
# What is looked at: the first passages of the beginnings of the first documents.
_DOCUMENTS, _CHARACTERS = 200, 4000


def words_that_are_read(model: EmbeddingModel, documents: Iterable[Document]) -> int:
    """`PASSAGE_WORDS`, or so many that about half of all passages of this length are read whole.

    A prompt and a title take their part of the tokens that the model reads. documents: only the first ones are looked
    at, and read.
    """
    shortened = (Document(one.id, one.title, one.text[:_CHARACTERS]) for one in islice(documents, _DOCUMENTS))
    passages = [passage for one in shortened for passage in cut_document(one, PASSAGE_WORDS)[:1]]
    if not passages:
        return PASSAGE_WORDS
    before = [model.prompts.get("document", "") + passage.title for passage in passages]
    texts = [f"{front} {passage.text}" for front, passage in zip(before, passages, strict=True)]
    taken, whole = (
        np.array([len(text.tokens) for text in model.tokenizer.encode_batch(some, _CHARACTERS)])
        for some in (before, texts)
    )
    words = np.array([count_words(passage.text) for passage in passages])
    fitting = (model.max_length - taken) * words / np.maximum(whole - taken, 1)
    length = max(LEAST_PASSAGE_WORDS, min(PASSAGE_WORDS, int(np.median(fitting))))
    if length < PASSAGE_WORDS:
        logger.info("passages: up to %d words, since the model reads %d tokens of a text", length, model.max_length)
    return length
