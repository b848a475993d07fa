"""The head that says of each token whether it is the text's own."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class DetectionHead(nn.Module):
    """Dense, GELU, one logit: above 0 where the token was replaced (ELECTRA's discriminator, Clark et al. 2020)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dense, self.logit = nn.Linear(dim, dim), nn.Linear(dim, 1)
        for layer in (self.dense, self.logit):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, states: Tensor) -> Tensor:
        """[P, dim] hidden states -> [P] logits."""
        return self.logit(functional.gelu(self.dense(states))).squeeze(1)
