"""A trained feature model on disk: `features/`, with features.safetensors and features.json."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from reknit import catalogue
from reknit.errors import ReknitError
from reknit.interpretability.feature_model import FeatureModel, FeatureModelSpec
from reknit.jobs.files import disk_full_explained, read_json, write_json, written_aside
from reknit.training.checkpoint import save_tensors

FOLDER = "features"
FORMAT = 1
_FACTS, _TENSORS = "features.json", "features.safetensors"


@dataclass(frozen=True)
class SavedFeatures:
    """A feature model and what it belongs to.

    method: its name in the catalogue. layer: whose states it reads, as `Encoded.states` counts them. of: name of the
    embedding model.
    """

    model: FeatureModel
    method: str
    spec: FeatureModelSpec
    layer: int
    of: str

    def save(self, folder: Path) -> None:
        """Write the folder; it appears whole or not at all."""
        facts = {
            "format": FORMAT,
            "method": self.method,
            "dim": self.model.dim,
            "layer": self.layer,
            "of": self.of,
            "part": {name: value for name, value in _fields(self.spec).items() if not dataclasses.is_dataclass(value)},
        }
        with disk_full_explained(str(folder)), written_aside(folder) as aside:
            aside.mkdir()
            save_tensors(self.model.state_dict(), aside / _TENSORS)
            write_json(aside / _FACTS, facts)

    @classmethod
    def load(cls, folder: Path) -> SavedFeatures:
        """Read what `save` wrote, in evaluation mode. Raises ReknitError when it is missing, damaged, of another
        version, or made by a method that is not in the catalogue."""
        facts = read_json(folder / _FACTS)
        if not isinstance(facts, dict) or facts.get("format") != FORMAT:
            raise ReknitError(f"{folder} holds no features of this version of reknit: make them again")
        method = catalogue.find_method(str(facts.get("method")), FeatureModelSpec.verb)
        try:
            spec: Any = dataclasses.replace(method.part, **facts["part"])  # type: ignore[type-var]
            model = spec.build(int(facts["dim"]))
            model.load_state_dict(load_file(folder / _TENSORS))
            return cls(model.eval(), method.card.name, spec, int(facts["layer"]), str(facts["of"]))
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise ReknitError(f"{folder} is damaged ({reason}): make the features again") from error


def _fields(spec: FeatureModelSpec) -> dict[str, Any]:
    return {item.name: getattr(spec, item.name) for item in dataclasses.fields(spec)}
