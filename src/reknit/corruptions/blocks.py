"""Texts cut into blocks of whole sentences, for encoders that read a document block by block."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from reknit.data.batch import Batch
from reknit.data.shard import refuse_signal, shard_of_examples
from reknit.errors import ReknitError


@dataclass(frozen=True)
class Blocks:
    """A batch of N texts as B blocks, in order.

    batch: the blocks as sequences, each with its text's own opening and closing tokens around it. Of a share of a
        step's batch it is a share too, so that what is drawn for it is drawn for the blocks of all processes.
    cu_texts: [N + 1] int64 offsets; text n is the blocks cu_texts[n]:cu_texts[n + 1], one at least.
    source: [S] int64, for each of the blocks' tokens its flat position on the texts' token axis. A text's opening and
        closing tokens stand in each of its blocks; every other token stands in exactly one.
    begins: [B] int64, flat position on the texts' token axis where each block's own tokens begin.
    whole_cu_texts: `cu_texts` of the step's whole batch.
    """

    batch: Batch
    cu_texts: Tensor
    source: Tensor
    begins: Tensor
    whole_cu_texts: Tensor

    def told_by_cuts(self) -> Tensor:
        """[S] bool, the tokens of which a block's end tells that they close a sentence.

        Masking such a token hides little: the text continues after it, so the block was cut there because the token
        closes a sentence.
        """
        followed = torch.ones_like(self.begins, dtype=torch.bool)
        followed[self.cu_texts[1:] - 1] = False  # a text's last block ends because the text does
        # The own tokens of a text's blocks follow each other without a gap.
        last_tokens = self.begins[followed.nonzero().squeeze(1) + 1] - 1
        at_cuts = torch.isin(self.source, last_tokens) & ~self.batch.special
        return at_cuts & torch.isin(self.batch.tokens, _sentence_ends(self.batch))


def cut_into_blocks(batch: Batch, block_tokens: int) -> Blocks:
    """Greedy sentence filling (SMITH, Yang et al. 2020): as many whole sentences in each block as fit.

    A sentence ends at a token of `vocabulary.sentence_ends`. One that is longer than a block begins a block and is cut
    wherever that is full; what is left of it begins the next one, which the following sentences fill up.

    batch: T packed tokens. block_tokens: tokens of a block at most, beside those that the tokenizer adds at both ends
    of a text. A text that fits is one block. Nothing is drawn. Raises ReknitError for a block of no tokens,
    and a batch with rows that are no tokens.
    """
    if block_tokens < 1:
        raise ReknitError(f"block_tokens is {block_tokens}; a block holds one token at least")
    whole = _cut(batch.whole, block_tokens)
    if batch.shard is None:
        return whole
    texts, offsets = slice(batch.shard.first, batch.shard.last + 1), whole.cu_texts
    first, last = int(offsets[batch.shard.first]), int(offsets[batch.shard.last])
    own = shard_of_examples(whole.batch, first, last)
    return Blocks(
        batch=own,
        cu_texts=offsets[texts] - first,
        source=whole.source[own.first_token : own.first_token + own.num_tokens] - batch.first_token,
        begins=whole.begins[first:last] - batch.first_token,
        whole_cu_texts=offsets,
    )


def _cut(batch: Batch, block_tokens: int) -> Blocks:
    refuse_signal(batch)
    special = batch.special.cpu()
    behind_ends = (torch.isin(batch.tokens, _sentence_ends(batch)).nonzero().squeeze(1) + 1).tolist()
    sources, begins, lengths, blocks_of = [], [], [0], [0]
    for first, last in pairwise(batch.cu_seqlens.tolist()):
        inner = (~special[first:last]).nonzero().squeeze(1)
        # Of a text without tokens of its own, all is opening.
        begin, end = (first + int(inner[0]), first + int(inner[-1]) + 1) if inner.numel() else (last, last)
        opening, closing = torch.arange(first, begin), torch.arange(end, last)
        bounds = _bounds(begin, end, behind_ends, block_tokens)
        for start, stop in pairwise(bounds):
            sources += [opening, torch.arange(start, stop), closing]
            begins.append(start)
            lengths.append(opening.numel() + stop - start + closing.numel())
        blocks_of.append(len(bounds) - 1)
    device = batch.tokens.device
    source = torch.cat(sources).to(device)
    blocks = Batch(
        tokens=batch.tokens[source],
        cu_seqlens=torch.tensor(lengths, device=device).cumsum(0),
        special=batch.special[source],
        word_starts=batch.word_starts[source],
        vocabulary=batch.vocabulary,
    )
    cu_texts = torch.tensor(blocks_of, device=device).cumsum(0)
    return Blocks(blocks, cu_texts, source, torch.tensor(begins, device=device), cu_texts)


def _bounds(begin: int, end: int, behind_ends: list[int], block_tokens: int) -> list[int]:
    """Where a text's blocks begin, and where its last one ends. behind_ends: ascending places behind sentence ends."""
    bounds = [begin]
    while end - bounds[-1] > block_tokens:
        full = bounds[-1] + block_tokens
        number = bisect_right(behind_ends, full)
        fits = number > 0 and behind_ends[number - 1] > bounds[-1]
        bounds.append(behind_ends[number - 1] if fits else full)
    return [*bounds, end]


def _sentence_ends(batch: Batch) -> Tensor:
    return torch.tensor(batch.vocabulary.sentence_ends, dtype=torch.long, device=batch.tokens.device)
