"""The commands as a person uses them, one after the other, on a tiny run."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from command_line import SETTINGS, adapt, process, read_result, reknit, settings
from small_corpus import small_documents

import reknit as library
from reknit.adaptation.candidate_systems import CandidateSystems
from reknit.retrieval.index import Index
from reknit.runs.result import VERSION, RunResult
from reknit.runs.search import search_run

RUN_FOLDER = {
    "model",
    "index",
    "checkpoints",
    "report.html",
    "result.json",
    "config.json",
    "metrics.jsonl",
    "train.log",
}
SYSTEMS = ["random", "bm25", "start", "adapted"]
HYBRIDS = ["bm25+adapted", "bm25+start"]
METRICS = ["nDCG@10", "R@100", "RR@10"]


def test_adapt_fills_the_run_folder(finished_run: Path) -> None:
    assert {file.name for file in finished_run.iterdir()} - {"models"} == RUN_FOLDER


def test_result(finished_run: Path) -> None:
    result = read_result(finished_run)
    verdict = result["verdict"]
    assert verdict["use"] in ("adapted", "start")
    assert verdict["metric"] == "nDCG@10"
    assert verdict["ci95"][0] <= verdict["difference"] <= verdict["ci95"][1]
    assert 0 <= verdict["p"] <= 1
    assert [evaluation["dataset"] for evaluation in result["evaluations"]] == ["probe"]
    check_rows(result["evaluations"][0]["rows"], [*SYSTEMS, "plain", *HYBRIDS, "bm25+plain"])
    notes = result["evaluations"][0]["notes"]
    assert not any("chosen on these queries" in note for note in notes), "from scratch another half chooses"
    systems = result["evaluations"][0]["systems"]
    assert {name: set(system["weights"]) for name, system in systems.items()} == {
        name: set(name.split("+")) for name in (*HYBRIDS, "bm25+plain")
    }
    found = result["system_verdict"]
    assert found["have"] == "bm25", "from scratch nobody has a model"
    assert set(result["costs"]) == {*systems, "adapted", "plain", "start", "bm25"}
    assert result["search"] == systems.get(found["use"], {"weights": {found["use"]: 1.0}, "feedback": None})
    assert result["query_expansion"]["terms"] > 20
    expanded = (finished_run / "model" / "query_expansion").is_dir()
    assert expanded == ("adapted" in result["sides"])
    assert {"tokens", "seconds", "tokens_per_second", "flops"} <= result["training"].keys()
    assert result["training"]["tokens"] >= 3000
    assert [phase["recipe"] for phase in result["training"]["phases"]] == ["dupmae", "infonce-pairs"]
    corpus = {name: result["corpus"][name] for name in ("documents", "duplicates", "empty", "unreadable")}
    assert corpus == {"documents": 60, "duplicates": 0, "empty": 0, "unreadable": 0}
    assert result["corpus"]["passages"] >= 60
    assert result["export"]["max_abs_diff"] <= 1e-4
    assert result["export"]["cosine"] >= 0.9999
    assert len(result["searches"]) == 3
    assert result["version"] == VERSION
    assert RunResult.from_json(result).to_json() == result, "every part is written as it is read"
    assert result["corpus"]["probe"]["judged_by_all"] is False, "from scratch another half chooses"


def from_scratch(corpus: Path, run: Path, *more: str) -> list[str]:
    """The words of a tiny run as `adapt --start scratch` does it by itself."""
    tiny = {name.replace("pretrain.encoder", "tune.encoder"): value for name, value in SETTINGS.items()}
    words = [word for name, value in tiny.items() if "pretrain" not in name for word in ("--set", f"{name}={value}")]
    return ["adapt", str(corpus), "--out", str(run), "--start", "scratch", "--budget", "3000tok", *words, *more]


def test_adapt_from_scratch_begins_with_what_words_have_in_common(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    reknit(*from_scratch(corpus, run)).succeeded()
    result = read_result(run)
    assert [phase["recipe"] for phase in result["training"]["phases"]] == ["infonce-pairs"]
    table = run / "checkpoints" / "data" / "latent-semantic-32-0.safetensors"
    before, vectors = table.read_bytes(), library.load(run).encode(["a text"])
    reknit(*from_scratch(corpus, run, "--resume")).succeeded()
    assert table.read_bytes() == before
    np.testing.assert_array_equal(library.load(run).encode(["a text"]), vectors)


def test_a_german_corpus_is_searched_by_german_words(tmp_path: Path) -> None:
    things = ["Häuser", "Bäume", "Brücken", "Bücher", "Wälder", "Städte", "Gärten", "Flüsse", "Dörfer", "Türme"]
    places = ["am Fluss", "im Tal", "auf dem Berg", "hinter der Grenze", "neben der Straße"]
    with (tmp_path / "corpus.jsonl").open("w", encoding="utf-8") as file:
        for thing in things:
            for place in places:
                text = f"Die alten {thing} {place} wurden von vielen Menschen besucht. Sie stehen schon lange dort."
                file.write(json.dumps({"_id": f"{thing} {place}", "title": f"{thing} {place}", "text": text}) + "\n")
    run = tmp_path / "run"
    reknit(*from_scratch(tmp_path / "corpus.jsonl", run)).succeeded()
    assert read_result(run)["corpus"]["language"] == "german"
    assert "language (stemmer and stop words)</" in (run / "report.html").read_text(encoding="utf-8")
    for query, found in (("ein Haus", "Häuser"), ("BUCH", "Bücher"), ("garten", "Gärten")):
        hits = Index.open(run / "index").search(None, query, 10, mode="text")
        assert [hit.title.split()[0] for hit in hits] == [found] * 5
    model = library.load(run)
    assert model.expansion is None or model.expansion.language == "german"


def test_from_scratch_the_hybrid_leans_to_words(corpus: Path, tmp_path: Path) -> None:
    with mock.patch.object(
        CandidateSystems, "weighted", autospec=True, side_effect=CandidateSystems.weighted
    ) as chosen:
        reknit(*from_scratch(corpus, tmp_path / "run")).succeeded()
    assert [call.args[2] for call in chosen.call_args_list] == [0.0]


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (
            "tune.encoder.pooling=cls",
            "texts that are the mean of their tokens, not cls: set tune.encoder.pooling=mean too",
        ),
        ("tune.encoder.dim=2", "tune.encoder.token_table=latent-semantic needs tune.encoder.dim=3 or more"),
        ("tune.encoder.heads=3", "not a multiple of the number of heads 3"),
        ("tune.encoder.vocabulary=0", "tune.encoder.vocabulary is 0: it must be 7 or more"),
        ("tune.encoder.max_positions=2", "tune.encoder.max_positions is 2: it must be 3 or more"),
    ],
)
def test_an_encoder_that_cannot_be_built_is_refused_before_anything_is_read(corpus, tmp_path, setting, reason) -> None:
    run = tmp_path / "run"
    assert reknit(*from_scratch(corpus, run, "--set", setting)).complaint().endswith(reason)
    assert not run.exists()


def test_settings_of_an_encoder_that_is_not_built_are_refused(corpus: Path, finished_run: Path, tmp_path: Path) -> None:
    run, setting = tmp_path / "run", ["--set", "tune.encoder.dim=64"]
    start = ["--start", str(finished_run / "model")]
    complaint = reknit(*adapt(corpus, run, *start, *setting)).complaint()
    assert complaint.endswith("tune.encoder.dim=64 would change nothing: a run from a trained model keeps its encoder")
    complaint = reknit(*adapt(corpus, run, *setting)).complaint()
    assert complaint.endswith("the encoder is the one of pretrain: set pretrain.encoder.dim")
    assert not run.exists()


def check_rows(rows: dict, systems: list[str]) -> None:
    assert set(rows) == set(systems)
    for row in rows.values():
        assert list(row) == METRICS
        for entry in row.values():
            low, high = entry["ci95"]
            assert 0 <= low <= entry["value"] <= high <= 1


def test_report_and_card(finished_run: Path) -> None:
    sentence = read_result(finished_run)["verdict"]["sentence"]
    assert sentence.split(":")[0] in (finished_run / "report.html").read_text()
    assert (finished_run / "model" / "README.md").read_text().startswith("---\n")


@pytest.mark.parametrize("mode", ["dense", "text", "hybrid"])
def test_search(finished_run: Path, mode: str) -> None:
    title = small_documents(60)[3]["title"]
    ended = reknit("search", finished_run, title, "--mode", mode, "--top", "4", "--json").succeeded()
    hits = json.loads(ended.out)
    assert 1 <= len(hits) <= 4
    assert all(hit.keys() == {"id", "title", "text", "score"} for hit in hits)
    scores = [hit["score"] for hit in hits]
    assert scores == sorted(scores, reverse=True)
    if mode == "text":
        assert hits[0]["title"] == title
    shown = reknit("search", finished_run, title, "--mode", mode, "--top", "4").succeeded().out
    assert [line.split("]")[0].split("[")[1] for line in shown.splitlines()[::2]] == [hit["id"] for hit in hits]


def test_search_for_nothing_that_is_there(finished_run: Path) -> None:
    assert reknit("search", finished_run, "zzzz", "--mode", "text").succeeded().out == "nothing found\n"


def test_evaluate(finished_run: Path, collection: Path, tmp_path: Path) -> None:
    model, numbers = finished_run / "model", tmp_path / "below" / "numbers.json"
    words = ("evaluate", finished_run, "--data", collection, "--baseline", model, "--json", numbers)
    shown = reknit(*words).succeeded().out
    written = json.loads(numbers.read_text())
    (evaluation,) = written["evaluations"]
    assert (evaluation["dataset"], evaluation["queries"], evaluation["documents"]) == (collection.name, 8, 30)
    rows = evaluation["rows"]
    check_rows(rows, ["random", "bm25", str(finished_run), str(model), "hybrid"])
    # A run folder is the model in it.
    assert rows[str(finished_run)] == rows[str(model)]
    assert f"{rows['bm25']['nDCG@10']['value']:.3f}" in shown
    assert "verdict" not in shown.lower()
    # Nobody chose a weight for a model alone; a run is measured as it is searched.
    of_model = library.evaluate(model, [collection])[0].systems["hybrid"].vector_weight
    of_run = evaluation["systems"]["hybrid"]["weights"][str(finished_run)]
    searched = read_result(finished_run)["search"]["weights"]
    assert (of_model, of_run) == (0.5, searched.get("adapted", 0.5))
    other = shutil.copytree(finished_run, tmp_path / "other")
    (side,) = read_result(finished_run)["sides"]
    changed = {"search": {"weights": {"bm25": 0.2, side: 0.8}}}
    (other / "result.json").write_text(json.dumps(read_result(finished_run) | changed))
    assert library.evaluate(other, [collection])[0].systems["hybrid"].vector_weight == 0.8
    scores = [hit["score"] for hit in search_run(other, "turns")]
    assert scores != [hit["score"] for hit in search_run(finished_run, "turns")], "searches weigh as it is measured"
    (other / "result.json").unlink()
    assert search_run(other, "turns") == search_run(finished_run, "turns"), "a copied index knows its weight"


def test_export_of_a_smaller_model(finished_run: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    out = tmp_path / "small"
    assert f"wrote {out}" in reknit("export", finished_run, "--out", out, "--layers", 1, "--dims", 16).succeeded().out
    texts = ["the barak turns", "", "a longer text about the celet that holds the doron"]
    whole, small = library.load(finished_run), library.load(out)
    vectors = small.encode(texts)
    assert vectors.shape == (3, 16)
    np.testing.assert_allclose(vectors, whole.encode(texts, layers=1, dims=16), atol=1e-5)
    np.testing.assert_allclose(vectors, SentenceTransformer(str(out), device="cpu").encode(texts), atol=1e-4)


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime", "onnxscript")),
    reason="needs reknit[onnx]",
)
def test_export_to_onnx(finished_run: Path, tmp_path: Path) -> None:
    reknit("export", finished_run / "model", "--out", tmp_path / "new", "--onnx").succeeded()
    assert list((tmp_path / "new").rglob("model.onnx"))


def test_recipes() -> None:
    listed = reknit("recipes").succeeded().out
    every = {entry["name"] for entry in json.loads(reknit("recipes", "--json").succeeded().out)}
    assert {"mlm", "clm", "retromae", "dupmae", "simcse", "mirror-bert", "infonce-pairs"} <= every
    assert every <= {line.split()[0] for line in listed.splitlines() if line}
    card = json.loads(reknit("recipes", "dupmae", "--json").succeeded().out)
    assert card["card"]["paper"].startswith("https://arxiv.org/abs/2305.02564")
    assert card["objective"]["bag_of_words_weight"] == 0.1
    assert "@inproceedings{liu2023retromae2" in reknit("recipes", "dupmae").succeeded().out


def pretrain(corpus: Path, run: Path, *more: Path | str) -> list[Path | str]:
    # There is no second phase to set.
    words = ["pretrain", "mlm", "--corpus", corpus, "--out", run, "--budget", "3000tok"]
    return [*words, *settings(without="tune."), *more]


@pytest.fixture(scope="module")
def pretrained_run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `reknit pretrain` alone; only to be read."""
    run = tmp_path_factory.mktemp("pretrained") / "run"
    reknit(*pretrain(corpus, run)).succeeded()
    return run


