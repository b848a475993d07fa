"""Train from nothing on the largest text corpus for 15 minutes and write records/adapt/text.json.

    python benchmarks/measure_from_scratch.py

The corpus is read from ../shared/data, where the project's developers keep it; nothing of it is stored here but
numbers. `benchmarks/adaptation_page.py` shows the record.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import reknit
from reknit.data.store import PassageStore
from reknit.training.files import write_json

ROOT = Path(__file__).parents[1]
TEXTS = ROOT.parent / "shared" / "data" / "text"
RECORD = ROOT / "records" / "adapt" / "text.json"


def main() -> None:
    logging.getLogger("reknit").setLevel(logging.INFO)
    logging.getLogger("reknit").addHandler(logging.StreamHandler())
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        result = reknit.adapt(next(TEXTS.glob("*.jsonl.zst")), out, start="scratch", budget="15m")
        result["sentence_transformers_difference"] = compare_with_sentence_transformers(out)
    # Texts of the corpus stay where they are: only numbers are recorded.
    del result["searches"]
    result["corpus"]["problems"] = len(result["corpus"]["problems"])
    result["command"] = "python benchmarks/measure_from_scratch.py"
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    write_json(RECORD, result)
    print(result["verdict"]["sentence"])


def compare_with_sentence_transformers(run: Path) -> float:
    """Largest absolute difference between reknit's vectors and those of SentenceTransformer(RUN/model)."""
    from sentence_transformers import SentenceTransformer

    store = PassageStore.open(run / "checkpoints" / "data" / "passages.arrow")
    texts = [store[place].full_text for place in range(0, len(store), max(1, len(store) // 100))]
    theirs = SentenceTransformer(str(run / "model"), device="cpu").encode(texts)
    return float(abs(reknit.load(run).encode(texts) - theirs).max())


if __name__ == "__main__":
    main()
