"""Make docs/which-objective.md from the comparisons that had an untrained encoder among the arms.

    python benchmarks/objectives_page.py

records/compare/language-models.json is the result.json of a small `reknit compare`, records/claims/ssp.json the record
of a small claim, records/compare/unigram.json what `benchmarks/measure_unigram.py` found.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reknit.claim import EVERY_MEASURE
from reknit.evaluation.perplexity import PERPLEXITY, PSEUDO_PERPLEXITY
from reknit.jobs.files import read_json
from reknit.report.table import markdown_table
from reknit.research.comparison import measured
from reknit.research.pretraining.config import UNIGRAM, UNTRAINED
from reknit.research.statistics import interval, paired_interval
from reknit.research.table import with_interval

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "records"
PAGE = ROOT / "docs" / "which-objective.md"
UNSEEN = "xquad_en"


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    language = read_json(RECORDS / "compare" / "language-models.json")
    spans = read_json(RECORDS / "claims" / "ssp.json")
    unigram = read_json(RECORDS / "compare" / "unigram.json")
    text = """
        **This page cannot show which objective is best.** At these sizes (trainings of seconds to minutes, encoders of
        three or four layers), no objective on single texts was shown to be better than an untrained encoder, wherever
        one was among the arms. A ranking of such objectives only shows how little each has disturbed the random initial
        weights. That is why this page no longer has rankings, and why the claims that rested on them are *blind* in
        [catalogue.md](catalogue.md).

        Made by `benchmarks/objectives_page.py`. Numbers in brackets are 95% intervals over three seeds; a star marks a
        difference whose interval does not contain 0.

        **If you have a trained model and a collection of texts,** use none of these objectives. `reknit adapt` trains
        your model further: it distils the hybrid of that model and BM25 into it.
        [adapt-your-corpus.md](adapt-your-corpus.md) shows how, and [measured.md](measured.md) what it gave.

        **If you want the answer for your texts and your budget,** compare, with `untrained` among the arms, and trust a
        difference between two objectives only if the worse of them is better than `untrained`:

        ```sh
        reknit compare untrained mlm clm electra --corpus my-texts --out which --budget 2h --seeds 5 --eval beir-folder
        ```
        """
    paragraphs = [tidy(paragraph) for paragraph in text.strip().split("\n\n")]
    parts = ["# Which objective should I use?", *paragraphs]
    parts += ["## Is anything learnt at these sizes?", *against_untrained(language, "banking77 accuracy")]
    parts += [*against_untrained(spans, EVERY_MEASURE), "## Are they language models yet?"]
    parts += language_models(language, unigram)
    return "\n\n".join(parts) + "\n"


def tidy(paragraph: str) -> str:
    """Lines of prose joined; a command as it is."""
    lines = [line.strip() for line in paragraph.splitlines()]
    return "\n".join(lines) if lines and lines[0].startswith("```") else " ".join(lines).strip()


def against_untrained(record: dict[str, Any], label: str) -> list[str]:
    """A table of every arm's value and its difference to the untrained encoder, and how it was made."""
    runs = [run for run in record["runs"] if run["arm"] != UNIGRAM]
    arms = list(dict.fromkeys(run["arm"] for run in runs))
    values = {arm: [one for one in measured(runs, arm, label) if one is not None] for arm in arms}
    rows = []
    for arm in sorted(arms, key=lambda arm: -sum(values[arm])):
        difference = "" if arm == UNTRAINED else with_interval(minus(values[arm], values[UNTRAINED]), signed=True)
        rows.append([f"`{arm}`", with_interval(interval(values[arm]).to_json()), difference])
    shown = "mean of all measures" if label == EVERY_MEASURE else label
    made = f"{record['date'][:10]}, {record['machine']['processor']}: `{record['command']}`"
    return [markdown_table(["arm", shown, "minus `untrained`"], rows), made]


def minus(first: list[float], second: list[float]) -> dict[str, Any]:
    return paired_interval(first, second).to_json()


def language_models(record: dict[str, Any], unigram: dict[str, Any]) -> list[str]:
    """Perplexities beside that of a model which knows the frequencies of the tokens alone."""
    rows = []
    for arm in record["arms"]:
        for kind in (PSEUDO_PERPLEXITY, PERPLEXITY):
            found = record["summary"][arm]["values"][f"{UNSEEN} {kind}"]
            if found is not None:
                rows.append([f"`{arm}`", kind, with_interval(found)])
    line = f"{unigram['perplexity']:,.0f}"
    about = f"""
        A unigram model, which knows only how frequent each token of the corpus is, has a perplexity of {line} on that
        corpus ({unigram["nats_per_token"]:.2f} nats a token, `{unigram["command"]}`). The objectives of the first table
        reach these values after the same small budget, on paragraphs of Wikipedia that were kept out of the training:
        """
    end = "All are worse than the unigram model: none predicts a token from its context, so their order means nothing."
    if any(float(row["mean"]) <= unigram["perplexity"] for row in _perplexities(record)):
        end = "Those that are not better than the unigram model do not predict a token from its context yet."
    return [tidy(about), markdown_table(["objective", "measure", "value"], rows), end]


def _perplexities(record: dict[str, Any]) -> list[dict[str, Any]]:
    labels = [f"{UNSEEN} {kind}" for kind in (PSEUDO_PERPLEXITY, PERPLEXITY)]
    found = [record["summary"][arm]["values"][label] for arm in record["arms"] for label in labels]
    return [one for one in found if one is not None]


if __name__ == "__main__":
    main()
