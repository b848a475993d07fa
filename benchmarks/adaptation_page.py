"""Make README's first table, docs/measured.md and the table of probes from the measurements of `reknit adapt`.

    python benchmarks/adaptation_page.py

Reads the record of `reknit compare-adapt` in records/adaptation that has the most runs (the newest of several),
records/adapt/text.json (measure_from_scratch.py), records/decoded_share.json (measure_decoded_share.py), and
records/adaptation/probe.json (measure_probe.py) and feedback.json (measure_feedback.py), whose tables it puts into
docs/adaptation.md.
"""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path
from statistics import median
from typing import Any

from reknit.bench.adaptation import columns
from reknit.bench.adaptation_table import LABELS, comparison_markdown, verdicts_sentence
from reknit.jobs.files import read_json
from reknit.report.facts import METRICS, system_label, system_names
from reknit.report.table import markdown_table
from reknit.runs.result import RunResult

ROOT = Path(__file__).parents[1]
COMPARISONS = ROOT / "records" / "adaptation"
FROM_SCRATCH = ROOT / "records" / "adapt" / "text.json"
SAMPLES = ROOT / "records" / "decoded_share.json"
PROBES = COMPARISONS / "probe.json"
README = ROOT / "README.md"
ADAPTATION = ROOT / "docs" / "adaptation.md"
MEASURED = ROOT / "docs" / "measured.md"
IN_README = ("bm25", "start", "rrf", "adapted", "hybrid")
FEEDBACK = COMPARISONS / "feedback.json"
BEGIN, END = "<!-- made by benchmarks/adaptation_page.py -->", "<!-- end -->"
BEGIN_FEEDBACK = "<!-- feedback, made by benchmarks/adaptation_page.py -->"
BY_HAND = "<!-- written by hand -->"


def main() -> None:
    finished = [record for path in COMPARISONS.glob("*.json") if "summary" in (record := read_json(path))]
    widest = max(finished, key=lambda record: (runs_in(record), record["date"]))
    put(README, BEGIN, summary(widest))
    put(ADAPTATION, BEGIN, probe_table(read_json(PROBES)["collections"]))
    put(ADAPTATION, BEGIN_FEEDBACK, feedback_table(read_json(FEEDBACK)["collections"]))
    lines = ["# Measured", "", "Made by `benchmarks/adaptation_page.py`.", ""]
    lines += ["## From a trained model", "", comparison(widest), "", *runs(widest), ""]
    for record in sorted(finished, key=itemgetter("date")):
        if " and " in record["start"]:
            lines += [f"## From several start models, {record['date'][:10]}", "", comparison(record), ""]
            lines += [*named(record), ""]
    lines += [*from_scratch(read_json(FROM_SCRATCH)), "", *samples(read_json(SAMPLES)), ""]
    kept = MEASURED.read_text(encoding="utf-8").partition(BY_HAND)[2]
    MEASURED.write_text("\n".join(lines) + f"\n{BY_HAND}{kept}", encoding="utf-8")


def put(page: Path, begin: str, made: str) -> None:
    """Replace what stands between `begin` and the next END on the page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{begin}\n{made}\n{END}{after}", encoding="utf-8")


def probe_table(collections: dict[str, Any]) -> str:
    """A row a collection: rank correlations, and what labels say of what is chosen."""
    head = ["collection", "queries", "correlation", "chosen by the probe", "nDCG@10", "best", "BM25 + start"]
    rows = []
    for name, found in collections.items():
        for one in found.values():
            sure = one["gain"]["ci95"][0] > 0 and one["gain"]["p"] < 0.05
            rows.append(
                [
                    name,
                    f"{one['queries']:,} {one['kind']}s",
                    f"{one['spearman']:+.2f}",
                    system_label(one["chosen"]["system"]) + ("" if sure else " (not significant)"),
                    *(f"{one[what]['labels']:.3f}" for what in ("chosen", "best", "have")),
                ]
            )
    return markdown_table(head, rows)


def feedback_table(collections: dict[str, Any]) -> str:
    """A row a setting, two columns a collection: words with the first model, and with all of them."""
    rows = []
    settings = next(iter(next(iter(collections.values())).values()))["changes"]
    for setting in settings:
        cells = [f"{one['changes'][setting]['mean']:+.3f}" for of in collections.values() for one in of.values()]
        rows.append([setting, *cells])
    head = ["", *(f"{name}, {number}" for name, of in collections.items() for number in ("one", "all")[: len(of)])]
    return markdown_table(head, rows)


def runs_in(record: dict[str, Any]) -> int:
    """How many trainings the record holds; one of a single collection must not replace the whole table."""
    return sum(len(one["runs"]) + len(one["peers"]) for one in record["collections"].values())


def summary(record: dict[str, Any]) -> str:
    """README's table: the systems that cost nothing, the adapted model, and where to read the rest."""
    found, values = list(record["collections"]), columns(record)
    rows = [
        [LABELS[system], *(f"{median(values[system][name]):.3f}" for name in found), f"{means(record)[system]:.3f}"]
        for system in IN_README
    ]
    seeds = max(len(one["runs"]) for one in record["collections"].values())
    about = (
        f"nDCG@10 on labelled collections: medians of {seeds} seeds, {record['budget']} of training on two cores each. "
        "Training used no labels. [docs/measured.md](docs/measured.md) has more systems, among them "
        "sentence-transformers' own training methods, the range over the seeds of each, and the machines."
    )
    return "\n\n".join([markdown_table(["nDCG@10", *found, "mean"], rows), wrapped(about)])


