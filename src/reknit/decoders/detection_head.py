"""The head that says yes or no of each token: whether it is the text's own, or of a kind."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from reknit.decoders.initial_weights import draw_like_bert


class DetectionHead(nn.Module):
    """Dense, GELU, one logit: above 0 where the token was replaced (ELECTRA's discriminator, Clark et al. 2020)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dense, self.logit = nn.Linear(dim, dim), nn.Linear(dim, 1)
        draw_like_bert((self.dense, self.logit))

    def forward(self, states: Tensor) -> Tensor:
        """[P, dim] hidden states -> [P] logits."""
        logits: Tensor = self.logit(functional.gelu(self.dense(states))).squeeze(1)
        return logits