def test_pretrain_ends_after_training_and_export(pretrained_run: Path) -> None:
    assert {file.name for file in pretrained_run.iterdir()} == RUN_FOLDER - {"index"}
    result = read_result(pretrained_run)
    assert [phase["recipe"] for phase in result["training"]["phases"]] == ["mlm"]
    assert result["model_holds"] == "adapted"
    assert result["export"]["max_abs_diff"] <= 1e-4
    absent = ("system_verdict", "verdict", "probe_verdict", "plain_verdict", "search", "searches")
    assert {name: result[name] for name in absent} == dict.fromkeys(absent)
    assert result["evaluations"] == []
    for file in ("report.html", "model/README.md"):
        assert "Trained, not evaluated" in (pretrained_run / file).read_text(encoding="utf-8")
    assert library.load(pretrained_run).encode(["a text"]).shape == (1, 32)
    assert '"probe"' in (pretrained_run / "metrics.jsonl").read_text(), "its training is still watched"
    log = (pretrained_run / "train.log").read_text()
    assert "export checked" in log
    assert not [word for word in ("hybrid", "evaluating", "verdict", "query expansion") if word in log]


def test_a_run_without_index_says_how_to_make_one(pretrained_run: Path, corpus: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(pretrained_run, tmp_path / "run"))
    complaint = reknit("search", run, "turns").complaint()
    assert complaint.startswith(f"{run} was made without an index: repeat its command with --resume --index")
    weights = (run / "model" / "model.safetensors").read_bytes()
    shown = reknit(*pretrain(corpus, run, "--resume", "--index")).succeeded().out
    assert f"search: reknit search {run}" in shown
    assert (run / "model" / "model.safetensors").read_bytes() == weights
    result = read_result(run)
    assert len(result["searches"]) == 3
    assert 0 < result["search"]["weights"]["adapted"] < 1
    assert result["verdict"] is None
    assert json.loads(reknit("search", run, "turns", "--json").succeeded().out)
    # Once asked for, it stays; and its command asks for it.
    reknit(*pretrain(corpus, run, "--resume")).succeeded()
    assert len(read_result(run)["searches"]) == 3
    assert "--index" in read_result(run)["command"]
    reknit(*pretrain(corpus, run, "--resume", "--set", "index=false")).succeeded()
    assert not (run / "index").exists()
    assert "give the run folder of a finished" in reknit("search", tmp_path, "turns").complaint()


