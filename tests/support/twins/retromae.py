"""RetroMAE and DupMAE: what they predict, and the second one's words, one text at a time."""

from __future__ import annotations

from reknit.data.batch import Batch
from reknit.encoders.base import Encoder
from reknit.objectives.draws import draw_seed, drawn_texts
from reknit.objectives.retromae import RetroMAE
from twins.base import Losses, ReconstructionTwin, ordinary_places, passes, same_draws
from twins.losses.bag_of_words import naive_bag_of_words


class RetroTwin(ReconstructionTwin):
    def loops(self, objective: RetroMAE, encoder: Encoder, batch: Batch) -> Losses:
        with passes(encoder) as made:
            expected = super().loops(objective, encoder, batch)
        if objective.spec.bag_of_words_weight:
            asked = drawn_texts(batch, draw_seed(same_draws()), objective.spec.bag_of_words_share).tolist()
            places = [place for place in ordinary_places(batch) if asked[place]]
            offsets = [sum(place < int(end) for place in places) for end in batch.cu_seqlens]
            states, words = objective.head(made[0][1].last[places]), batch.tokens[places].tolist()
            loss = naive_bag_of_words(states, encoder.table, objective.head.bias, offsets, words)
            expected["bag_of_words"] = objective.spec.bag_of_words_weight * loss
        return expected


TWIN = RetroTwin()
