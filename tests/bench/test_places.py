"""Runs beside each other: each on its own cores, as many at a time as fit."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reknit.bench.places import Places, run_module
from reknit.errors import ReknitError

OWN = sorted(os.sched_getaffinity(0))
MODULE = """
import os, sys
open(sys.argv[1], "w").write(f"{sorted(os.sched_getaffinity(0))} {os.environ.get('CUDA_VISIBLE_DEVICES')}")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "where_am_i.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return "where_am_i"


def test_every_run_has_its_cores_and_no_gpu(tmp_path: Path, module: str) -> None:
    places = Places(1)
    assert places.number == len(OWN)
    with places.one() as place:
        assert run_module([module, tmp_path / "told"], place) >= 0
    assert (tmp_path / "told").read_text() == f"{place} "
    assert place[0] in OWN


def test_without_cores_one_run_has_all(tmp_path: Path, module: str) -> None:
    places = Places(None)
    assert places.number == 1
    with places.one() as place:
        run_module([module, tmp_path / "told"], place)
    assert (tmp_path / "told").read_text() == f"{OWN} None"


def test_no_two_runs_share_a_core() -> None:
    places, taken, seen = Places(1), [], []

    def stay(number: int) -> None:
        with places.one() as place:
            taken.append(tuple(place))
            seen.append(len(taken) == len(set(taken)))
            time.sleep(0.02)
            taken.remove(tuple(place))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(stay, range(20)))
    assert all(seen)


def test_bad_input() -> None:
    for cores in (0, len(OWN) + 1):
        with pytest.raises(ReknitError, match=f"--cores is {cores}: this process has 1 to {len(OWN)}"):
            Places(cores)
    with pytest.raises(ReknitError, match=r"no_such_module x failed: .*No module named"):
        run_module(["no_such_module", "x"], [])
