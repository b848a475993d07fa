"""Plain text, Markdown, reStructuredText and HTML files: the title and the text of each."""

from __future__ import annotations

import codecs
import re
from html.parser import HTMLParser

MAX_TITLE_WORDS = 12

_BYTE_ORDER_MARKS = (
    # UTF-32's little-endian mark begins with UTF-16's, so it comes first.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*\n", re.DOTALL | re.MULTILINE)
_FRONT_MATTER_TITLE = re.compile(r"^title:(.*)$", re.MULTILINE | re.IGNORECASE)
_MARKDOWN_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(\S.*)$")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_MARKDOWN_UNDERLINE = re.compile(r"^ {0,3}(=+|-+)[ \t]*$")
_RST_ADORNMENT = re.compile(r"^([!-/:-@\[-`{-~])\1{2,}[ \t]*$")

_HIDDEN_ELEMENTS = frozenset({"script", "style", "template", "noscript"})
_PARAGRAPHS = "article blockquote h1 h2 h3 h4 h5 h6 p pre section table ul ol dl"
_LINES = (
    "address aside body br caption dd details div dt fieldset figcaption figure footer form header hr legend li main "
    "nav option summary td th title tr"
)
_PARAGRAPH_ELEMENTS = frozenset(_PARAGRAPHS.split())
_BLOCK_ELEMENTS = _PARAGRAPH_ELEMENTS | frozenset(_LINES.split())


def clean(text: str) -> str:
    """Text that Arrow and tokenizers accept: no NUL, no half of a surrogate pair, line ends as \\n."""
    text = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    return text.encode("utf-8", "replace").decode("utf-8")


def encoding_of(start: bytes) -> str:
    """The encoding that a file's first bytes announce; UTF-8 when they announce none."""
    return next((name for mark, name in _BYTE_ORDER_MARKS if start.startswith(mark)), "utf-8")


def title_and_text(content: str, suffix: str) -> tuple[str, str]:
    """Split a file's content into (title, text) by its suffix; the title is empty where there is none."""
    content = clean(content)
    if suffix in (".html", ".htm"):
        return _html(content)
    if suffix == ".md":
        return _markdown(content)
    if suffix == ".rst":
        return _restructured_text(content)
    return _plain(content)


def _plain(content: str) -> tuple[str, str]:
    """The first line is the title if it is short, is no sentence and is followed by a blank line."""
    text = content.strip()
    first, _, rest = text.partition("\n")
    next_line, _, _ = rest.partition("\n")
    short = len(first.split()) <= MAX_TITLE_WORDS and not first.rstrip().endswith(".")
    return (first.strip(), rest.strip()) if short and rest and not next_line.strip() else ("", text)


def _markdown(content: str) -> tuple[str, str]:
    """The first heading is the title; front matter is left out, its title serving where there is no heading."""
    matter = _FRONT_MATTER.match(content)
    named = _FRONT_MATTER_TITLE.search(matter.group(1)) if matter else None
    lines = (content[matter.end() :] if matter else content).split("\n")
    fenced = False
    for number, line in enumerate(lines):
        if _FENCE.match(line):
            fenced = not fenced
        if fenced:
            continue
        heading = _MARKDOWN_HEADING.match(line)
        if heading:
            return heading.group(1).rstrip(" \t#"), _without_lines(lines, number, number + 1)
        starts_paragraph = line.strip() and (number == 0 or not lines[number - 1].strip())
        if starts_paragraph and number + 1 < len(lines) and _MARKDOWN_UNDERLINE.match(lines[number + 1]):
            return line.strip(), _without_lines(lines, number, number + 2)
    return named.group(1).strip(" \t\"'") if named else "", "\n".join(lines).strip()


def _restructured_text(content: str) -> tuple[str, str]:
    """The first line that is underlined by a row of one punctuation mark at least as long as it is the title."""
    lines = content.split("\n")
    for number in range(len(lines) - 1):
        line, under = lines[number].strip(), lines[number + 1].rstrip()
        if line and not _RST_ADORNMENT.match(line) and _RST_ADORNMENT.match(under) and len(under) >= len(line):
            overlined = number > 0 and _RST_ADORNMENT.match(lines[number - 1].rstrip()) is not None
            return line, _without_lines(lines, number - overlined, number + 2)
    return "", content.strip()


def _without_lines(lines: list[str], start: int, end: int) -> str:
    return "\n".join(lines[:start] + lines[end:]).strip()


class _TextOfHtml(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title: list[str] = []
        self.text: list[str] = []
        self._hidden: list[str] = []
        self._in_title = False
        self._preformatted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN_ELEMENTS:
            self._hidden.append(tag)
        self._in_title = tag == "title" and not self.title
        self._preformatted += tag == "pre"
        self._break_line(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            # Closing an outer element closes unclosed inner ones, as browsers do.
            del self._hidden[self._hidden.index(tag) :]
        if tag == "title":
            self._in_title = False
        self._preformatted = max(0, self._preformatted - (tag == "pre"))
        self._break_line(tag)

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        if self._in_title:
            self.title.append(data)
            return
        shown = data if self._preformatted else self._flowed(data)
        if shown:
            self.text.append(shown)

    def _flowed(self, data: str) -> str:
        single = re.sub(r"\s+", " ", data)
        return single.lstrip(" ") if not self.text or self.text[-1].endswith((" ", "\n")) else single

    def _break_line(self, tag: str) -> None:
        if tag not in _BLOCK_ELEMENTS or self._hidden:
            return
        # The end of one element and the start of the next break the line once; a <br> always does.
        wanted = "\n\n" if tag in _PARAGRAPH_ELEMENTS else "\n"
        if tag == "br" or not self.text or not self.text[-1].endswith(wanted):
            self.text.append(wanted)


def _html(content: str) -> tuple[str, str]:
    parser = _TextOfHtml()
    parser.feed(content)
    parser.close()
    text = "\n".join(line.rstrip() for line in "".join(parser.text).split("\n"))
    return " ".join("".join(parser.title).split()), re.sub(r"\n{3,}", "\n\n", text).strip()
