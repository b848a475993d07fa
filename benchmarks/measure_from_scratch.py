"""Train from nothing on the largest collection and the text corpus together, search that collection with its labelled
queries, and write records/adapt/text.json.

    python benchmarks/measure_from_scratch.py [BUDGET]

BUDGET is 10m, as for models that begin with a trained one. The texts are read from ../shared/data, where the project's
developers keep them; nothing of them is stored here but numbers. `benchmarks/adaptation_page.py` shows the record.
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import reknit
from reknit.data.text.passage_store import PassageStore
from reknit.jobs.files import write_json
from reknit.runs.run_folder import RunFolder

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
TEXTS, COLLECTION = DATA / "text", DATA / "retrieval" / "npl"
RECORD = ROOT / "records" / "adapt" / "text.json"


def main() -> None:
    logging.getLogger("reknit").setLevel(logging.INFO)
    logging.getLogger("reknit").addHandler(logging.StreamHandler())
    budget = sys.argv[1] if len(sys.argv) > 1 else "10m"
    with tempfile.TemporaryDirectory() as folder:
        out, corpus = Path(folder) / "run", Path(folder) / "corpus"
        corpus.mkdir()
        shutil.copy(COLLECTION / "corpus.jsonl", corpus / f"{COLLECTION.name}.jsonl")
        shutil.copy(next(TEXTS.glob("*.jsonl.zst")), corpus)
        reknit.adapt(corpus, out, start="scratch", budget=budget, eval=[COLLECTION])
        result = RunFolder(out).found()
        difference = compare_with_sentence_transformers(out)
    assert result is not None
    assert result.corpus is not None
    assert result.verdict is not None
    # Texts of the corpus stay where they are: only numbers are recorded.
    result = replace(
        result,
        command=f"python benchmarks/measure_from_scratch.py {budget}",
        corpus=replace(result.corpus, problems=()),
        searches=(),
    )
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    write_json(RECORD, result.to_json() | {"sentence_transformers_difference": difference})
    print(result.verdict.sentence)


def compare_with_sentence_transformers(run: Path) -> float:
    """Largest absolute difference between reknit's vectors and those of SentenceTransformer(RUN/model)."""
    from sentence_transformers import SentenceTransformer

    store = PassageStore.open(run / "checkpoints" / "data" / "passages.arrow")
    texts = [store[place].full_text for place in range(0, len(store), max(1, len(store) // 100))]
    theirs = SentenceTransformer(str(run / "model"), device="cpu").encode(texts)
    return float(abs(reknit.load(run).encode(texts) - theirs).max())


if __name__ == "__main__":
    main()
