"""Small pieces of HTML that the sections of the report are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from reknit.report.facts import Facts

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def text(value: Any, limit: int | None = None) -> str:
    """Any value as text that is safe between tags and in a quoted attribute, cut to `limit` characters."""
    shown = _UNPRINTABLE.sub("\ufffd", str(value))
    if limit is not None and len(shown) > limit:
        kept = shown[: limit - 1]
        # At a space, unless the last word is so long that much would be lost with it.
        end = max(kept.rfind(" "), 0)
        shown = kept[: end if end > limit // 2 else limit - 1].rstrip() + "…"
    return escape(shown, quote=True)


def whole_page(title: str, sections: Iterable[str]) -> str:
    """A page without any outside resource. title: plain text. sections: HTML, of which empty ones are left out."""
    page = files("reknit.report").joinpath("page.html").read_text(encoding="utf-8")
    return Template(page).substitute(title=text(f"{title} · reknit"), body="\n".join(part for part in sections if part))


def fact_list(pairs: Facts) -> str:
    """Names and values side by side; empty without any."""
    items = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in pairs)
    return f'<dl class="facts">{items}</dl>' if items else ""


def table(head: Sequence[str], rows: Sequence[str], kind: str = "") -> str:
    """A table in a box of its own that scrolls when the screen is narrow.

    head: HTML of each column's heading. rows: HTML of each row's cells, with the row's tag.
    """
    columns = "".join(f'<th scope="col">{heading}</th>' for heading in head)
    inner = f"<thead><tr>{columns}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="scroll" tabindex="0"><table class="{kind}">{inner}</table></div>'


def charts(figures: Sequence[tuple[str, str, str]]) -> str:
    """Pictures in as many columns as fit; each is (title, remark, SVG)."""
    shown = [
        f"<figure><figcaption>{text(title, 120)}<small>{text(remark, 200)}</small></figcaption>{picture}</figure>"
        for title, remark, picture in figures
    ]
    return f'<div class="charts">{"".join(shown)}</div>' if shown else ""
