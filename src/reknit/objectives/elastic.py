"""Contrastive learning of a model that can be cut: fewer layers, fewer dimensions (2D Matryoshka; Starbucks)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor

from reknit.data.batch import Batch, View, Vocabulary
from reknit.encoders.base import Encoder
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError
from reknit.losses.info_nce import info_nce, score_divergence
from reknit.objectives.base import WHOLE_TEXTS, EmbeddingObjective, ObjectiveSpec, StepOutput
from reknit.objectives.contrastive import sides_of
from reknit.ranges import NonNegativeFloat, PositiveFloat

_MOST_SIZES = 6
_LEAST_DIMS = 8


@dataclass(frozen=True)
class ElasticContrastiveSpec(ObjectiveSpec):
    """Settings of 2D Matryoshka (Li et al. 2024) and Starbucks (Zhuang et al. 2024)."""

    temperature: PositiveFloat = 0.05
    """Divides the cosine similarities; a smaller value puts more weight on the hardest negatives."""
    symmetric: bool = False
    """Also find the query of each passage, and average both directions."""
    sizes: tuple[str, ...] = ()
    """Smaller sizes that are trained beside the full model, as LAYERSxDIMENSIONS, such as 2x64. Empty for up to 6
    sizes, the full one included: even steps in layers, each with half the dimensions of the next.
    """
    trained: Literal["every", "one"] = "every"
    """Sizes trained in a step: "every" one (Starbucks), or "one" random layer and the last one, both with all
    dimensions and with a random number of them (2D Matryoshka).
    """
    alignment: NonNegativeFloat = 1.0
    """Weight of the divergence of each smaller size's scores from those of the full model, which are held fixed; with
    trained=one, of the random layer's scores. 0 leaves it out.
    """

    def __post_init__(self) -> None:
        if self.temperature <= 0.0:
            raise ReknitError(f"the temperature is {self.temperature}; it must be above 0")
        if self.alignment < 0.0:
            raise ReknitError(f"alignment is {self.alignment}; it must be 0 or more")
        for size in self.sizes:
            parse_size(size)

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> ElasticContrastive:
        return ElasticContrastive(self, smaller_sizes(self.sizes, encoder), encoder.depth, encoder.dim, pooling)


class ElasticContrastive(EmbeddingObjective[Encoder]):
    """Losses "contrastive" (InfoNCE, the mean over the sizes) and "alignment" (towards the full model's scores)."""

    partial = frozenset({"alignment"})
    vector_losses = frozenset({"contrastive", "alignment"})
    visible = MappingProxyType(dict.fromkeys(vector_losses, WHOLE_TEXTS))

    def __init__(
        self, spec: ElasticContrastiveSpec, sizes: list[tuple[int, int]], depth: int, dim: int, pooling: str
    ) -> None:
        super().__init__()
        self.spec, self.pooling, self.sizes, self.full = spec, pooling, sizes, (depth, dim)

    def embed(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> Tensor:
        """[N, S, dim]: each text's vector at every size of the step, 0 beyond its dimensions; the full one last."""
        sizes = [*self.sizes, self.full] if self.spec.trained == "every" else self._drawn(rng)
        encoded = encoder(View.clean(batch), sorted({layers for layers, _ in sizes}))
        cut = []
        for layers, dims in sizes:
            vectors = pool(encoded, self.pooling, layers)
            kept = torch.arange(vectors.shape[1], device=vectors.device) < dims
            cut.append(vectors.float() * kept)
        return torch.stack(cut, dim=1)

    def floors(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> dict[str, float | str]:
        found: dict[str, float | str] = {"contrastive": math.log(batch.num_sequences // 2)}
        if self.spec.alignment and len(self.sizes):
            found["alignment"] = "all sizes may score alike, whatever the texts are"
        return found

    def score(self, embeddings: Tensor, batch: Batch) -> StepOutput:
        spec = self.spec
        queries, passages = sides_of(embeddings, batch)
        count = embeddings.shape[1]
        aligned = count - 1 if spec.trained == "every" else count // 2
        losses, divergences = [], []
        for size in range(count):
            loss, accuracy = info_nce(
                queries[:, size],
                passages[:, size],
                batch.groups,
                temperature=spec.temperature,
                symmetric=spec.symmetric,
            )
            losses.append(loss)
            if size < aligned and spec.alignment:
                student = queries[:, size], passages[:, size]
                teacher = queries[:, -1].detach(), passages[:, -1].detach()
                divergences.append(score_divergence(student, teacher, batch.groups, temperature=spec.temperature))
        found = {"contrastive": torch.stack(losses).mean()}
        if divergences:
            found["alignment"] = spec.alignment * torch.stack(divergences).mean()
        return StepOutput(found, {"contrastive_accuracy": float(accuracy)})

    def _drawn(self, rng: torch.Generator) -> list[tuple[int, int]]:
        """A random layer below the last, where there is one, and the last; each cut to a random width, and whole."""
        depth, dim = self.full
        layer = int(torch.randint(1, max(depth, 2), (), generator=rng))
        narrow = sorted({dims for _, dims in self.sizes if dims < dim})
        widths = [narrow[int(torch.randint(len(narrow), (), generator=rng))], dim] if narrow else [dim]
        layers = [layer, depth] if depth > 1 else [depth]
        return [(layer, width) for layer in layers for width in widths]


def smaller_sizes(named: tuple[str, ...], encoder: Encoder) -> list[tuple[int, int]]:
    """(layers, dimensions) of the sizes named, each once, or of `default_sizes`, without that of the full model.

    Raises ReknitError for one that is not understood, or is not within the encoder.
    """
    sizes = list(dict.fromkeys(map(parse_size, named))) or default_sizes(encoder.depth, encoder.dim)
    for layers, dims in sizes:
        if layers > encoder.depth or dims > encoder.dim:
            raise ReknitError(
                f"the size {layers}x{dims} is not within the encoder's {encoder.depth} layers and {encoder.dim} "
                "dimensions: change objective.sizes"
            )
    return [size for size in sizes if size != (encoder.depth, encoder.dim)]


def default_sizes(depth: int, dim: int) -> list[tuple[int, int]]:
    """(layers, dimensions), small to full: even steps in layers, each with twice the dimensions of the one before."""
    steps = layer_steps(depth)
    dims = [max(dim >> (len(steps) - step), min(_LEAST_DIMS, dim)) for step in range(1, len(steps))]
    return list(zip(steps, [*dims, dim], strict=True))


def layer_steps(depth: int) -> list[int]:
    """Up to six numbers of layers in even steps, the last one all."""
    count = min(_MOST_SIZES, depth)
    return [-(-depth * step // count) for step in range(1, count + 1)]


def parse_size(text: str) -> tuple[int, int]:
    """(layers, dimensions) of "2x64". Raises ReknitError for anything else."""
    layers, cross, dims = text.lower().partition("x")
    if not (cross and layers.isdecimal() and dims.isdecimal() and int(layers) and int(dims)):
        raise ReknitError(f"the size {text!r} is not understood: write layers and dimensions, such as 2x64")
    return int(layers), int(dims)
