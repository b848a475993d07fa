"""What a user of sentence-transformers can do today with a corpus without labels: four routes, each for a given time.

    python -m reknit.bench.peer_adaptation ROUTE CORPUS OUT START SECONDS SEED

Losses are those of sentence-transformers' examples of unsupervised learning; bf16 is on where the processor has it, as
in reknit, so that speed is not what is compared. The corpus is read and cut into passages as reknit does.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from reknit.data.text.curation import curate
from reknit.data.text.documents import ReadReport
from reknit.data.text.passage_store import Passage, PassageStore
from reknit.data.text.passages import cut_sentence, without_leading_title
from reknit.data.text.readers import read_documents
from reknit.jobs.precision import resolve_precision

BATCH = 64
DENOISING_BATCH = 8
LEARNING_RATE = 3e-5
MASKED_SHARE = 0.15
DELETED_SHARE = 0.6
MAX_LENGTH = 256
# More steps than any budget allows: the clock ends the training.
_MANY_STEPS = 1_000_000


def simcse(passages: list[Passage], out: Path, start: str, seconds: float, seed: int) -> None:
    """Each passage with itself; dropout makes the difference (https://arxiv.org/abs/2104.08821)."""
    texts = [passage.full_text for passage in passages]
    _contrast({"anchor": texts, "positive": texts}, out, start, seconds, seed)


def tsdae(passages: list[Passage], out: Path, start: str, seconds: float, seed: int) -> None:
    """Rebuild a passage from the vector of one that has lost 60% of its words (https://arxiv.org/abs/2104.06979)."""
    from sentence_transformers.sentence_transformer.losses import DenoisingAutoEncoderLoss

    rng = random.Random(seed)
    texts = [passage.full_text for passage in passages]

    def noisy(text: str) -> str:
        words = text.split()
        return " ".join([word for word in words if rng.random() >= DELETED_SHARE] or [rng.choice(words)])

    model = _model(start)
    loss = DenoisingAutoEncoderLoss(model, tie_encoder_decoder=True)
    _train(model, {"noisy": list(map(noisy, texts)), "text": texts}, loss, out, seconds, seed, DENOISING_BATCH)


def mlm_simcse(passages: list[Passage], out: Path, start: str, seconds: float, seed: int) -> None:
    """Half of the time masked language modelling by transformers' Trainer, then SimCSE."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import AutoModelForMaskedLM, AutoTokenizer, DataCollatorForLanguageModeling, Trainer

    tokenizer = AutoTokenizer.from_pretrained(start)
    texts = [passage.full_text for passage in passages]
    encoded = tokenizer(texts, truncation=True, max_length=MAX_LENGTH, return_special_tokens_mask=True)
    with tempfile.TemporaryDirectory() as folder:
        model: Any = AutoModelForMaskedLM.from_pretrained(start)
        trainer = Trainer(
            model,
            _arguments("transformers", folder, seed, BATCH // 2),
            train_dataset=Dataset.from_dict(dict(encoded)),
            data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=MASKED_SHARE),
            callbacks=[_clock(seconds / 2)],
        )
        trainer.train()
        model.base_model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        encoder = Transformer(folder, max_seq_length=MAX_LENGTH)
        pooling = Pooling(encoder.get_embedding_dimension(), pooling_mode=_model(start)[1].pooling_mode)
        SentenceTransformer(modules=[encoder, pooling], device="cpu").save(f"{folder}/model")
        simcse(passages, out, f"{folder}/model", seconds / 2, seed)


def title_body(passages: list[Passage], out: Path, start: str, seconds: float, seed: int) -> None:
    """The title with the body; where there is none, a sentence with the rest (https://arxiv.org/abs/1906.00300)."""
    rng = random.Random(seed)
    pairs = []
    for passage in passages:
        body = without_leading_title(passage.text, passage.title)
        pair = (passage.title, body) if passage.title and body.strip() else cut_sentence(passage.text, rng)
        if pair:
            pairs.append(pair)
    queries, answers = zip(*pairs, strict=True)
    _contrast({"anchor": list(queries), "positive": list(answers)}, out, start, seconds, seed)


ROUTES: dict[str, Callable[[list[Passage], Path, str, float, int], None]] = {
    "simcse": simcse,
    "tsdae": tsdae,
    "mlm-simcse": mlm_simcse,
    "title-body": title_body,
}


def _contrast(columns: dict[str, list[str]], out: Path, start: str, seconds: float, seed: int) -> None:
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    model = _model(start)
    _train(model, columns, MultipleNegativesRankingLoss(model), out, seconds, seed, BATCH)


def _model(start: str) -> Any:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(start, device="cpu")
    model.max_seq_length = MAX_LENGTH
    return model


def _train(
    model: Any, columns: dict[str, list[str]], loss: Any, out: Path, seconds: float, seed: int, batch: int
) -> None:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer

    with tempfile.TemporaryDirectory() as folder:
        trainer = SentenceTransformerTrainer(
            model=model,
            args=_arguments("sentence_transformers", folder, seed, batch),
            train_dataset=Dataset.from_dict(columns),
            loss=loss,
            callbacks=[_clock(seconds)],
        )
        trainer.train()
    model.save(str(out))


def _arguments(library: str, folder: str, seed: int, batch: int) -> Any:
    import sentence_transformers
    import transformers

    kinds = {
        "transformers": transformers.TrainingArguments,
        "sentence_transformers": sentence_transformers.SentenceTransformerTrainingArguments,
    }
    return kinds[library](
        output_dir=folder,
        per_device_train_batch_size=batch,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=10,
        max_steps=_MANY_STEPS,
        bf16=resolve_precision("auto", torch.device("cpu")) == "bfloat16",
        use_cpu=True,
        seed=seed,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        logging_steps=_MANY_STEPS,
    )


def _clock(seconds: float) -> Any:
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        """Ends the training when its time is over."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            self.end = time.monotonic() + seconds

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            control.should_training_stop = time.monotonic() > self.end

    return Clock()


def main(route: str, corpus: str, out: str, start: str, seconds: str, seed: str) -> None:
    """Read the corpus, train by the route, save the model in the folder `out`."""
    with tempfile.TemporaryDirectory() as folder:
        report = ReadReport()
        documents = curate(read_documents(Path(corpus), report), report)
        passages = list(PassageStore.build(documents, Path(folder) / "passages.arrow"))
    ROUTES[route](passages, Path(out), start, float(seconds), int(seed))


if __name__ == "__main__":
    main(*sys.argv[1:])
