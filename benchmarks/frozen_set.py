"""What a refactoring must not change: tiny jobs run with the code of a checkout, and everything they write.

    python benchmarks/frozen_set.py make CHECKOUT RECORD.json [--keep FOLDER]
    python benchmarks/frozen_set.py compare BEFORE.json AFTER.json [--moved PATTERN=NAME ...] [--json SUMMARY.json]

`make` runs the command line of CHECKOUT (a folder with `src/`) in processes of one thread each, on made-up texts, and
records every JSON value, every training loss, the names, shapes and bytes of all weights, exported folders, vectors
and search results; times, dates, versions and places on the disk are left out. `compare` prints each difference and
exits with 1 where there is one. --keep leaves the folders of the jobs there. --moved gives files another name in both
records before they are compared, where a regular expression matches. --json writes how often each kind of difference
occurs: numbers in names are N, and what a value was is left out.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

THINGS = [f"{first}{last}" for first in ("bar", "cel", "dor", "fen", "gil", "hom") for last in ("ak", "et", "ip", "on")]
VERBS = ["turns", "holds", "feeds", "breaks", "lifts", "covers", "joins", "cools"]
TIMES = re.compile(
    r"seconds|per_second|query_ms|date|time|waited|waiting|versions?$|reknit_version|machine|command|memory|rate"
)
SMALL = {"encoder.dim": 32, "encoder.depth": 2, "encoder.heads": 2, "encoder.intermediate": 64}
FAMILIES = ("bert", "roberta", "xlm-roberta", "camembert", "distilbert", "modernbert")
OBJECTIVES = ("mlm", "clm", "retromae", "dupmae", "electra", "starbucks", "text2token", "nv-embed", "ar2", "smith")

# 28af6fd accepted the tokens of a batch for recipes on pairs too, and ignored them; now it is no setting of theirs.
ON_PAIRS = {name: {"pretrain.data.tokens_per_batch": None} for name in ("starbucks", "nv-embed", "ar2")}
ON_PAIRS["ar2"] |= {"pretrain.data.pairs_per_batch": 8}


def documents(count: int, seed: int) -> list[dict[str, str]]:
    """Documents {_id, title, text}, each about three things."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        about = chance.sample(THINGS, 3)
        sentences = [
            f"The {chance.choice(about)} {chance.choice(VERBS)} the {chance.choice(about)} in {chance.randrange(99)}."
            for _ in range(8)
        ]
        title = f"{' and '.join(about)} of {''.join('abcdefghij'[int(digit)] for digit in str(number))}"
        made.append({"_id": f"d{number}", "title": title, "text": " ".join(sentences)})
    return made


