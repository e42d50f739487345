"""Inert pages: markup that is escaped by construction, drawings rebuilt from a list of allowed parts, files written whole.

`element` and `join` escape whatever is not `Markup` already, so a word of a study cannot become an element. A page
loads nothing (styles and drawings are inside it) and runs nothing (no script, and a policy that forbids one).

>>> print(element("td", "a < b", element("b", '"1"'), class_="n"))
<td class="n">a &lt; b<b>&quot;1&quot;</b></td>
"""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence

from .._files import FilePath, make_folder, place, put


class Markup(str):
    """Text that is HTML already."""


# Control characters and lone surrogates are not HTML; marks that reverse the reading order could turn a verdict round.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def clean(value: object) -> str:
    return _UNFIT.sub("\ufffd", str(value))


def join(*parts: object) -> Markup:
    return Markup("".join(p if isinstance(p, Markup) else html.escape(clean(p), quote=True) for p in parts))


def element(tag: str, /, *children: object, **attributes: object) -> Markup:
    said = "".join(f' {name.rstrip("_").replace("_", "-")}="{join(v)}"' for name, v in attributes.items())
    return Markup(f"<{tag}{said}>{join(*children)}</{tag}>")


def note(*children: object) -> Markup:
    return element("div", *children, class_="note")


def section(title: str, *children: object) -> Markup:
    return element("section", element("h2", title), *children)


def table(label: str, head: Sequence[str], rows: Iterable[Sequence[object]], numeric: Sequence[int] = ()) -> Markup:
    """A table that scrolls on its own where the screen is narrow; the first cell of a row is its heading."""
    align = [{"class_": "n"} if i in numeric else {} for i in range(len(head))]
    top = element("tr", *(element("th", h, scope="col", **a) for h, a in zip(head, align)))
    body = [
        element("tr", element("th", first, scope="row"), *(element("td", c, **a) for c, a in zip(rest, align[1:])))
        for first, *rest in rows
    ]
    table = element("table", element("thead", top), element("tbody", *body))
    return element("div", table, class_="scroll", role="region", aria_label=label, tabindex=0)


def described(pairs: Iterable[tuple[str, object]]) -> Markup:
    return element("dl", *(join(element("dt", term), element("dd", what)) for term, what in pairs))


_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
"""


def page(title: str, *children: object) -> str:
    body = element("body", element("main", *children))
    return f"{_HEAD}{element('title', title)}\n<style>{_CSS}</style>\n</head>\n{body}\n</html>\n"


_DRAWING = frozenset(
    "svg g defs path use clipPath rect circle ellipse line polyline polygon text tspan image pattern linearGradient "
    "radialGradient stop".split()
)


def inline_svg(svg: str | bytes, prefix: str, label: str) -> Markup:
    """A drawing inside a page: drawing elements only, ids that clash with no other's, never wider than its column."""
    text = clean(svg.decode() if isinstance(svg, bytes) else svg)
    root = ElementTree.fromstring(text[text.index("<svg") :])  # what stands before is the prolog: no entity is defined
    box = re.fullmatch(r"[-\d.]+ [-\d.]+ (\d+\.?\d*) [-\d.]+", root.get("viewBox", ""))
    root.attrib = {"viewBox": box[0]} if box else {}
    width = {"style": f"max-width: {1.2 * float(box[1]):.0f}pt"} if box else {}
    return _drawing(root, prefix, role="img", aria_label=label, **width)


def _drawing(node: ElementTree.Element, prefix: str, **ours: str) -> Markup:
    tag = node.tag.rpartition("}")[2]
    tag = "g" if tag == "a" else tag
    if tag not in _DRAWING:
        return Markup()
    attributes = {}
    for name, value in node.attrib.items():
        name = "href" if name == "{http://www.w3.org/1999/xlink}href" else name
        if name == "href":
            value = f"#{prefix}{value[1:]}" if value.startswith("#") else value
            fit = value.startswith(("#", "data:image/png;base64,"))
        else:
            value = prefix + value if name == "id" else re.sub(r"(url\([\"']?#)", rf"\1{prefix}", value)
            fit = not re.match(r"on|class$|\{", name, re.IGNORECASE)
        if fit and not re.search(r"\\|url\((?![\"']?#)", value, re.IGNORECASE):
            attributes[name] = value
    children = [node.text, *(part for child in node for part in (_drawing(child, prefix), child.tail))]
    spaces_count = tag in ("text", "tspan")
    return element(tag, *(c for c in children if c and (spaces_count or isinstance(c, Markup))), **attributes, **ours)


