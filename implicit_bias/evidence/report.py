"""Pages: what a study claims, what its runs show, and where the numbers come from, in one file a study.

A page carries no date: the same results give the same bytes. What makes it complete and inert is in `page`.

Verdicts are words with a mark, so they are told apart without colour. One against expectation is loud; a printed
formula that is refuted as expected is not.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import math
import re
import urllib.parse
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from .._errors import Mistake
from .._lazy import lazy
from .._results import Status
from ..sweep.ask.document import LAPTOP
from .claims import Data, Judgement
from .figures import Figure
from .page import Markup, clean, described, element, inline_svg, join, note, page, section, table

xr = lazy("xarray")


def _figure(number: int, figure: Figure, svg: bytes, data: Data, judgements: Sequence[Judgement]) -> Markup:
    caption = figure.caption_for(data, judgements)
    drawing = inline_svg(svg, f"f{number}-", f"Figure {number}: {caption}")
    return element("figure", drawing, element("figcaption", element("b", f"Figure {number}."), " ", caption))


_MARKS = {"supported": "\u2713", "refuted": "\u2717", "vacuous": "\u2205", "unresolved": "?"}


def _phrase(judgement: Judgement) -> str:
    if not judgement.as_expected:
        return f"{judgement.verdict}, expected {judgement.claim.expected}"
    return judgement.verdict if judgement.verdict == "supported" else f"{judgement.verdict}, as expected"


def _badge(judgement: Judgement, count: str = "") -> Markup:
    kind = ("good" if judgement.verdict == "supported" else "calm") if judgement.as_expected else "against"
    loud = "" if judgement.as_expected else "\u26a0 "
    said = f"{loud}{_MARKS[judgement.verdict]} {count}{_phrase(judgement)}"
    return element("span", said, class_=f"verdict {kind}")


def _tally(judgements: Sequence[Judgement]) -> Markup:
    """The verdicts counted, those against expectation first."""
    counts = Counter(map(_phrase, judgements))
    one_of_each = {_phrase(j): j for j in sorted(judgements, key=lambda j: j.as_expected)}
    return join(*(join(_badge(j, f"{counts[phrase]} "), " ") for phrase, j in one_of_each.items()))


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
    return join(f"{j.inside:,}", *map(note, notes))


def anchor(claim: str) -> str:
    """Where a claim stands on its study's page: letters, digits, and what may stand beside them in an address.

    >>> anchor("limit-decays-like-1/c")
    'claim-limit-decays-like-1-c'
    """
    return "claim-" + re.sub(r"[^A-Za-z0-9_.-]+", "-", claim)


def _claim(j: Judgement, replay: str | None) -> tuple[Markup, Markup, Markup, str]:
    claim = j.claim
    where = ", ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in j.where.items())
    said = join(
        _badge(j), " ",
        element("a", element("code", claim.id), id=anchor(claim.id), href=f"#{anchor(claim.id)}"),
        note(claim.source),
        element("p", claim.statement),
        note(claim.reason),
        note("its worst run again: ", element("code", replay)) if replay else "",
    )
    worst = join(number(j.worst), note("at ", where) if where else "")
    return said, _runs(j), worst, j.measured


def _statuses(data: Data, document: Mapping[str, Any]) -> dict[str, Counter[Status]]:
    """How the runs of each grid ended."""
    nodes = data.children if isinstance(data, xr.DataTree) else {document["grids"][0]["name"]: data}
    counted = {name: np.unique(node["status"].values, return_counts=True) for name, node in nodes.items()}
    return {name: Counter({Status(int(s)): int(n) for s, n in zip(*found)}) for name, found in counted.items()}


def _endings(statuses: Mapping[str, Counter[Status]]) -> Markup:
    seen = [s for s in sorted(Status, key=lambda s: (s < Status.CONVERGED, s)) if any(c[s] for c in statuses.values())]
    rows = [(name, f"{count.total():,}", *(f"{count[s]:,}" for s in seen)) for name, count in statuses.items()]
    counts = table("How the runs ended", ["Grid", "Runs", *(s.label for s in seen)], rows, range(1, len(seen) + 2))
    return join(counts, described((s.label, s.advice) for s in seen if s != Status.CONVERGED))


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
        (f"grid {g['name']}", join(*(element("div", f"{a}: {values(g['axes'][a])}") for a in g["order"])))
        for g in grids
    ]
    data = {name: digest for b in document["batches"] for name, digest in b.get("data", {}).items()}
    facts = [
        *([("data", ", ".join(f"{name} ({digest})" for name, digest in data.items()))] if data else []),
        ("settings", ", ".join(f"{k}: {v}" for k, v in settings.items()) or "the study's own"),
        ("fingerprint", ", ".join(f"{k}: {v}" for k, v in marks.items() if v)),
        ("page by", f"implicit-bias {version}"),
    ]
    rows = [
        (
            " ".join([grids[b["grid"]]["name"], *(f"{k}={v}" for k, v in b["statics"].items())]),
            b["rewriting"],
            b["dynamics"],
            element("code", str(b["program"])[:12]),
        )
        for b in document["batches"]
    ]
    return join(described([*axes, *facts]), table("Programs", ["Grid", "Rewriting", "Law of motion", "Program"], rows))


def _reproduce(command: str | None) -> Markup:
    if command is None:
        return element("p", "These runs were asked for in Python, by `study.run(...)` with the axes and settings above.")
    done = "Runs that are done are not computed again; where there are none, it computes all that this page shows."
    return join(element("pre", command, tabindex=0), element("p", done))


def _statement(text: str) -> Markup:
    first = re.split(r"\n\s*\n", text.strip())[0]
    return element("p", " ".join(first.split()), class_="statement")


def study_page(
    *,
    name: str,
    statement: str,
    data: Data,
    judgements: Sequence[Judgement],
    figures: Sequence[tuple[Figure, bytes]],
    document: Mapping[str, Any],
    label: str = LAPTOP,
    command: str | None = None,
    replays: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """A study's page: `figures` with their drawings as SVG; `document` is the plan that its results were read by.

    `command` asks for these runs again, and a claim's of `replays` for its worst run.
    """
    statuses = _statuses(data, document)
    asked = sum(count.total() for count in statuses.values())
    done = asked - sum(count[Status.ABSENT] for count in statuses.values())
    sections = {
        "Verdicts": judgements and table(
            "Verdicts",
            ["Verdict and claim", "Runs inside the hypotheses", "Worst residual / tolerance", "Measured"],
            [_claim(j, replays.get(j.claim.id)) for j in judgements],
            numeric=(1, 2),
        ),
        "Figures": figures and join(*(_figure(n, *f, data, judgements) for n, f in enumerate(figures, 1))),
        "How the runs ended": _endings(statuses),
        "Provenance": _provenance(document),
        "How to reproduce": _reproduce(command),
    }  # fmt: skip
    said = f"{done:,} of {asked:,} runs computed. {_outcome(judgements)}"
    title = name if label == LAPTOP else f"{name}@{label}"
    return page(
        title,
        element("h1", title),
        _statement(statement),
        element("p", said, _tally(judgements), class_="summary"),
        *(section(title, content) for title, content in sections.items() if content),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A study in the index. `href` is the path of its page from the index, as the file system spells it."""

    name: str
    statement: str
    href: str
    runs: int
    judgements: Sequence[Judgement] | None
    """None where there are no verdicts that are true of its results and its code."""

    def __post_init__(self):
        if not self.href or self.href.startswith("/"):
            raise Mistake("href", f"{self.href!r} is no relative path", "give the page's path from the index")

    @property
    def link(self) -> Markup:
        return self.to(self.name)

    def to(self, text: object, claim: str = "") -> Markup:
        """A link to its page, or to a claim on it."""
        # quoting leaves no colon: whatever the path is, it names a file and no scheme
        href = urllib.parse.quote(clean(self.href))
        return element("a", text, href=href + f"#{anchor(claim)}" * bool(claim))


