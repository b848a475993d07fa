"""The terminal table: coloured on a terminal, plain and aligned in a pipe."""

import io

from report_samples import empty_result, full_result, row
from rich.console import Console

from reknit.report.table import evaluation_tables, results_table
from reknit.runs.result import RunResult


def printed(result, **settings) -> str:
    stream = io.StringIO()
    results_table(RunResult.from_json(result), Console(file=stream, **settings))
    return stream.getvalue()


def test_plain_output_is_aligned_and_without_colour():
    text = printed(full_result())
    assert "\x1b" not in text
    lines = text.splitlines()
    assert lines[0].startswith("Use the adapted model: mean nDCG@10")
    assert lines[0].endswith("623 queries).")
    head = next(i for i, line in enumerate(lines) if line.startswith("system"))
    rows = lines[head : head + 7]
    named = [line.split("  ")[0].strip() for line in rows]
    assert named == ["system", "random", "BM25", "start", "adapted", "BM25 + start", "BM25 + adapted"]
    for metric in ("nDCG@10", "R@100", "RR@10"):
        column = rows[0].index(metric)
        assert all(line[column : column + 2] == "0." and line[column - 1] == " " for line in rows[1:])
    assert "0.325 [0.295, 0.355]" in rows[2]


def test_plain_output_is_never_cut_however_narrow_the_console():
    result = full_result()
    result["evaluations"][0]["rows"]["a model with a very long name " * 4] = row(0.5)
    assert printed(result, width=20) == printed(result, width=300)
    assert "…" not in printed(result, width=20)


def test_a_terminal_gets_colour_and_no_lost_digits():
    text = printed(full_result("start"), force_terminal=True, width=60, color_system="standard")
    assert "\x1b[1;33mKeep the start model:" in text
    assert "…" not in text
    assert "0.355]" in text


def test_names_are_no_markup():
    result = full_result()
    result["evaluations"][0]["dataset"] = "[bold red]x[/bold red] :smile:"
    assert "[bold red]x[/bold red] :smile: (323 queries" in printed(result)


def test_missing_parts():
    assert printed({}).startswith("Trained, not evaluated: the model was trained with nothing")
    assert "probe (200 queries, 5,000 documents)" in printed(empty_result())


def test_evaluations_alone_are_tables_without_a_verdict():
    stream = io.StringIO()
    evaluation_tables(RunResult.from_json(full_result()).evaluations, Console(file=stream))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "nfcorpus (323 queries, 3,633 documents)"
    assert "probe (200 queries, 5,000 documents)" in lines
    assert "verdict" not in stream.getvalue().lower()
