"""Contestants really run as processes, take turns, and fail in one line."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from reknit.bench.contest import Contestant, hold, ratios
from reknit.bench.result import Row, compared, side
from reknit.bench.run import bench, cells, show
from reknit.errors import ReknitError

SCRIPT = """
import time, worker
given = worker.settings()
log = open(given["log"], "a")
def turn():
    log.write(given["name"] + "\\n"); log.flush()
    print("noise on the way must not disturb")
    return {"seconds": given["seconds"], "tokens": 100}
worker.serve(turn, batch_size=8)
"""


@dataclass(frozen=True)
class Scripted(Contestant):
    """A contestant whose script is a file of the test's."""

    def command(self) -> list[str]:
        return [sys.executable, "-c", self._code()]

    def _code(self) -> str:
        peers = Path(sys.modules["reknit.bench.contest"].__file__).parent / "peers"
        # With -c the settings' file is the first argument, as it is for a script.
        return f"import sys; sys.path.insert(0, {str(peers)!r})\n" + self.script


def scripted(name: str, seconds: float, log: Path, script: str = SCRIPT) -> Scripted:
    return Scripted(name, script, {"name": name, "seconds": seconds, "log": str(log)})


def test_contestants_take_turns_in_alternating_order(tmp_path):
    log = tmp_path / "log"
    ours, theirs = hold([scripted("a", 0.5, log), scripted("b", 2.0, log)], 3, tmp_path)
    assert log.read_text().split() == ["a", "b", "b", "a", "a", "b"]
    assert ours.rates() == [200.0] * 3
    assert ratios(ours, theirs) == {"median": 4.0, "least": 4.0, "most": 4.0}
    assert ours.ready["batch_size"] == 8
    assert 1 < ours.peak_rss_mb < 4096


@pytest.mark.parametrize("script", ["raise ValueError('no such model')", SCRIPT.replace("log.write", "log.nothing")])
def test_a_contestant_that_fails_is_named_with_its_last_line(tmp_path, script):
    with pytest.raises(ReknitError, match=r"^b failed: (ValueError: no such model|AttributeError: .*nothing.*)$"):
        hold([scripted("a", 1.0, tmp_path / "log"), scripted("b", 1.0, tmp_path / "log", script)], 1, tmp_path)


def test_a_missing_package_says_where_the_peers_packages_are_listed(tmp_path):
    with pytest.raises(ReknitError, match=r"nothing_of_this_name.*benchmarks/peers\.txt"):
        hold([scripted("a", 1.0, tmp_path / "log", "import nothing_of_this_name")], 1, tmp_path)


def test_a_row_says_whether_its_target_is_met(tmp_path):
    ours, theirs = hold([scripted("a", 1.0, tmp_path / "log"), scripted("b", 2.0, tmp_path / "log")], 2, tmp_path)
    row = compared("train", "work", ours, theirs, unit="tokens", target=2.5)
    assert row.met is False
    assert row.ratio["median"] == 2.0
    assert cells(row)[3:] == ("2.00 (2.00 to 2.00)", ">= 2.5", "no")
    alone = Row("index", "work", "s", side(ours, "tokens"), None, {}, target=100.0, lower=True)
    assert alone.met is True
    with_share = side(ours, "tokens", flops_per_unit=1e6, peak=1e9)
    assert with_share.share == pytest.approx(0.1)
    show([row, alone], Console(quiet=True))


@pytest.mark.parametrize(
    ("job", "against", "message"),
    [
        ("swim", (), "there is no benchmark 'swim'; choose from train, encode, data, index or all"),
        ("train", ("keras",), "train cannot be measured against 'keras'; choose from transformers-float32"),
        ("encode", ("mlm",), "encode cannot be measured against 'mlm'"),
        ("all", ("retromae",), "--against needs one job"),
        ("index", ("retromae",), "leave out --against"),
    ],
)
def test_unknown_names_are_refused_before_anything_runs(job, against, message):
    with pytest.raises(ReknitError, match=message):
        bench(job, against)
