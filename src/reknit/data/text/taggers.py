"""Which words of a text are of a kind: pure functions from a text to spans of its characters, and tokens of spans.

The spans of a text are (start, end) in characters, in order, and do not overlap. All of this is heuristic and needs no
library: it is made to point a corruption at words that matter more than others, not to annotate a corpus.
"""

from __future__ import annotations

import builtins
import io
import keyword
import re
import tokenize
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Literal

import numpy as np

from reknit.data.text.passages import Span, sentence_spans
from reknit.errors import ReknitError

TaggerName = Literal["none", "linguistic", "code"]
Tagger = Callable[[str], list[Span]]

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_LETTERS = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_SUFFIXES = (
    # Nouns.
    *("tion", "sion", "ment", "ness", "ity", "ance", "ence", "ancy", "ency", "ship", "hood", "dom", "ism", "ist"),
    *("ure", "age", "er", "or", "eer", "ics", "logy", "graphy", "metry", "phy", "ery", "ory", "acy", "man", "men"),
    # Verbs, and the nouns made of them.
    *("ing", "ed", "ize", "ise", "ify", "ate"),
)
_SHORTEST_WITH_SUFFIX = 5
_SHORTEST_WITH_S = 4
_NO_PLURALS = ("ss", "us", "is")
# Words that hold a sentence together and say little themselves, those with one of the suffixes above among them.
_FUNCTION_WORDS = frozenset(
    "a an the this that these those each every either neither some any no none all both half such what which whose "  # noqa: SIM905
    "whatever whichever another other others much many more most few fewer fewest little less least several enough "
    "i me my mine myself you your yours yourself yourselves he him his himself she her hers herself it its itself we "
    "us our ours ourselves they them their theirs themselves who whom whoever whomever one ones oneself someone "
    "somebody something anyone anybody anything everyone everybody everything nobody nothing thing things "
    "and or nor but yet so for if unless until till while whilst whereas although though because since as than whether "
    "when whenever where wherever why how however once lest provided considering "
    "about above across after against along alongside amid among amongst around at before behind below beneath beside "
    "besides between beyond by concerning despite down during except excluding following from in including inside "
    "into like near notwithstanding of off on onto opposite out outside over past per regarding respecting round "
    "through throughout to toward towards under underneath unlike up upon versus via with within without according "
    "owing barring pending given "
    "be am is are was were been being do does did done doing have has had having can could may might must shall should "
    "will would ought used need needs dare "
    "not never ever always often sometimes seldom rarely perhaps maybe indeed rather quite very too also just only "
    "even still already again then thus hence therefore moreover furthermore nevertheless nonetheless otherwise "
    "instead meanwhile afterwards afterward forwards backwards upwards downwards later sooner former latter further "
    "farther together altogether here there now today tomorrow yesterday yes else across less better worse upper lower "
    "inner outer utter sheer proper clever bitter tender former major minor junior senior inferior superior prior "
    "previous various hundred hundreds sacred naked wicked early daily thanks".split()
)

