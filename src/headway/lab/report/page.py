"""A self-contained HTML page: no script, no request to anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from itertools import groupby

from headway.lab.report.colours import Look
from headway.lab.report.style import STYLE

MANY_COLUMNS = 4
"""More of them do not fit the window of a phone."""
VERY_MANY_COLUMNS = 14
"""More of them do not fit any window."""


def page(title: str, created: datetime, sections: Sequence[str]) -> str:
    """The whole page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><main><header><h1>{title}</h1>"
        f"<p>{created:%d %B %Y, %H:%M} UTC</p></header>{''.join(sections)}"
        "</main></body></html>\n"
    )


def section(title: str, body: str) -> str:
    """A part of the page under a heading; `body` is HTML."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def facts(found: Mapping[str, str]) -> str:
    """A list of names and values."""
    items = (f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in found.items())
    return f"<dl>{''.join(items)}</dl>"


def folded(summary: str, body: str) -> str:
    """What only some readers open; `body` is HTML."""
    return f"<details><summary>{escape(summary)}</summary>{body}</details>"


def swatch(look: Look) -> str:
    """A short line that looks like that of a row."""
    dashes = f' stroke-dasharray="{look.dashes}"' if look.dashes else ""
    return (
        f'<svg class="swatch {look.css}" viewBox="0 0 24 4" aria-hidden="true">'
        f'<path d="M0 2h24"{dashes}/></svg>'
    )


def spot(look: Look, hollow: bool = False) -> str:
    """A dot, or a ring, in the colour of a row."""
    return (
        f'<svg class="swatch spot" viewBox="0 0 12 12" aria-hidden="true">'
        f'<circle class="{"ring" if hollow else "dot"} {look.css}" cx="6" cy="6" r="4.5"/></svg>'
    )


def legend(rows: Iterable[tuple[str, Look]]) -> str:
    """How each row looks, by its label."""
    labels = (f"<span>{swatch(look)}{escape(label)}</span>" for label, look in rows)
    return f'<p class="legend">{"".join(labels)}</p>'


def figure(label: str, look: Look, svg: str) -> str:
    """A chart under the label of its row."""
    return f"<figure><figcaption>{swatch(look)}{escape(label)}</figcaption>{svg}</figure>"


def panels(charts: Iterable[str]) -> str:
    """Figures side by side."""
    return f'<div class="panels">{"".join(charts)}</div>'


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    meanings: Mapping[str, str],
    swatches: Sequence[str] = (),
    best: int | None = None,
) -> str:
    """A table of text, and below it what its headings mean.

    Args:
        headings: of the columns, as in a terminal's table.
        rows: each is named by its first cell.
        meanings: of headings, by heading; those of columns that are not there are left out.
        swatches: HTML before each row's name; empty: none.
        best: the number of the row to highlight.
    """
    head = "".join(f"<th>{escape(on_page(name))}</th>" for name in headings)
    body = "".join(
        f"<tr{' class=best' if number == best else ''}>"
        f"<th>{swatches[number] if swatches else ''}{escape(row[0])}</th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for number, row in enumerate(rows)
    )
    always = " always" if len(headings) > VERY_MANY_COLUMNS else ""
    cue = f'<p class="cue{always}">The table goes on to the right: scroll it sideways.</p>'
    return (
        (cue if len(headings) > MANY_COLUMNS else "")
        + f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        + f"<tbody>{body}</tbody></table></div>{_terms(headings, meanings)}"
    )


def on_page(heading: str) -> str:
    """A heading of a terminal's table, less its line breaks."""
    return heading.replace("- ", "").replace(" /", "/")


def _terms(headings: Sequence[str], meanings: Mapping[str, str]) -> str:
    """The meaning of each heading; neighbours that mean the same share it."""
    there = [(meanings[name], on_page(name)) for name in headings if name in meanings]
    items = (
        f"<div><dt>{escape(', '.join(name for _, name in group))}</dt>"
        f"<dd>{escape(meaning)}</dd></div>"
        for meaning, group in groupby(there, key=lambda pair: pair[0])
    )
    return f'<dl class="terms">{"".join(items)}</dl>' if there else ""
