"""Pages: what a study claims, what its runs show, and where the numbers come from, in one file a study.

A page is complete and inert. It loads nothing (styles and figures are inside it), runs nothing (no script, and a
policy that forbids one), and carries no date: the same results give the same bytes. Every word that comes from a
study, a claim, a plan or a figure is escaped, because `_element` escapes whatever is not already `Markup`; figures
are rebuilt from a list of drawing elements, with ids of their own.

Verdicts are words with a mark, so they are told apart without colour. One against expectation is loud; a printed
formula that is refuted as expected is not.

>>> print(_element("td", "a < b", _element("b", '"1"'), class_="n"))
<td class="n">a &lt; b<b>&quot;1&quot;</b></td>
"""

from __future__ import annotations

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
from .figures import Figure, render

# -- markup ------------------------------------------------------------------------------------------------------------


class Markup(str):
    """Text that is HTML already."""


# Control characters and lone surrogates are not HTML; marks that reverse reading order could turn a verdict round.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def _clean(value: object) -> str:
    return _UNFIT.sub("\ufffd", str(value))


def _markup(value: object) -> Markup:
    return value if isinstance(value, Markup) else Markup(html.escape(_clean(value), quote=True))


def _element(tag: str, *children: object, **attributes: object) -> Markup:
    said = "".join(f' {name.rstrip("_").replace("_", "-")}="{_markup(v)}"' for name, v in attributes.items())
    return Markup(f"<{tag}{said}>{''.join(map(_markup, children))}</{tag}>")


def _small(*children: object) -> Markup:
    return _element("small", *children)


def _lines(values: Iterable[object]) -> Markup:
    return Markup("<br>".join(map(_markup, values)))


def _table(label: str, head: Sequence[str], rows: Iterable[Sequence[object]], numeric: Sequence[int] = ()) -> Markup:
    """A table that scrolls on its own where the screen is narrow; the first cell of a row is its heading."""
    align = [{"class_": "n"} if i in numeric else {} for i in range(len(head))]
    top = _element("tr", *(_element("th", h, scope="col", **a) for h, a in zip(head, align)))
    body = [
        _element("tr", _element("th", row[0], scope="row"), *(_element("td", c, **a) for c, a in zip(row[1:], align[1:])))
        for row in rows
    ]
    table = _element("table", _element("thead", top), _element("tbody", *body))
    return _element("div", table, class_="scroll", role="region", aria_label=label, tabindex=0)


def _section(title: str, *children: object) -> Markup:
    return _element("section", _element("h2", title), *children)


