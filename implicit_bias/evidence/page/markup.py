"""Inert pages: markup that is escaped by construction, drawings rebuilt from a list of allowed parts, files written whole.

`element` and `join` escape whatever is not `Markup` already, so a word of a study cannot become an element. A page
loads nothing (styles and drawings are inside it) and runs nothing but the one script that its policy names by digest,
where it is given one.

>>> print(element("td", "a < b", element("b", '"1"'), class_="n"))
<td class="n">a &lt; b<b>&quot;1&quot;</b></td>
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence

from ..._files import FilePath, make_folder, place, put
from .style import STYLE


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


def named(title: str) -> str:
    """The id of a part with this title.

    >>> named("How the runs ended"), named("mine")
    ('how-the-runs-ended', 'mine')
    """
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "part"


def section(title: str, *children: object) -> Markup:
    return element("section", element("h2", title), *children, id=named(title))


def command(text: str) -> Markup:
    """What a reader types: a click takes all of it."""
    return element("pre", text, class_="command", tabindex=0)


def details(summary: object, *children: object) -> Markup:
    return element("details", element("summary", summary), *children)


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


_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
"""


def page(title: str, *children: object, script: str = "") -> str:
    """A page; `script` is ours and whole: it is the only one that the page's policy lets run."""
    policy, runs = _POLICY, Markup()
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy, runs = f"{policy}; script-src 'sha256-{digest}'", Markup(f"<script>{script}</script>")
    body = element("body", element("main", *children), runs)
    return f"{_HEAD.format(policy=policy)}{element('title', title)}\n<style>{STYLE}</style>\n</head>\n{body}\n</html>\n"


_DRAWING = frozenset(
    "svg g defs path use clipPath rect circle ellipse line polyline polygon text tspan image pattern linearGradient "
    "radialGradient stop".split()
)


def inline_svg(svg: str | bytes, prefix: str, label: str) -> Markup:
    """A drawing inside a page, at its printed size: drawing elements only, ids that clash with no other's."""
    text = clean(svg.decode() if isinstance(svg, bytes) else svg)
    root = ElementTree.fromstring(text[text.index("<svg") :])  # what stands before is the prolog: no entity is defined
    box = re.fullmatch(r"[-\d.]+ [-\d.]+ (\d+\.?\d*) [-\d.]+", root.get("viewBox", ""))
    root.attrib = {"viewBox": box[0]} if box else {}
    width = {"style": f"--printed: {float(box[1]):.0f}pt"} if box else {}
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
