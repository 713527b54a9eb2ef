"""The style sheet of pages, light and dark, wide and narrow."""

from __future__ import annotations

from headway.lab.report.colours import COLOURS

NARROW_PX = 640
"""A window that is no wider gets the narrow charts and one column."""

STYLE = (
    """
:root{--bg:#f6f7f9;--card:#fff;--ink:#1c2330;--soft:#5c6675;--line:#e3e7ec;--best:#eef6f1;
--error:#c22f52;--shade:rgba(20,30,50,.28)}
"""
    + "".join(f".c-{name}{{--c:{light}}}" for name, (light, _) in COLOURS.items())
    + """
@media(prefers-color-scheme:dark){
:root{--bg:#12161d;--card:#1a2029;--ink:#e7ebf1;--soft:#98a3b3;--line:#2c3542;--best:#1b2f28;
--error:#f0788f;--shade:rgba(190,205,230,.4)}
"""
    + "".join(f".c-{name}{{--c:{dark}}}" for name, (_, dark) in COLOURS.items())
    + """}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);
font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1140px;margin:0 auto;padding:32px 20px 64px}
header{display:flex;flex-wrap:wrap;align-items:baseline;justify-content:space-between;
gap:0 20px;margin-bottom:20px}
header p{color:var(--soft);margin:0}
h1{font-size:26px;margin:0;letter-spacing:-.01em}h2{font-size:17px;margin:0 0 6px}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:20px 24px;margin-bottom:18px}
p{margin:0 0 12px;color:var(--soft);overflow-wrap:anywhere}
.headline{color:var(--ink);font-size:17px;font-weight:600}
.note{font-size:13px;margin:12px 0 0}.error{color:var(--error);margin:10px 0 0}
code{white-space:nowrap}
pre{overflow-x:auto;background:var(--bg);padding:12px 14px;border-radius:6px}
summary{cursor:pointer;font-weight:600}details[open] summary{margin-bottom:12px}
.wide{overflow-x:auto;background:
linear-gradient(to right,var(--card) 30%,transparent) 0/40px 100% no-repeat local,
linear-gradient(to left,var(--card) 30%,transparent) 100%/40px 100% no-repeat local,
linear-gradient(to right,var(--shade),transparent) 0/16px 100% no-repeat scroll,
linear-gradient(to left,var(--shade),transparent) 100%/16px 100% no-repeat scroll}
.wide thead th{white-space:normal;vertical-align:bottom}
.wide th:first-child{position:sticky;left:0;background:var(--card)}
.cue.always{display:block!important}.cue{display:none;font-size:13px;margin:0 0 4px}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums;
white-space:nowrap}
th,td{padding:7px 6px;text-align:right;border-bottom:1px solid var(--line)}
thead th{color:var(--soft);font-weight:500;font-size:12.5px}
tbody th{text-align:left;font-weight:600}thead th:first-child{text-align:left}
tr.best,.wide tr.best th:first-child{background:var(--best)}
tbody tr:last-child>*{border-bottom:0}
.swatch{display:inline-block;width:24px;height:4px;margin-right:8px;vertical-align:middle}
.swatch path{stroke:var(--c);stroke-width:3}.swatch.spot{width:12px;height:12px}
.legend span{display:inline-block;margin-right:20px;white-space:nowrap;color:var(--ink)}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(270px,1fr));gap:14px 20px}
figure{margin:0 0 10px}figcaption{font-weight:600}
svg{display:block;width:100%;height:auto;font:inherit}.slim{display:none}
.grid{stroke:var(--line)}.axis{stroke:var(--soft)}
.tick,.name{font-size:11.5px;fill:var(--soft)}.group{font-size:12.5px;fill:var(--ink)}
.line{fill:none;stroke:var(--c);stroke-width:2.2;stroke-linejoin:round}.faint{stroke-opacity:.35}
.dot{fill:var(--c);fill-opacity:.6}.dot:hover{fill-opacity:1}
.ring{fill:none;stroke:var(--c);stroke-width:1.8}
.range path{stroke:var(--c);stroke-width:1.8;fill:none}.range circle{fill:var(--c)}
.span{fill:var(--c);fill-opacity:.75}.span:hover{fill-opacity:1}
dl{display:grid;grid-template-columns:max-content 1fr;gap:5px 24px;margin:0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.terms{display:block;columns:2 340px;column-gap:32px;font-size:13px;margin:14px 0 0;
color:var(--soft)}
.terms div{break-inside:avoid;margin-bottom:4px}.terms dt,.terms dd{display:inline}
.terms dt{color:var(--ink);font-weight:600}.terms dt:after{content:": "}
"""
    + f"@media(max-width:{NARROW_PX}px){{"
    + """
main{padding:18px 10px 40px}section{padding:16px 14px}
.broad{display:none}.slim{display:block}.cue{display:block}
dl{grid-template-columns:1fr;gap:0}dl:not(.terms) dd{margin-bottom:8px}
tbody th:first-child{white-space:normal;min-width:96px}}
"""
)
