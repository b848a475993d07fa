"""`reknit vocabulary`: what the run folder holds, who can load it, and what goes wrong in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from command_line import command, contents, read_result, reknit, write_lines
from encoder_samples import family_config
from small_corpus import small_documents
from small_model import write_small_model

from reknit.encoders.model_files import read_weights
from reknit.vocabulary.result import VocabularyResult


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_model(tmp_path_factory.mktemp("start") / "model")


def words(corpus: Path, out: Path, start: Path, *more: str) -> list[str]:
    return [
        "vocabulary", str(corpus), "--out", str(out), "--start", str(start),
        "--set", "vocabulary=300", "--set", "probe.queries=10", "--set", "precision=float32", *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def finished(corpus: Path, start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Only to be read."""
    run = tmp_path_factory.mktemp("vocabulary") / "run"
    ended = reknit(*words(corpus, run, start)).succeeded()
    assert "old tokenizer" in ended.out
    return run


def result_of(run: Path) -> VocabularyResult:
    return VocabularyResult.from_json(read_result(run))


def test_the_result_is_typed_and_whole(finished: Path) -> None:
    stored = read_result(finished)
    result = VocabularyResult.from_json(stored)
    assert json.loads(json.dumps(result.to_json())) == stored
    assert sum(result.rows.values()) == result.after.tokens
    assert result.rows["combined"] > 0
    assert result.before.table_bytes == result.before.tokens * 32 * 4
    assert result.after.table_bytes == result.after.tokens * 32 * 4
    assert {"old", "new"} <= result.evaluations[0].rows.keys()
    assert result.verdict.decided_by == "probe"
    assert result.training is None


def test_transformers_load_the_model(finished: Path, start: Path) -> None:
    from transformers import AutoTokenizer, BertModel

    model, tokenizer = BertModel.from_pretrained(finished / "model"), AutoTokenizer.from_pretrained(finished / "model")
    size = result_of(finished).after.tokens
    assert model.config.vocab_size == len(tokenizer) == size
    assert model.get_input_embeddings().weight.shape[0] == size
    with torch.no_grad():
        assert model(**tokenizer("The barak turns the celet.", return_tensors="pt")).last_hidden_state.isfinite().all()
    assert tokenizer.pad_token_id == model.config.pad_token_id


def test_all_other_weights_are_those_of_the_start(finished: Path, start: Path) -> None:
    before, after = read_weights(start), read_weights(finished / "model")
    assert before.keys() == after.keys()
    changed = [name for name in before if not before[name].equal(after[name])]
    assert changed == ["embeddings.word_embeddings.weight"]


def test_the_page_stands_alone_and_says_the_verdict(finished: Path) -> None:
    page = (finished / "report.html").read_text(encoding="utf-8")
    headline = result_of(finished).verdict.sentence.partition(":")[0]
    assert f"<strong>{headline}:</strong>" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "Words that are cut less" in page


def test_a_search_model_can_be_measured_from_the_run(finished: Path, collection: Path) -> None:
    assert "bm25" in reknit("evaluate", finished, "--data", collection).succeeded().out.lower()


def test_labels_decide_and_random_rows_are_a_method(
    corpus: Path, start: Path, collection: Path, tmp_path: Path
) -> None:
    settings = ("--set", "shared=false", "--eval", str(collection), "--method", "random")
    reknit(*words(corpus, tmp_path / "run", start, *settings)).succeeded()
    result = result_of(tmp_path / "run")
    assert result.rows == {"kept": 5, "combined": 0, "drawn": result.after.tokens - 5}
    assert [evaluation.dataset for evaluation in result.evaluations] == ["probe", "tiny"]
    assert result.verdict.decided_by == "tiny"


def test_a_budget_trains_all_weights(corpus: Path, start: Path, tmp_path: Path) -> None:
    reknit(*words(corpus, tmp_path / "run", start, "--budget", "2000tok")).succeeded()
    result = result_of(tmp_path / "run")
    assert result.training is not None
    assert result.training.tokens >= 2000
    before, after = read_weights(start), read_weights(tmp_path / "run" / "model")
    assert not before["encoder.layer.0.output.dense.weight"].equal(after["encoder.layer.0.output.dense.weight"])
    assert "masked language modelling with a new head" in (tmp_path / "run" / "report.html").read_text()


def test_another_language_is_aligned(corpus: Path, start: Path, tmp_path: Path) -> None:
    mine = [document | {"text": document["text"].upper().replace("THE", "DAS")} for document in small_documents(60)]
    abroad = write_lines(tmp_path / "abroad.jsonl", mine)
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("the\tdas\n", encoding="utf-8")
    settings = ("--set", f"source_texts={corpus}", "--set", f"translations={pairs}")
    reknit(*words(abroad, tmp_path / "run", start, *settings)).succeeded()
    result = result_of(tmp_path / "run")
    assert result.rows["kept"] == 5
    assert result.rows["combined"] > 20
    assert "aligned by" in (tmp_path / "run" / "train.log").read_text()


BAD = [
    (("--method", "nonsense"), "there is no method of vocabulary 'nonsense'"),
    (("--set", "part.neighbours=0"), "part.neighbours: 0 must be above 0"),
    (("--set", "part.neighbors=4"), "there are neighbours, temperature, vectors"),
    (("--start", "scratch"), "has no tokenizer to replace"),
    (("--set", "translations=pairs.tsv"), "name these with --set source_texts"),
    (("--set", "source_texts=absent"), "no corpus at absent"),
    (("--set", "vocabulary=6"), "at least 7 rows"),
    (("--budget", "soon"), "budget 'soon' is not understood"),
    (("--eval", "absent"), "absent is not a folder"),
]


@pytest.mark.parametrize(("more", "complaint"), BAD, ids=[" ".join(more) for more, _ in BAD])
def test_bad_input_is_one_line(
    more: tuple[str, ...], complaint: str, corpus: Path, start: Path, tmp_path: Path
) -> None:
    assert complaint in reknit(*words(corpus, tmp_path / "run", start, *more)).complaint()
    assert not (tmp_path / "run" / "result.json").exists()


def test_a_family_whose_positions_depend_on_the_tokenizer(corpus: Path, start: Path, tmp_path: Path) -> None:
    from transformers import AutoModel

    AutoModel.from_config(family_config("roberta", vocab_size=400)).save_pretrained(tmp_path / "roberta")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "roberta" / file).write_bytes((start / file).read_bytes())
    line = reknit(*words(corpus, tmp_path / "run", tmp_path / "roberta")).complaint()
    assert line.startswith(
        ("the tokenizer of roberta cannot be replaced", f"{tmp_path / 'roberta'}: the tokenizer has")
    )


def test_a_folder_that_is_taken(corpus: Path, start: Path, finished: Path, own_run: Path) -> None:
    for run in (finished, own_run):
        before = contents(run)
        assert run.name in reknit(*words(corpus, run, start)).complaint()
        assert contents(run) == before
    line = reknit(*words(corpus, finished, start, "--resume", "--set", "seed=5")).complaint()
    assert "was started with another seed" in line


def test_killed_and_resumed(corpus: Path, start: Path, finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command(*words(corpus, run, start)),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        assert process.stderr is not None
        seen = next((line for line in process.stderr if line.startswith("wechsel:")), "")
        process.send_signal(signal.SIGKILL)
    assert seen, "the rows were made, and nothing is measured yet"
    assert not (run / "result.json").exists()
    assert not (run / "model").exists()
    reknit(*words(corpus, run, start, "--resume")).succeeded()
    expected = result_of(finished)
    found = result_of(run)
    assert replace(found, command="", date="") == replace(expected, command="", date="")
