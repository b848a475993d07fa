"""Query logs and pairs are read as users write them, and refused by file and line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reknit.data.text.curation import normalise
from reknit.data.text.query_log import LoggedQuery, Pair, read_pairs, read_query_log
from reknit.errors import ReknitError

queries = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=12)
logs = st.lists(st.tuples(queries, st.integers(0, 5)), min_size=1)
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(path: Path, rows: list[tuple[str, int]]) -> Path:
    if path.suffix == ".jsonl":
        lines = [json.dumps({"query": query, "count": count}) for query, count in rows]
    else:
        lines = [f"{query}\t{count}" for query, count in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    return path


def naive(rows: list[tuple[str, int]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for query, count in rows:
        if key := normalise(" ".join(query.split())):
            counts[key] = counts.get(key, 0) + count
    return counts


@same_folder
@given(logs, st.sampled_from([".tsv", ".jsonl"]))
def test_counts_of_all_spellings_are_added_up(tmp_path: Path, rows: list[tuple[str, int]], ending: str) -> None:
    path, expected = written(tmp_path / f"log{ending}", rows), naive(rows)
    if ending == ".tsv" and rows[0][0].strip().lower() in ("query", "text"):
        expected = naive(rows[1:])  # a header
    if not expected:
        with pytest.raises(ReknitError, match="holds no query"):
            read_query_log(path)
        return
    found = read_query_log(path)
    assert {normalise(one.text): one.count for one in found} == expected
    assert [one.count for one in found] == sorted((one.count for one in found), reverse=True)


def test_a_plain_file_has_a_query_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("\ufeffHow  to reset\n\n  \nhow to reset\nvpn\tslow\n", encoding="utf-8")
    assert read_query_log(path) == [LoggedQuery("How to reset", 2), LoggedQuery("vpn slow", 1)]


def test_a_table_may_have_a_header_and_counts_or_not(tmp_path: Path) -> None:
    path = tmp_path / "log.tsv"
    path.write_text("Query\tCount\nreset\t3\nvpn\n")
    assert read_query_log(path) == [LoggedQuery("reset", 3), LoggedQuery("vpn", 1)]
    packed = tmp_path / "log.tsv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_query_log(packed) == read_query_log(path)


def test_halves_of_surrogate_pairs_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"query": "broken \\ud83d emoji"}\n')
    (only,) = read_query_log(tmp_path / "log.jsonl")
    only.text.encode("utf-8")


def test_pairs_are_added_up(tmp_path: Path) -> None:
    path = tmp_path / "clicks.tsv"
    path.write_text("query\tdocument\tweight\nreset\ta.md\t2\nReset\ta.md\t1\nreset\tb#1\nvpn\tc\t0\n")
    assert read_pairs(path) == [Pair("reset", "a.md", 3.0), Pair("reset", "b#1", 1.0)]
    lines = tmp_path / "clicks.jsonl"
    lines.write_text('{"query": "reset", "document": "a.md", "weight": 0.5}\n{"text": "vpn", "corpus-id": 7}\n')
    assert read_pairs(lines) == [Pair("reset", "a.md", 0.5), Pair("vpn", "7", 1.0)]


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("log.tsv", "reset\tmany\n", "log.tsv:1: the count is 'many', which is no number"),
        ("log.tsv", "vpn\t1\nreset\t-1\n", "log.tsv:2: the count is -1: it must be a whole number"),
        ("log.tsv", "vpn\t1.5\n", "log.tsv:1: the count is 1.5: it must be a whole number"),
        ("log.tsv", "vpn\tnan\n", "the count is 'nan', which is no number"),
        ("log.jsonl", "{broken\n", "log.jsonl:1: broken JSON"),
        ("log.jsonl", "[1]\n", "log.jsonl:1: a list, not an object"),
        ("log.jsonl", '{"query": 3}\n', 'log.jsonl:1: there is no text called "query"'),
        ("log.jsonl", '{"query": "a", "count": true}\n', "the count is True, which is no number"),
        ("log.txt", "\n \n", "log.txt holds no query"),
        ("log.csv", "vpn,3\n", "log.csv is a .csv file: give lines of text, .tsv or .jsonl"),
    ],
)
def test_what_is_no_log_is_told_by_its_line(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ReknitError) as error:
        read_query_log(tmp_path / name)
    assert complaint in str(error.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("reset\n", "clicks.tsv:1: a pair needs a query and the id of a document"),
        ("reset\ta\t-2\n", "clicks.tsv:1: the weight is -2: it must be 0 or more"),
        ("reset\ta\tinf\n", "the weight is 'inf', which is no number"),
        ("reset\ta\t0\n", "clicks.tsv holds no pair"),
        ("query-id\tcorpus-id\tscore\n1\ta\t1\n", "clicks.tsv names queries by their ids: give their texts"),
    ],
)
def test_what_is_no_pair_is_told_by_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "clicks.tsv").write_text(text)
    with pytest.raises(ReknitError) as error:
        read_pairs(tmp_path / "clicks.tsv")
    assert complaint in str(error.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ReknitError, match="there is no file"):
        read_query_log(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes("Müll\n".encode("latin-1"))
    with pytest.raises(ReknitError, match="is not UTF-8 text"):
        read_query_log(tmp_path / "latin.txt")
    (tmp_path / "broken.txt.gz").write_bytes(b"no gzip")
    with pytest.raises(ReknitError, match="cannot be read"):
        read_query_log(tmp_path / "broken.txt.gz")