def write_page(path: FilePath | str, page: str | bytes) -> None:
    """Write a page (or a figure beside it) whole or not at all; its folder is made."""
    path = place(path)
    make_folder(path.parent)
    put(path, page.encode() if isinstance(page, str) else page)


_CSS = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --quiet: #57606a; --line: #d5d9de; --link: #0b4f8a;
  --code: #f6f8fa; --good: #1a5e36; --calm: #44505c; --loud: #9b1c1c; --row: #fdf0ef;
  --serif: Charter, "Bitstream Charter", "Iowan Old Style", Palatino, Georgia, "Liberation Serif", serif;
  --sans: system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e6e8eb; --quiet: #a3adb7; --line: #3a4047;
  --link: #82bdf5; --code: #1e2226; --good: #84d6a6; --calm: #b9c3cc; --row: #361f1e; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1.0625rem/1.5 var(--serif); overflow-wrap: break-word; }
main { max-width: 64rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1.1rem; margin: 0; }
p { margin: .4rem 0; }
.statement, figcaption { max-width: 46rem; }
.summary, table, dl, pre { font-family: var(--sans); font-size: .9rem; line-height: 1.45; }
.note { color: var(--quiet); font-size: .8rem; }
code, pre { font-family: ui-monospace, Menlo, Consolas, "Liberation Mono", monospace; }
pre { padding: .75rem 1rem; border: 1px solid var(--line); background: var(--code); overflow-x: auto; }
a { color: var(--link); }
a:focus-visible, [tabindex]:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .6rem .75rem; border-bottom: 1px solid var(--line); }
thead th { color: var(--quiet); font-size: .8rem; vertical-align: bottom; border-bottom: 2px solid var(--ink); }
tbody th { font-weight: normal; max-width: 26rem; }
tbody th > a code { font-weight: bold; }
th.n, td.n { text-align: right; }
[aria-label="Verdicts"] :is(th, td) { width: 16%; }
[aria-label="Verdicts"] :is(th, td):first-child { width: 44%; }
[aria-label="Verdicts"] tbody th a { color: inherit; text-decoration: none; }
[aria-label="Verdicts"] tbody th a:is(:hover, :focus-visible) { text-decoration: underline; }
tr:has(:target) { outline: 2px solid var(--link); outline-offset: -2px; }
tr:has(.against) { background: var(--row); }
.verdict { display: inline-block; padding: .1rem .5rem; margin: .1rem 0; border: 1px solid; border-radius: .25rem; }
.good { color: var(--good); } .calm { color: var(--calm); }
.against { color: #fff; background: var(--loud); border-color: var(--loud); font-weight: bold; }
dl { display: grid; grid-template-columns: 8rem 1fr; gap: .4rem 1.25rem; margin: .75rem; }
dt { color: var(--quiet); } dt, dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
figure { margin: 1.5rem 0 2.5rem; }
figcaption { margin: .75rem auto 0; font-size: 1rem; }
svg { display: block; width: 100%; height: auto; margin: 0 auto; background: #fff; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
article { padding: 1rem 0; border-top: 1px solid var(--line); }
article dl { grid-template-columns: 5rem 1fr; margin: .4rem 0 0; }
@media (max-width: 40rem) { body { font-size: 1rem; } main { padding-top: 1.25rem; } table { min-width: 40rem; }
  tbody th { max-width: 84vw; } dl, article dl { grid-template-columns: minmax(0, 1fr); gap: .2rem; } dd { margin-bottom: .5rem; } }
@media print { @page { margin: 16mm 14mm; } html { font-size: 8.5pt; } main { padding: 0; max-width: none; }
  :root { color-scheme: light; --paper: #fff; --ink: #1b1f24; --quiet: #57606a; --line: #d5d9de; --link: #0b4f8a;
    --code: #f6f8fa; --good: #1a5e36; --calm: #44505c; --row: #fdf0ef; }
  .scroll { overflow: visible; } tr, figure, article, pre { break-inside: avoid; } h2 { break-after: avoid; }
  .against { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
