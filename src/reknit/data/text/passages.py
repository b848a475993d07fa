"""Cutting text: documents into passages, passages into sentences.

Words are counted so that a budget of words is a budget of tokens in any script: a Chinese or Japanese character is one
word, and a run without white space (base64, minified code, Thai) counts one word for every few characters.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator

PASSAGE_WORDS = 160
MAX_WORD_CHARACTERS = 40
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|[{_UNSPACED}]{{1,5}}|[^\s{_IDEOGRAPHS}{_UNSPACED}]{{1,{MAX_WORD_CHARACTERS}}}")
_UNSPACED_SCRIPT = re.compile(rf"[{_IDEOGRAPHS}{_UNSPACED}]")

_PARAGRAPH_END = re.compile(r"\n[^\S\n]*\n\s*")
_LINE_END = re.compile(r"\n\s*")
# A sentence keeps its closing quotes and brackets. Starting at the first mark only, and giving none back, keeps the
# search linear on a run of a million dots.
SPACELESS_MARKS = "。！？।॥؟۔։።"  # which need no space behind them and end nothing but sentences
_SENTENCE_MARK = re.compile(rf"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+(?=\s)|[{SPACELESS_MARKS}]++[」』”’）]*+")
_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|jr|sr|vs|etc|fig|figs|eq|eqs|no|nos|vol|pp|ed|eds|al|approx|cf|ca|dept|gen|col|rev|"
    r"inc|ltd|co|corp|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec)|\b[A-Za-z](?:\.[A-Za-z])*)\.$",
    re.IGNORECASE,
)
_TITLE_WORD = re.compile(r"\w+")
_TITLE_END = re.compile(r"[\s.,:;!?|–—-]*")
_LINE_CLOSERS = tuple(f".!?:;{{}}…{SPACELESS_MARKS}")
SOFT_WRAP_CHARACTERS = 40

Span = tuple[int, int]


def count_words(text: str) -> int:
    """Number of words, script-aware (see the module's docstring)."""
    words = text.split()
    if _UNSPACED_SCRIPT.search(text) is None and max(map(len, words), default=0) <= MAX_WORD_CHARACTERS:
        return len(words)
    return len(_WORD.findall(text))


def is_unspaced(text: str) -> bool:
    """Whether most of the text is in scripts without spaces between words."""
    return 2 * len(_UNSPACED_SCRIPT.findall(text)) > len(text)


def split_passages(text: str, max_words: int = PASSAGE_WORDS) -> list[str]:
    """Cut a text into passages of at most `max_words` words.

    Cuts fall between paragraphs where possible, else between lines, then sentences, and between words as a last resort;
    passages of one document are about equally long. Nothing but white space is lost, so the passages joined and
    stripped of white space equal the text stripped of white space. An empty text has no passages.
    """
    if max_words < 1:
        raise ValueError(f"max_words must be at least 1, got {max_words}")
    units = list(_units(text, (0, len(text)), max_words, level=0))
    if not units:
        return []
    fullest = _pack(units, max_words, max_words)
    # As many passages as are needed, but of about one length rather than full ones and a crumb.
    even = sum(words for _, words in units) / len(fullest)
    return [text[start:end].strip() for start, end in _pack(units, max_words, even)]


def _pack(units: list[tuple[Span, int]], max_words: int, target: float) -> list[Span]:
    """Join neighbouring units into spans that end once they reach `target` words, or before they exceed `max_words`."""
    spans: list[Span] = []
    start, end = units[0][0]
    filled = 0
    for (unit_start, unit_end), words in units:
        if filled and (filled + words > max_words or filled >= target):
            spans.append((start, end))
            start, filled = unit_start, 0
        end = unit_end
        filled += words
    return [*spans, (start, end)]


def _units(text: str, span: Span, max_words: int, level: int) -> Iterator[tuple[Span, int]]:
    """Cut a span as coarsely as leaves every unit within `max_words`; yields (span, words)."""
    words = count_words(text[span[0] : span[1]])
    if words == 0:
        return
    if words <= max_words:
        yield span, words
        return
    cutters = (_paragraph_spans, _line_spans, _sentence_spans)
    if level == len(cutters):
        yield from _word_spans(text, span, max_words)
        return
    for part in cutters[level](text, span):
        yield from _units(text, part, max_words, level + 1)


def _word_spans(text: str, span: Span, max_words: int) -> Iterator[tuple[Span, int]]:
    start, filled = span[0], 0
    for match in _WORD.finditer(text, span[0], span[1]):
        if filled == max_words:
            yield (start, match.start()), filled
            start, filled = match.start(), 0
        filled += 1
    yield (start, span[1]), filled


def _cut_at(text: str, span: Span, ends: re.Pattern[str]) -> Iterator[Span]:
    start = span[0]
    for match in ends.finditer(text, span[0], span[1]):
        yield start, match.start()
        start = match.end()
    yield start, span[1]


def _paragraph_spans(text: str, span: Span) -> Iterable[Span]:
    return _cut_at(text, span, _PARAGRAPH_END)


def _line_spans(text: str, span: Span) -> Iterable[Span]:
    return _cut_at(text, span, _LINE_END)


def _sentence_spans(text: str, span: Span) -> Iterator[Span]:
    start = span[0]
    for match in _SENTENCE_MARK.finditer(text, span[0], span[1]):
        if _ends_sentence(text, match, start, span[1]):
            yield start, match.end()
            start = match.end()
    yield start, span[1]


def _ends_sentence(text: str, mark: re.Match[str], start: int, end: int) -> bool:
    if mark.group()[0] in SPACELESS_MARKS:
        return True
    before = text[mark.start() - 1] if mark.start() > start else " "
    # A full stop with a space before it is a token of pre-tokenised text (Cranfield, Penn Treebank): always an end.
    if before.isspace():
        return True
    if mark.group() == "." and _ABBREVIATION.search(text, max(start, mark.start() - 12), mark.start() + 1):
        return False
    following = text[mark.end() : min(end, mark.end() + 40)].lstrip()
    return not following[:1].islower()


def sentence_spans(text: str) -> Iterator[Span]:
    """Where the sentences of a text lie, in order, with white space around them; a blank line always ends one."""
    for paragraph in _paragraph_spans(text, (0, len(text))):
        yield from _sentence_spans(text, paragraph)


def split_sentences(text: str) -> list[str]:
    """Cut a text into sentences, stripped, none empty.

    A blank line always ends a sentence, and so does a line end that is not a soft wrap (a line of at least 40
    characters that does not end in punctuation, followed by a line that is not indented): the lines of code, lists and
    verse are sentences of their own.
    """
    sentences = []
    for block in _PARAGRAPH_END.split(text):
        for line in _unwrap(block.split("\n")):
            for start, end in _sentence_spans(line, (0, len(line))):
                sentence = line[start:end].strip()
                if sentence:
                    sentences.append(sentence)
    return sentences


def _unwrap(lines: list[str]) -> Iterator[str]:
    """Join soft-wrapped lines, keeping the line break inside so that every sentence is a slice of the text."""
    joined = lines[0]
    previous = lines[0]
    for line in lines[1:]:
        stripped = previous.rstrip()
        long = len(stripped) >= SOFT_WRAP_CHARACTERS and not stripped.endswith(_LINE_CLOSERS)
        if long and line[:1] and (line[0].isalnum() or line[0] in "\"'(“‘"):
            joined = f"{joined}\n{line}"
        else:
            yield joined
            joined = line
        previous = line
    yield joined


def cut_sentence(text: str, rng: random.Random, *, min_words: int = 6, max_words: int = 30) -> tuple[str, str] | None:
    """Draw a mid-length sentence of a text; return (sentence, the rest of the text), or None if the text is too short.

    Text without usable sentences (no punctuation, or one long line) gives a random window of its words instead: a
    quarter of the text, within the two limits. The rest always has at least `min_words` words.
    """
    total = count_words(text)
    if total < 2 * min_words:
        return None
    candidates = [
        sentence
        for sentence in split_sentences(text)
        if min_words <= (words := count_words(sentence)) <= max_words and total - words >= min_words
    ]
    if candidates:
        sentence = rng.choice(candidates)
        start = text.index(sentence)
        end = start + len(sentence)
    else:
        spans = [match.span() for match in _WORD.finditer(text)]
        width = min(max(total // 4, min_words), max_words, total - min_words)
        first = rng.randrange(total - width + 1)
        start, end = spans[first][0], spans[first + width - 1][1]
    before, after = text[:start].rstrip(), text[end:].lstrip()
    gaps = text[len(before) : start] + text[end : len(text) - len(after)]
    joint = "\n" if "\n" in gaps else " "
    return " ".join(text[start:end].split()), f"{before}{joint}{after}".strip()


def without_leading_title(text: str, title: str) -> str:
    """The text without its title in front, where it starts with it word for word (in any case and punctuation)."""
    words = [match.group().casefold() for match in _TITLE_WORD.finditer(title)]
    if not words:
        return text
    end = 0
    matches = _TITLE_WORD.finditer(text)
    for word in words:
        match = next(matches, None)
        if match is None or match.group().casefold() != word:
            return text
        end = match.end()
    rest = _TITLE_END.match(text, end)
    return text[rest.end() :] if rest else text[end:]
