"""The model card (README.md) of an exported model of pictures."""

from __future__ import annotations

from typing import Any

from reknit.pictures import words
from reknit.pictures.result import PictureResult
from reknit.report.card import citations, fact_section, front_matter, markdown, paper, recipe_card, repeat
from reknit.runs.config import SCRATCH

_USE = """## Use

```python
import reknit

model = reknit.load("path/to/this/folder")
vectors = model.encode(["photo.jpg", "another.png"])  # float32, a row of length 1 for each picture
```

or the states of all patches, with transformers:

```python
from transformers import ViTModel

model = ViTModel.from_pretrained("path/to/this/folder")
```

Pictures are cropped to their central square, scaled, and normalised with the mean and deviation in
`preprocessor_config.json`."""


def picture_card(result: PictureResult, config: dict[str, Any]) -> str:
    """The text of README.md: YAML front matter as the Hugging Face hub reads it, then Markdown. config: of config.json,
    which has the recipes' titles and papers."""
    parts = [
        _front_matter(result),
        _introduction(result),
        _USE,
        _training(result, config),
        fact_section("Pictures", words.corpus_facts(result)),
        fact_section("Export check: largest difference of a dimension", words.export_facts(result)),
        repeat(result.command, result.seed, result.reknit_version),
        citations(config),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(result: PictureResult) -> str:
    task = "image-feature-extraction"
    tags = [task, "vit", "reknit", *(phase.recipe for phase in result.training.phases)]
    return front_matter("transformers", task, tags, result.start)


def _introduction(result: PictureResult) -> str:
    start = "from scratch" if result.start == SCRATCH else f"from {markdown(result.start)}"
    headline, rest = words.headline(result)
    return (
        "# Picture encoder made with reknit\n\n"
        f"This vision transformer was trained {start} by reknit on pictures without labels.\n\n"
        f"**{headline}:** {markdown(rest)}"
    )


def _training(result: PictureResult, config: dict[str, Any]) -> str:
    lines = [
        f"- {markdown(phase.name)}, recipe {markdown(phase.recipe)}{paper(recipe_card(config, phase.name))}: "
        f"{phase.steps:,} steps; stopped because: {markdown(phase.stopped_because)}"
        for phase in result.training.phases
    ]
    listed = [f"- {markdown(label)}: {markdown(value)}" for label, value in words.training_facts(result)]
    return "\n\n".join(["## Training", "\n".join(lines), "In all:", "\n".join(listed)])
