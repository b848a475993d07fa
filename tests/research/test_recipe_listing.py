"""The catalogue as text, with what `reknit claim` has found out below the current folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from toy_experiment import CHECK, toy_system

from reknit import catalogue
from reknit.recipe import CAPABILITIES, Method, Part
from reknit.research.listing import describe, listing


@dataclass(frozen=True)
class Prompt(Part):
    role: ClassVar[str] = "adapter"
    verb: ClassVar[str] = "tune"
    length: int = 8


def test_verdicts_are_shown_where_claims_were_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "Measured: not yet (reknit claim electra)" in describe("electra")
    assert "Measured: no check yet" in describe("infonce-pairs")
    (tmp_path / "records" / "claims").mkdir(parents=True)
    record = {"verdict": "undecided", "measures": "claim", "control": None}
    (tmp_path / "records" / "claims" / "electra.json").write_text(json.dumps(record))
    assert "Measured: undecided" in describe("electra")
    larger = {"verdict": "holds", "measures": "proxy", "control": None}
    (tmp_path / "records" / "claims" / "electra-large.json").write_text(json.dumps(larger))
    assert "Measured: holds (proxy)" in describe("electra")
    lines = {line.split()[0]: line for line in listing().splitlines() if line}
    assert "holds (proxy)" in lines["electra"]
    assert "–" in lines["rts"]
    found = {one["name"]: one["claim_verdicts"] for one in json.loads(listing(as_json=True))}
    assert found["electra"] == {"small": "undecided", "large": "holds (proxy)"}
    assert found["rts"] == {}


def test_systems_are_listed_by_what_they_are_for() -> None:
    lines = listing().splitlines()
    assert lines[0] == "What do you want to do?"
    headings = {line: place for place, line in enumerate(lines) if line.endswith(")") and not line.startswith(" ")}
    titles = [line.rpartition(" (")[0] for line in headings]
    assert titles == [title for title in CAPABILITIES.values() if title in titles], "in the order of CAPABILITIES"
    place = {line.split()[0]: place for place, line in enumerate(lines) if line.startswith("  ")}
    assert set(place) == set(catalogue.systems())
    search, pretrain = (headings[f"{CAPABILITIES[name]} ({name})"] for name in ("search", "pretrain"))
    assert search < place["infonce-pairs"] < pretrain < place["mlm"]


def test_a_card_says_how_its_kind_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "How to use it: train by it with `reknit pretrain mlm --corpus CORPUS --out RUN`" in describe("mlm")
    assert "objective.ratio = 0.4" in describe("mlm")
    found = {"method": Method(card=catalogue.find("mlm").card, part=Prompt()), "survey": toy_system(CHECK)}
    monkeypatch.setattr(catalogue, "systems", lambda package="reknit_recipes": found)
    assert "How to use it: it is a method (adapter), used with `reknit tune --method mlm`" in describe("method")
    assert "part.length = 8" in describe("method")
    assert "How to use it: measure it with `reknit claim toy`" in describe("survey")
    assert "Settings" not in describe("survey")
    kinds = {one["name"]: one["kind"] for one in json.loads(listing(as_json=True))}
    assert kinds == {"mlm": "Method", "toy": "System"}
