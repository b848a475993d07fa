"""A run stays as large as it was: the heap's holes go back, and the size of the corpus does not matter."""

from __future__ import annotations

import importlib.util
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from reknit.jobs import memory
from reknit.jobs.memory import MemoryKeeper, frugal_allocation


def test_it_trims_after_growth_and_then_finds_the_working_size_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, trimmed = iter([100, 200, 201, 300, 450, 451]), []
    monkeypatch.setattr(memory, "resident_bytes", lambda: next(sizes))
    keeper = MemoryKeeper(share=0.5, least=100)
    monkeypatch.setattr(keeper, "_trim", trimmed.append)
    calls = []
    for _ in range(6):
        keeper()
        calls.append(len(trimmed))
    assert calls == [0, 0, 1, 1, 1, 2]


def in_a_process(program: str) -> list[float]:
    """The numbers that a program prints: after all the other tests this process has a heap with holes of any size."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return list(map(float, done.stdout.split()))


HOLES = """
from reknit.jobs.memory import MemoryKeeper, resident_bytes

# Blocks below malloc's first threshold for mapping, every other one freed: the heap cannot shrink from its end.
blocks = [bytearray(100_000) for _ in range(2000)]
keeper = MemoryKeeper(share=0, least=0)
keeper()
full = resident_bytes()
blocks = blocks[::2]
half = resident_bytes()
keeper.least, keeper.share = -full, -1
keeper()
print((full - half) / 2**20, (full - resident_bytes()) / 2**20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_holes_of_the_heap_go_back_to_the_system() -> None:
    freed, trimmed = in_a_process(HOLES)
    assert freed < 10
    assert trimmed > 80


def test_frugal_allocation_can_be_nested_in_anything() -> None:
    with pytest.raises(KeyError), frugal_allocation():
        raise KeyError


KEPT_SHARES = """
import torch
from reknit.jobs.memory import MemoryKeeper, resident_bytes, reusing_allocation

def kept():
    before = resident_bytes()
    torch.empty(2**24).fill_(1.0)  # 64 MB
    return (resident_bytes() - before) / 2**26

outside = kept()
with reusing_allocation():
    inside = kept()
MemoryKeeper()._trim(0)
print(outside, inside, kept())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_free_blocks_stay_within_reusing_allocation_and_go_back_outside_of_it() -> None:
    outside, inside, after = in_a_process(KEPT_SHARES)
    assert outside < 0.1
    assert inside > 0.9
    assert after < 0.1


@pytest.mark.slow
def test_a_corpus_20_times_larger_takes_hardly_more(tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "measure_memory.py"
    spec = importlib.util.spec_from_file_location("measure_memory", path)
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    found = benchmark.measure(tmp_path, 2, 20, "100000tok")
    assert found["growth"]["training_peak_mb"] <= 64, found
    assert found["growth"]["peak_mb"] <= 256, found
