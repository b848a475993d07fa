"""The catalogue as text, with what `reknit claim` has found out below the current folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reknit.research.listing import describe, listing


def test_verdicts_are_shown_where_claims_were_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "Measured: not yet (reknit claim electra)" in describe("electra")
    assert "Measured: no check yet" in describe("infonce-pairs")
    (tmp_path / "records" / "claims").mkdir(parents=True)
    record = {"verdict": "undecided at this scale"}
    (tmp_path / "records" / "claims" / "electra.json").write_text(json.dumps(record))
    assert "Measured: undecided" in describe("electra")
    (tmp_path / "records" / "claims" / "electra-large.json").write_text('{"verdict": "holds"}')
    assert "Measured: holds" in describe("electra")
    lines = {line.split()[0]: line for line in listing().splitlines() if line}
    assert "holds" in lines["electra"]
    assert "–" in lines["rts"]
    found = {one["name"]: one["claim_verdicts"] for one in json.loads(listing(as_json=True))}
    assert found["electra"] == {"small": "undecided", "large": "holds"}
    assert found["rts"] == {}
