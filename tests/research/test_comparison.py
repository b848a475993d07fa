"""`reknit compare` on a tiny corpus: whole, stopped and resumed, extended, and asked for nonsense."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from research_samples import SETTINGS, material, sentences
from small_corpus import write_small_corpus
from typer.testing import CliRunner

from reknit.api import load
from reknit.cli.main import app
from reknit.data.text.passage_store import PassageStore
from reknit.errors import ReknitError
from reknit.evaluation.classification import load_classification
from reknit.evaluation.fine_tuning import FineTuningSpec, fine_tuned_accuracy
from reknit.jobs.interrupt import Interrupted
from reknit.jobs.precision import best_device
from reknit.recipe import BudgetSpec
from reknit.research.comparison import compare
from reknit.research.pretraining import arm as arms_module
from reknit.research.pretraining.config import ComparisonConfig, parse_arm, parse_arms, shared_recipe
from reknit.research.pretraining.folder import ComparisonFolder
from reknit.research.statistics import interval
from reknit.research.table import markdown, with_interval

ARMS = ("mlm", "rts", "mlm:objective.ratio=0.15", "simcse")


def run(folder: Path, arms: tuple[str, ...] = ARMS, **options: object) -> dict:
    corpus, evals = folder / "corpus.jsonl", [folder / name for name in ("search", "classes", "pairs")]
    given = {"budget": "2000tok", "eval": evals, "seeds": 2, "settings": SETTINGS} | options
    out = given.pop("out", folder / "out")
    return compare(arms, corpus, out, **given)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparison")
    material(folder)
    run(folder)
    return folder


def weights_of(out: Path, arm: str, seed: int) -> bytes:
    """Two trainings may reach the same values, but not with other weights."""
    return (ComparisonFolder(out).run(parse_arm(arm), seed).model / "model.safetensors").read_bytes()


def result_of(folder: Path) -> dict:
    return json.loads((folder / "out" / "result.json").read_text())


def test_every_arm_has_every_measure_with_every_seed(finished: Path) -> None:
    result = result_of(finished)
    assert [(one["arm"], one["seed"]) for one in result["runs"]] == [(arm, seed) for seed in range(2) for arm in ARMS]
    for one in result["runs"]:
        assert list(one["values"]) == ["search nDCG@10", "classes accuracy", "pairs Spearman"]
        assert one["training"]["tokens"] >= 2000
        assert [point["flops"] for point in one["curve"]] == sorted(point["flops"] for point in one["curve"])
        assert one["curve"]
    assert result["summary"]["mlm"]["against_first"]["all"]["mean"] == 0.0
    ranks = [found["mean_rank"] for found in result["summary"].values()]
    assert sum(ranks) == pytest.approx(sum(range(1, len(ARMS) + 1)))


def test_arms_of_a_seed_begin_alike_and_read_the_same(finished: Path) -> None:
    by_arm = {(one["arm"], one["seed"]): one for one in result_of(finished)["runs"]}
    for seed in range(2):
        ours, other = by_arm["mlm", seed], by_arm["mlm:objective.ratio=0.15", seed]
        assert ours["training"]["tokens"] == other["training"]["tokens"]
        assert ours["training"]["phases"][0]["steps"] == other["training"]["phases"][0]["steps"]
        # Fewer predictions cost fewer FLOPs, which the ledger must see.
        assert other["training"]["flops"] < ours["training"]["flops"]
        weights = [weights_of(finished / "out", arm, seed) for arm in ("mlm", "mlm:objective.ratio=0.15")]
        assert weights[0] != weights[1]


def test_trained_models_are_kept_and_load(finished: Path) -> None:
    for arm in ("mlm", "rts"):
        for name in ("model", "tuned"):
            model = load(finished / "out" / "arms" / arm / "seed-1" / name)
            assert model.encode(["a text"]).shape == (1, 32)


def test_page_and_tables(finished: Path) -> None:
    page = (finished / "out" / "report.html").read_text()
    for shown in (*ARMS, "search nDCG@10", "mean rank", "Differences to mlm", "<svg", "reknit compare"):
        assert shown in page
    assert "http" not in page.replace("http://www.w3.org", "")
    table = markdown(result_of(finished))
    assert table.count("| mlm:objective.ratio=0.15 |") == 3


def test_arms_may_train_on_parts_of_one_corpus(tmp_path: Path) -> None:
    _, evals = material(tmp_path / "labelled")
    for seed, language in enumerate(("de", "en")):
        (tmp_path / "texts" / language).mkdir(parents=True)
        write_small_corpus(tmp_path / "texts" / language / "all.jsonl", documents=30, seed=seed)
    given: dict = {"budget": "2000tok", "eval": evals[1:], "seeds": 1, "settings": (*SETTINGS, "tuning=none")}
    arms = ["mlm", "mlm:data.below=de", "mlm:data.below=en/", "mlm:data.below=en/all", "simcse:data.below=de"]
    result = compare(arms, tmp_path / "texts", tmp_path / "out", **given)
    weights = {arm: weights_of(tmp_path / "out", arm, 0) for arm in arms}
    assert weights["mlm:data.below=en/"] == weights["mlm:data.below=en/all"], "the same files are the same training"
    assert len({weights[name] for name in ("mlm", "mlm:data.below=de", "mlm:data.below=en/")}) == 3
    assert "passages, or the part of them that an arm names by data.below; mean rank" in markdown(result)
    # One store and one tokenizer for all: a part is a choice of rows.
    assert {path.name for path in (tmp_path / "out" / "data").glob("tok*")} == {"tokenizer", "tokens-128"}
    with pytest.raises(ReknitError, match=r"data\.below=fr: .* there are de/, en/$"):
        compare(["mlm", "mlm:data.below=fr"], tmp_path / "texts", tmp_path / "other", **given)
    assert not (tmp_path / "other").exists(), "it is found before anything is trained"


def test_more_seeds_and_arms_keep_what_is_there(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "out", tmp_path / "copy")
    before = result_of(finished)["runs"]
    result = run(finished, ("mlm", "rts", "slm"), seeds=3, resume=True, out=tmp_path / "copy")
    assert [one for one in result["runs"] if one["seed"] < 2 and one["arm"] != "slm"] == [
        one for one in before if one["arm"] in ("mlm", "rts")
    ]
    assert len(result["runs"]) == 9


def test_stopped_and_gone_on_with_is_the_same(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    material(tmp_path)
    right, calls = arms_module.train_phases, []

    def interrupted(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 4:
            raise Interrupted("stopped")
        return right(*arguments)

    monkeypatch.setattr(arms_module, "train_phases", interrupted)
    with pytest.raises(Interrupted):
        run(tmp_path, ("mlm", "rts"))
    result = run(tmp_path, ("mlm", "rts"), resume=True)
    values = {(one["arm"], one["seed"]): one["values"] for one in result["runs"]}
    whole = {(one["arm"], one["seed"]): one["values"] for one in result_of(finished)["runs"]}
    assert all(values[key] == whole[key] for key in values)


def test_processes_of_their_own_come_to_the_same(finished: Path, tmp_path: Path) -> None:
    material(tmp_path)
    result = run(tmp_path, ("mlm", "rts"), processes=2)
    values = {(one["arm"], one["seed"]): (one["values"], one["curve"]) for one in result["runs"]}
    alone = {(one["arm"], one["seed"]): (one["values"], one["curve"]) for one in result_of(finished)["runs"]}
    assert list(values) == [(arm, seed) for seed in range(2) for arm in ("mlm", "rts")]
    assert all(values[key] == alone[key] for key in values)
    assert "seed 1, rts" in "".join(log.read_text() for log in (tmp_path / "out" / "logs").iterdir())


def test_a_training_that_fails_in_its_process_says_why(tmp_path: Path) -> None:
    material(tmp_path)
    with pytest.raises(ReknitError, match="the loss of pretrain was not finite"):
        run(tmp_path, ("mlm", "mlm:optimiser.learning_rate=1e30"), seeds=1, processes=2, budget="10000tok")
    result = run(tmp_path, ("mlm", "rts"), seeds=1, processes=2, budget="10000tok", resume=True)
    assert len(result["runs"]) == 2


@pytest.mark.parametrize("ctrl_c", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_ctrl_c_or_a_kill_saves_what_all_processes_do(tmp_path: Path, ctrl_c: bool) -> None:
    corpus, evals = material(tmp_path)
    words = ["compare", "mlm", "rts", "--corpus", str(corpus), "--out", str(tmp_path / "out"), "--budget", "10m"]
    words += ["--seeds", "1", "--processes", "2", "--eval", str(evals[1])]
    words += [word for setting in SETTINGS for word in ("--set", setting)]
    command = [sys.executable, "-m", "reknit", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        logs = tmp_path / "out" / "arms"
        while process.poll() is None and len(list(logs.glob("*/seed-0/metrics.jsonl"))) < 2:
            time.sleep(0.2)
        if ctrl_c:  # a terminal tells all of them
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=240)
    assert process.returncode == 130, told
    for arm in ("mlm", "rts"):
        assert list((tmp_path / "out").glob(f"arms/{arm}/seed-0/checkpoints/pretrain/step-*")), "nothing was saved"


def test_other_settings_are_refused_on_resume(finished: Path) -> None:
    with pytest.raises(ReknitError, match="started with another budget"):
        run(finished, budget="3000tok", resume=True)
    with pytest.raises(ReknitError, match="already holds a comparison"):
        run(finished)


@pytest.mark.parametrize(
    ("arms", "options", "message"),
    [
        (("mlm",), {}, "two arms at least"),
        (("mlm", "mlm"), {}, "given twice"),
        (("mlm", "melm"), {}, "did you mean"),
        (("mlm", "mlm:objective.ration=1"), {}, "no field 'ration'"),
        (("mlm", "hybrid-distillation"), {}, "learns from a teacher"),
        (("mlm", "rts"), {"eval": []}, "labelled folders or texts with --eval"),
        (("mlm", "rts"), {"seeds": 0}, "--seeds is 0"),
        (("mlm", "rts"), {"processes": 0}, "--processes is 0"),
        (("mlm", "rts"), {"budget": "much"}, "budget 'much'"),
        (("mlm", "rts"), {"resume": True}, "no comparison to resume"),
        (("mlm", "rts"), {"settings": ["encoder.deep=1"]}, "no field 'deep'"),
        (("mlm", "rts"), {"settings": ["tuning=infonce-pears"]}, "did you mean infonce-pairs"),
        (("mlm", "rts"), {"settings": ["tuning=hybrid-distillation"]}, "learns from a teacher"),
        (("mlm", "rts"), {"settings": ["sizes=5x8"]}, "asks for 5x8 of an encoder of 4 layers"),
        (("mlm", "rts"), {"settings": ["classified_texts=0"]}, "must be above 0"),
        (("mlm", "rts"), {"settings": ["fine_tuning.texts=1"]}, "classes: of 1 labelled texts"),
        (("mlm", "rts"), {"settings": ["fine_tuning.epochs=0"]}, "fine_tuning.epochs is 0"),
        (("mlm", "rts"), {"settings": ["fine_tuning.learning_rates="]}, "fine_tuning.learning_rates is empty"),
        (("mlm", "rts"), {"settings": ["fine_tuning.held_out_share=1"]}, "fine_tuning.held_out_share is 1.0"),
        (("mlm", "mlm:encoder.vocabulary=500"), {}, "all arms share the tokenizer"),
        (("mlm", "mlm:data.max_length=256"), {}, "max_length of 128 is the limit of all arms"),
    ],
)
def test_bad_input_changes_nothing(tmp_path: Path, arms: tuple[str, ...], options: dict, message: str) -> None:
    material(tmp_path)
    with pytest.raises(ReknitError, match=message):
        run(tmp_path, arms, **options)
    assert not (tmp_path / "out").exists()


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    material(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    with pytest.raises(ReknitError, match="not empty"):
        run(tmp_path)
    with pytest.raises(ReknitError, match="not empty"):
        run(tmp_path, overwrite=True)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_what_an_objective_does_not_have_is_left_out_of_means_and_ranks(tmp_path: Path) -> None:
    material(tmp_path)
    evals = [tmp_path / "classes", sentences(tmp_path / "sentences")]
    result = run(tmp_path, ("mlm", "clm", "rts"), eval=evals, seeds=1)
    label = "sentences pair accuracy"
    found = result["summary"]
    assert found["rts"]["values"][label] is None
    assert found["rts"]["against_first"][label] is None
    assert 0.0 <= found["clm"]["values"][label]["mean"] <= 1.0
    assert found["mlm"]["values"]["all"]["mean"] == found["mlm"]["values"]["classes accuracy"]["mean"]
    assert "–" in markdown(result)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "–" in page
    with pytest.raises(ReknitError, match="means are of what every objective has"):
        run(tmp_path, ("rts", "mlm"), eval=evals[1:], seeds=1, overwrite=True)
    assert (tmp_path / "out" / "result.json").exists()


def test_perplexity_is_of_texts_that_training_does_not_see(tmp_path: Path) -> None:
    material(tmp_path)
    kept, taken = tmp_path / "unseen", (tmp_path / "corpus.jsonl").read_text().splitlines()[:30]
    kept.mkdir()
    # In one piece, while the corpus holds them in thirty.
    (kept / "texts.txt").write_text("\n\n".join(json.loads(line)["text"] for line in taken))
    result = run(tmp_path, ("mlm", "bart", "clm", "rts"), eval=[tmp_path / "classes", kept], seeds=1)
    found, labels = result["summary"], ("unseen pseudo-perplexity", "unseen perplexity")
    assert {name: [found[name]["values"][label] is not None for label in labels] for name in result["arms"]} == {
        "mlm": [True, False],
        "bart": [False, False],
        "clm": [False, True],
        "rts": [False, False],
    }
    assert found["mlm"]["values"][labels[0]]["mean"] > 1.0
    texts = [json.loads(line)["text"] for line in taken]
    assert len(texts) == 30
    store = PassageStore.open(tmp_path / "out" / "data" / "passages.arrow")
    assert result["corpus"]["documents"] == 60 - 30
    assert not {store[number].text for number in range(len(store))} & set(texts)
    assert "perplexity with those before it" in markdown(result)

    # Where all arms have one, it counts in the ranks, the lower the better, and not in the mean.
    both = run(tmp_path, ("mlm", "retromae"), eval=[tmp_path / "classes", kept], seeds=1, out=tmp_path / "both")
    values = [{label: both["summary"][arm]["values"][label] for label in labels} for arm in both["arms"]]
    assert labels[1] not in markdown(both)
    for arm, own, other in zip(both["arms"], values, reversed(values), strict=True):
        summary = both["summary"][arm]
        accuracies = [both["summary"][name]["values"]["classes accuracy"]["mean"] for name in both["arms"]]
        ahead = summary["values"]["classes accuracy"]["mean"]
        ranks = [1 + sum(one > ahead for one in accuracies) + (accuracies.count(ahead) - 1) / 2]
        ranks.append(1 + (other[labels[0]]["mean"] < own[labels[0]]["mean"]))
        assert summary["mean_rank"] == sum(ranks) / 2
        assert summary["values"]["all"]["mean"] == ahead


def test_perplexity_by_a_start_model_of_fewer_positions_and_of_unknown_characters(tmp_path: Path) -> None:
    _, evals = material(tmp_path)
    short = (*SETTINGS, "max_length=32", "encoder.max_positions=32")
    run(tmp_path, ("mlm", "rts"), seeds=1, eval=evals[1:2], settings=short)
    model = tmp_path / "out" / "arms" / "mlm" / "seed-0" / "model"
    (tmp_path / "long.txt").write_text("The lantern turns the compass. " * 40)
    (tmp_path / "signs.txt").write_text("\U0001f9f6 \U0001f9f5 " * 40)
    result = run(
        tmp_path,
        ("mlm", "rts"),
        seeds=1,
        eval=[evals[1], tmp_path / "long.txt", tmp_path / "signs.txt"],
        settings=(*SETTINGS, f"start={model}"),
        out=tmp_path / "on",
    )
    found = result["summary"]["mlm"]["values"]
    assert found["long pseudo-perplexity"]["mean"] > 1.0
    assert found["signs pseudo-perplexity"] is None
    assert "signs" not in markdown(result)


def test_texts_that_changed_are_noticed_by_a_resume(tmp_path: Path) -> None:
    _, evals = material(tmp_path)
    (tmp_path / "some.txt").write_text("A first text.")
    asked = [evals[1], tmp_path / "some.txt"]
    run(tmp_path, ("mlm", "rts"), seeds=1, eval=asked)
    run(tmp_path, ("mlm", "rts", "clm"), seeds=1, eval=asked, resume=True)
    (tmp_path / "some.txt").write_text("A second text.")
    with pytest.raises(ReknitError, match="changed since the comparison was started"):
        run(tmp_path, ("mlm", "rts", "slm"), seeds=1, eval=asked, resume=True)


def test_figures_of_a_model_that_has_diverged_stay_short() -> None:
    found = interval([1.0, math.exp(100.0)]).to_json()
    assert len(with_interval(found)) < 40
    assert with_interval({"mean": 198.4123, "ci95": [-2.0, 1234.5]}) == "198.4 [-2.000, 1234]"
    assert with_interval({"mean": -0.5, "ci95": [-0.9, -0.1]}, signed=True) == "-0.500 [-0.900, -0.100]*"


def test_elastic_objectives_are_measured_at_sizes_and_as_trained(tmp_path: Path) -> None:
    material(tmp_path)
    settings = (*SETTINGS, "tuning=none", "sizes=1x8,2x16")
    result = run(tmp_path, ("infonce-pairs", "starbucks", "2dmse"), seeds=1, settings=settings)
    for one in result["runs"]:
        assert list(one["values"]) == [
            "search nDCG@10",
            "classes accuracy",
            "pairs Spearman",
            "search nDCG@10 at 1x8",
            "pairs Spearman at 1x8",
            "search nDCG@10 at 2x16",
            "pairs Spearman at 2x16",
        ]
        assert one["tuning"] is None
    assert not (tmp_path / "out" / "arms" / "starbucks" / "seed-0" / "tuned").exists()


def test_all_arms_are_tuned_with_an_elastic_objective_and_measured_at_sizes(tmp_path: Path) -> None:
    material(tmp_path)
    settings = (*SETTINGS, "encoder.pooling=cls", "tuning=starbucks", "sizes=1x8")
    result = run(tmp_path, ("mlm", "smae"), eval=[tmp_path / "pairs"], seeds=1, settings=settings)
    for one in result["runs"]:
        assert list(one["values"]) == ["pairs Spearman", "pairs Spearman at 1x8"]
        assert one["tuning"]["phases"][0]["recipe"] == "starbucks"


def test_encoders_as_trained_are_fine_tuned_with_the_seed_of_their_arm(tmp_path: Path) -> None:
    material(tmp_path)
    asked = ("fine_tuning.texts=50", "fine_tuning.epochs=1", "fine_tuning.learning_rates=5e-4,2e-3")
    evals = [tmp_path / "classes", tmp_path / "pairs"]
    result = run(tmp_path, ("mlm", "rts"), eval=evals, settings=(*SETTINGS, *asked))
    label = "classes fine-tuned accuracy"
    spec = FineTuningSpec(texts=50, epochs=1, learning_rates=(5e-4, 2e-3))
    data = load_classification(tmp_path / "classes")
    for one in result["runs"]:
        assert list(one["values"]) == ["classes accuracy", label, "pairs Spearman"]
        model = load(tmp_path / "out" / "arms" / one["arm"] / f"seed-{one['seed']}" / "model")
        model.encoder.to(best_device())
        assert one["values"][label] == fine_tuned_accuracy(data, model, spec, one["seed"], "float32")
    values = result["runs"][0]["values"]
    assert result["summary"]["mlm"]["values"]["all"]["mean"] == pytest.approx(
        sum(sum(one["values"].values()) for one in result["runs"] if one["arm"] == "mlm") / (2 * len(values))
    )
    assert "up to 50 labelled texts, with the best of 2 learning rates" in markdown(result)


def test_a_comparison_from_before_there_was_fine_tuning_goes_on(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "out", tmp_path / "copy")
    stored = json.loads((tmp_path / "copy" / "config.json").read_text())
    del stored["comparison"]["fine_tuning"]
    (tmp_path / "copy" / "config.json").write_text(json.dumps(stored))
    assert run(finished, resume=True, out=tmp_path / "copy")["runs"] == result_of(finished)["runs"]
    with pytest.raises(ReknitError, match="started with another fine_tuning"):
        run(finished, resume=True, out=tmp_path / "copy", settings=(*SETTINGS, "fine_tuning.texts=50"))


def test_a_corpus_that_is_no_good_costs_nothing_that_was_there(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "copy")
    before = (tmp_path / "copy" / "out" / "result.json").read_text()
    (tmp_path / "copy" / "corpus.jsonl").write_text('{"text": ""}\n')
    with pytest.raises(ReknitError):
        run(tmp_path / "copy", overwrite=True)
    assert (tmp_path / "copy" / "out" / "result.json").read_text() == before
    assert (tmp_path / "copy" / "out" / "arms" / "mlm").is_dir()
    assert not (tmp_path / "copy" / "out" / ".replaced").exists()
    shutil.rmtree(tmp_path / "copy" / "out")
    with pytest.raises(ReknitError):
        run(tmp_path / "copy")
    assert not (tmp_path / "copy" / "out").exists()


def test_sentence_pairs_are_the_same_after_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured of the objective itself is measured without dropout, also when the training was read back."""
    material(tmp_path)
    evals = [tmp_path / "classes", sentences(tmp_path / "sentences")]
    whole = run(tmp_path, ("mlm", "clm"), eval=evals, seeds=1)
    for result in (tmp_path / "out" / "arms").glob("*/*/result.json"):
        result.unlink()
    again = run(tmp_path, ("mlm", "clm"), eval=evals, seeds=1, resume=True)
    assert [one["values"] for one in again["runs"]] == [one["values"] for one in whole["runs"]]