# Strings and comments come first, so that no name is found in them; a string that is never closed ends with its line.
_CODE_PIECE = re.compile(
    r"""
      \#[^\n]*
    | [rRbBfFuU]{0,2}(?:'''.*?(?:'''|\Z)|\"\"\".*?(?:\"\"\"|\Z))
    | [rRbBfFuU]{0,2}(?:'(?:[^'\\\n]|\\.)*(?:'|(?=\n)|\Z)|"(?:[^"\\\n]|\\.)*(?:"|(?=\n)|\Z))
    | \d[\w.]*
    | (?P<name>[^\W\d]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)
_TRIPLE_QUOTES = re.compile(r"(?:\b[rRbBfFuU]{1,2})?(?:'''|\"\"\")")
_CODE_MARKS = re.compile(r"[=()\[\]{}]|:\n")
_NO_IDENTIFIERS = frozenset((*keyword.kwlist, *dir(builtins)))


def linguistic_spans(text: str) -> list[Span]:
    """What looks like a named entity, a noun or a verb of English text.

    A run of capitalised words with only white space between them is one span, but a sentence's first word is never
    part of one, because there every word is capitalised. Words of letters and digits (B12, 3rd) are spans, and so are
    words that end as English nouns and verbs often do (-tion, -ness, -er, -ing, -ed, a plural's or third person's -s).
    Function words, a closed class, are none. Nouns and verbs without such an end (road, go) are missed; adjectives
    that have one (private) are taken. In other languages with capitals the names are found, and German nouns.
    """
    spans: list[Span] = []
    for start, end in sentence_spans(text):
        after_name = -1
        for number, match in enumerate(_WORD.finditer(text, start, end)):
            word = match.group()
            lower = word.lower().replace("’", "'")
            if _is_function_word(lower):
                continue
            is_name = number > 0 and word[0].isupper()
            if is_name and after_name >= 0 and text[after_name : match.start()].isspace():
                spans[-1] = (spans[-1][0], match.end())
            elif is_name or _is_noun_or_verb(lower):
                spans.append(match.span())
            after_name = match.end() if is_name else -1
    return spans


def code_spans(text: str) -> list[Span]:
    """The identifiers of Python source: names that are neither keywords nor builtins, outside strings and comments.

    Passages are cut anywhere, so a text may begin or end within a docstring, which is left out, and its indentation
    is often broken. What `tokenize` cannot read to the end, a regular expression reads instead.
    """
    start, end = _outside_cut_strings(text)
    code = text[start:end]
    names = _names_by_tokenizer(code)
    if names is None:
        names = [match.span() for match in _CODE_PIECE.finditer(code) if match.group("name")]
    return [(start + first, start + last) for first, last in names if code[first:last] not in _NO_IDENTIFIERS]


TAGGERS: dict[TaggerName, Tagger] = {"linguistic": linguistic_spans, "code": code_spans}


def tagger_named(name: TaggerName) -> Tagger | None:
    """The function of that name; None for "none". Raises ReknitError for an unknown one."""
    if name != "none" and name not in TAGGERS:
        raise ReknitError(f"there is no tagger {name!r}; choose one of none, {', '.join(TAGGERS)}")
    return TAGGERS.get(name)


def span_numbers(offsets: Sequence[tuple[int, int]], spans: Sequence[Span]) -> np.ndarray:
    """[L] int64, the number of the span that each token has a character in (the first of several), -1 for none.

    offsets: [L] (start, end) of each token in its text's characters; a token of no characters is in no span.
    """
    begins, ends = np.asarray(offsets, dtype=np.int64).reshape(-1, 2).T
    starts, stops = np.asarray(spans, dtype=np.int64).reshape(-1, 2).T
    number = np.searchsorted(stops, begins, side="right")
    # One more span that no token reaches stands for "behind the last".
    inside = np.append(starts, np.iinfo(np.int64).max)[number] < ends
    return np.where(inside & (begins < ends), number, -1)


def _is_function_word(word: str) -> bool:
    """Of a word in lower case: contractions (it's, they've, don't) are function words too."""
    return word.partition("'")[0] in _FUNCTION_WORDS or word.endswith("n't")


def _is_noun_or_verb(word: str) -> bool:
    """Of a word in lower case that is no function word."""
    if not _LETTERS.fullmatch(word):
        # The possessive of a noun (dog's) is one too.
        mixed = any(map(str.isdigit, word)) and any(map(str.isalpha, word))
        return mixed or word.endswith("'s")
    if len(word) >= _SHORTEST_WITH_SUFFIX and word.endswith(_SUFFIXES):
        return True
    return len(word) >= _SHORTEST_WITH_S and word.endswith("s") and not word.endswith(_NO_PLURALS)


def _names_by_tokenizer(code: str) -> list[Span] | None:
    """All names of the source, keywords among them; None where it is not whole Python."""
    lines = list(accumulate((len(line) for line in io.StringIO(code)), initial=0))
    names = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.ERRORTOKEN and not token.string.isspace():
                return None
            if token.type == tokenize.NAME:
                (row, first), (_, last) = token.start, token.end
                names.append((lines[row - 1] + first, lines[row - 1] + last))
    except (tokenize.TokenError, SyntaxError, ValueError):
        return None
    return names


def _outside_cut_strings(text: str) -> Span:
    """The part of the text outside of docstrings that it begins or ends in.

    Triple quotes open and close in turns, so there are two readings: the text begins in code or in a string. It is
    the one whose code has more of code's marks (brackets, equals signs, colons at a line's end) for its length.
    """
    quotes = list(_TRIPLE_QUOTES.finditer(text))
    if not quotes:
        return 0, len(text)
    ends = [0, *(place for quote in quotes for place in quote.span()), len(text)]
    parts = [(ends[place], ends[place + 1]) for place in range(0, len(ends), 2)]
    even, odd = (_density(text, parts[first::2]) for first in (0, 1))
    start = quotes[0].end() if odd > even else 0
    closed = len(parts) % 2 == (0 if odd > even else 1)
    return start, len(text) if closed else max(start, quotes[-1].start())


def _density(text: str, parts: list[Span]) -> float:
    """Marks of code for each character of the parts."""
    marks = sum(len(_CODE_MARKS.findall(text, start, end)) for start, end in parts)
    return marks / max(1, sum(end - start for start, end in parts))