def _card(entry: Entry) -> Markup:
    """What a study says: which claims hold, which are refuted, which are open."""
    if entry.judgements is None:
        tally = f"not judged since its results or its code changed: `implicit-bias report {entry.name}` does"
    else:
        runs = f"{entry.runs:,} runs "
        tally = join(runs, _tally(entry.judgements) if entry.judgements else "no claim is made")
    said = element("p", tally, class_="summary")
    kinds: dict[str, list[Markup]] = {}
    for j in entry.judgements or ():
        word = {"supported": "holds", "refuted": "refuted"}.get(j.verdict, "open")
        kinds.setdefault(word, []).append(entry.to(element("code", j.claim.id), j.claim.id))
    listed = [
        (word, join(*(join(", " * (place > 0), link) for place, link in enumerate(kinds[word]))))
        for word in ("holds", "refuted", "open")
        if word in kinds
    ]
    return element("article", element("h3", entry.link), _statement(entry.statement), said, described(listed))


def index_page(entries: Sequence[Entry]) -> str:
    """All studies by paper; verdicts against expectation first."""
    papers: dict[str, list[Markup]] = {}
    for entry in entries:
        paper = entry.name.partition("/")[0] if "/" in entry.name else "studies"
        papers.setdefault(paper, []).append(_card(entry))
    judged = [(entry, j) for entry in entries for j in entry.judgements or ()]
    against = [(e.link, element("code", j.claim.id), j.measured, _badge(j)) for e, j in judged if not j.as_expected]
    loud = table("Against expectation", ["Study", "Claim", "Measured", "Verdict"], against)
    judgements = [j for _, j in judged]
    said = f"Studies: {len(entries):,}. Runs: {sum(e.runs for e in entries):,}. Claims: {len(judged):,}. "
    unknown = sum(e.judgements is None for e in entries)
    said += f"Not judged since they changed: {unknown:,}. " if unknown else ""
    return page(
        "Implicit bias: results",
        element("h1", "Implicit bias: results"),
        element("p", said, _outcome(judgements), _tally(judgements), class_="summary"),
        section("Against expectation", loud) if against else Markup(),
        *(section(paper, *cards) for paper, cards in papers.items()),
    )
