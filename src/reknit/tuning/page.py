"""report.html of a tuning run: the verdict, the two ways of using the labels, how it was made."""

from __future__ import annotations

from reknit.jobs.progress import format_duration
from reknit.report.markup import fact_list, table, text, whole_page
from reknit.report.plots import interval_bar
from reknit.tuning.result import PROBE, TUNED, Arm, TuningResult

MEANINGS = {
    PROBE: "a linear layer on the start model's vectors",
    TUNED: "an adapter in the model and a linear layer, trained together",
}


def render_page(result: TuningResult) -> str:
    """The page as text, without any outside resource."""
    headline, _, rest = result.verdict.sentence.partition(":")
    kind = "good" if result.verdict.use == "tuned" else "careful"
    about = ("reknit tune", result.date[:10], f"start: {result.start}", f"method: {result.method}")
    body = [
        f'<p class="kicker">{" · ".join(text(part, 300) for part in about)}</p>',
        f'<section class="verdict {kind}"><h1><strong>{text(headline)}:</strong> {text(rest)}</h1>'
        f"<p>{_meaning(result)}</p></section>",
        "<h2>Accuracy and cost</h2>",
        f'<p class="quiet">{_about(result)}</p>',
        _bars(result),
        _arms(result),
        _notes(result),
        "<h2>How it was made</h2>",
        fact_list(_facts(result)),
        f'<pre tabindex="0">{text(result.command)}</pre>',
    ]
    return whole_page(headline, body)


def arm_name(result: TuningResult, arm: str) -> str:
    """What an arm is called in tables."""
    return result.method if arm == TUNED else arm


def cells_of(arm: Arm) -> tuple[str, str, str, str]:
    """Accuracy, trained weights, bytes and seconds of an arm, as they are shown."""
    trained = f"{arm.trained_weights:,} ({arm.trained_fraction:.2%})" if arm.trained_weights else "none"
    return f"{arm.accuracy:.3f}", trained, f"{arm.bytes / 1e3:,.0f} kB", format_duration(arm.seconds)


def _meaning(result: TuningResult) -> str:
    where = "<code>model/</code> holds the start model with the adapter and the linear layer beside it"
    if result.verdict.use == "probe":
        return f"{where}, for inspection: nothing here shows that it is better than a linear layer on the start model."
    index = "An index made with the start model must be made again: its vectors do not fit."
    merging = " <code>reknit export</code> puts the adapter into the weights, for other libraries."
    staying = " The adapter cannot be put into the weights: only reknit applies it."
    return f"{where}. {index}{merging if result.merges else staying}"


def _about(result: TuningResult) -> str:
    return text(
        f"{result.texts['learnt from']:,} texts were learnt from, with {result.classes} labels; "
        f"{result.texts['judging']:,} others judge. Below an accuracy is its 95% interval over these texts. The linear "
        "layer's own weights, which both have, are not counted."
    )


def _bars(result: TuningResult) -> str:
    rows = "".join(
        f"<span>{text(arm_name(result, name), 60)}</span>"
        f"{interval_bar(arm.accuracy, arm.ci95, 1.0, 'chosen' if _is_chosen(result, name) else 'plain')}"
        f"<span>{arm.accuracy:.3f}</span>"
        for name, arm in result.arms.items()
    )
    ends = "<span>0</span><span>accuracy</span><span>1</span>"
    return f'<div class="bars">{rows}<span></span><span class="ends">{ends}</span><span></span></div>'


def _arms(result: TuningResult) -> str:
    rows = []
    for name, arm in result.arms.items():
        accuracy, *others = cells_of(arm)
        cells = f"<td>{accuracy}<small>{arm.ci95[0]:.3f}–{arm.ci95[1]:.3f}</small></td>"
        cells += "".join(f"<td>{cell}</td>" for cell in others)
        chosen = ' class="chosen"' if _is_chosen(result, name) else ""
        label = f"{text(arm_name(result, name), 60)}<small>{MEANINGS[name]}</small>"
        rows.append(f'<tr{chosen}><th scope="row">{label}</th>{cells}</tr>')
    return table(["", "accuracy", "trained weights", "on disk", "training took"], rows, "scores")


def _is_chosen(result: TuningResult, arm: str) -> bool:
    return (arm == TUNED) == (result.verdict.use == "tuned")


def _notes(result: TuningResult) -> str:
    notes = "".join(f"<li>{text(note, 500)}</li>" for note in result.notes)
    return f'<ul class="quiet">{notes}</ul>' if notes else ""


def _facts(result: TuningResult) -> list[tuple[str, str]]:
    return [
        ("labels", result.labels),
        ("learning rate", f"{result.learning_rate:g}"),
        ("epochs", str(result.settings["training"]["epochs"])),
        ("seed", str(result.seed)),
        ("machine", f"{result.machine['processor']}, {result.machine['cores']} cores"),
        ("reknit", result.reknit_version),
    ]
