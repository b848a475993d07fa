"""Why a query finds what it finds: the features of the first hit, by what the similarity loses without each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from reknit.data.batch import View
from reknit.errors import ReknitError
from reknit.explanation.excerpts import marks_of
from reknit.explanation.material import Material
from reknit.explanation.result import Hit, HitFeature
from reknit.interpretability.contributions import contributions
from reknit.interpretability.descriptions import Descriptions
from reknit.interpretability.feature_model import FeatureModel
from reknit.interpretability.lexicon import Lexicon
from reknit.retrieval.index import Hit as Found
from reknit.retrieval.index import Index

LISTED = 12
_WORDS_OF_PASSAGE = 5


def explain_hit(
    material: Material, features: FeatureModel, lexicon: Lexicon, described: Descriptions, query: str
) -> Hit:
    """The first hit of a query, by its vector, and the features that contribute most to its similarity (see
    `contributions`).

    It is searched in the index of the run that is explained, where there is one, else among the sampled passages.
    Raises ReknitError for an empty query, and as `contributions` does.
    """
    if not query.strip():
        raise ReknitError("the query is empty: give words to look for with --query")
    model = material.model
    vector = model.comparable(model.encode([query], prompt_name="query"))[0]
    index = Path(material.config.model) / "index"
    found = _in_index(index, vector) if index.is_dir() else _in_sample(material, vector)
    text = f"{found.title} {found.text}".strip()
    made = contributions(model, features, material.layer, text, vector)
    order = np.argsort(-made.values, kind="stable")[:LISTED]
    chosen, in_query = made.features[order], _fire_in(material, features, query)
    prompt = model.prompt_text("document")
    batch = model.tokenizer.pack([prompt + text], model.max_length)
    word_of_token, words = lexicon.read(batch).word_of_token.numpy(), lexicon.words_of(batch)
    code = np.where(batch.special.numpy()[:, None], 0.0, made.code.numpy())
    listed = tuple(
        HitFeature(
            number=int(feature),
            contribution=float(made.values[place]),
            in_query=bool(in_query[feature]),
            words=described.words[feature],
            fires_on=_fires_on(code[:, feature], word_of_token, words),
        )
        for place, feature in zip(order.tolist(), chosen.tolist(), strict=True)
    )
    spans = np.maximum(model.tokenizer.spans(prompt + text, model.max_length) - len(prompt), 0)
    marks = marks_of(spans, code[:, chosen] @ np.maximum(made.values[order], 0.0), text)
    searched = str(index) if index.is_dir() else "the sampled passages"
    return Hit(query, searched, found.id, found.title, text, marks, made.similarity, listed)


def _in_index(folder: Path, vector: np.ndarray) -> Found:
    hits = Index.open(folder).search(vector, None, 1, "dense")
    if not hits:
        raise ReknitError(f"{folder} holds no passages: build it again")
    return hits[0]


def _in_sample(material: Material, vector: np.ndarray) -> Found:
    model = material.model
    texts = [material.passage(number).full_text for number in range(len(material.sampled))]
    scores = model.comparable(model.encode(texts, prompt_name="document")) @ vector
    best = int(scores.argmax())
    passage = material.passage(best)
    return Found(passage.id, passage.title, passage.text, float(scores[best]))


@torch.inference_mode()
def _fire_in(material: Material, features: FeatureModel, query: str) -> np.ndarray:
    """[width] bool: whether each feature fires in the query, its prompt included."""
    model = material.model
    batch = model.tokenizer.pack([model.prompt_text("query") + query], model.max_length)
    view = View.clean(batch.to(model.encoder.table.device))
    states = model.encoder(view, layers=[material.layer]).states[material.layer].float()
    return (features.encode(states) > 0).any(dim=0).cpu().numpy()


def _fires_on(activations: np.ndarray, word_of_token: np.ndarray, words: list[str]) -> tuple[str, ...]:
    """Distinct words of the passage, those with the largest activation first."""
    order = [token for token in np.argsort(-activations, kind="stable").tolist() if activations[token] > 0]
    found = dict.fromkeys(words[word_of_token[token]] for token in order if word_of_token[token] >= 0)
    return tuple(found)[:_WORDS_OF_PASSAGE]
