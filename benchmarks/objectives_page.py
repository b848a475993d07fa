"""Make docs/which-objective.md from the comparisons in records/compare.

    python benchmarks/objectives_page.py

records/compare/objectives-h200.json and contrast-h200.json are the result.json of two comparisons that `reknit claim`
made for claims that are measured alike (`--size large`); language-models.json is that of a small one, made by
`reknit compare`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reknit.jobs.files import read_json
from reknit.recipe import BudgetSpec
from reknit.report.table import markdown_table
from reknit.research.comparison import measured
from reknit.research.pretraining.config import EVERY_MEASURE
from reknit.research.statistics import paired_interval
from reknit.research.table import explanation, tables, with_interval
from reknit.training.budget import format_budget

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "records" / "compare"
PAGE = ROOT / "docs" / "which-objective.md"
SEARCH = "cranfield nDCG@10"
UNSEEN, UNSEEN_CAUSAL = "xquad_en pseudo-perplexity", "xquad_en perplexity"
FEWER = "mlm:objective.ratio=0.15"


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    objectives, contrast = (read_json(RECORDS / f"{name}-h200.json") for name in ("objectives", "contrast"))
    language = read_json(RECORDS / "language-models.json")
    pairs = value(contrast, "infonce-pairs", SEARCH)
    best = max(value(objectives, arm, SEARCH) for arm in objectives["arms"])
    better = "; ".join(f"`{arm}` {difference(objectives, arm, 'mlm')}" for arm in better_than(objectives, "mlm"))
    cls = difference(contrast, "gpte-survey", "gpte-survey:encoder.pooling=cls")
    crop, twin = (
        difference(contrast, f"contrastive-primer:data.pair_kinds={kind}", "contrastive-primer")
        for kind in ("crop", "twin")
    )
    text = f"""
        Made by `benchmarks/objectives_page.py` from records/compare. In brackets: 95% intervals of differences between
        the means of all measures; one that leaves 0 out has a star, one that reaches across it is no proof.

        **You have a trained model and a collection of texts: none of these.** `reknit adapt` goes on from the trained
        model by distilling the hybrid of it and BM25; [measured.md](measured.md) has the figures,
        [adapt-your-corpus.md](adapt-your-corpus.md) the way. What is below begins with random weights.

        **You want search or similarity from nothing but texts:** pairs cut from the texts themselves
        (`infonce-pairs`). Trained on them for the whole budget, the encoder reaches {pairs:.3f} on cranfield; the best
        of the objectives on single texts, tuned a little on the same kind of pairs afterwards, {best:.3f}. Take the
        mean of the tokens: against [CLS], which learns far more slowly from nothing, it is {cls}. As the partner of a
        text a crop of it is {crop} against an edited copy, and the text itself under other dropout {twin}.

        **You want an encoder to build on:** masked tokens (`mlm`) are simple and hard to beat. Predicting the next
        token is clearly worse for an encoder at the same cost (`mlm` minus `clm`:
        {difference(objectives, "mlm", "clm")}), and so is beginning with it (`mlm-vs-clm` minus `mlm`:
        {difference(objectives, "mlm-vs-clm", "mlm")}). Where the encoder must be causal, take the mean and not the last
        token ({difference(objectives, "clm", "clm:encoder.pooling=last")}). Higher than `mlm` by the mean of the three
        measures: {better}.

        **You want the language model too,** to score texts: after a short training, on paragraphs of Wikipedia that
        were kept out of it, the pseudo-perplexity is {value(language, FEWER, UNSEEN):,.0f} with 15% of the tokens
        masked, {value(language, "mlm", UNSEEN):,.0f} with 40% ({difference(language, "mlm", FEWER, UNSEEN)}) and
        {value(language, "retromae", UNSEEN):,.0f} of `retromae`. `lem`, which asks for names, nouns and verbs alone,
        has {value(language, "lem", UNSEEN):,.0f}: it is never asked for the words between them. A good encoder may be a
        poor language model. From left to right, `meap` minus `clm` is
        {difference(language, "meap", "clm", UNSEEN_CAUSAL)} in perplexity, `loss-reweighting` minus `clm`
        {difference(language, "loss-reweighting", "clm", UNSEEN_CAUSAL)} (for the same FLOPs it reads fewer tokens). So
        short a training shows in what a model predicts and not yet in a linear classifier on its vectors: `mlm` minus
        `untrained` is {difference(language, "mlm", "untrained")} there.

        **What this cannot tell:** these are trainings of seconds, of encoders of four layers on one or two million
        tokens. An objective that pays only after billions of tokens (replaced tokens, generation) does not show it
        here; [catalogue.md](catalogue.md) has the claim of every paper beside what was found. Your texts may differ:
        the commands below take other corpora and other measures. `electra` and `camembert2` were measured before the
        first weights of their generator were drawn as the authors draw them ([derivations.md](derivations.md)).
        """
    parts = [
        "# Which objective should I use?",
        *(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n")),
        "## Objectives on single texts",
        *comparison(objectives),
        "## Objectives on pairs",
        *comparison(contrast),
        "## As language models",
        *comparison(language),
    ]
    return "\n\n".join(parts) + "\n"


def better_than(record: dict[str, Any], other: str) -> list[str]:
    """The arms, as published, whose mean of all measures is higher; the best first."""
    found = {arm: value(record, arm, EVERY_MEASURE) for arm in record["arms"] if ":" not in arm}
    return [arm for arm in sorted(found, key=lambda arm: -found[arm]) if found[arm] > found[other]]


def value(record: dict[str, Any], arm: str, label: str) -> float:
    return float(record["summary"][arm]["values"][label]["mean"])


def difference(record: dict[str, Any], arm: str, other: str, label: str = EVERY_MEASURE) -> str:
    """Of a measure, or of the means of all, seed by seed."""
    ours, others = ([one for one in measured(record["runs"], name, label) if one is not None] for name in (arm, other))
    return with_interval(paired_interval(ours, others).to_json(), signed=True)


def comparison(record: dict[str, Any]) -> list[str]:
    """The values, what was spent, and how it was made."""
    parts = []
    for title, headings, rows in tables(record):
        if title.startswith("Differences"):
            continue
        parts.append(markdown_table(headings, [[f"`{row[0]}`", *row[1:]] for row in rows]))
    machine, config = record["machine"], record["config"]
    encoder = config["encoder"]
    parts.append(
        f"{explanation(record)} Encoder: {encoder['depth']} layers, {encoder['dim']} coordinates; budget "
        f"{format_budget(BudgetSpec(**config['budget']))} each. {record['date'][:10]}, "
        f"{machine.get('accelerator', machine['processor'])}, several trainings at a time (the seconds are no "
        f"benchmark), torch {record['versions']['torch']}."
    )
    parts.append(f"```\n{record['command']}\n```")
    return parts


if __name__ == "__main__":
    main()