def _page(title: str, *children: object) -> str:
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    head = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
{_element("title", title)}
<style>{_CSS}</style>
</head>
"""
    return head + _element("body", _element("main", *children)) + "\n</html>\n"


# -- figures -----------------------------------------------------------------------------------------------------------

_DRAWING = frozenset(
    "svg g defs path use clipPath rect circle ellipse line polyline polygon text tspan image pattern linearGradient "
    "radialGradient stop".split()
)


def inline_svg(svg: str | bytes, prefix: str, label: str) -> Markup:
    """A drawing inside a page: drawing elements only, ids that clash with no other, as wide as its column at most."""
    text = _clean(svg.decode() if isinstance(svg, bytes) else svg)
    root = ElementTree.fromstring(text[text.index("<svg") :])  # what stands before is the prolog: no entity is defined
    box = re.fullmatch(r"[-\d.]+ [-\d.]+ ([\d.]+) [\d.]+", root.get("viewBox", ""))
    root.attrib = {"viewBox": root.get("viewBox", ""), "role": "img", "aria-label": label}
    root.attrib |= {"style": f"max-width: {1.2 * float(box[1]):.0f}pt"} if box else {}
    return _drawing(root, prefix)


def _drawing(node: ElementTree.Element, prefix: str) -> Markup:
    tag = node.tag.rpartition("}")[2]
    tag = "g" if tag == "a" else tag
    if tag not in _DRAWING:
        return Markup()
    attributes = {}
    for name, value in node.attrib.items():
        name = "href" if name == "{http://www.w3.org/1999/xlink}href" else name
        value = prefix + value if name == "id" else re.sub(r"(url\([\"']?|^)#", rf"\1#{prefix}", value)
        elsewhere = name == "href" and not value.startswith(("#", "data:image/png;base64,"))
        elsewhere = elsewhere or re.search(r"\\|url\((?![\"']?#)", value, re.IGNORECASE)
        # a colour such as #000000 begins as a reference does
        value = node.attrib[name] if name in ("fill", "stroke", "stop-color", "color") and value.startswith("#") else value
        if not (elsewhere or name.startswith("{") or name.lower().startswith("on") or name == "class"):
            attributes[name] = value
    texts = tag in ("text", "tspan")
    children = [node.text, *(part for child in node for part in (_drawing(child, prefix), child.tail))]
    return _element(tag, *(c for c in children if c and (texts or isinstance(c, Markup))), **attributes)


def _figures(figures: Sequence[Figure], data: Data, judgements: Sequence[Judgement]) -> Iterable[Markup]:
    for number, figure in enumerate(figures, 1):
        caption = figure.caption_for(data, judgements)
        drawing = inline_svg(render(figure, data), f"f{number}-", f"Figure {number}: {caption}")
        yield _element("figure", drawing, _element("figcaption", _element("b", f"Figure {number}."), " ", caption))


# -- verdicts ----------------------------------------------------------------------------------------------------------

_MARKS = {"supported": "\u2713", "refuted": "\u2717", "vacuous": "\u2205", "unresolved": "?"}


def _phrase(judgement: Judgement) -> str:
    """
    >>> from types import SimpleNamespace as Some
    >>> _phrase(Some(verdict="refuted", as_expected=False, claim=Some(expected="supported")))
    'refuted, expected supported'
    """
    if not judgement.as_expected:
        return f"{judgement.verdict}, expected {judgement.claim.expected}"
    return judgement.verdict if judgement.verdict == "supported" else f"{judgement.verdict}, as expected"


def _badge(judgement: Judgement, count: int | None = None) -> Markup:
    kind = ("good" if judgement.verdict == "supported" else "calm") if judgement.as_expected else "against"
    mark = _MARKS[judgement.verdict] if judgement.as_expected else f"\u26a0 {_MARKS[judgement.verdict]}"
    many = "" if count is None else f"{count} "
    return _element("span", f"{mark} {many}{_phrase(judgement)}", class_=f"verdict {kind}")


def _tally(judgements: Sequence[Judgement]) -> Markup:
    """The verdicts counted, those against expectation first."""
    counts = Counter(map(_phrase, judgements))
    one_of_each = {_phrase(j): j for j in sorted(judgements, key=lambda j: j.as_expected)}
    return Markup(" ".join(_badge(j, counts[phrase]) for phrase, j in one_of_each.items()))


def _outcome(judgements: Sequence[Judgement]) -> str:
    against = sum(not j.as_expected for j in judgements)
    if not judgements:
        return "No claim is made."
    if not against:
        return "All verdicts are as expected."
    return f"{against} of {len(judgements)} verdicts {'is' if against == 1 else 'are'} against expectation."


def number(value: float) -> str:
    """Three digits, or as many as tell it from 1, where a verdict turns.

    >>> [number(x) for x in (0.0, 3.2e-4, 0.5, 1.0000004, 12345.0, float("inf"), float("nan"))]
    ['0', '3.2e-4', '0.5', '1.0000004', '1.23e4', 'inf', '-']
    """
    if not math.isfinite(value):
        return "-" if math.isnan(value) else f"{value}"
    digits = 3
    while value != 1 and float(f"{value:.{digits}g}") == 1:
        digits += 1
    plain = value == 0 or 1e-3 <= abs(value) < 1e4
    text = f"{value:.{digits}g}" if plain else re.sub(r"\.?0*e", "e", f"{value:.2e}")
    return re.sub(r"e([-+])0*", lambda sign: "e" + sign[1].strip("+"), text)


def _runs(j: Judgement) -> Markup:
    by = ", ".join(f"{name}: {count:,}" for name, count in j.outside_by.items() if count)
    said = [f"{j.tested:,} tested"]
    counts = (j.ended_badly, "ended badly"), (j.undefined, "undefined"), (j.outside, "outside"), (j.absent, "absent")
    said += [f"{count:,} {word}" for count, word in counts if count]
    return Markup(f"{j.inside:,}<br>{_small(_lines(said + ([f'not met: {by}'] if by else [])))}")


def _where(j: Judgement) -> str:
    return ", ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in j.where.items())


def _claims(judgements: Sequence[Judgement]) -> Markup:
    rows = [
        (
            _markup(Markup(f"{_element('code', j.claim.id)} {_small(j.claim.source)}"))
            + _element("p", j.claim.statement)
            + _element("p", _small(_element("b", f"{j.claim.kind.name}; tolerance:"), " ", j.claim.because)),
            _runs(j),
            Markup(number(j.worst) + (f"<br>{_small('at ', _where(j))}" if j.where else "")),
            j.measured,
            _badge(j),
        )
        for j in judgements
    ]
    head = ["Claim", "Runs inside hypotheses", "Worst residual / tolerance", "Measured", "Verdict"]
    return _table("Verdicts", head, [(Markup(row[0]), *row[1:]) for row in rows], numeric=(1, 2))


# -- where the numbers come from ---------------------------------------------------------------------------------------


def _statuses(data: Data, document: Mapping[str, Any]) -> dict[str, Counter[Status]]:
    """How the runs of each grid ended."""
    nodes = data.children if isinstance(data, xr.DataTree) else {document["grids"][0]["name"]: data}
    counted = {name: np.unique(node["status"].values, return_counts=True) for name, node in nodes.items()}
    return {name: Counter({Status(int(s)): int(n) for s, n in zip(*found)}) for name, found in counted.items()}


def _endings(statuses: Mapping[str, Counter[Status]]) -> Markup:
    seen = [s for s in (Status.CONVERGED, *Status) if any(count[s] for count in statuses.values())]
    seen = list(dict.fromkeys(seen))
    rows = [(name, f"{count.total():,}", *(f"{count[s]:,}" for s in seen)) for name, count in statuses.items()]
    table = _table("How the runs ended", ["Grid", "Runs", *(s.label for s in seen)], rows, range(1, len(seen) + 2))
    advice = [_element("dt", s.label) + _element("dd", s.advice) for s in seen if s != Status.CONVERGED]
    return Markup(table + (_element("dl", *map(Markup, advice)) if advice else ""))


def values(axis: Mapping[str, Any]) -> str:
    """An axis's values in a few words.

    >>> values({"labels": ["0.01", "0.1", "1", "2", "3", "4"], "words": False})
    '6 values from 0.01 to 4'
    >>> values({"labels": ["gd", "wn"], "words": True})
    'gd, wn'
    """
    labels = [str(label) for label in axis["labels"]]
    if len(labels) <= 4:
        return ", ".join(labels)
    try:
        ordered = sorted(labels, key=float)
    except ValueError:
        return f"{len(labels)} values: {', '.join(labels[:3])}, ..., {labels[-1]}"
    return f"{len(labels)} values from {ordered[0]} to {ordered[-1]}"


def _pairs(title: str, pairs: Mapping[str, object]) -> Markup:
    return _element("dt", title) + _element("dd", _lines(f"{k}: {v}" for k, v in pairs.items()) if pairs else "none")


def _provenance(document: Mapping[str, Any]) -> Markup:
    grids = document["grids"]
    listed = [
        _pairs(f"grid {g['name']}", {a: values(g["axes"][a]) for a in g["order"]}) for g in grids
    ]
    try:
        version = importlib.metadata.version("implicit-bias")
    except importlib.metadata.PackageNotFoundError:
        version = "not installed"
    rows = [
        (
            " ".join([grids[b["grid"]]["name"], *(f"{k}={v}" for k, v in b["statics"].items())]),
            b["rewriting"],
            b["dynamics"],
            _element("code", str(b["program"])[:12]),
        )
        for b in document["batches"]
    ]
    facts = [
        *listed,
        _pairs("settings", document.get("settings", {})),
        _pairs("fingerprint", {k: v or "none" for k, v in document["fingerprint"].items()}),
        _pairs("page", {"implicit-bias": version}),
    ]
    programs = _table("Programs", ["Grid", "Coordinates", "Law of motion", "Program"], rows)
    return Markup(_element("dl", *map(Markup, facts)) + programs)


def _command(name: str, document: Mapping[str, Any]) -> Markup:
    settings = [f"{k}={v}" for k, v in document.get("settings", {}).items()]
    return _element("pre", _element("code", shlex.join(["implicit-bias", "run", name, *settings])), tabindex=0)


# -- pages -------------------------------------------------------------------------------------------------------------


def _paragraph(text: str) -> Markup:
    """The first paragraph."""
    return _element("p", " ".join(re.split(r"\n\s*\n", text.strip())[0].split()), class_="statement")


def study_page(
    *,
    name: str,
    statement: str,
    data: Data,
    judgements: Sequence[Judgement],
    figures: Sequence[Figure],
    document: Mapping[str, Any],
) -> str:
    """A study's page; `document` is the plan that the results were read by."""
    statuses = _statuses(data, document)
    asked = sum(count.total() for count in statuses.values())
    absent = sum(count[Status.ABSENT] for count in statuses.values())
    done = f"{asked - absent:,} of {asked:,} runs computed. {_outcome(judgements)}"
    return _page(
        name,
        _element("h1", name),
        _paragraph(statement),
        _element("p", done, Markup(" "), _tally(judgements), class_="summary"),
        _section("Verdicts", _claims(judgements)) if judgements else Markup(),
        _section("Figures", *_figures(figures, data, judgements)) if figures else Markup(),
        _section("How the runs ended", _endings(statuses)),
        _section("Provenance", _provenance(document)),
        _section(
            "How to reproduce",
            _command(name, document),
            _element("p", "Runs that are done are not computed again. The axes under Provenance are those of this page: "
                     "give name=value for one that differs from the study's own."),
        ),
    )  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A study in the index. `href` is the path of its page, relative to the index."""

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


def index_page(entries: Sequence[Entry]) -> str:
    """All studies by paper; verdicts against expectation first."""
    papers: dict[str, list[Markup]] = {}
    for number, entry in enumerate(entries, 1):
        paper = entry.name.partition("/")[0] if "/" in entry.name else "studies"
        papers.setdefault(paper, []).append(_card(entry, f"t{number}-"))
    against = [(e.link, _element("code", j.claim.id), _badge(j)) for e in entries for j in e.judgements if not j.as_expected]
    judgements = [j for e in entries for j in e.judgements]
    total = f"{len(entries):,} studies, {sum(e.runs for e in entries):,} runs, {len(judgements):,} claims."
    return _page(
        "Implicit bias: results",
        _element("h1", "Implicit bias: results"),
        _element("p", f"{total} {_outcome(judgements)} ", _tally(judgements), class_="summary"),
        _section("Against expectation", _table("Against expectation", ["Study", "Claim", "Verdict"], against))
        if against
        else Markup(),
        *(_section(paper, *cards) for paper, cards in papers.items()),
    )


def _card(entry: Entry, prefix: str) -> Markup:
    drawing = inline_svg(entry.thumbnail, prefix, f"first figure of {entry.name}") if entry.thumbnail else Markup()
    return _element(
        "article",
        _element("div", drawing, class_="thumbnail"),
        _element(
            "div",
            _element("h3", entry.link),
            _paragraph(entry.statement),
            _element("p", f"{entry.runs:,} runs ", _tally(entry.judgements) if entry.judgements else "no claim is made"),
        ),
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
        temporary.unlink(missing_ok=True)
        remedy = "choose another folder with --out, or mend its permissions"
        raise Mistake("out", f"cannot write {path} ({error.strerror})", remedy) from None


_CSS = """
:root { --ink: #1b1f24; --quiet: #57606a; --line: #d5d9de; --serif: Charter, "Bitstream Charter", "Iowan Old Style",
  "Palatino Linotype", Palatino, Georgia, "Liberation Serif", serif;
  --sans: system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink); font: 1.0625rem/1.5 var(--serif); overflow-wrap: anywhere; }