def test_pretrain_with_labels_gives_a_verdict(corpus: Path, collection: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    reknit(*pretrain(corpus, run, "--eval", collection)).succeeded()
    result = read_result(run)
    assert [evaluation["dataset"] for evaluation in result["evaluations"]] == ["probe", collection.name]
    check_rows(result["evaluations"][1]["rows"], SYSTEMS + HYBRIDS)
    assert result["verdict"]["decided_by"] == collection.name
    assert result["probe_verdict"]["decided_by"] == "probe"
    assert result["model_holds"] == "adapted", "pretrain keeps what training gave"
    assert result["searches"] is None
    assert not (run / "index").exists()
    # What the evaluation asks for is in the index all the same.
    reknit(*pretrain(corpus, run, "--eval", collection, "--resume", "--index")).succeeded()
    assert read_result(run)["evaluations"] == result["evaluations"]


def test_first_phase_may_spend_the_whole_budget(corpus: Path, tmp_path: Path) -> None:
    reknit(*adapt(corpus, tmp_path / "run", budget="50tok")).succeeded()
    pretrain, tune = read_result(tmp_path / "run")["training"]["phases"]
    assert (pretrain["steps"], tune["steps"]) == (1, 0)


def test_adapt_of_a_given_model(finished_run: Path, corpus: Path, collection: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = adapt(corpus, run, "--start", str(finished_run), "--eval", str(collection))
    reknit(*words).succeeded()
    result = read_result(run)
    assert [evaluation["dataset"] for evaluation in result["evaluations"]] == ["probe", collection.name]
    assert result["evaluations"][0]["notes"][-1] == (
        "the share of the training that is kept, the weight of the query expansion, the weights of the hybrids: "
        "chosen on these queries too"
    )
    assert library.load(run).encode(["a text"]).shape == (1, 32)


@pytest.mark.parametrize(
    "verb", ["adapt", "pretrain", "evaluate", "search", "export", "encode", "curate", "recipes", "settings"]
)
def test_help(verb: str) -> None:
    assert "Usage:" in reknit(verb, "--help").succeeded().out


def test_as_a_process(finished_run: Path) -> None:
    shown = process("search", finished_run, "turns", "--mode", "text", "--json").succeeded()
    assert json.loads(shown.out)
    assert shown.err == ""
