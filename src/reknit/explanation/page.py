"""report.html of an explanation: the verdict, the features of a hit, and features with words and passages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reknit.explanation.result import Excerpt, ExplainResult, Feature, Hit
from reknit.interpretability.descriptions import FeatureWord
from reknit.jobs.files import disk_full_explained, written_aside
from reknit.report.markup import fact_list, table, text, whole_page

EXCERPT_CHARACTERS = 260
_WORDS_IN_NAME = 3
_LONGEST_WORD = 40


def write_page(path: Path, result: ExplainResult) -> None:
    """Write the page; it appears whole or not at all."""
    with disk_full_explained(str(path)), written_aside(path) as aside:
        aside.write_text(render_page(result), encoding="utf-8")


def render_page(result: ExplainResult) -> str:
    """The page as text, without any outside resource."""
    headline, _, rest = result.verdict.sentence.partition(":")
    kind = "good" if result.verdict.explains else "careful"
    about = f"reknit explain · {result.date[:10]} · {result.model}, layer {result.layer} · {result.config['method']}"
    body = [
        f'<p class="kicker">{text(about)}</p>',
        f'<section class="verdict {kind}"><h1><strong>{text(headline)}:</strong> {text(rest.strip())}</h1></section>',
        fact_list(_summary(result)),
        _hit(result.hit) if result.hit is not None else "",
        _features(result),
        "<h2>How it was measured</h2>",
        _method(result),
        _table(result),
        fact_list(_facts(result)),
        f"<pre><code>{text(result.command)}</code></pre>",
    ]
    return whole_page(headline, body)


def feature_name(number: int, words: Sequence[FeatureWord]) -> str:
    """Its first words; its number where it has none."""
    return ", ".join(word.word for word in words[:_WORDS_IN_NAME]) or f"feature {number}"


def fired(words: Sequence[str]) -> str:
    """The words of a passage that a feature fires on, or that it fires on none of them."""
    return ", ".join(words) or "special tokens alone"


def marked(whole: str, marks: Sequence[tuple[int, int]], limit: int = EXCERPT_CHARACTERS) -> str:
    """HTML of the `limit` characters of a text, or some more, that have the most marks, with the marks in bold.

    marks: places in the text, in order and apart.
    """
    start, end = _window(len(whole), marks, limit)
    start, end = _whole_words(whole, start, end)
    pieces, place = ["…" if start else ""], start
    for begin, stop in marks:
        begin, stop = max(begin, start), min(stop, end)
        if begin < stop:
            pieces += [text(whole[place:begin]), f"<b>{text(whole[begin:stop])}</b>"]
            place = stop
    return "".join([*pieces, text(whole[place:end]), "…" if end < len(whole) else ""])


def _window(length: int, marks: Sequence[tuple[int, int]], limit: int) -> tuple[int, int]:
    """Where to cut: around the marks that fit together, most of them; the beginning without any."""
    together = [[mark for mark in marks if first <= mark[0] and mark[1] <= first + limit] for first, _ in marks]
    most = max(together, key=len, default=[])
    middle = (most[0][0] + most[-1][1]) // 2 if most else 0
    start = max(0, min(middle - limit // 2, length - limit))
    return start, min(length, start + limit)


def _whole_words(whole: str, start: int, end: int) -> tuple[int, int]:
    """A cut inside a word moves out to the next space, where that is near."""
    if start:
        space = whole.rfind(" ", max(0, start - _LONGEST_WORD), start)
        start = space + 1 if space >= 0 else start
    if end < len(whole):
        space = whole.find(" ", end, end + _LONGEST_WORD)
        end = space if space >= 0 else end
    return start, end


def _summary(result: ExplainResult) -> list[tuple[str, str]]:
    trained, quality = result.trained.descriptions, result.trained.quality
    return [
        ("features", f"{trained.live:,} live of {result.config['part']['width']:,}"),
        ("features of a token", f"{quality.active:.1f} on average"),
        ("kept of the states", f"{1 - quality.error:.0%}"),
        ("AUROC of the words", "–" if trained.auroc is None else f"{trained.auroc:.3f} over {trained.tested:,}"),
    ]


def _hit(hit: Hit) -> str:
    rows = []
    for one in hit.features:
        name = (
            f'<th scope="row">{text(feature_name(one.number, one.words), 60)}<small>feature {one.number}</small></th>'
        )
        cells = (
            f"{one.contribution:+.3f}",
            "yes" if one.in_query else "no",
            text(fired(one.fires_on), 60),
        )
        rows.append(f"<tr>{name}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    title = text(hit.title or hit.id, 160)
    about = f"{hit.id} · similarity {hit.similarity:.3f} · searched in {hit.searched}"
    return (
        f"<h2>Why this was found</h2>"
        f'<div class="search"><h3 dir="auto">“{text(hit.query, 300)}”</h3><ol><li><b dir="auto">{title}</b> '
        f'<span class="quiet">{text(about, 300)}</span>'
        f'<p dir="auto">{marked(hit.text, hit.marks, 3 * EXCERPT_CHARACTERS)}</p></li></ol></div>'
        '<p class="quiet">Contribution: what the similarity of query and passage loses when the feature is taken out '
        "of all tokens of the passage and the layers above run again. What features do together is not the sum of "
        "it.</p>" + table(("feature", "contribution", "in the query", "fires on"), rows, "scores")
    )


def _features(result: ExplainResult) -> str:
    shown = result.shown
    if not shown:
        return "<h2>Features</h2><p>No feature fires in enough passages to be described.</p>"
    about = (
        f"{len(shown)} of {result.trained.descriptions.live:,} live features, drawn at random; those whose words hold "
        "best on unseen passages come first. Marked: where the feature fires, at half of its largest activation in the "
        "passage or more. The passages are those in which it fires most; result.json has all features."
    )
    return f'<h2>Features</h2><p class="quiet">{about}</p>' + "".join(map(_feature, shown))


def _feature(feature: Feature) -> str:
    facts = [
        f"feature {feature.number}",
        "words not tested" if feature.auroc is None else f"AUROC {feature.auroc:.2f}",
        f"fires on {feature.firing:.1%} of words",
    ]
    words = ", ".join(f"{word.word} ×{word.lift:,.0f}" for word in feature.words)
    listed = f'<p dir="auto">{text(words, 300)}</p>' if words else ""
    passages = "".join(map(_passage, feature.excerpts))
    return (
        f'<div class="search"><h3 dir="auto">{text(feature_name(feature.number, feature.words), 120)}</h3>'
        f'<p class="quiet">{text(" · ".join(facts))}</p>{listed}<ol>{passages}</ol></div>'
    )


def _passage(excerpt: Excerpt) -> str:
    about = f"{excerpt.title or excerpt.id} · {'unseen' if excerpt.unseen else 'seen'} · {excerpt.activation:.1f}"
    return (
        f'<li><p dir="auto">{marked(excerpt.text, excerpt.marks)}</p><span class="quiet">{text(about, 160)}</span></li>'
    )


def _method(result: ExplainResult) -> str:
    sample = result.sample
    return (
        f'<p class="quiet">Half of the sampled passages ({sample.seen_passages:,}) trained the features and chose '
        "their words: those on which a feature's activation is most concentrated beside how often they occur, with a "
        "lift of 2 or more (the number after ×: mean activation on the word over that on all words). On the other "
        f"half ({sample.sampled_passages - sample.seen_passages:,}), AUROC is the probability that a passage with one "
        "of the words has a higher largest activation than one without. The control is random directions, described "
        "and tested alike. Error: squared error over that of the mean state, on unseen passages.</p>"
    )


def _table(result: ExplainResult) -> str:
    rows = []
    for name, one in (("features", result.trained), ("random directions", result.control)):
        found, quality = one.descriptions, one.quality
        cells = [
            f"{found.live:,}",
            f"{found.tested:,}",
            "–" if found.auroc is None else f"{found.auroc:.3f}",
            f"{quality.error:.3f}",
            f"{quality.active:.1f}",
            f"{quality.unused:.0%}",
        ]
        rows.append(f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>')
    return table(("", "live", "tested", "AUROC", "error", "active", "never used"), rows, "scores")


def _facts(result: ExplainResult) -> list[tuple[str, str]]:
    sample = result.sample
    return [
        ("corpus", f"{result.config['corpus']}: {sample.documents:,} documents, {sample.passages:,} passages"),
        ("sample", f"{sample.sampled_passages:,} passages, {sample.sampled_states:,} token states"),
        ("training", f"{result.config['training_states']:,} states, seed {result.config['seed']}"),
        ("machine", f"{result.machine['processor']}, {result.machine['cores']} cores"),
        ("reknit", str(result.versions["reknit"])),
    ]