def test_settings_of_an_arm_win_over_what_is_shared() -> None:
    config = ComparisonConfig("corpus", BudgetSpec(tokens=1))
    plain, own = parse_arms(["electra", "electra:optimiser.learning_rate=1e-5:data.max_length=32"])
    assert shared_recipe(plain, config).optimiser == config.optimiser
    assert shared_recipe(plain, config).encoder == config.encoder
    assert shared_recipe(own, config).optimiser.learning_rate == 1e-5
    assert shared_recipe(own, config).data.max_length == 32


def test_command_line(tmp_path: Path) -> None:
    corpus, evals = material(tmp_path)
    words = ["compare", "mlm", "slm", "--corpus", str(corpus), "--out", str(tmp_path / "out"), "--budget", "1000tok"]
    words += ["--seeds", "1", "--eval", str(evals[1])]
    words += [word for setting in SETTINGS for word in ("--set", setting)]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, ended.output
    assert "classes accuracy" in ended.output
    assert "one seed, no intervals" in ended.output
    assert "Differences to mlm" in ended.output


def test_untrained_is_what_all_arms_of_a_seed_start_from(tmp_path: Path) -> None:
    material(tmp_path)
    result = run(tmp_path, ("untrained", "mlm:optimiser.learning_rate=0.0"))
    for untrained, in_place in zip(result["runs"][::2], result["runs"][1::2], strict=True):
        assert untrained["recipe"] is None
        assert untrained["training"] == {"tokens": 0, "seconds": 0.0, "flops": 0.0}
        assert untrained["tuning"]["tokens"] == in_place["tuning"]["tokens"]
        assert untrained["values"] == pytest.approx(in_place["values"], abs=1e-6)
    starts = [weights_of(tmp_path / "out", "untrained", seed) for seed in range(2)]
    assert starts[0] != starts[1], "each seed has a start of its own"
    # Of a given start as well, which could read longer texts.
    start = str(tmp_path / "out" / "arms" / "untrained" / "seed-0" / "model")
    changed = {"seeds": 1, "settings": (*SETTINGS, f"start={start}", "max_length=8", "tuning=none")}
    untrained, in_place = run(
        tmp_path, ("untrained", "mlm:optimiser.learning_rate=0.0"), out=tmp_path / "given", **changed
    )["runs"]
    assert untrained["values"] == pytest.approx(in_place["values"], abs=1e-6)


