"""report.html: self-contained, escaped, complete, small, and sensible when parts are missing."""

import json
import math
import re
import shutil
import subprocess
import time
from importlib.resources import files

import pytest
from page_reader import Page
from report_samples import empty_result, full_config, full_result, log_lines, pretrained_result, row

from reknit.report import markup, sections
from reknit.report.html import render_report, write_report
from reknit.runs.result import RunResult

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\x00\ud800‮ {body} $body </style>"


def page_of(result: dict, metrics: list, config: dict) -> str:
    return render_report(RunResult.from_json(result), metrics, config)


def hostile(value):
    """The value with every string in it replaced, keys of free-form parts included."""
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, list):
        return [hostile(item) for item in value]
    if isinstance(value, dict):
        return {key: hostile(item) for key, item in value.items()}
    return value


def hostile_run():
    result = hostile(full_result())
    result["verdict"]["use"], result["corpus"]["probe"]["kind"] = "start", "title"
    result["machine"] = {HOSTILE: HOSTILE}
    result["export"]["against"] = {HOSTILE: 0.5}
    rows = result["evaluations"][0]["rows"]
    result["evaluations"][0]["rows"] = {HOSTILE: {HOSTILE: rows["bm25"]["R@100"]}}
    lines = [{**line, "phase": HOSTILE} for line in log_lines(40)]
    for line in lines:
        for key in ("losses", "probe"):
            if key in line:
                line[key] = {HOSTILE: 1.0}
    return result, lines, {HOSTILE: HOSTILE}


def test_the_verdict_comes_first_and_every_part_is_there():
    page = Page(page_of(full_result(), log_lines(), full_config()))
    assert page.faults == []
    assert page.headings[0][1].startswith("Use the adapted model: mean nDCG@10 over 2 collections")
    assert [name for tag, name in page.headings if tag == "h2"] == [
        "Results",
        "Example searches",
        "Training",
        "Corpus",
        "Export check",
        "Machine and versions",
        "Repeat this run",
    ]
    for shown in (
        "model/ holds the adapted model",
        "+0.021 to +0.067",
        "below 0.001",
        "0.295–0.355",
        "323 queries, 3,633 documents",
        "12 judgements named documents",
        "4,912,384",
        "632 TFLOP",
        "the probe did not improve 3 times in a row",
        "corpus.jsonl:1207: broken JSON",
        "does vitamin D lower the risk of falls?",
        "Nothing was found.",
        "against sentence-transformers",
        "3.1e-07",
        "AMD EPYC 9R14",
        "5.23.0",
        "2026-11-21 02:14 UTC",
        "reknit adapt corpus.jsonl --out runs/medicine --eval nfcorpus",
        '"seconds": 1800.0',
        "step 250 of tune",
    ):
        assert shown in page.text
    assert ("section", {"class": "verdict good"}) in page.tags


def test_keeping_the_start_model_says_what_that_means():
    page = Page(page_of(full_result("start"), [], {}))
    assert ("section", {"class": "verdict careful"}) in page.tags
    assert page.headings[0][1].startswith("Keep the start model: no significant gain")
    assert "model/ still holds the adapted model, for inspection" in page.text
    assert "BM25 alone scores higher than the start model (nDCG@10 0.325 against 0.316)" in page.text
    assert "; together they reach 0.351." in page.text
    put_back = page_of({**full_result("start"), "model_holds": "start"}, [], {})
    assert "holds the start model, unchanged" in Page(put_back).text
    scratch = Page(page_of({**full_result("start"), "start": "scratch"}, [], {})).text
    assert "not shown to have improved it" in scratch
    assert "the same network, before training" in scratch


def test_a_hybrid_that_gains_nothing_is_told():
    result = full_result()
    assert "adapting gained nothing" not in Page(page_of(result, [], {})).text
    result["evaluations"][0]["rows"]["bm25+start"] = row(0.368)
    kept = {**full_result("start"), "evaluations": result["evaluations"]}
    assert "adapting gained nothing" not in Page(page_of(kept, [], {})).text
    told = "On nfcorpus, BM25 and the start model together score no less than BM25 and the adapted model"
    assert (
        f"{told} (nDCG@10 0.368 against 0.368): for hybrid search, adapting gained nothing there."
        in Page(page_of(result, [], {})).text
    )


def test_hostile_text_is_shown_and_never_obeyed():
    source = page_of(*hostile_run())
    page = Page(source)
    assert page.faults == []
    assert "<script" not in source
    assert "<img" not in source
    assert "alert(1)" in page.text
    assert source.encode("utf-8")


def test_the_check_for_hostile_text_finds_a_planted_bug(monkeypatch):
    monkeypatch.setattr(sections, "text", lambda value, limit=None: str(value))
    assert "tag <script>" in Page(page_of(*hostile_run())).faults


def test_a_run_without_training_searches_or_labels():
    page = Page(page_of(empty_result(), [], {}))
    assert page.faults == []
    names = [name for _, name in page.headings]
    assert "Training" in names
    assert "Example searches" not in names
    assert "Losses" not in names
    assert "Nothing was trained in this run." in page.text
    assert "phase" not in page.text.split("Training", 1)[1].split("Corpus", 1)[0]