def means(record: dict[str, Any]) -> dict[str, float]:
    """The mean over the collections of each system that every one has."""
    found: dict[str, float] = record["summary"]["means"]
    return found


def comparison(record: dict[str, Any]) -> str:
    """The table of all systems, and what its figures are."""
    machine, versions = record["machine"], record["versions"]
    found = list(record["collections"].values())
    seeds = sorted({len(one["runs"]) for one in found})
    peers = "Rows of sentence-transformers show one seed. " if any(one["peers"] for one in found) else ""
    done = [run for one in found for run in (*one["runs"], *one["peers"].values())]
    processors = " and ".join(sorted({run["processor"] for run in done}))
    cores = " or ".join(sorted({str(run.get("cores", machine["cores"])) for run in done}))
    spent = f"{record['budget']} of training"
    if record.get("budget_covers") == "run":
        spent = f"runs of {record['budget']} (and the evaluation)"
    about = (
        f"Values are nDCG@10 after {spent} on {cores} cores ({processors}); no run saw labels. "
        f"The start model is {record['start']}. RRF is reciprocal rank fusion. Rows of reknit show the median of "
        f"{' to '.join(map(str, (seeds[0], seeds[-1])[: len(seeds)]))} seeds, and in brackets the least and the "
        f"greatest. {peers}Measured {record['date'][:10]} with torch {versions['torch']}, reknit's runs by "
        f"`{record['command']}`. "
        f"{record.get('note', '')}"
    )
    return "\n\n".join([comparison_markdown(record), wrapped(about), wrapped(verdicts_sentence(record))])


