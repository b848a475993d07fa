"""Titles and texts of plain, Markdown, reStructuredText and HTML files."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reknit.data.text.files import title_and_text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("A short title\n\nBody.\nMore.", ("A short title", "Body.\nMore.")),
        ("A sentence ends here.\n\nBody.", ("", "A sentence ends here.\n\nBody.")),
        ("No blank line\nBody.", ("", "No blank line\nBody.")),
        ("w " * 13 + "\n\nBody.", ("", ("w " * 13 + "\n\nBody.").strip())),
        ("Only a line", ("", "Only a line")),
        ("Title\r\n\r\nBody\rmore", ("Title", "Body\nmore")),
        ("", ("", "")),
    ],
)
def test_plain_text(content, expected):
    assert title_and_text(content, ".txt") == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("intro\n\n## Heading ##\n\nBody", ("Heading", "intro\n\n\nBody")),
        ("Title\n=====\nBody", ("Title", "Body")),
        ("Title\n---\nBody", ("Title", "Body")),
        ("```\n# a comment\n```\n# Real\nBody", ("Real", "```\n# a comment\n```\nBody")),
        ('---\ntitle: "Named"\ntags: x\n---\nBody only', ("Named", "Body only")),
        ("---\ntitle: Named\n---\n# Heading\nBody", ("Heading", "Body")),
        ("a paragraph\nof two lines\n---\nBody", ("", "a paragraph\nof two lines\n---\nBody")),
        ("#hashtag is no heading", ("", "#hashtag is no heading")),
    ],
)
def test_markdown(content, expected):
    assert title_and_text(content, ".md") == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("Title\n=====\n\nBody", ("Title", "Body")),
        ("=====\nTitle\n=====\n\nBody", ("Title", "Body")),
        (
            ".. note:: x\n\nLonger title\n~~~~\n\nReal\n####\nBody",
            ("Real", ".. note:: x\n\nLonger title\n~~~~\n\nBody"),
        ),
        ("Body alone", ("", "Body alone")),
    ],
)
def test_restructured_text(content, expected):
    assert title_and_text(content, ".rst") == expected


def test_html():
    page = """<!doctype html><html><head><title>The &amp; title</title><style>p {color: red}</style>
    <script>var hidden = "<p>no</p>";</script></head>
    <body><svg><title>icon</title></svg><h1>Head</h1><p>One <b>bold</b>  word
    here.<p>Two<br>lines</p><ul><li>a</li><li>b</li></ul><pre>def f():
    return 1</pre></body></html>"""
    title, text = title_and_text(page, ".html")
    assert title == "The & title"
    assert "icon" in text
    assert text.split("Head")[1].strip() == "One bold word here.\n\nTwo\nlines\n\na\nb\n\ndef f():\n    return 1"
    assert "hidden" not in text
    assert "color" not in text


@pytest.mark.parametrize(
    "page", ["<p>open", "<script>never closed", "<<<>>", "</p></script>text", "&#xD800;&#0;", "<!--"]
)
def test_broken_html_does_not_fail(page):
    title_and_text(page, ".html")[1].encode("utf-8")


@settings(max_examples=100, deadline=None)
@given(content=st.text(alphabet="ab#=-~`\n *<>/p.", max_size=80), suffix=st.sampled_from([".md", ".rst", ".txt"]))
def test_every_letter_survives(content, suffix):
    title, text = title_and_text(content, suffix)
    assert sorted(c for c in title + text if c in "abp") == sorted(c for c in content if c in "abp")


@pytest.mark.parametrize("suffix", [".md", ".rst", ".txt", ".html"])
@pytest.mark.parametrize("unit", ["#", "# ", "-", " ", "\n", "<", "```\n", "&"])
@pytest.mark.timeout(20)
def test_long_runs_of_one_mark_take_linear_time(suffix, unit):
    title_and_text("# " + unit * 30_000 + "x", suffix)