def test_sizes_of_what_is_untrained_are_checked_before_anything_is_trained(tmp_path: Path) -> None:
    material(tmp_path)
    with pytest.raises(ReknitError, match="sizes asks for 3x8 of an encoder of 2 layers"):
        run(tmp_path, ("mlm:encoder.depth=3", "untrained"), settings=(*SETTINGS, "sizes=3x8", "tuning=none"))
    assert not (tmp_path / "out").exists()


def test_a_model_of_ones_own_is_measured_beside_what_is_trained(finished: Path, tmp_path: Path) -> None:
    own = finished / "out" / "arms" / "mlm" / "seed-0" / "model"
    result = run(finished, (str(own), "rts"), seeds=1, out=tmp_path / "out")
    given, trained = result["runs"]
    assert given["recipe"] is None
    assert given["training"] == {"tokens": 0, "seconds": 0.0, "flops": 0.0}
    assert given["tuning"]["tokens"] == trained["tuning"]["tokens"]
    # It is tuned and measured as the arm was that made it.
    before = next(one for one in result_of(finished)["runs"] if (one["arm"], one["seed"]) == ("mlm", 0))
    assert given["values"] == pytest.approx(before["values"], abs=1e-6)
    assert str(own) in (tmp_path / "out" / "report.html").read_text()
    with pytest.raises(ReknitError, match="nowhere/at-all"):
        run(finished, ("nowhere/at-all", "rts"), out=tmp_path / "other")
    assert not (tmp_path / "other").exists()
