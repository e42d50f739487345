"""Pages: what a study claims, what its runs show, and where the numbers come from, in one file a study.

A page is complete and inert. It loads nothing (styles and figures are inside it), runs nothing (no script, and a
policy that forbids one), and carries no date: the same results give the same bytes. Every word that comes from a
study, a claim, a plan or a figure is escaped, because `_join` and `_element` escape whatever is not `Markup`; figures
are rebuilt from a list of drawing elements, with ids of their own.

Verdicts are words with a mark, so they are told apart without colour. One against expectation is loud; a printed
formula that is refuted as expected is not.

>>> print(_element("td", "a < b", _element("b", '"1"'), class_="n"))
<td class="n">a &lt; b<b>&quot;1&quot;</b></td>
"""

from __future__ import annotations

import contextlib
import dataclasses
import html
import importlib.metadata
import math
import os
import re
import shlex
import urllib.parse
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .._errors import Mistake
from .._results import Status
from .claims import Data, Judgement
from .figures import Figure


class Markup(str):
    """Text that is HTML already."""


# Control characters and lone surrogates are not HTML; marks that reverse the reading order could turn a verdict round.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def _clean(value: object) -> str:
    return _UNFIT.sub("\ufffd", str(value))


def _join(*parts: object) -> Markup:
    return Markup("".join(p if isinstance(p, Markup) else html.escape(_clean(p), quote=True) for p in parts))


def _element(tag: str, /, *children: object, **attributes: object) -> Markup:
    said = "".join(f' {name.rstrip("_").replace("_", "-")}="{_join(v)}"' for name, v in attributes.items())
    return Markup(f"<{tag}{said}>{_join(*children)}</{tag}>")


def _note(*children: object) -> Markup:
    return _element("div", *children, class_="note")


def _section(title: str, *children: object) -> Markup:
    return _element("section", _element("h2", title), *children)


def _table(label: str, head: Sequence[str], rows: Iterable[Sequence[object]], numeric: Sequence[int] = ()) -> Markup:
    """A table that scrolls on its own where the screen is narrow; the first cell of a row is its heading."""
    align = [{"class_": "n"} if i in numeric else {} for i in range(len(head))]
    top = _element("tr", *(_element("th", h, scope="col", **a) for h, a in zip(head, align)))
    body = [
        _element("tr", _element("th", first, scope="row"), *(_element("td", c, **a) for c, a in zip(rest, align[1:])))
        for first, *rest in rows
    ]
    table = _element("table", _element("thead", top), _element("tbody", *body))
    return _element("div", table, class_="scroll", role="region", aria_label=label, tabindex=0)


def _described(pairs: Iterable[tuple[str, object]]) -> Markup:
    return _element("dl", *(_join(_element("dt", term), _element("dd", what)) for term, what in pairs))


_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
"""


def _page(title: str, *children: object) -> str:
    body = _element("body", _element("main", *children))
    return f"{_HEAD}{_element('title', title)}\n<style>{_CSS}</style>\n</head>\n{body}\n</html>\n"


_DRAWING = frozenset(
    "svg g defs path use clipPath rect circle ellipse line polyline polygon text tspan image pattern linearGradient "
    "radialGradient stop".split()
)


def inline_svg(svg: str | bytes, prefix: str, label: str) -> Markup:
    """A drawing inside a page: drawing elements only, ids that clash with no other's, never wider than its column."""
    text = _clean(svg.decode() if isinstance(svg, bytes) else svg)
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
    return _element(tag, *(c for c in children if c and (spaces_count or isinstance(c, Markup))), **attributes, **ours)


def _figure(number: int, figure: Figure, svg: bytes, data: Data, judgements: Sequence[Judgement]) -> Markup:
    caption = figure.caption_for(data, judgements)
    drawing = inline_svg(svg, f"f{number}-", f"Figure {number}: {caption}")
    return _element("figure", drawing, _element("figcaption", _element("b", f"Figure {number}."), " ", caption))


_MARKS = {"supported": "\u2713", "refuted": "\u2717", "vacuous": "\u2205", "unresolved": "?"}


def _phrase(judgement: Judgement) -> str:
    if not judgement.as_expected:
        return f"{judgement.verdict}, expected {judgement.claim.expected}"
    return judgement.verdict if judgement.verdict == "supported" else f"{judgement.verdict}, as expected"


