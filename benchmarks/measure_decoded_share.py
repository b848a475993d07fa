"""What it costs and gives to compute DupMAE's losses on samples: records/decoded_share.json.

    python benchmarks/measure_decoded_share.py speed    # tokens/s of each choice of shares, and of plain mlm, in turns
    python benchmarks/measure_decoded_share.py 4        # quality, for about 4 minutes; again goes on where it ended

Every run trains for a number of tokens, so that nothing else on the machine can decide between choices: "equal time" is
the tokens that a choice trains in SECONDS at the speed measured before, "equal tokens" those of the papers' shares,
and "equal job" these too, with the seconds so saved spent on tuning. Runs with one thread each go two at a time. The
measure is nDCG@10: from scratch on both halves of the probe (nothing is chosen by either here), on Cranfield on its own
queries. Collections are read from ../shared/data or $REKNIT_DATA.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from reknit.bench.material import start_model
from reknit.catalogue import find
from reknit.data.batch import Batch, Vocabulary
from reknit.data.retrieval_set import RetrievalSet
from reknit.encoders.spec import TextEncoderSpec
from reknit.evaluation.beir import load_beir
from reknit.evaluation.probe import retrieval_probe, subsample_documents
from reknit.jobs.files import write_json
from reknit.jobs.interrupt import StopRequest
from reknit.jobs.machine import machine, versions
from reknit.jobs.precision import autocast, best_device, resolve_precision
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.encode_texts import encoder_function
from reknit.recipe import BudgetSpec
from reknit.runs.config import RunConfig, with_overrides
from reknit.runs.corpus import prepare_corpus
from reknit.runs.phases import train_phases
from reknit.runs.result import RunResult
from reknit.runs.run_folder import RunFolder
from reknit.runs.start import build_start, load_start
from reknit.training.team import Team

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "records" / "decoded_share.json"
CRANFIELD = Path(os.environ.get("REKNIT_DATA", ROOT.parent / "shared" / "data")) / "retrieval" / "cranfield"
# decoded_share and bag_of_words_share; the first are the papers'.
SHARES = {"published": (1.0, 1.0), "middle": (0.3, 0.5), "small": (0.15, 0.125)}
SEEDS = (0, 1)
SHAPES = {
    "scratch": TextEncoderSpec(depth=2, pooling="mean"),
    "minilm": TextEncoderSpec(dim=384, depth=6, heads=12, intermediate=1536, vocabulary=30_522, pooling="mean"),
}
# Of pre-training, on two cores; from scratch this and the tuning are half of the quickstart's.
SECONDS = {"scratch": 27, "minilm": 45}
TUNING_TOKENS = 1_000_000
# As `reknit adapt` sets them (adaptation/job.py), but for each phase's share, with a probe at the end of each only.
SETTINGS = {
    "scratch": (
        *("pretrain.optimiser.learning_rate=1e-3", "pretrain.encoder.depth=2", "pretrain.encoder.pooling=mean"),
        *("tune.optimiser.learning_rate=1e-3", "tune.data.max_length=64", "probe.per_phase=1"),
    ),
    "minilm": ("pretrain.optimiser.learning_rate=2e-5", "probe.per_phase=1"),
}


def speeds(steps: int = 8) -> dict[str, dict[str, float]]:
    """Tokens per second of training steps of 32 texts of 128 random tokens, all choices in turns, after one warm-up."""
    found = {}
    for name, shape in SHAPES.items():
        chance = torch.Generator().manual_seed(0)
        objectives = {"mlm": find("mlm").objective} | {choice: _objective(choice) for choice in SHARES}
        batch, work, seconds = _random_batch(shape.vocabulary, chance), {}, dict.fromkeys(objectives, 0.0)
        for choice, spec in objectives.items():
            torch.manual_seed(0)
            encoder = shape.build(shape.vocabulary)
            objective = spec.build(encoder, batch.vocabulary, shape.pooling)
            parameters = [*encoder.parameters(), *objective.parameters()]
            work[choice] = (encoder, objective, torch.optim.AdamW(parameters, lr=1e-4, fused=True))
        for step in range(steps + 1):
            for choice, (encoder, objective, optimiser) in work.items():
                began = time.perf_counter()
                with autocast(resolve_precision("auto", best_device()), best_device()):
                    loss = objective(encoder, batch, torch.Generator().manual_seed(step)).total
                loss.backward()
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
                seconds[choice] += time.perf_counter() - began if step else 0.0
        found[name] = {choice: round(steps * batch.num_tokens / spent, 1) for choice, spent in seconds.items()}
    return found


def _random_batch(vocabulary: int, chance: torch.Generator) -> Batch:
    ids = Vocabulary(size=vocabulary, pad=0, mask=4, cls=2, sep=3, special=(0, 1, 2, 3, 4))
    texts = []
    for _ in range(32):
        tokens = torch.randint(5, vocabulary, (128,), generator=chance)
        tokens[0], tokens[-1] = ids.cls, ids.sep
        special = (torch.arange(128) == 0) | (torch.arange(128) == 127)
        texts.append((tokens, special, special | (torch.rand(128, generator=chance) < 0.7)))
    return Batch.pack(texts, ids)


def _objective(choice: str) -> Any:
    decoded, texts = SHARES[choice]
    return replace(find("dupmae").objective, decoded_share=decoded, bag_of_words_share=texts)


def plan(speed: dict[str, dict[str, float]]) -> dict[str, dict[str, Any]]:
    """The runs by name. At equal tokens, and for an equal job, "published" is the run of equal time."""
    runs: dict[str, dict[str, Any]] = {}
    for equal, shape, seed, choice in (
        *(("time", "scratch", seed, choice) for seed in SEEDS for choice in ("published", "small")),
        *((equal, "scratch", seed, "small") for equal in ("tokens", "job") for seed in SEEDS),
        *(("time", "minilm", seed, choice) for seed in SEEDS for choice in ("published", "small")),
        *(("tokens", "minilm", seed, "small") for seed in SEEDS),
    ):
        published, rate = speed[shape]["published"], speed[shape][choice]
        tokens = round((rate if equal == "time" else published) * SECONDS[shape])
        tuning = TUNING_TOKENS if shape == "scratch" else 0
        if equal == "job":
            tuning += round(tuning_speed() * SECONDS[shape] * (1 - published / rate))
        facts = {"shape": shape, "equal": equal, "seed": seed, "choice": choice}
        facts |= {"pretraining_tokens": tokens, "tuning_tokens": tuning}
        runs[f"{shape}, equal {equal}, seed {seed}, {choice}"] = facts
    return runs


def tuning_speed() -> float:
    """Tokens per second of the quickstart's pairs, as recorded."""
    quickstart = RunResult.read(ROOT / "records" / "quickstart.json")
    assert quickstart is not None
    pairs = next(phase for phase in quickstart.training.phases if phase.recipe == "infonce-pairs")
    return pairs.tokens / pairs.seconds