@pytest.mark.parametrize("missing", [*full_result(), "everything"])
def test_any_part_may_be_missing(missing):
    result = {} if missing == "everything" else {k: v for k, v in full_result().items() if k != missing}
    assert Page(page_of(result, log_lines(40), {})).faults == []
    assert Page(page_of(result, [], {})).faults == []


def test_losses_that_are_not_numbers_are_left_out():
    lines = [
        {"phase": "tune", "step": i, "tokens": i, "loss": math.inf if i % 2 else 1.0, "losses": {"a": math.nan}}
        for i in range(9)
    ]
    page = Page(page_of(full_result(), lines, {}))
    assert page.faults == []
    assert "nan" not in page.text.replace("finance", "")


def test_a_run_that_was_neither_judged_nor_indexed():
    page = Page(page_of(pretrained_result(), log_lines(40)[:60], full_config()))
    assert page.faults == []
    assert page.headings[0][1] == (
        "Trained, not evaluated: the model was trained with retromae, "
        "and was not compared with the model it started from."
    )
    assert ("section", {"class": "verdict"}) in page.tags
    names = [name for _, name in page.headings]
    assert "Training" in names
    assert not {"Results", "Example searches"} & set(names)
    for shown in (
        "model/ holds the model at the end of training, ready to load.",
        "reknit evaluate RUN --data BEIR_FOLDER",
        "There is no index: repeat the command with --resume --index to make one.",
        "No checkpoint is chosen by this.",
        "200 to watch the training by",
    ):
        assert shown in page.text
    assert "results above" not in page.text
    assert "index" not in Page(page_of(pretrained_result() | {"searches": []}, [], {})).headings[0][1]


def test_who_judged_is_told_as_the_result_says():
    def said(judged_by_all):
        result = full_result()
        result["corpus"]["probe"]["judged_by_all"] = judged_by_all
        return Page(page_of(result, log_lines(40), {})).text

    assert "200 to choose by, 200 to judge by" in said(False)
    assert "This chooses the checkpoint; the results above are measured on other queries." in said(False)
    assert "400 to judge by" in said(True)
    assert "No checkpoint is chosen by this, and the results above are measured on the whole." in said(True)
    assert "200 and 200" in said(None), "an older result does not say it, and nobody guesses"
    assert "the checkpoint" not in said(None).split("held-out queries search")[1].split("Losses")[0]


def test_a_long_log_stays_small_and_quick():
    lines = log_lines(40_000)
    began = time.process_time()
    page = page_of(full_result(), lines, full_config())
    assert time.process_time() - began < 60, "about 1 s; far more where it grows with the square"
    assert len(page.encode()) < 200_000


def test_writing_replaces_the_old_report_whole(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(path, RunResult.from_json(full_result()), log_lines(40), json.loads(json.dumps(full_config())))
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_long_text_is_cut_at_a_word():
    assert markup.text("one two three four", 12) == "one two…"
    assert markup.text("a" * 30, 10) == "a" * 9 + "…"
    assert markup.text("short", 10) == "short"


def contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio of two #rrggbb colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_text_and_pictures_have_enough_contrast_in_both_themes(theme):
    source = files("reknit.report").joinpath("page.html").read_text(encoding="utf-8")
    themes = re.findall(r":root \{(.*?)\}", source, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", themes[theme]))
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    text = [(front, back) for front in ("text", "quiet", "accent") for back in ("page", "panel")]
    text += [(front, f"{kind}-page") for kind in ("good", "careful") for front in (kind, "text")]
    for front, back in text:
        assert contrast(colours[front], colours[back]) >= 4.5, (front, back)
    for front, back in (("accent", "page"), ("good", "page"), ("whisker", "bar"), ("whisker", "soft"), ("bar", "page")):
        assert contrast(colours[front], colours[back]) >= 2.5, (front, back)


MEASURE = """<!doctype html>
<iframe style="width:360px;height:800px;border:0" srcdoc="{page}"></iframe>
<pre id="found"></pre><script>onload = () => {{
  const inside = document.querySelector("iframe").contentDocument;
  const wide = [...inside.querySelectorAll("main *")].filter((e) =>
    !e.closest(".scroll, pre") && e.getBoundingClientRect().right > 361);
  found.textContent = "width " + inside.documentElement.scrollWidth + " wide " + wide.map((e) => e.outerHTML);
}}</script>"""


def unbroken_result():
    """A result whose names have no place to break a line at."""
    result = full_result()
    name = "/data/" + "averylongname" * 12
    result["start"] = result["verdict"]["decided_by"] = result["corpus"]["problems"][0] = name
    result["evaluations"][0]["dataset"] = result["evaluations"][0]["notes"][0] = name
    result["evaluations"][0]["rows"][name] = result["evaluations"][0]["rows"]["start"]
    result["searches"][0]["query"] = result["searches"][0]["hits"][0]["id"] = name
    result["machine"] = {"cpu": name, name: 1}
    return result


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
@pytest.mark.parametrize("make_result", [full_result, unbroken_result])
def test_a_browser_shows_it_on_a_phone_without_sideways_scrolling(tmp_path, make_result):
    page = page_of(make_result(), log_lines(200), full_config())
    frame = tmp_path / "frame.html"
    frame.write_text(MEASURE.format(page=markup.escape(page)), encoding="utf-8")
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    switches += ["--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--dump-dom"]
    command = ["chromium", *switches, f"--user-data-dir={tmp_path / 'profile'}", frame.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
    assert "width 360 wide </pre>" in shown