def _badge(judgement: Judgement, count: str = "") -> Markup:
    kind = ("good" if judgement.verdict == "supported" else "calm") if judgement.as_expected else "against"
    loud = "" if judgement.as_expected else "\u26a0 "
    said = f"{loud}{_MARKS[judgement.verdict]} {count}{_phrase(judgement)}"
    return _element("span", said, class_=f"verdict {kind}")


def _tally(judgements: Sequence[Judgement]) -> Markup:
    """The verdicts counted, those against expectation first."""
    counts = Counter(map(_phrase, judgements))
    one_of_each = {_phrase(j): j for j in sorted(judgements, key=lambda j: j.as_expected)}
    return _join(*(_join(_badge(j, f"{counts[phrase]} "), " ") for phrase, j in one_of_each.items()))


def _outcome(judgements: Sequence[Judgement]) -> str:
    against = sum(not j.as_expected for j in judgements)
    if not judgements:
        return "No claim is made. "
    if not against:
        return "All verdicts are as expected. "
    return f"{against} of {len(judgements)} verdicts {'is' if against == 1 else 'are'} against expectation. "


def number(value: float) -> str:
    """Three digits, or as many as tell it from 1, where a verdict turns.

    >>> [number(x) for x in (0.0, 3.2e-4, 0.5, 1.0000004, 12345.0, float("inf"), float("nan"))]
    ['0', '3.2e-4', '0.5', '1.0000004', '1.23e4', 'inf', '-']
    """
    if not math.isfinite(value):
        return "-" if math.isnan(value) else f"{value}"
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        digits = 3
        while value != 1 and float(f"{value:.{digits}g}") == 1:
            digits += 1
        return f"{value:.{digits}g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _runs(j: Judgement) -> Markup:
    by = ", ".join(f"{name}: {count:,}" for name, count in j.outside_by.items() if count)
    counts = {
        "ended badly": j.ended_badly,
        "undefined": j.undefined,
        f"outside ({by})" if by else "outside": j.outside,
        "absent": j.absent,
    }
    notes = [f"{j.tested:,} tested", *(f"{count:,} {word}" for word, count in counts.items() if count)]
    return _join(f"{j.inside:,}", *map(_note, notes))


def _claim(j: Judgement) -> tuple[Markup, Markup, Markup, str, Markup]:
    claim = j.claim
    where = ", ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in j.where.items())
    said = _join(
        _element("code", claim.id),
        _note(claim.source),
        _element("p", claim.statement),
        _note(f"{claim.kind.name}; tolerance: {claim.because}"),
    )
    return said, _runs(j), _join(number(j.worst), _note("at ", where) if where else ""), j.measured, _badge(j)


def _statuses(data: Data, document: Mapping[str, Any]) -> dict[str, Counter[Status]]:
    """How the runs of each grid ended."""
    nodes = data.children if isinstance(data, xr.DataTree) else {document["grids"][0]["name"]: data}
    counted = {name: np.unique(node["status"].values, return_counts=True) for name, node in nodes.items()}
    return {name: Counter({Status(int(s)): int(n) for s, n in zip(*found)}) for name, found in counted.items()}


def _endings(statuses: Mapping[str, Counter[Status]]) -> Markup:
    seen = [s for s in sorted(Status, key=lambda s: (s < Status.CONVERGED, s)) if any(c[s] for c in statuses.values())]
    rows = [(name, f"{count.total():,}", *(f"{count[s]:,}" for s in seen)) for name, count in statuses.items()]
    table = _table("How the runs ended", ["Grid", "Runs", *(s.label for s in seen)], rows, range(1, len(seen) + 2))
    return _join(table, _described((s.label, s.advice) for s in seen if s != Status.CONVERGED))


def values(axis: Mapping[str, Any]) -> str:
    """An axis's values in a few words.

    >>> values({"labels": ["0.01", "0.1", "1", "2", "4"]}), values({"labels": ["gd", "wn"]})
    ('5 values from 0.01 to 4', 'gd, wn')
    """
    labels = [str(label) for label in axis["labels"]]
    if len(labels) <= 4:
        return ", ".join(labels)
    try:
        ordered = sorted(labels, key=float)
    except ValueError:
        return f"{len(labels)} values: {', '.join(labels[:3])}, ..., {labels[-1]}"
    return f"{len(labels)} values from {ordered[0]} to {ordered[-1]}"


