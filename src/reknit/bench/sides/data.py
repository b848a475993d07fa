"""reknit's side of the data benchmark: tokenise, pack, corrupt, and make the masks of RetroMAE's decoder.

It keeps to one thread: the collator is Python, which has no use for more, and a worker of a data loader has one. It
does more than the collator for texts above 128 tokens, whose rows share 128 masks there and have their own here, and
less where nothing is padded; both leave the same things to the model: what the encoder sees, what is asked for, and who
sees whom in the decoder.
"""

from __future__ import annotations

import os
import time
from typing import Any

import torch

from reknit.bench.peers import worker
from reknit.corruptions.masking import mask_tokens, word_units
from reknit.data.batch import Batch
from reknit.decoders.enhanced import RandomContext
from reknit.encoders.attention.layout import AttentionLayout
from reknit.tokenizers.tokenizer import Tokenizer

# The other side may need a second a batch; this one would be done before the clock can tell.
ROUNDS = 8


def main() -> None:
    given = worker.settings()
    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    rng = torch.Generator().manual_seed(given["seed"])
    texts = worker.texts(given["texts"])
    tokenizer = Tokenizer.load(given["model"])
    order, steps = given["order"], given["steps"]
    turns = iter([order[first : first + steps] for first in range(0, len(order), steps)])

    def prepare(rows: list[int]) -> int:
        tokenised = tokenizer.encode_batch([texts[row] for row in rows], given["max_length"])
        sequences = [
            (torch.from_numpy(one.tokens), torch.from_numpy(one.special), torch.from_numpy(one.word_starts))
            for one in tokenised
        ]
        batch = Batch.pack(sequences, tokenizer.vocabulary)
        mask_tokens(batch, rng, ratio=0.3, whole_words=True)
        rule = RandomContext(int(torch.randint(2**62, (), generator=rng)), word_units(batch), batch.special, 0.5)
        layout = AttentionLayout.of(batch.cu_seqlens)
        for bucket in layout.buckets:
            layout.mask(bucket, rule, 0)
        return batch.num_tokens

    def turn() -> dict[str, Any]:
        rows = next(turns)
        started = time.perf_counter()
        tokens = sum(prepare(batch) for _ in range(ROUNDS) for batch in rows)
        return {"seconds": time.perf_counter() - started, "tokens": tokens}

    worker.serve(turn, **turn())


if __name__ == "__main__":
    main()