def write_texts(folder: Path) -> None:
    """A corpus, and a labelled folder of each kind, also laid out as `reknit claim` looks for them."""
    lines = "".join(json.dumps(document) + "\n" for document in documents(80, 0))
    (folder / "corpus.jsonl").write_text(lines, encoding="utf-8")
    data = folder / "data"
    for name in ("text", "cls/banking77", "sts/stsb_en", "retrieval/cranfield/qrels"):
        (data / name).mkdir(parents=True)
    import zstandard

    many = "".join(json.dumps(document) + "\n" for document in documents(600, 2))
    (data / "text" / "mix_en.jsonl.zst").write_bytes(zstandard.compress(many.encode()))
    chance = random.Random(3)
    for split in ("train", "test"):
        rows = ["label\ttext"]
        for number in range(60):
            things = THINGS[:12] if number % 2 else THINGS[12:]
            rows.append(f"{'ab'[number % 2]}\tThe {chance.choice(things)} and the {chance.choice(things)}.")
        (data / "cls/banking77" / f"{split}.tsv").write_text("\n".join(rows) + "\n")
    rows = ["score\tsentence1\tsentence2"]
    for number, (one, other) in enumerate(itertools.pairwise(THINGS)):
        rows.append(f"{5 if number % 2 else 1}\tThe {one} turns.\tThe {one if number % 2 else other} turns.")
    (data / "sts/stsb_en/test.tsv").write_text("\n".join(rows) + "\n")
    search = data / "retrieval/cranfield"
    found = documents(30, 1)
    write = {
        "corpus.jsonl": [document | {"title": ""} for document in found],
        "queries.jsonl": [{"_id": f"q{d['_id']}", "text": d["title"]} for d in found],
    }
    for name, records in write.items():
        (search / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    judged = ["query-id\tcorpus-id\tscore", *(f"q{d['_id']}\t{d['_id']}\t1" for d in found)]
    (search / "qrels/test.tsv").write_text("\n".join(judged) + "\n")


def write_families(folder: Path) -> None:
    """A tiny model of each native family of transformers, with a tokenizer."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    transformers.logging.set_verbosity_error()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the"]
    words = {word: number for number, word in enumerate((*special, *VERBS, *THINGS))}
    core = Tokenizer(models.WordLevel(words, "[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, mask_token="[MASK]", **names)
    for family in FAMILIES:
        shape = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48}
        if family == "distilbert":
            shape = {"dim": 32, "n_layers": 3, "n_heads": 2, "hidden_dim": 48}
        tokens = {"pad_token_id": 0, "bos_token_id": 2, "cls_token_id": 2, "eos_token_id": 3, "sep_token_id": 3}
        config = AutoConfig.for_model(family, vocab_size=len(words), max_position_embeddings=128, **shape, **tokens)
        torch.manual_seed(0)
        AutoModel.from_config(config).save_pretrained(folder / family)
        tokenizer.save_pretrained(folder / family)


class Jobs:
    """Runs commands of one checkout in one folder, and keeps what they print."""

    def __init__(self, checkout: Path, folder: Path) -> None:
        self.checkout, self.folder, self.printed = checkout, folder, {}

    def __call__(self, name: str, *words: Any) -> None:
        """Run `reknit WORDS`; what it prints is kept under `name`. Raises SystemExit where it fails."""
        environment = os.environ | {"PYTHONPATH": str(self.checkout / "src"), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "reknit", *map(str, words)],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        print(f"{name}: exit code {done.returncode}", file=sys.stderr, flush=True)
        if done.returncode:
            raise SystemExit(f"{name}: {' '.join(map(str, words))}\n{done.stderr}")
        self.printed[name] = done.stdout


def settings(*phases: str, **changes: Any) -> list[str]:
    """`--set` words of a tiny run with these phases."""
    given: dict[str, Any] = {"probe.queries": 10, "probe.per_phase": 1, "precision": "float32"}
    for phase in phases:
        given |= {f"{phase}.{name}": value for name, value in (SMALL | {"encoder.vocabulary": 300}).items()}
    given |= {"pretrain.data.tokens_per_batch": 256} if "pretrain" in phases else {}
    given |= changes
    return [word for name, value in given.items() if value is not None for word in ("--set", f"{name}={value}")]


def run_all(jobs: Jobs) -> None:
    """Every job of the frozen set."""
    search = "data/retrieval/cranfield"
    adapt = ("adapt", "corpus.jsonl", "--budget", "3000tok", "--eval", search)
    batch = ["--set", "tune.data.pairs_per_batch=8"]
    jobs(
        "adapt pre-trained", *adapt, "--out", "pretrained", "--start", "scratch", "--recipe", "dupmae",
        *settings("pretrain"), *batch,
    )  # fmt: skip
    jobs("adapt from scratch", *adapt, "--out", "scratch", "--start", "scratch", *settings("tune"), *batch)
    jobs("adapt a model", *adapt, "--out", "adapted", "--start", "pretrained", *settings(), *batch)
    for name in OBJECTIVES:
        words = settings("pretrain", **ON_PAIRS.get(name, {}))
        jobs(
            f"pretrain {name}", "pretrain", name, "--corpus", "corpus.jsonl", "--out", f"objective-{name}",
            "--budget", "1500tok", *words,
        )  # fmt: skip
    tiny = {**SMALL, "encoder.vocabulary": 300, "tokens_per_batch": 512, "tuning_budget.tokens": 2000}
    tiny |= {"curve_points": 2, "precision": "float32"}
    words = [word for name, value in tiny.items() for word in ("--set", f"{name}={value}")]
    evals = [word for name in ("cls/banking77", "sts/stsb_en", search[5:]) for word in ("--eval", f"data/{name}")]
    jobs(
        "compare", "compare", "mlm", "clm", "untrained", "--corpus", "corpus.jsonl", "--out", "compared",
        "--budget", "1000tok", "--seeds", 2, *evals, *words,
    )  # fmt: skip
    jobs("claim", "claim", "slm", "--data", "data", "--out", "claims", "--budget", "600tok", "--records", "records")
    jobs("evaluate", "evaluate", "adapted", "--data", search, "--baseline", "scratch", "--json", "evaluated.json")
    jobs("encode", "encode", "adapted", "corpus.jsonl", "--out", "encoded")
    jobs("curate", "curate", "corpus.jsonl", "--out", "curated", "--eval", search)
    jobs("frontier", "frontier", "scratch", "--data", search, "--json", "frontier.json")
    for mode in ("dense", "text", "hybrid"):
        jobs(f"search {mode}", "search", "adapted", "barak turns", "--mode", mode, "--json")
    for family in FAMILIES:
        jobs(f"export {family}", "export", f"families/{family}", "--out", f"exported/{family}")
    for run in ("adapted", "scratch"):
        jobs(f"export {run}", "export", run, "--out", f"exported/{run}")
    jobs("recipes", "recipes", "--json")


def recorded(value: Any) -> Any:
    """A JSON value without what differs from run to run. LanceDB adds scores up in any order, so their last bits go."""
    if isinstance(value, dict):
        kept = {name: inner for name, inner in value.items() if not TIMES.search(name)}
        return {name: round(inner, 9) if name == "score" else recorded(inner) for name, inner in kept.items()}
    return [recorded(inner) for inner in value] if isinstance(value, list) else value


def weights(path: Path) -> dict[str, Any]:
    """{tensor: [dtype, shape, sha256 of its bytes]} of a safetensors file."""
    size = int.from_bytes(path.read_bytes()[:8], "little")
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + size])
    found = {}
    for name, tensor in header.items():
        if name != "__metadata__":
            first, last = (8 + size + offset for offset in tensor["data_offsets"])
            found[name] = [tensor["dtype"], tensor["shape"], hashlib.sha256(content[first:last]).hexdigest()[:16]]
    return found


def content(path: Path) -> Any:
    """What is recorded of one file."""
    if path.suffix == ".json":
        return recorded(json.loads(path.read_text(encoding="utf-8")))
    if path.suffix == ".jsonl":
        return [recorded(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    if path.suffix == ".safetensors":
        return weights(path)
    if path.suffix == ".parquet":
        import pyarrow.parquet as parquet

        return hashlib.sha256(repr(parquet.read_table(path).to_pylist()).encode()).hexdigest()[:16]
    if path.suffix in (".html", ".md", ".log", ".lock") or path.name == "_SUCCESS":
        return "there"  # they hold times
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def gather(jobs: Jobs) -> dict[str, Any]:
    """{file or command: what is recorded of it}. LanceDB's own files have random names: searches stand for them."""
    found: dict[str, Any] = {}
    for path in sorted(jobs.folder.rglob("*")):
        place = path.relative_to(jobs.folder)
        if path.is_file() and not {"index", "families"} & set(place.parts) and path.suffix != ".pt":
            found[str(place)] = content(path)
    for name, printed in jobs.printed.items():
        if name.startswith(("search", "recipes")):
            found[f"$ {name}"] = recorded(json.loads(printed))
    return found


def differences(before: Any, after: Any, place: str = "") -> list[str]:
    """A line for each value that differs."""
    if isinstance(before, dict) and isinstance(after, dict):
        lines = [f"{place}/{name}: gone" for name in before if name not in after]
        lines += [f"{place}/{name}: new" for name in after if name not in before]
        for name in before:
            lines += differences(before[name], after[name], f"{place}/{name}") if name in after else []
        return lines
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            line
            for number, (one, other) in enumerate(zip(before, after, strict=True))
            for line in differences(one, other, f"{place}[{number}]")
        ]
    return [] if before == after else [f"{place}: {str(before)[:80]} -> {str(after)[:80]}"]