def wrapped(text: str) -> str:
    """Lines of at most 120 characters."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= 120:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def runs(record: dict[str, Any]) -> list[str]:
    """Every run of `reknit adapt` on a line."""
    lines = [
        "All runs of reknit. *Teacher* is the start model's weight in the teacher's ranking. *Probe* is nDCG@10 on the "
        "probe, from which the verdict without labels was made. *Seconds* are those of training alone (the teacher's "
        "ranking takes the rest of the budget), then those of the whole run with the evaluation.",
        "",
        "| collection | seed | teacher | start | adapted | hybrid (weight) | probe: start, adapted | without labels | "
        "seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in record["collections"].items():
        for run in one["runs"]:
            probe = run["probe"]
            lines.append(
                f"| {name} | {run['seed']} | {run['teacher']['dense_weight']:g} | {one['baselines']['start']:.3f} | "
                f"{run['adapted']:.3f} | {run['hybrid']:.3f} ({run['hybrid_weight']:g}) | "
                f"{probe['start']:.3f}, {probe['adapted']:.3f} | use {run['probe_verdict']} | "
                f"{run['training_seconds']:.0f}, {run['seconds']:.0f} |"
            )
    return lines


def named(record: dict[str, Any]) -> list[str]:
    """Of every run the systems that the probe and the labels name, and the time it took."""
    lines = [
        "*Named* is the system that the verdict without labels names, *best* the best one by labels. *Minutes* are "
        "those of the whole run, with the evaluation on labelled queries.",
        "",
        "| collection | seed | trained | named | nDCG@10 | best | nDCG@10 | minutes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, one in record["collections"].items():
        for run in one["runs"]:
            lines.append(
                f"| {name} | {run['seed']} | {run.get('student', '')} | {system_label(run['named_system'])} | "
                f"{run['named']:.3f} | {system_label(run['best_system'])} | {run['best']:.3f} | "
                f"{run['seconds'] / 60:.1f} |"
            )
    return lines


def from_scratch(record: dict[str, Any]) -> list[str]:
    """The run without a start model."""
    # The record keeps the number of the problems, not their texts.
    result = RunResult.from_json(record | {"corpus": record["corpus"] | {"problems": []}}, str(FROM_SCRATCH))
    training, corpus, verdict, export = result.training, result.corpus, result.verdict, result.export
    assert corpus is not None
    assert verdict is not None
    assert export is not None
    lines = [
        "## From scratch",
        "",
        f"`{result.command}`: {corpus.passages:,} passages of {corpus.documents:,} documents, "
        f"{training.seconds:.0f} s, {training.tokens:,} tokens at {training.tokens_per_second:,.0f} a second, "
        f"{training.flops:.2e} FLOPs. {result.date[:10]}, {result.machine['processor']}, "
        f"{result.machine['cores']} cores, torch {result.versions['torch']}, seed {result.seed}.",
        "",
    ]
    lines += [
        f"Phase {phase.name} ({phase.recipe}): {phase.steps} steps, {phase.tokens:,} tokens; ended: "
        f"{phase.stopped_because}."
        for phase in training.phases
    ]
    lines += ["", f"**{verdict.sentence}**", "", "The start model is the new model with its initial weights."]
    for evaluation in result.evaluations:
        lines += ["", f"{evaluation.dataset}: {evaluation.queries} queries, {evaluation.documents:,} documents."]
        lines += [*(f"Note: {note}." for note in evaluation.notes), ""]
        lines += [f"| | {' | '.join(METRICS)} |", "|---|---|---|---|"]
        for system in system_names(evaluation):
            scores = [evaluation.rows[system][metric] for metric in METRICS]
            cells = [f"{one.value:.3f} [{one.ci95[0]:.3f}, {one.ci95[1]:.3f}]" for one in scores]
            lines.append(f"| {system_label(system)} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Check of the export: the vectors of three libraries differ by {export.max_abs_diff:.1e} at most; those of "
        f"SentenceTransformer(RUN/model) on 100 passages by {record['sentence_transformers_difference']:.1e}.",
    ]
    return lines


def samples(record: dict[str, Any]) -> list[str]:
    """DupMAE's losses computed on samples: speed and quality."""
    speeds = record["tokens_per_second"]
    lines = [
        "## DupMAE's losses on samples of tokens and texts",
        "",
        "DupMAE can compute its two vocabulary losses on a sample of the tokens (`decoded_share`) and of the texts",
        "(`bag_of_words_share`). The first table shows the speed of training steps (32 texts of 128 tokens, the",
        "settings measured in turns), the second the nDCG@10 that is reached in the end; models from scratch are tuned",
        "before that. *Equal time* and *equal tokens* compare the settings at the same time or tokens of pre-training.",
        "*Equal job* has equal tokens, and spends on tuning the time that is saved. Made by",
        "`benchmarks/measure_decoded_share.py`.",
        "",
        "| shares of tokens, texts | " + " | ".join(f"{shape}: tokens/s (relative to mlm)" for shape in speeds) + " |",
        "|---|" + "---|" * len(speeds),
    ]
    for name, (decoded, texts) in record["shares"].items():
        rates = [(shape[name], shape[name] / shape["mlm"]) for shape in speeds.values()]
        cells = " | ".join(f"{rate:,.0f} ({ratio:.2f})" for rate, ratio in rates)
        lines.append(f"| {decoded:g}, {texts:g} ({name}) | {cells} |")
    lines += ["", "| pre-training | shares | seed | tokens of pre-training | nDCG@10 |", "|---|---|---|---|---|"]
    for run in record["runs"].values():
        after = ", ".join(f"{name} {value:.3f}" for name, value in run["after"].items())
        lines.append(
            f"| {run['shape']}, equal {run['equal']} | {run['choice']} | {run['seed']} | "
            f"{run['pretraining_tokens']:,} | {after} |"
        )
    return lines


if __name__ == "__main__":
    main()
