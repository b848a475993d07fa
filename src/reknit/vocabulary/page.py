"""report.html of a vocabulary run: the verdict, what the tokenizer saves, what search loses or gains."""

from __future__ import annotations

from pathlib import Path

from reknit.evaluation.scores import Evaluation
from reknit.jobs.files import disk_full_explained, written_aside
from reknit.jobs.progress import format_duration
from reknit.report.markup import fact_list, table, text, whole_page
from reknit.vocabulary.result import VocabularyResult
from reknit.vocabulary.verdict import NEW, OLD

_SYSTEMS = {
    OLD: ("old tokenizer", "the start model as it is"),
    NEW: ("new tokenizer", "the model in model/"),
    "bm25": ("BM25", "word matching, no neural model"),
    "random": ("random", "documents in random order"),
}


def write_page(path: Path, result: VocabularyResult) -> None:
    """Write the page; it appears whole or not at all."""
    with disk_full_explained(str(path)), written_aside(path) as aside:
        aside.write_text(render_page(result), encoding="utf-8")


def render_page(result: VocabularyResult) -> str:
    """The page as text, without any outside resource."""
    verdict = result.verdict
    headline, _, rest = verdict.sentence.partition(":")
    kind = "good" if verdict.use == "new" else "careful"
    body = [
        f'<p class="kicker">reknit vocabulary · {text(result.date[:10])} · start: {text(result.start)} · method: '
        f"{text(result.method)}</p>",
        f'<section class="verdict {kind}"><h1><strong>{text(headline)}:</strong> {text(rest)}</h1>'
        f"<p>{_meaning(result)}</p></section>",
        _tokenizers(result),
        _search(result),
        _words(result),
        _rows(result),
        "<h2>How it was made</h2>",
        fact_list(_facts(result)),
        f"<pre><code>{text(result.command)}</code></pre>",
    ]
    return whole_page(headline, body)


def _meaning(result: VocabularyResult) -> str:
    where = "<code>model/</code> holds the model with the new tokenizer"
    if result.verdict.use == "new":
        return f"{where}. An index made with the start model must be made again: its vectors do not fit."
    return f"{where}, for further training; to search, keep the start model."


def _tokenizers(result: VocabularyResult) -> str:
    rows = [
        f'<tr><th scope="row">{name}</th><td>{facts.tokens:,}</td><td>{facts.tokens_per_text:.1f}</td>'
        f"<td>{facts.table_bytes / 1e6:.1f} MB</td></tr>"
        for name, facts in (("old tokenizer", result.before), ("new tokenizer", result.after))
    ]
    about = f"Tokens of {result.counted_texts:,} passages of the corpus, which the new tokenizer was trained on, uncut."
    return f'<h2>Tokens</h2><p class="quiet">{about}</p>' + table(
        ["", "tokens known", "tokens per text", "table"], rows, "scores"
    )


def _search(result: VocabularyResult) -> str:
    parts = ["<h2>Search</h2>"]
    for evaluation in result.evaluations:
        about = f"{evaluation.queries:,} queries, {evaluation.documents:,} documents"
        if evaluation.dataset == "probe":
            about += "; queries cut from the corpus itself"
        parts.append(f'<h3>{text(evaluation.dataset, 200)}</h3><p class="quiet">{text(about)}</p>{_scores(evaluation)}')
        notes = "".join(f"<li>{text(note, 500)}</li>" for note in evaluation.notes)
        parts.append(f'<ul class="quiet">{notes}</ul>' if notes else "")
    return "".join(parts)


def _scores(evaluation: Evaluation) -> str:
    found = evaluation.rows
    metrics = list(found[OLD])
    rows = []
    for name, (label, meaning) in _SYSTEMS.items():
        cells = "".join(
            f"<td>{found[name][metric].value:.3f}<small>{found[name][metric].ci95[0]:.3f}–"
            f"{found[name][metric].ci95[1]:.3f}</small></td>"
            for metric in metrics
        )
        rows.append(f'<tr><th scope="row">{label}<small>{meaning}</small></th>{cells}</tr>')
    return table(["system", *(text(metric) for metric in metrics)], rows, "scores")


def _words(result: VocabularyResult) -> str:
    if not result.words:
        return ""
    rows = [
        f'<tr><th scope="row">{text(word.word, 40)}</th><td>{word.count:,}</td><td>{text(" ".join(word.old), 60)}</td>'
        f"<td>{text(' '.join(word.new), 60)}</td></tr>"
        for word in result.words
    ]
    return "<h2>Words that are cut less</h2>" + table(["word", "times", "old pieces", "new pieces"], rows, "scores")


def _rows(result: VocabularyResult) -> str:
    return (
        '<h2>The new table</h2><p class="quiet">Kept: special tokens, and tokens that both tokenizers have. Combined: '
        "made from old rows by the method. Drawn: random, with the old rows' mean and spread. All other weights "
        f"{'were kept, then trained' if result.training else 'are kept'}.</p>"
        + fact_list([(f"rows {name}", f"{count:,}") for name, count in result.rows.items()])
    )


def _facts(result: VocabularyResult) -> list[tuple[str, str]]:
    training = "none"
    if result.training is not None:
        training = (
            f"masked language modelling with a new head, {result.training.tokens:,} tokens in "
            f"{format_duration(result.training.seconds)}"
        )
    return [
        ("corpus", f"{result.settings['corpus']}, {result.corpus.words:,} words"),
        ("training", training),
        ("seed", str(result.seed)),
        ("machine", f"{result.machine['processor']}, {result.machine['cores']} cores"),
        ("reknit", result.reknit_version),
    ]