def quality(
    shape: str, choice: str, seed: int, pretraining_tokens: int, tuning_tokens: int, **rest: Any
) -> dict[str, Any]:
    """nDCG@10 of one run."""
    pretrain = replace(find("dupmae"), objective=_objective(choice))
    scratch = shape == "scratch"
    tokens = pretraining_tokens + tuning_tokens
    config = RunConfig(
        corpus="python-docs" if scratch else str(CRANFIELD),
        start="scratch" if scratch else str(start_model()),
        pretrain=pretrain,
        tune=find("infonce-pairs") if scratch else None,
        budget=BudgetSpec(tokens=tokens),
        pretrain_share=pretraining_tokens / tokens,
        keep="last",
        seed=seed,
    )
    config = with_overrides(config, SETTINGS[shape])
    collections = [] if scratch else [load_beir(CRANFIELD)]
    with tempfile.TemporaryDirectory() as made:
        folder = RunFolder(Path(made) / "run")
        folder.open(config, config, (), overwrite=False)
        corpus = prepare_corpus(config, folder, [text for one in collections for text in one.queries.values()])
        model = load_start(config) or build_start(config, folder, corpus)
        probe = subsample_documents(corpus.held_out.dev, config.probe.training_documents)
        training = train_phases(
            config, folder, corpus, model, retrieval_probe(probe, encoder_function(model)), StopRequest(), Team()
        )
        after = _scores(model, collections or [corpus.held_out.test, corpus.held_out.dev])
    steps = {phase["name"]: phase["steps"] for phase in training["phases"]}
    pretrained = training["phases"][0]["best_value"]
    return {"steps": steps, "small_probe_after_pretraining": pretrained, "after": after}


def _scores(model: EmbeddingModel, collections: list[RetrievalSet]) -> dict[str, float]:
    """The mean over the collections, by the first one's name."""
    encode = encoder_function(model, quiet=True)
    values = [retrieval_probe(one, encode)()["nDCG@10"] for one in collections]
    return {collections[0].name: round(sum(values) / len(values), 4)}


def _keep(record: dict[str, Any]) -> None:
    facts = {"machine": machine(), "versions": versions(), "date": datetime.now(UTC).isoformat(timespec="seconds")}
    facts |= {"seconds": SECONDS, "shares": SHARES, "settings": SETTINGS, "tuning_tokens": TUNING_TOKENS}
    write_json(RECORD, record | facts)


def main() -> None:
    asked = sys.argv[1]
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    if asked == "speed":
        record = {"tokens_per_second": speeds(), "runs": {}}
        print(json.dumps(record["tokens_per_second"], indent=1))
        _keep(record)
        return
    runs = plan(record["tokens_per_second"])
    if asked in runs:
        torch.set_num_threads(1)
        print(json.dumps(quality(**runs[asked])))
        return
    began, slowest = time.monotonic(), 0.0
    left = [name for name in runs if name not in record["runs"]]
    while left and time.monotonic() - began + slowest < 60 * float(asked):
        now, left, started = left[:2], left[2:], time.monotonic()
        words = [[sys.executable, __file__, name] for name in now]
        pair = [subprocess.Popen(one, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for one in words]
        for name, process in zip(now, pair, strict=True):
            said, wrong = process.communicate()
            if process.returncode:
                raise SystemExit(f"{name} failed: {wrong[-500:]}")
            record["runs"][name] = runs[name] | json.loads(said.splitlines()[-1])
            print(name, record["runs"][name]["after"], flush=True)
        _keep(record)
        slowest = max(slowest, time.monotonic() - started)
    print(f"{len(left)} runs to go")


if __name__ == "__main__":
    main()
