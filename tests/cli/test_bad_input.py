"""Bad input through the real command line: one clear line, exit code 2, quickly, and no half-made run left behind."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import Ended, adapt, read_result, reknit, write_lines
from small_corpus import small_documents

from reknit.retrieval.index import Index


def refused(corpus: Path | str, out: Path, *more: str, **changes: Any) -> str:
    """The one line of a tiny run that must fail on its input, and leave nothing."""
    line = reknit(*adapt(corpus, out, *more, **changes)).complaint()
    assert not out.exists(), "a run that never began must not be in the way of the next one"
    return line


def test_missing_corpus(tmp_path: Path) -> None:
    line = refused(tmp_path / "absent", tmp_path / "run")
    assert line == f"no corpus at {tmp_path / 'absent'}: there is no such file or folder"


@pytest.mark.parametrize("content", ["", "\n\n", None])
def test_empty_corpus(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / ("folder" if content is None else "corpus.jsonl")
    path.mkdir() if content is None else path.write_text(content)
    assert f"the corpus {path} is empty: it holds no documents" in refused(path, tmp_path / "run")


def test_corpus_of_empty_documents(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "corpus.jsonl", [{"text": ""}, {"text": " \n"}])
    assert "every document is empty" in refused(path, tmp_path / "run")


def test_three_documents(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "corpus.jsonl", small_documents(3))
    assert refused(path, tmp_path / "run") == ("the probe needs at least 20 distinct passages, found 3; give more text")


def with_broken_lines(path: Path, broken: list[int]) -> Path:
    """60 good records; the numbered lines (from 1) are cut in the middle."""
    records: list[Any] = small_documents(60 + len(broken))
    for number in broken:
        records[number - 1] = json.dumps(records[number - 1])[:50]
    return write_lines(path, records)


def test_broken_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    path, run = with_broken_lines(tmp_path / "corpus.jsonl", [7, 30]), tmp_path / "run"
    reknit(*adapt(path, run, "--max-bad", "2")).succeeded()
    facts = read_result(run)["corpus"]
    assert (facts["documents"], facts["unreadable"]) == (60, 2)
    assert [problem.split(": ")[0] for problem in facts["problems"]] == ["corpus.jsonl:7", "corpus.jsonl:30"]


def test_more_broken_lines_than_allowed(tmp_path: Path) -> None:
    path = with_broken_lines(tmp_path / "corpus.jsonl", [7, 30, 41])
    line = refused(path, tmp_path / "run", "--max-bad", "2")
    assert line.startswith("more than 2 unreadable records, the first are: corpus.jsonl:7: broken JSON")
    assert "corpus.jsonl:30: broken JSON" in line
    assert line.endswith("repair or remove them")


def test_wrong_encoding(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for document in small_documents(40):
        (folder / f"{document['_id']}.txt").write_text(f"{document['title']}\n\n{document['text']}")
    (folder / "latin.txt").write_bytes("Überlauf\n\nDas Wasser läuft über den Rand.".encode("latin-1"))
    reknit(*adapt(folder, tmp_path / "run")).succeeded()
    facts = read_result(tmp_path / "run")["corpus"]
    assert (facts["documents"], facts["unreadable"]) == (40, 1)
    assert facts["problems"] == ["latin.txt: not UTF-8 (byte 0)"]


def test_nothing_but_wrong_encoding(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("Überlauf".encode("latin-1"))
    line = refused(tmp_path / "latin.txt", tmp_path / "run")
    assert line.endswith("is empty: it holds no documents; the first problem is latin.txt: not UTF-8 (byte 0)")


def test_nul_bytes(tmp_path: Path) -> None:
    documents = [document | {"text": document["text"].replace(" ", " \0")} for document in small_documents(40)]
    path = write_lines(tmp_path / "corpus.jsonl", documents)
    # As JSON's escape, and raw in the file.
    raw = path.read_bytes().replace(b"\\u0000", b"\0", 100)
    path.write_bytes(raw)
    reknit(*adapt(path, tmp_path / "run")).succeeded()
    facts = read_result(tmp_path / "run")["corpus"]
    assert (facts["documents"], facts["unreadable"]) == (40, 0)


def test_fifty_megabytes_in_one_line(tmp_path: Path) -> None:
    huge = {"_id": "huge", "title": "one huge line", "text": "a short text", "metadata": "x" * 50_000_000}
    path = write_lines(tmp_path / "corpus.jsonl", [huge, *small_documents(40)])
    reknit(*adapt(path, tmp_path / "run")).succeeded()
    assert read_result(tmp_path / "run")["corpus"]["documents"] == 41


@pytest.mark.slow
@pytest.mark.parametrize("words", [1_000_000, 7_500_000], ids=["a million words", "50 MB"])
def test_one_huge_document(tmp_path: Path, words: int) -> None:
    text = " ".join(document["text"] for document in small_documents(1000))
    huge = {"_id": "huge", "title": "one huge document", "text": f"{text} " * (words // len(text.split()) + 1)}
    path = write_lines(tmp_path / "corpus.jsonl", [huge, *small_documents(40)])
    reknit(*adapt(path, tmp_path / "run")).succeeded()
    facts = read_result(tmp_path / "run")["corpus"]
    assert facts["documents"] == 41
    assert facts["words"] > words


def test_a_million_words_are_read(tmp_path: Path) -> None:
    huge = {"text": "the ball turns and the valve holds it. " * 125_000}
    path = write_lines(tmp_path / "corpus.jsonl", [huge])
    # The whole job takes longer (below, slow); that its sentences are all alike shows that it was read.
    assert "0 usable queries" in refused(path, tmp_path / "run")


def test_table_without_text_column(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("number,heading,summary\n1,a,b\n")
    assert refused(path, tmp_path / "run") == (
        "table.csv has no text column; its columns are: number, heading, summary; "
        "name one of them text or contents or content or body"
    )


def test_file_of_no_known_format(tmp_path: Path) -> None:
    path = tmp_path / "corpus.docx"
    path.write_bytes(b"PK\3\4")
    assert "has a format that reknit does not read; supported are .txt" in refused(path, tmp_path / "run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "corpus.jsonl", small_documents(40))
    path.chmod(0)
    assert "corpus.jsonl: cannot be read (Permission denied)" in refused(path, tmp_path / "run")


def test_run_folder_inside_the_corpus(tmp_path: Path) -> None:
    write_lines(tmp_path / "corpus.jsonl", small_documents(40))
    assert "lies inside the corpus" in refused(tmp_path, tmp_path / "run")


@pytest.mark.parametrize("command", [["encode", "model"], ["curate"]])
def test_a_corpus_is_not_written_over(tmp_path: Path, command: list[str]) -> None:
    corpus = write_lines(tmp_path / "run" / "corpus.jsonl", small_documents(40))
    for given in (tmp_path / "run", corpus):
        ended = reknit(*command, given, "--out", tmp_path / "run", "--overwrite")
        assert "which it would write over: give another folder" in ended.complaint()
        assert corpus.exists()


def test_half_a_team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    corpus = write_lines(tmp_path / "corpus.jsonl", small_documents(40))
    line = refused(corpus, tmp_path / "run")
    assert "WORLD_SIZE is set but the other variables of torchrun are not" in line
    assert "start with torchrun, or unset WORLD_SIZE" in line


# Judgements


def damaged(collection: Path, folder: Path, judgements: list[str] | None) -> Path:
    shutil.copytree(collection, folder)
    shutil.rmtree(folder / "qrels")
    if judgements is not None:
        write_lines(folder / "qrels" / "test.tsv", ["query-id\tcorpus-id\tscore", *judgements])
    return folder


def test_judgements_of_unknown_ids(tmp_path: Path, collection: Path) -> None:
    folder = damaged(collection, tmp_path / "labelled", ["q1\tnobody\t1", "nothing\td1\t1"])
    # The corpus does not exist either: the run must not get as far as reading one.
    line = refused("python-docs", tmp_path / "run", "--eval", str(folder))
    complaint = "none of 2 judgements names a known query and document: check its ids against corpus and queries"
    assert line.endswith(complaint)
    assert reknit("evaluate", "any", "--data", folder).complaint() == line


def test_some_judgements_of_unknown_ids_are_noted(tmp_path: Path, collection: Path, finished_run: Path) -> None:
    folder = damaged(collection, tmp_path / "labelled", ["qd0\td0\t1", "qd1\tnobody\t1", "nothing\td1\t1"])
    written = tmp_path / "numbers.json"
    reknit("evaluate", finished_run, "--data", folder, "--json", written).succeeded()
    (evaluation,) = json.loads(written.read_text())["evaluations"]
    assert evaluation["queries"] == 1
    assert "1 judgements of unknown queries dropped" in evaluation["notes"]
    assert "1 judgements of unknown documents dropped" in evaluation["notes"]


def test_collection_without_judgements(tmp_path: Path, collection: Path) -> None:
    folder = damaged(collection, tmp_path / "labelled", None)
    line = refused("python-docs", tmp_path / "run", "--eval", str(folder))
    assert line == f"{folder / 'qrels'} has no judgements for test or dev or train: add test.tsv " + (
        "(query-id, corpus-id, score)"
    )


def test_missing_collection(tmp_path: Path) -> None:
    line = refused("python-docs", tmp_path / "run", "--eval", str(tmp_path / "absent"))
    assert "is not a folder: give a folder with corpus.jsonl, queries.jsonl and qrels/test.tsv" in line


def test_queries_of_an_evaluation_never_enter_training(tmp_path: Path, collection: Path, corpus: Path) -> None:
    queries = [json.loads(line)["text"] for line in (collection / "queries.jsonl").read_text().splitlines()]
    records: list[Any] = corpus.read_text().splitlines()
    # One as a document, one as a title, in another spelling.
    records += [{"_id": "leak", "text": f"  {queries[0].upper()}"}]
    records += [{"_id": "titled", "title": queries[1].title(), "text": "a body that is no query at all"}]
    run = tmp_path / "run"
    ended = reknit(*adapt(write_lines(tmp_path / "leaky.jsonl", records), run, "--eval", collection)).succeeded()
    assert "2 overlaps with evaluation queries removed" in ended.err
    result = read_result(run)
    assert result["corpus"]["eval_overlaps"] == 2
    assert result["corpus"]["documents"] == 61
    # They are found all the same.
    index = Index.open(run / "index")
    assert index.search(None, queries[0], 62, "text")[0].id == "leak"
    assert [hit.title for hit in index.search(None, "a body that is no query", 1, "text")] == [queries[1].title()]
    assert [evaluation["dataset"] for evaluation in result["evaluations"]] == ["probe", collection.name]


# Start models


@pytest.fixture
def model(finished_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_run / "model", tmp_path / "model"))


def unsuitable_start(model: Path, tmp_path: Path) -> str:
    """Found before the corpus is read, which would be complained about: it is broken too."""
    broken = write_lines(tmp_path / "broken.jsonl", ["{"] * 30)
    assert "broken JSON" in refused(broken, tmp_path / "run")
    return refused(broken, tmp_path / "run", "--start", str(model))


def test_start_without_weights(model: Path, tmp_path: Path) -> None:
    (model / "model.safetensors").unlink()
    assert unsuitable_start(model, tmp_path) == f"{model} has no model.safetensors; there are no weights to load"


def test_start_with_pickled_weights_only(model: Path, tmp_path: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    line = unsuitable_start(model, tmp_path)
    assert line.startswith(f"{model} has its weights only as pytorch_model.bin, a format that can run code")
    assert line.endswith("convert the model to safetensors first")


def test_start_of_unknown_architecture(model: Path, tmp_path: Path) -> None:
    config = json.loads((model / "config.json").read_text()) | {"model_type": "no-such-model"}
    (model / "config.json").write_text(json.dumps(config))
    assert "no-such-model" in unsuitable_start(model, tmp_path)


def test_start_that_does_not_exist(tmp_path: Path) -> None:
    assert unsuitable_start(tmp_path / "absent", tmp_path) == f"model folder {tmp_path / 'absent'} does not exist"


def test_start_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    line = unsuitable_start(tmp_path / "notes", tmp_path)
    assert "this is not a model folder" in line


def test_start_that_can_be_measured_but_not_trained(model: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer, models

    dense = models.Dense(in_features=32, out_features=16)
    wrapped = SentenceTransformer(modules=[*SentenceTransformer(str(model), device="cpu"), dense])
    wrapped.save(str(tmp_path / "dense"))
    assert "not train, cut or export it" in unsuitable_start(tmp_path / "dense", tmp_path)


# Words of the command line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--recipe", "dupmea"], "there is no recipe 'dupmea'; did you mean dupmae, meap"),
        (["--budget", "10x"], "budget '10x' is not understood: write time (10m, 90s), tokens (5Mtok) or FLOPs"),
        (["--budget", "-5m"], "budget '-5m' is not understood"),
        (["--budget", "0s"], "budget '0s' is not understood"),
        (["--set", "seed"], "--set 'seed' has no '=': write --set field.subfield=value"),
        (["--set", "sede=1"], "--set sede: there is no field 'sede' here; there are corpus, start"),
        (["--set", "pretrain.optimiser.rate=1"], "there is no field 'rate' here; there are learning_rate"),
        (["--set", "pretrain.optimiser.learning_rate=fast"], "'fast' is not of type float"),
        (["--set", "precision=float8"], "'float8' is none of auto, float32, bfloat16"),
        (["--set", "pretrain.optimiser=1"], "name one of its fields: pretrain.optimiser.learning_rate"),
        (["--set", "tune.data.pairs_per_batch=0"], "tune.data.pairs_per_batch: 0 must be above 0"),
        (["--set", "seed=-1"], "seed: -1 must be 0 or more"),
        (["--set", "pretrain.optimiser.learning_rate=nan"], "learning_rate: nan must be 0 or more"),
        (["--set", "pretrain_share=1"], "pretrain_share: 1.0 must be below 1"),
        (["--set", "budget.tokens=none"], "a run without a budget would never end"),
        (["--max-bad", "few"], "Invalid value for '--max-bad'"),
        (["--colour"], "No such option: --colour"),
        (["--resume", "--overwrite"], "--resume and --overwrite exclude each other"),
    ],
)  # fmt: skip
def test_words(tmp_path: Path, words: list[str], message: str) -> None:
    assert message in refused("python-docs", tmp_path / "run", *words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["adapt"], "Missing argument"),
        (["adopt"], "No such command 'adopt'"),
        (["search", "absent", "query"], "there is no absent: give the run folder of a finished `reknit adapt`"),
        (["search", "absent", "query", "--mode", "psychic"], "'psychic' is not one of 'dense', 'text', 'hybrid'"),
        (["recipes", "nonsuch"], "there is no system 'nonsuch'; choose one of 2dmse, ar2"),
        (["pretrain", "nonsuch", "--corpus", "c", "--out", "o"], "there is no recipe 'nonsuch'"),
        (["export", "./absent", "--out", "./new"], "model folder ./absent does not exist"),
        (["evaluate", "./absent"], "Missing option '--data'"),
        (["claim", "--fixtures", "--dry-run"], "--fixtures trains, and --dry-run does not: give one of them"),
        (["bench", "index", "--json", "/tmp"], "/tmp is a folder: give a file with --json"),
    ],
)  # fmt: skip
def test_words_of_other_commands(words: list[str], message: str) -> None:
    assert message in reknit(*words).complaint()


def test_search_without_results_to_give(finished_run: Path) -> None:
    assert "ask for at least 1" in reknit("search", finished_run, "query", "--top", "0").complaint()


def test_export_that_does_not_fit(finished_run: Path, tmp_path: Path) -> None:
    for words in (["--layers", "9"], ["--dims", "99"]):
        reknit("export", finished_run, "--out", tmp_path / "new", *words).complaint()
        assert not (tmp_path / "new").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    line = reknit("export", finished_run, "--out", tmp_path / "full").complaint()
    assert line == f"{tmp_path / 'full'} exists and is not empty: give a new folder with --out"
    assert (tmp_path / "full" / "thesis.txt").read_text() == "years of work"


def test_numbers_are_not_written_over_a_folder(finished_run: Path, collection: Path, tmp_path: Path) -> None:
    (tmp_path / "numbers").mkdir()
    (tmp_path / "numbers" / "thesis.txt").write_text("years of work")
    ended: Ended = reknit("evaluate", finished_run, "--data", collection, "--json", tmp_path / "numbers")
    assert "is a folder" in ended.complaint()
    assert (tmp_path / "numbers" / "thesis.txt").read_text() == "years of work"
