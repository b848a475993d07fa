"""The checks that every stem must pass. Each raises AssertionError and says what it found.

tests/encoders/stems/test_stem_bugs.py proves for each check here that it fails on the bug it is for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from reknit.data.batch import Signal, View, positions_of, segments_of
from reknit.encoders.stems.base import Rows, Stem

MASK, WORD_END, SIGNAL = 1, 2, 3
VOCABULARY, DIM = 40, 12
LENGTHS = (7, 1, 12, 4)

NaiveStem = Callable[[Stem, nn.Embedding, View], list[Tensor]]
"""The vectors of each sequence of a view, [K_n, dim], by loops."""


def table(seed: int = 0) -> nn.Embedding:
    torch.manual_seed(seed)
    return nn.Embedding(VOCABULARY, DIM)


def rows_view(lengths: tuple[int, ...] = LENGTHS, width: int = 0, seed: int = 0) -> View:
    """Random ids, a fifth of them masked; with a width, about half of the rows are patches of so many numbers."""
    generator = torch.Generator().manual_seed(seed)
    total = sum(lengths)
    tokens = torch.randint(SIGNAL + 1, VOCABULARY, (total,), generator=generator)
    draws = torch.rand(total, 3, generator=generator)
    tokens[draws[:, 0] < 0.3] = WORD_END
    signal = None
    if width:
        at = (draws[:, 1] < 0.5).nonzero().squeeze(1)
        tokens[at] = SIGNAL
        places = torch.stack((at // 3, at % 3), dim=1)
        signal = Signal(at, torch.randn(len(at), width, generator=generator), places, "patch")
    masked = draws[:, 2] < 0.2
    shown = tokens.masked_fill(masked & (tokens != SIGNAL), MASK)
    return View(shown, torch.tensor([0, *lengths]).cumsum(0), tokens, masked, masked, signal=signal)


def check_owner_covers(stem: Stem, view: View) -> None:
    """Every row of the view has its vector, every vector has rows, in order and within one sequence."""
    rows = stem(view, table())
    count = len(rows.vectors)
    assert rows.vectors.shape == (int(rows.cu_seqlens[-1]), DIM), f"{tuple(rows.vectors.shape)} vectors came back"
    assert torch.equal(rows.positions, positions_of(rows.cu_seqlens)), "positions are not the places in a sequence"
    owner = torch.arange(count) if rows.owner is None else rows.owner
    assert owner.shape == view.tokens.shape, f"{tuple(owner.shape)} owners for {view.tokens.numel()} rows"
    assert (owner.diff() >= 0).all(), "owners are not in order"
    owned = torch.bincount(owner, minlength=count)
    assert len(owned) == count, "a row is owned by a vector that is not there"
    assert (owned > 0).all(), "a vector owns no row"
    own, given = segments_of(rows.cu_seqlens)[owner], segments_of(view.cu_seqlens)
    assert torch.equal(own, given), "a vector owns a row of another sequence"


def check_against_naive(stem: Stem, naive: NaiveStem, view: View) -> None:
    """Packed vectors are those of loops over each sequence."""
    look_up = table()
    rows = stem(view, look_up)
    for number, expected in enumerate(naive(stem, look_up, view)):
        found = rows.vectors[rows.cu_seqlens[number] : rows.cu_seqlens[number + 1]]
        assert found.shape == expected.shape, f"{len(found)} vectors of sequence {number}, {len(expected)} by loops"
        difference = float((found - expected).detach().abs().max())
        assert difference < 1e-5, f"sequence {number} is {difference:.2g} from the loops"


def check_packing(stem: Stem, view: View) -> None:
    """The first sequence has the same vectors alone."""
    rows, end = stem(view, table()), int(view.cu_seqlens[1])
    alone = stem(first_sequence(view), table())
    found = rows.vectors[: rows.cu_seqlens[1]]
    assert found.shape == alone.vectors.shape, f"{len(found)} vectors beside neighbours, {len(alone.vectors)} alone"
    difference = float((found - alone.vectors).detach().abs().max())
    assert difference < 1e-6, f"a sequence of {end} rows moves by {difference:.2g} with its neighbours"


def check_content(stem: Stem, view: View) -> None:
    """A row that is shown moves its own vector and no other; one that is masked moves none."""
    rows = stem(view, table())
    owner = torch.arange(len(rows.vectors)) if rows.owner is None else rows.owner
    looked_at = set()
    for place in range(view.tokens.numel()):
        is_patch = view.signal is not None and place in view.signal.at.tolist()
        if not is_patch and (view.masked[place] or view.tokens[place] == WORD_END):
            continue  # the view itself holds the mask token there; and what ends a word must go on doing so
        again: Rows = stem(with_another(view, place), table())
        moved = (again.vectors - rows.vectors).detach().abs().amax(dim=1) > 1e-7
        if view.masked[place]:
            assert not moved.any(), f"the masked row {place} shows what it holds"
        else:
            alone = moved.nonzero().flatten().tolist() == [int(owner[place])]
            assert alone, f"row {place} does not move its vector alone"
        looked_at.add((is_patch, bool(view.masked[place])))
    assert len(looked_at) == (3 if view.signal is not None else 1), f"only {looked_at} were looked at"


def check_gradients(stem: Stem, view: View) -> None:
    """Every weight of the stem, and the table, learn from the vectors."""
    look_up = table()
    (stem(view, look_up).vectors * torch.randn(DIM, generator=torch.Generator().manual_seed(4))).sum().backward()
    for name, parameter in (("the table", look_up.weight), *stem.named_parameters()):
        assert parameter.grad is not None, f"{name} gets no gradient"
        assert float(parameter.grad.abs().sum()) > 0, f"{name} gets no gradient"
    stem.zero_grad()


def check_round_trip(stem: Stem, view: View, tolerance: float = 1e-4) -> None:
    """What a row holds can be read back from its vector, where each row has its own and there is room for it."""
    look_up = table()
    vectors = stem(view, look_up).vectors.detach()
    shown = ~view.masked
    if view.signal is None:
        nearest = torch.cdist(vectors, look_up.weight.detach()).argmin(dim=1)
        assert torch.equal(nearest, view.tokens), "tokens cannot be read back"
        return
    (weight, bias) = (stem.get_parameter(f"projection.{kind}").detach() for kind in ("weight", "bias"))
    found = (vectors[view.signal.at] - bias) @ torch.linalg.pinv(weight).T
    seen = shown[view.signal.at]
    difference = float((found - view.signal.values)[seen].abs().max())
    assert difference < tolerance, f"patches come back {difference:.2g} off"


def first_sequence(view: View) -> View:
    end = int(view.cu_seqlens[1])
    parts = {name: getattr(view, name)[:end] for name in ("tokens", "targets", "predict", "masked")}
    return replace(view, cu_seqlens=view.cu_seqlens[:2], signal=view.signal and view.signal.between(0, end), **parts)


def with_another(view: View, place: int) -> View:
    """The view with something else at `place`."""
    if view.signal is not None and place in view.signal.at.tolist():
        values = view.signal.values.clone()
        values[view.signal.at.tolist().index(place)] += 1.0
        return replace(view, signal=replace(view.signal, values=values))
    tokens = view.tokens.clone()
    tokens[place] = SIGNAL + 1 if int(tokens[place]) == VOCABULARY - 1 else int(tokens[place]) + 1
    return replace(view, tokens=tokens)


class WordMeans(Stem):
    """The mean of the vectors of each word, for tests of a stem that gives fewer rows than it got.

    A word ends behind WORD_END and with its sequence; a projection of its own comes behind the mean.
    """

    def __init__(self, dim: int = DIM) -> None:
        super().__init__()
        self.projection = nn.Linear(dim, dim)

    def forward(self, view: View, look_up: Callable[[Tensor], Tensor]) -> Rows:
        starts = functional.pad(view.tokens[:-1] == WORD_END, (1, 0))
        starts[view.cu_seqlens[:-1]] = True
        owner = starts.cumsum(0) - 1
        count = int(owner[-1]) + 1
        looked_up = self.projection(look_up(view.tokens))
        sums = looked_up.new_zeros(count, looked_up.shape[1]).index_add(0, owner, looked_up)
        means = sums / torch.bincount(owner, minlength=count)[:, None]
        cu_seqlens = functional.pad(starts.cumsum(0), (1, 0))[view.cu_seqlens]
        return Rows(means, cu_seqlens, positions_of(cu_seqlens), owner)