def _provenance(document: Mapping[str, Any]) -> Markup:
    grids = document["grids"]
    settings, marks = document.get("settings", {}), document["fingerprint"]
    try:
        version = importlib.metadata.version("implicit-bias")
    except importlib.metadata.PackageNotFoundError:
        version = "of a source tree"
    axes = [
        (f"grid {g['name']}", _join(*(_element("div", f"{a}: {values(g['axes'][a])}") for a in g["order"])))
        for g in grids
    ]
    facts = [
        ("settings", ", ".join(f"{k}: {v}" for k, v in settings.items()) or "the study's own"),
        ("fingerprint", ", ".join(f"{k}: {v}" for k, v in marks.items() if v)),
        ("page by", f"implicit-bias {version}"),
    ]
    rows = [
        (
            " ".join([grids[b["grid"]]["name"], *(f"{k}={v}" for k, v in b["statics"].items())]),
            b["rewriting"],
            b["dynamics"],
            _element("code", str(b["program"])[:12]),
        )
        for b in document["batches"]
    ]
    return _join(_described([*axes, *facts]), _table("Programs", ["Grid", "Rewriting", "Law of motion", "Program"], rows))


def _reproduce(name: str, document: Mapping[str, Any]) -> Markup:
    settings = [f"{k}={v}" for k, v in document.get("settings", {}).items()]
    return _join(
        _element("pre", shlex.join(["implicit-bias", "run", name, *settings]), tabindex=0),
        _element("p", "Runs that are done are not computed again. This page shows the axes listed under Provenance; "
                 "give name=value for one that differs from the study's own."),
    )  # fmt: skip


def _statement(text: str) -> Markup:
    first = re.split(r"\n\s*\n", text.strip())[0]
    return _element("p", " ".join(first.split()), class_="statement")


