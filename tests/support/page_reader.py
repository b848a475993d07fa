"""Reads a report the way a browser would, strictly: every tag closed, every attribute known."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "rect", "line", "circle", "path"}
# fmt: off
TAGS = VOID | {
    "html", "head", "title", "style", "body", "main", "section", "h1", "h2", "h3", "p", "div", "span", "strong", "b",
    "small", "ul", "ol", "li", "dl", "dt", "dd", "pre", "code", "details", "summary", "figure", "figcaption", "table",
    "thead", "tbody", "tr", "th", "td", "svg", "g", "text",
}
ATTRIBUTES = {
    "lang", "charset", "name", "content", "class", "scope", "dir", "role", "tabindex", "aria-label", "aria-hidden",
    "viewbox", "width", "height", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "d", "text-anchor",
}
# fmt: on


class Page(HTMLParser):
    """Collects headings and text; notes in `faults` what a report must not have."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.headings: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(source)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self.faults += [f"tag <{tag}>"] if tag not in TAGS else []
        self.faults += [f"attribute {name} of <{tag}>" for name, _ in attrs if name not in ATTRIBUTES]
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("h1", "h2", "h3"):
            self.headings.append((tag, ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes another tag")

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            self.faults += [f"style has {word}" for word in ("url(", "@import", "http") if word in data]
            return
        self.words.append(data)
        if self.headings and {"h1", "h2", "h3"} & set(self.open):
            tag, text = self.headings[-1]
            self.headings[-1] = (tag, text + data)

    @property
    def text(self) -> str:
        return "".join(self.words)