main { max-width: 64rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .75rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.1rem; margin: 0; }
p { margin: .4rem 0; }
.statement { max-width: 46rem; }
.summary, table, dl, pre { font-family: var(--sans); font-size: .9rem; }
small, figcaption { color: var(--quiet); }
small { font-size: .8rem; font-weight: normal; }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; font-size: .95em; }
pre { padding: .75rem 1rem; border: 1px solid var(--line); background: #f6f8fa; overflow-x: auto; }
a { color: #0b4f8a; }
a:focus-visible, [tabindex]:focus-visible { outline: 3px solid #0b4f8a; outline-offset: 2px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; overflow-wrap: break-word; }
th, td { text-align: left; vertical-align: top; padding: .5rem .75rem; border-bottom: 1px solid var(--line); }
th:first-child { padding-left: 0; }
thead th { color: var(--quiet); font-size: .8rem; vertical-align: bottom; border-bottom: 2px solid var(--ink); }
tbody th { font-weight: normal; min-width: 12rem; max-width: 26rem; }
th.n, td.n { text-align: right; }
tr:has(.against) { background: #fdf0ef; }
.verdict { display: inline-block; padding: .1rem .5rem; border: 1px solid; border-radius: .25rem; line-height: 1.35; }
.good { color: #1a5e36; } .calm { color: #44505c; }
.against { color: #fff; background: #9b1c1c; border-color: #9b1c1c; font-weight: bold; }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: .4rem 1.25rem; margin: .75rem 0; }
dt { color: var(--quiet); max-width: 16rem; } dd { margin: 0; font-variant-numeric: tabular-nums; }
figure { margin: 1.5rem 0 2.5rem; }
figcaption { max-width: 46rem; margin: .75rem auto 0; }
svg { display: block; width: 100%; height: auto; margin: 0 auto; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
article { display: grid; grid-template-columns: 11rem 1fr; gap: 1.25rem; padding: 1rem 0; border-bottom: 1px solid var(--line); }
@media (max-width: 40rem) { body { font-size: 1rem; } article, dl { grid-template-columns: 1fr; gap: .25rem; }
  dd { margin-bottom: .5rem; } .thumbnail { max-width: 14rem; } table { min-width: 40rem; } }
@media print { @page { margin: 18mm 15mm; } body { font-size: 10pt; } main { padding: 0; max-width: none; }
  .scroll { overflow: visible; } tr, figure, article, pre { break-inside: avoid; } h2 { break-after: avoid; }
  .against { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
