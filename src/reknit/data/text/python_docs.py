"""The quickstart corpus: the documentation that every Python installation carries.

Topics of the language reference and docstrings of the standard library and of installed packages. Packages are read as
source with `ast` and never imported. The summary line of a docstring is the title and the rest is the text, so the
corpus has natural queries; the text does not repeat the summary.
"""

from __future__ import annotations

import ast
import gc
import re
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import cleandoc
from itertools import islice
from pathlib import Path

from reknit.data.text.curation import normalise
from reknit.data.text.documents import Document
from reknit.data.text.passages import split_sentences

CORPUS_NAME = "python-docs"
MAX_DOCUMENTS = 12_000
MAX_PER_PACKAGE = 300
MIN_TEXT_WORDS = 20
MIN_TITLE_WORDS = 3
MAX_TITLE_WORDS = 25
MAX_SOURCE_BYTES = 400_000

_SKIPPED_FOLDERS = frozenset(
    {"idlelib", "idle_test", "lib2to3", "test", "tests", "testing", "__pycache__", "site-packages", "dist-packages"}
)
_SKIPPED_PACKAGES = frozenset({"reknit", "reknit_recipes", "pip", "setuptools", "_distutils_hack", "pkg_resources"})
_UNDERLINE = re.compile(r"^[*=~-]{3,}$")


def python_documentation() -> Iterator[Document]:
    """At most 12,000 documents of this Python installation, always in the same order.

    Each has a unique title of 3 to 25 words and a text of at least 20 words that does not repeat it. Tests, this
    package and installers are left out; of one package at most 300 documents are taken, for variety.
    """
    return islice(_unique(_everything()), MAX_DOCUMENTS)


def _everything() -> Iterator[Document]:
    yield from _topics()
    paths = sysconfig.get_paths()
    library, installed = Path(paths["stdlib"]), {Path(paths["purelib"]), Path(paths["platlib"])}
    yield from _docstrings_below(library)
    for root in sorted(installed):
        for entry in sorted(root.iterdir()) if root.is_dir() else ():
            if entry.name.split(".")[0] not in _SKIPPED_PACKAGES and (entry / "__init__.py").is_file():
                yield from islice(_docstrings_below(entry), MAX_PER_PACKAGE)


def _unique(documents: Iterator[Document]) -> Iterator[Document]:
    titles: set[str] = set()
    for document in documents:
        title = normalise(document.title)
        if title not in titles and title not in normalise(document.text):
            titles.add(title)
            yield document


def _topics() -> Iterator[Document]:
    """The language reference as `help()` shows it; its heading is the title."""
    try:
        from pydoc_data.topics import topics
    except ImportError:  # some distributions leave it out
        return
    for name in sorted(topics):
        heading, _, rest = topics[name].strip().partition("\n")
        underline, _, text = rest.partition("\n")
        title = heading.replace('"', "").replace("**", "").strip()
        if _UNDERLINE.match(underline.strip()) and _is_long_enough(text):
            yield Document(f"topic:{name}", title, text.strip())


def _docstrings_below(folder: Path) -> Iterator[Document]:
    prefix = folder.parent if (folder / "__init__.py").is_file() else folder
    for path in _sources(folder):
        dotted = ".".join(path.relative_to(prefix).with_suffix("").parts).removesuffix(".__init__")
        yield from _docstrings_of(path, dotted)


def _sources(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and entry.name not in _SKIPPED_FOLDERS and not entry.is_symlink():
            yield from _sources(entry)
        elif entry.suffix == ".py" and not _is_test(entry.stem) and entry.is_file():
            yield entry


def _is_test(module: str) -> bool:
    return module in _SKIPPED_FOLDERS or module.startswith("test_") or module.endswith("_test")


def _docstrings_of(path: Path, dotted: str) -> Iterator[Document]:
    try:
        source = path.read_bytes()
        # Parsing is what takes the time: leave out files that cannot hold a docstring, and generated giants.
        if len(source) > MAX_SOURCE_BYTES or not (b'"""' in source or b"'''" in source):
            return
        with warnings.catch_warnings(), _no_garbage_collection():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    yield from _docstrings_in(tree, dotted)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A tree of syntax is many objects without a cycle; looking for cycles after every few takes as long as parsing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _docstrings_in(node: ast.AST, dotted: str) -> Iterator[Document]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        docstring = ast.get_docstring(node, clean=False)
        document = _document(dotted, cleandoc(docstring)) if docstring else None
        if document is not None:
            yield document
        # Functions inside functions are rarely documented for a reader.
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for child in node.body:
                if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    yield from _docstrings_in(child, f"{dotted}.{child.name}")


def _document(dotted: str, docstring: str) -> Document | None:
    """The summary (the first paragraph, or its first sentence if that is long) as title, what follows as text."""
    paragraph, _, rest = docstring.strip().partition("\n\n")
    title = " ".join(paragraph.split())
    if len(title.split()) > MAX_TITLE_WORDS:
        sentences = split_sentences(title)
        title, rest = sentences[0], " ".join(sentences[1:]) + "\n\n" + rest
    if not MIN_TITLE_WORDS <= len(title.split()) <= MAX_TITLE_WORDS or not _is_long_enough(rest):
        return None
    text = rest.strip().encode("utf-8", "replace").decode("utf-8")
    return Document(dotted, title.encode("utf-8", "replace").decode("utf-8"), text)


def _is_long_enough(text: str) -> bool:
    return len(text.split()) >= MIN_TEXT_WORDS
