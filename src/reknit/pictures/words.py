"""The facts of a run on pictures, worded once for the page, the model card and the terminal."""

from __future__ import annotations

import math
from pathlib import Path

from reknit.jobs.progress import format_duration
from reknit.pictures.result import HeldOutLosses, PictureResult
from reknit.report.facts import Facts, format_flops

UNIT = "patches"
"""What a row of a batch is called; a picture's opening row is counted too."""


def headline(result: PictureResult) -> tuple[str, str]:
    """The outcome in a few words, and the sentence that says what it rests on."""
    recipes = " and ".join(phase.recipe for phase in result.training.phases)
    done = f"the model was trained with {recipes or 'nothing'} and was not compared with another one on a task."
    return "Trained, not evaluated", f"{done} {held_out_sentence(result)}".rstrip()


def held_out_sentence(result: PictureResult) -> str:
    """What the objective loses on held-out pictures; "" where nothing was measured."""
    held = result.held_out
    if held is None:
        return ""
    losses = ", ".join(f"{name} {value:.3f}{_before(held, name)}" for name, value in held.losses.items())
    sentence = f"On {held.pictures:,} held-out pictures the losses are: {losses}"
    fell = all(value < held.before.get(name, math.inf) for name, value in held.losses.items())
    if held.mean_picture is None:
        return f"{sentence}." if fell else f"{sentence}: nothing was learnt."
    sentence = f"{sentence}; guessing the mean picture loses {held.mean_picture:.3f}"
    learnt = fell and min(held.losses.values()) < held.mean_picture
    return f"{sentence}, which is more." if learnt else f"{sentence}: nothing was learnt."


def _before(held: HeldOutLosses, name: str) -> str:
    return f" (before training {held.before[name]:.3f})" if name in held.before else ""


def corpus_facts(result: PictureResult) -> Facts:
    """What was read and what was left out of it."""
    corpus = result.corpus
    if corpus is None:
        return []
    counts = {
        "pictures": corpus.pictures,
        "held out of training": corpus.held_out,
        "pixels of a side": corpus.size,
        "exact duplicates dropped": corpus.duplicates,
        "unreadable files skipped": sum(corpus.unreadable.values()),
    }
    facts = [(label, f"{count:,}") for label, count in counts.items()]
    return facts + [(f"of these: {reason}", f"{count:,}") for reason, count in corpus.unreadable.items()]


def training_facts(result: PictureResult) -> Facts:
    """What was spent in all."""
    training = result.training
    return [
        (UNIT, f"{training.tokens:,}"),
        ("training time (h:mm:ss)", format_duration(training.seconds)),
        (f"{UNIT} per second", f"{training.tokens_per_second:,.0f}"),
        ("computation", format_flops(training.flops)),
    ]


def export_facts(result: PictureResult) -> Facts:
    """How far the exported folder is from the trained model."""
    against = {} if result.export is None else result.export.against
    return [(f"against {library}", f"{difference:.1e}") for library, difference in against.items()]


def show_pictures(result: PictureResult, out: Path) -> None:
    """Print the outcome, what was read, and where things are."""
    first, rest = headline(result)
    print(f"{first}: {rest}")
    print("; ".join(f"{label}: {value}" for label, value in corpus_facts(result)))
    print(f"\nmodel: {out / 'model'}   report: {out / 'report.html'}")
