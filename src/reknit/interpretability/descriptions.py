"""What a feature stands for: the words it fires on, and whether they foretell where it fires in unseen texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from reknit.interpretability.activation_store import ActivationStore, Block
from reknit.interpretability.feature_model import FeatureModel
from reknit.interpretability.lexicon import Lexicon

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

LEAST_LIFT = 2.0
LEAST_TEXTS = 10
_LEAST_OF_EACH = 5
_TOKENS_PER_BLOCK = 4096


@dataclass(frozen=True)
class FeatureWord:
    """A word that a feature fires on.

    lift: the feature's mean activation on the word over its mean activation on all words. share: of all its activation.
    """

    word: str
    lift: float
    share: float


@dataclass(frozen=True)
class Readings:
    """Where each feature fires in the texts of a store, of which the first `seen` are looked at.

    activation: [words + 1, width] float64, sum over the occurrences of each word in the texts looked at; the last row
    is of all words that are not in the lexicon. A word's activation is the largest of its tokens'. occurrences: [words
    + 1] int64 in the same texts. firing: [width] fraction of their words on which the feature fires. peaks: [texts,
    width] float32, its largest activation in each text, looked at or not. contains: [texts, words + 1], above 0 where a
    text has a word.
    """

    seen: int
    activation: np.ndarray
    occurrences: np.ndarray
    firing: np.ndarray
    peaks: np.ndarray
    contains: csr_matrix


@dataclass(frozen=True)
class Descriptions:
    """words: of each feature, best first. auroc: [width] float64, as `describe` defines it, NaN where it is not. live:
    [width] bool, fires in at least `LEAST_TEXTS` of the texts looked at."""

    words: list[tuple[FeatureWord, ...]]
    auroc: np.ndarray
    live: np.ndarray

    @property
    def tested(self) -> np.ndarray:
        """[n] numbers of the live features whose description could be tested."""
        return np.flatnonzero(self.live & np.isfinite(self.auroc))


def describe(readings: Readings, lexicon: Lexicon, words: int) -> Descriptions:
    """Describe each feature by at most `words` words, and test the description on the other texts.

    Chosen on the texts looked at: with p the fraction of all word occurrences that are of a word, and q the fraction of
    a feature's activation that falls on it, lift is q / p; words with a lift of at least `LEAST_LIFT` are ranked by q
    log(q / p), the word's part of the Kullback-Leibler divergence.

    Tested on the texts not looked at: a text is positive where it contains at least one of the words, and the feature's
    score of a text is its largest activation in it, 0 where it does not fire. AUROC is the probability that a positive
    text has a higher score than a negative one, ties counting one half. It is not defined for a feature without words,
    or where fewer than five of these texts are positive, or negative.
    """
    activation, rare = readings.activation, len(lexicon.words)
    everywhere = readings.occurrences / max(1, readings.occurrences.sum())
    share = activation / np.maximum(activation.sum(axis=0), 1e-12)
    lift = share[:rare] / np.maximum(everywhere[:rare, None], 1e-12)
    gain = np.where(lift >= LEAST_LIFT, share[:rare] * np.log(np.maximum(lift, 1e-12)), 0.0)
    best = np.argsort(-gain, axis=0, kind="stable")[:words]
    chosen = np.zeros_like(activation, dtype=np.float32)
    np.put_along_axis(chosen, best, (np.take_along_axis(gain, best, axis=0) > 0).astype(np.float32), axis=0)
    described = [
        tuple(
            FeatureWord(lexicon.words[word], float(lift[word, feature]), float(share[word, feature]))
            for word in best[:, feature]
            if chosen[word, feature]
        )
        for feature in range(activation.shape[1])
    ]
    positive = np.asarray(readings.contains[readings.seen :] @ chosen) > 0
    live = (readings.peaks[: readings.seen] > 0).sum(axis=0) >= LEAST_TEXTS
    return Descriptions(described, auroc(readings.peaks[readings.seen :], positive), live)


def auroc(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """[texts, features] scores and labels -> [features] area under the ROC curve, NaN with fewer than five of either
    label.

    By ranks (Mann and Whitney 1947): ties count one half.
    """
    from scipy.stats import rankdata

    if not len(scores):
        return np.full(scores.shape[1], np.nan)
    ranks = rankdata(scores, axis=0)
    yes = positive.sum(axis=0)
    no = len(positive) - yes
    wins = (ranks * positive).sum(axis=0) - yes * (yes + 1) / 2
    enough = (yes >= _LEAST_OF_EACH) & (no >= _LEAST_OF_EACH)
    return np.where(enough, wins / np.maximum(yes * no, 1), np.nan)


def read_features(model: FeatureModel, store: ActivationStore, lexicon: Lexicon, seen: int) -> Readings:
    """Run the feature model over all states of a store, of which the first `seen` texts are looked at."""
    from scipy.sparse import csr_matrix

    words = len(lexicon.words) + 1
    activation = torch.zeros(words, model.width, dtype=torch.float64)
    fired = torch.zeros(model.width, dtype=torch.float64)
    peaks = torch.zeros(len(store), model.width)
    texts, numbers = [], []
    for block in store.blocks(tokens=_TOKENS_PER_BLOCK):
        found, of_text, of_word = _of_block(model, lexicon, block)
        peaks.scatter_reduce_(0, of_text[:, None].expand_as(found), found, "amax")
        looked_at = of_text < seen
        activation.index_add_(0, of_word[looked_at], found[looked_at].double())
        fired += (found[looked_at] > 0).sum(dim=0)
        texts.append(of_text.numpy())
        numbers.append(of_word.numpy())
    rows, columns = np.concatenate(texts), np.concatenate(numbers)
    contains = csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=(len(store), words))
    occurrences = np.bincount(columns[rows < seen], minlength=words)
    firing = fired.numpy() / max(1, occurrences.sum())
    return Readings(seen, activation.numpy(), occurrences, firing, peaks.numpy(), contains)


@torch.inference_mode()
def _of_block(model: FeatureModel, lexicon: Lexicon, block: Block) -> tuple[Tensor, Tensor, Tensor]:
    """[W, width] activations of the block's words, [W] the text that each is in, [W] its number in the lexicon."""
    code = model.encode(block.states.to(model.decoder.device)).float().cpu()
    read = lexicon.read(block.batch)
    inside = read.word_of_token >= 0
    places = read.word_of_token[inside][:, None].expand(-1, model.width)
    found = torch.zeros(len(read.numbers), model.width).scatter_reduce(0, places, code[inside], "amax")
    return found, read.sequences + block.first, read.numbers