def study_page(
    *,
    name: str,
    statement: str,
    data: Data,
    judgements: Sequence[Judgement],
    figures: Sequence[tuple[Figure, bytes]],
    document: Mapping[str, Any],
) -> str:
    """A study's page: `figures` with their drawings as SVG; `document` is the plan that its results were read by."""
    statuses = _statuses(data, document)
    asked = sum(count.total() for count in statuses.values())
    done = asked - sum(count[Status.ABSENT] for count in statuses.values())
    sections = {
        "Verdicts": judgements and _table(
            "Verdicts",
            ["Claim", "Runs inside the hypotheses", "Worst residual / tolerance", "Measured", "Verdict"],
            map(_claim, judgements),
            numeric=(1, 2),
        ),
        "Figures": figures and _join(*(_figure(n, *f, data, judgements) for n, f in enumerate(figures, 1))),
        "How the runs ended": _endings(statuses),
        "Provenance": _provenance(document),
        "How to reproduce": _reproduce(name, document),
    }  # fmt: skip
    said = f"{done:,} of {asked:,} runs computed. {_outcome(judgements)}"
    return _page(
        name,
        _element("h1", name),
        _statement(statement),
        _element("p", said, _tally(judgements), class_="summary"),
        *(_section(title, content) for title, content in sections.items() if content),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A study in the index. `href` is the path of its page from the index, as the file system spells it."""

    name: str
    statement: str
    href: str
    runs: int
    judgements: Sequence[Judgement]
    thumbnail: str | None = None

    def __post_init__(self):
        if not self.href or self.href.startswith("/"):
            raise Mistake("href", f"{self.href!r} is no relative path", "give the page's path from the index")

    @property
    def link(self) -> Markup:
        # quoting leaves no colon: whatever the path is, it names a file and no scheme
        return _element("a", self.name, href=urllib.parse.quote(_clean(self.href)))


def _card(entry: Entry, prefix: str) -> Markup:
    thumbnail = entry.thumbnail and inline_svg(entry.thumbnail, prefix, f"First figure of {entry.name}")
    tally = _tally(entry.judgements) if entry.judgements else "no claim is made"
    said = _element("p", f"{entry.runs:,} runs ", tally, class_="summary")
    told = _element("div", _element("h3", entry.link), _statement(entry.statement), said)
    return _element("article", _element("div", thumbnail or "", class_="thumbnail"), told)


def index_page(entries: Sequence[Entry]) -> str:
    """All studies by paper; verdicts against expectation first."""
    papers: dict[str, list[Markup]] = {}
    for place, entry in enumerate(entries, 1):
        paper = entry.name.partition("/")[0] if "/" in entry.name else "studies"
        papers.setdefault(paper, []).append(_card(entry, f"t{place}-"))
    judged = [(entry, j) for entry in entries for j in entry.judgements]
    against = [(e.link, _element("code", j.claim.id), j.measured, _badge(j)) for e, j in judged if not j.as_expected]
    loud = _table("Against expectation", ["Study", "Claim", "Measured", "Verdict"], against)
    judgements = [j for _, j in judged]
    said = f"Studies: {len(entries):,}. Runs: {sum(e.runs for e in entries):,}. Claims: {len(judged):,}. "
    return _page(
        "Implicit bias: results",
        _element("h1", "Implicit bias: results"),
        _element("p", said, _outcome(judgements), _tally(judgements), class_="summary"),
        _section("Against expectation", loud) if against else Markup(),
        *(_section(paper, *cards) for paper, cards in papers.items()),
    )


def write_page(path: Path | str, page: str | bytes) -> None:
    """Write a page (or a figure beside it) whole or not at all; its folder is made."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(page.encode() if isinstance(page, str) else page)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        remedy = "choose another folder with --out, or mend its permissions"
        raise Mistake("out", f"cannot write {path} ({error.strerror})", remedy) from None


_CSS = """
:root { --ink: #1b1f24; --quiet: #57606a; --line: #d5d9de;
  --serif: Charter, "Bitstream Charter", "Iowan Old Style", Palatino, Georgia, "Liberation Serif", serif;
  --sans: system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink); font: 1.0625rem/1.5 var(--serif); overflow-wrap: break-word; }
main { max-width: 64rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1.1rem; margin: 0; }
p { margin: .4rem 0; }
.statement, figcaption { max-width: 46rem; }
.summary, table, dl, pre { font-family: var(--sans); font-size: .9rem; line-height: 1.45; }
.note { color: var(--quiet); font-size: .8rem; }
code, pre { font-family: ui-monospace, Menlo, Consolas, "Liberation Mono", monospace; }
pre { padding: .75rem 1rem; border: 1px solid var(--line); background: #f6f8fa; overflow-x: auto; }
a { color: #0b4f8a; }
a:focus-visible, [tabindex]:focus-visible { outline: 3px solid #0b4f8a; outline-offset: 2px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .6rem .75rem; border-bottom: 1px solid var(--line); }
thead th { color: var(--quiet); font-size: .8rem; vertical-align: bottom; border-bottom: 2px solid var(--ink); }
tbody th { font-weight: normal; max-width: 26rem; }
tbody th code { font-weight: bold; }
th.n, td.n { text-align: right; }
[aria-label="Verdicts"] :is(th, td) { width: 15%; }
[aria-label="Verdicts"] :is(th, td):first-child { width: 40%; }
tr:has(.against) { background: #fdf0ef; }
.verdict { display: inline-block; padding: .1rem .5rem; margin: .1rem 0; border: 1px solid; border-radius: .25rem; }
.good { color: #1a5e36; } .calm { color: #44505c; }
.against { color: #fff; background: #9b1c1c; border-color: #9b1c1c; font-weight: bold; }
dl { display: grid; grid-template-columns: 8rem 1fr; gap: .4rem 1.25rem; margin: .75rem; }
dt { color: var(--quiet); } dt, dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
figure { margin: 1.5rem 0 2.5rem; }
figcaption { margin: .75rem auto 0; font-size: 1rem; }
svg { display: block; width: 100%; height: auto; margin: 0 auto; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
article { display: grid;
  grid-template-columns: 12rem 1fr; gap: 1.25rem; padding: 1rem 0; border-top: 1px solid var(--line); }
@media (max-width: 40rem) { body { font-size: 1rem; } main { padding-top: 1.25rem; } table { min-width: 40rem; }
  article, dl { grid-template-columns: minmax(0, 1fr); gap: .2rem; } dd { margin-bottom: .5rem; } }
@media print { @page { margin: 16mm 14mm; } html { font-size: 8.5pt; } main { padding: 0; max-width: none; }
  .scroll { overflow: visible; } tr, figure, article, pre { break-inside: avoid; } h2 { break-after: avoid; }
  .against { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