def read_record(path: Path, moved: Sequence[str] = ()) -> dict[str, Any]:
    """What `make` wrote, by file and output, under the names that `moved` gives them."""

    def named(name: str) -> str:
        for change in moved:
            pattern, _, new = change.rpartition("=")
            name = re.sub(pattern, new, name)
        return name

    return {named(name): recorded(value) for name, value in json.loads(path.read_text(encoding="utf-8")).items()}


def summary(lines: Sequence[str]) -> dict[str, int]:
    """How many differences there are of each kind, by what differs and how ("gone", "new" or "changed")."""

    def kind(line: str) -> str:
        place, _, what = line.partition(": ")
        return f"{re.sub(r'[0-9]+', 'N', place)}: {what if what in ('gone', 'new') else 'changed'}"

    return dict(sorted(Counter(map(kind, lines)).items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    make = verbs.add_parser("make")
    make.add_argument("checkout", type=Path)
    make.add_argument("record", type=Path)
    make.add_argument("--keep", type=Path)
    compare = verbs.add_parser("compare")
    compare.add_argument("before", type=Path)
    compare.add_argument("after", type=Path)
    compare.add_argument("--moved", action="append", default=[])
    compare.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.verb == "compare":
        before, after = (read_record(record, given.moved) for record in (given.before, given.after))
        lines = differences(before, after)
        if given.json:
            counts = {"files_before": len(before), "files_after": len(after), "differences": summary(lines)}
            given.json.write_text(json.dumps(counts | {"moved": given.moved}, indent=1) + "\n", encoding="utf-8")
        print("\n".join(lines) or f"equal: {len(before)} files and outputs")
        sys.exit(1 if lines else 0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        write_texts(folder)
        write_families(folder / "families")
        jobs = Jobs(given.checkout.resolve(), folder.resolve())
        run_all(jobs)
        found = gather(jobs)
    given.record.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{given.record}: {len(found)} files and outputs")


if __name__ == "__main__":
    main()
