"""A self-contained HTML page: no script, no request to anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape

COLOURS = 8
"""Distinct ones in the style sheet; rows beyond use them again."""


def page(title: str, created: datetime, sections: Sequence[str]) -> str:
    """The whole page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
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


def swatch(slot: int, dashed: bool = False) -> str:
    """A short line in the colour of a row."""
    return f'<i class="swatch c{slot % COLOURS}{" dashed" if dashed else ""}"></i>'


def legend(rows: Iterable[tuple[str, bool]]) -> str:
    """The colour of each row; a row is a label, and whether its line is dashed."""
    labels = (
        f"<span>{swatch(slot, dashed)}{escape(label)}</span>"
        for slot, (label, dashed) in enumerate(rows)
    )
    return f'<p class="legend">{"".join(labels)}</p>'


def figure(slot: int, label: str, svg: str, dashed: bool = False) -> str:
    """A chart under the label of its row."""
    caption = f"{swatch(slot, dashed)}{escape(label)}"
    return f"<figure><figcaption>{caption}</figcaption>{svg}</figure>"


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    swatches: Sequence[str] = (),
    best: int | None = None,
) -> str:
    """A table of text. Headings are those of a terminal's table, less its line breaks.

    Args:
        headings: of the columns.
        rows: each is named by its first cell.
        swatches: HTML before each row's name; empty: none.
        best: the number of the row to highlight.
    """
    names = (name.replace("- ", "").replace(" /", "/") for name in headings)
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        f"<tr{' class=best' if number == best else ''}>"
        f"<th>{swatches[number] if swatches else ''}{escape(row[0])}</th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for number, row in enumerate(rows)
    )
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


STYLE = """
:root{--bg:#f6f7f9;--card:#fff;--ink:#1c2330;--soft:#5c6675;--line:#e3e7ec;--best:#eef6f1}
.c0{--c:#7a8494}.c1{--c:#2563c9}.c2{--c:#0d8a5f}.c3{--c:#d9731a}
.c4{--c:#8b46c1}.c5{--c:#c22f52}.c6{--c:#0c8fa8}.c7{--c:#8a7a10}
@media(prefers-color-scheme:dark){
:root{--bg:#12161d;--card:#1a2029;--ink:#e7ebf1;--soft:#98a3b3;--line:#2c3542;--best:#1b2f28}
.c0{--c:#9aa5b5}.c1{--c:#6ea3f7}.c2{--c:#3fc493}.c3{--c:#f2a05a}
.c4{--c:#bd8cec}.c5{--c:#f0788f}.c6{--c:#4cc4dc}.c7{--c:#cdbb4a}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);
font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1060px;margin:0 auto;padding:32px 20px 64px}
header{display:flex;align-items:baseline;justify-content:space-between;margin-bottom:20px}
header p{color:var(--soft);margin:0}
h1{font-size:26px;margin:0;letter-spacing:-.01em}h2{font-size:17px;margin:0 0 6px}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:20px 24px;margin-bottom:18px}
p{margin:0 0 12px;color:var(--soft)}.headline{color:var(--ink);font-size:17px}
.note{font-size:13px;margin:12px 0 0}.error{color:#c22f52;margin:10px 0 0}
.wide{overflow-x:auto}.wide thead th{white-space:normal;vertical-align:bottom}
.wide th:first-child{position:sticky;left:0;background:var(--card)}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums;white-space:nowrap}
th,td{padding:7px 6px;text-align:right;border-bottom:1px solid var(--line)}
thead th{color:var(--soft);font-weight:500;font-size:12.5px}
tbody th{text-align:left;font-weight:600}tr.best{background:var(--best)}
tbody tr:last-child>*{border-bottom:0}
.swatch{display:inline-block;width:18px;height:0;border-top:3px solid var(--c);
margin-right:8px;vertical-align:middle}.swatch.dashed{border-top-style:dashed}
.legend span{margin-right:20px;white-space:nowrap;color:var(--ink)}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(270px,1fr));gap:14px 20px}
figure{margin:0}figcaption{font-weight:600}
svg{display:block;width:100%;height:auto;font:inherit}
.grid{stroke:var(--line)}.axis{stroke:var(--soft)}
.tick,.name{font-size:11.5px;fill:var(--soft)}
.line{fill:none;stroke:var(--c);stroke-width:2.2;stroke-linejoin:round}
.dot{fill:var(--c);fill-opacity:.6}.dot:hover{fill-opacity:1}
.bar rect{fill:var(--c);fill-opacity:.85}.bar path{stroke:var(--c);stroke-width:1.6;fill:none}
.span{fill:var(--c);fill-opacity:.75}.span:hover{fill-opacity:1}
dl{display:grid;grid-template-columns:max-content 1fr;gap:5px 24px;margin:0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
"""
