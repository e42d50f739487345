"""Pages: what a study claims, what its runs show, and where the numbers come from, in one file a study; and their index.

A page carries no date: the same results give the same bytes. What makes it complete and inert is in `page`, how a claim
is shown in `cards`, what is said of the runs in `methods`, and the one part that runs in `explorer`.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ..._errors import Mistake
from ..._results import Status
from ...sweep.ask.document import LAPTOP
from . import explorer, methods
from .cards import anchor, badge, card, counted, number, outcome, tally
from ..claims import Data, Judgement, Weighed
from ..figures import Figure, Numbers
from .markup import Markup, clean, command, described, details, element, inline_svg, join, named, note, page, section, table
from ..tex import plain, typeset

INDEX = "index.html"
MOST_ROWS = 60
"""Of a figure's numbers on the page, about one printed page; all of them are in its csv."""


@dataclasses.dataclass(frozen=True)
class Shown:
    """A figure with its drawing and the numbers that it shows."""

    figure: Figure
    svg: bytes
    numbers: Numbers | None = None


def _said(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else f"{value}"


def _numbers(shown: Shown) -> Markup:
    if shown.numbers is None or not shown.numbers.rows:
        return Markup()
    rows = shown.numbers.rows
    file = element("a", f"{shown.figure.id}.csv", href=f"figures/{_quoted(shown.figure.id)}.csv")
    if len(rows) > MOST_ROWS:
        return note(f"its {len(rows):,} points as numbers: ", file)
    columns = [
        c for c in rows[0]._fields
        if c not in ("figure", "panel", "x_is", "y_is") and any(getattr(r, c) not in (None, "") for r in rows)
    ]  # fmt: skip
    told = [[_said(getattr(row, c)) for c in columns] for row in rows]
    first = [next(v for r in rows if (v := getattr(r, c)) not in (None, "")) for c in columns]
    numeric = [i for i, value in enumerate(first) if isinstance(value, (int, float))]
    label = f"The numbers of {shown.figure.id}"
    return details(f"its {len(rows):,} points as numbers", table(label, columns, told, numeric), note("with every digit: ", file))


def _figure(number: int, shown: Shown, data: Data, judgements: Sequence[Judgement]) -> Markup:
    caption = shown.figure.caption_for(data, judgements)
    drawing = inline_svg(shown.svg, f"f{number}-", f"Figure {number}: {plain(caption)}")
    wide = element("div", drawing, class_="scroll", role="region", aria_label=f"Figure {number}", tabindex=0)
    said = element("figcaption", element("b", f"Figure {number}."), " ", typeset(caption))
    return element("figure", wide, said, _numbers(shown))


def _verdict(j: Judgement) -> tuple[Markup, Markup]:
    """A row of what is said first: the verdict, the claim, how near its worst run came."""
    worst = f"; worst {j.claim.ratio_is} {number(j.worst)}" if j.finding and j.claim.kind.uses_tolerance else ""
    link = element("a", element("code", j.claim.id), href=f"#{anchor(j.claim.id)}")
    return badge(j), join(link, element("p", typeset(j.claim.statement)), note(f"{counted(j)}{worst}"))


def version() -> str:
    try:
        return f"implicit-bias {importlib.metadata.version('implicit-bias')}"
    except importlib.metadata.PackageNotFoundError:
        return "implicit-bias of a source tree"


def _provenance(document: Mapping[str, Any]) -> Markup:
    grids = document["grids"]
    settings, marks = document.get("settings", {}), document["fingerprint"]
    axes = [
        (f"grid {g['name']}", join(*(element("div", f"{a}: {methods.values(g['axes'][a])}") for a in g["order"])))
        for g in grids
    ]
    data = {name: digest for b in document["batches"] for name, digest in b.get("data", {}).items()}
    facts = [
        *([("data", ", ".join(f"{name} ({digest})" for name, digest in data.items()))] if data else []),
        ("settings", ", ".join(f"{k}: {v}" for k, v in settings.items()) or "the study's own"),
        ("fingerprint", ", ".join(f"{k}: {v}" for k, v in marks.items() if v)),
        ("page by", version()),
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


def _reproduce(words: str | None) -> Markup:
    if words is None:
        return element("p", "These runs were asked for in Python, by `study.run(...)` with the axes and settings above.")
    done = "Runs that are done are not computed again; where there are none, it computes all that this page shows."
    return join(command(words), element("p", done))


def _cite(bibliography: str, laboratory: str) -> Markup:
    parts = {"The paper": bibliography, "The laboratory, whose runs and verdicts these are": laboratory}
    return join(*(join(element("p", f"{name}:"), command(text.strip())) for name, text in parts.items() if text.strip()))


def _edit_notice(edited: str) -> Markup:
    """What a reader must know of runs whose study has been edited since; nothing where it has not."""
    said = f"Edited since these runs were computed: {edited}. What is said here is of the study of before."
    return element("p", element("strong", said)) if edited else Markup()


def _statement(text: str) -> Markup:
    first = re.split(r"\n\s*\n", text.strip())[0]
    return element("p", " ".join(first.split()), class_="statement")


def study_anchor(name: str) -> str:
    """Where a study's card stands in the index.

    >>> study_anchor("mine/path@fine")
    'study-mine-path-fine'
    """
    return f"study-{named(name)}"


def _back(name: str, up: str, siblings: Sequence[str]) -> Markup:
    """Links to the index: to the study's card there, and to those of the same paper."""
    paper = name.partition("/")[0]
    card_there = element("a", "its card there", href=f"{up}{INDEX}#{study_anchor(name)}")
    links = [element("a", "all results", href=f"{up}{INDEX}"), card_there]
    others = [element("a", s, href=f"{up}{INDEX}#{study_anchor(s)}") for s in siblings]
    lists = [element("ul", *(element("li", link) for link in links))]
    if others:
        lists += [element("p", f"Other studies of {paper}:"), element("ul", *(element("li", link) for link in others))]
    return element("footer", element("nav", *lists, aria_label="Back"))


def study_page(
    *,
    name: str,
    statement: str,
    data: Data,
    judgements: Sequence[Judgement],
    figures: Sequence[Shown],
    document: Mapping[str, Any],
    label: str = LAPTOP,
    again: str | None = None,
    replays: Mapping[str, str] = MappingProxyType({}),
    weighed: Mapping[str, Weighed] = MappingProxyType({}),
    replay: tuple[Sequence[str], Sequence[str]] | None = None,
    bibliography: str = "",
    laboratory: str = "",
    up: str | None = None,
    siblings: Sequence[str] = (),
    edited: str = "",
) -> str:
    """A study's page: `figures` with their drawings as SVG; `document` is the plan that its results were read by.

    `edited` is what was, of the study, since its runs were computed.

    `again` asks for these runs once more, and a claim's of `replays` for its worst run; `replay` is what stands before and
    after the axes of any run. `weighed` has each claim's numbers run by run. `up` is the way to the folder of the index,
    which has a card of the study, and of its `siblings`: the other studies of its paper.
    """
    found = methods.statuses(data, document)
    asked = sum(count.total() for count in found.values())
    done = asked - sum(count[Status.ABSENT] for count in found.values())
    explored = explorer.explorer(methods.nodes(data, document), replay)
    sections = {
        "Verdicts": judgements and table("Verdicts", ["Verdict", "Claim"], map(_verdict, judgements)),
        "Figures": figures and join(*(_figure(n, shown, data, judgements) for n, shown in enumerate(figures, 1))),
        "Claims": judgements and join(*(card(j, weighed.get(j.claim.id), replays.get(j.claim.id)) for j in judgements)),
        "Explore": explored,
        "Methods": methods.paragraph(document, found, len(judgements)),
        "Facts of the data": methods.facts(data, document),
        "How the runs ended": join(methods.endings(found), methods.survivors(data, document)),
        "Provenance": _provenance(document),
        "How to reproduce": _reproduce(again),
        "How to cite": _cite(bibliography, laboratory),
    }  # fmt: skip
    sections = {title: content for title, content in sections.items() if content}
    said = f"{done:,} of {asked:,} runs computed. {outcome(judgements)}"
    title = name if label == LAPTOP else f"{name}@{label}"
    links = element("ul", *(element("li", element("a", part, href=f"#{named(part)}")) for part in sections))
    return page(
        title,
        element("h1", title),
        _statement(statement),
        element("p", said, tally(judgements), class_="summary"),
        _edit_notice(edited),
        element("nav", links, aria_label="Parts of this page"),
        *(section(part, content) for part, content in sections.items()),
        _back(title, up, siblings) if up is not None else "",
        script=explorer.script() if "explorer-data" in explored else "",
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
    edited: str = ""
    """What of the study was edited since its runs were computed."""

    def __post_init__(self):
        if not self.href or self.href.startswith("/"):
            raise Mistake("href", f"{self.href!r} is no relative path", "give the page's path from the index")

    @property
    def link(self) -> Markup:
        return self.to(self.name)

    def to(self, text: object, claim: str = "") -> Markup:
        """A link to its page, or to a claim on it."""
        href = _quoted(self.href)
        return element("a", text, href=href + f"#{anchor(claim)}" * bool(claim))


def _entry(entry: Entry) -> Markup:
    """What a study says: which claims hold, which are refuted, which are open."""
    if entry.judgements is None:
        again = element("code", f"implicit-bias report {entry.name}")
        said = join("not judged since its results or its code changed: ", again, " does")
    else:
        runs = f"{entry.runs:,} runs "
        said = join(runs, tally(entry.judgements) if entry.judgements else "no claim is made")
    said = element("p", said, class_="summary")
    kinds: dict[str, list[Markup]] = {}
    for j in entry.judgements or ():
        word = {"supported": "holds", "refuted": "refuted"}.get(j.verdict, "open")
        kinds.setdefault(word, []).append(entry.to(element("code", j.claim.id), j.claim.id))
    listed = [
        (word, join(*(join(", " * (place > 0), link) for place, link in enumerate(kinds[word]))))
        for word in ("holds", "refuted", "open")
        if word in kinds
    ]
    heading = element("h3", entry.link)
    parts = heading, _statement(entry.statement), said, _edit_notice(entry.edited), described(listed)
    return element("article", *parts, id=study_anchor(entry.name), class_="card")


def index_page(entries: Sequence[Entry], missing: Sequence[str] = (), documents: Mapping[str, str] = MappingProxyType({})) -> str:
    """All studies by paper; verdicts against expectation first.

    `missing` are studies of these papers that have no results; `documents` a paper's page among the documents, by a
    relative path, and under "" that of them all.
    """
    papers: dict[str, list[Entry]] = {}
    for entry in entries:
        papers.setdefault(_paper(entry.name), []).append(entry)
    judged = [(entry, j) for entry in entries for j in entry.judgements or ()]
    off = [(e, j) for e, j in judged if not j.as_expected]
    against = [(e.to(e.name, j.claim.id), element("code", j.claim.id), j.measured, badge(j)) for e, j in off]
    loud = table("Against expectation", ["Study", "Claim", "Measured", "Verdict"], against)
    judgements = [j for _, j in judged]
    said = f"Studies: {len(entries):,}. Runs: {sum(e.runs for e in entries):,}. Claims: {len(judged):,}. "
    unknown = sum(e.judgements is None for e in entries)
    said += f"Not judged since they changed: {unknown:,}. " if unknown else ""
    links = [element("a", paper, href=f"#{named(paper)}") for paper in papers]
    links += [element("a", "documents", href=_quoted(documents[""]))] if "" in documents else []
    return page(
        "Implicit bias: results",
        element("h1", "Implicit bias: results"),
        element("p", said, outcome(judgements), tally(judgements), class_="summary"),
        element("nav", element("ul", *(element("li", link) for link in links)), aria_label="Papers"),
        section("Against expectation", loud) if against else Markup(),
        *(_of_a_paper(paper, cards, missing, documents.get(paper)) for paper, cards in papers.items()),
    )


def _paper(name: str) -> str:
    return name.partition("/")[0] if "/" in name else "studies"


def _quoted(path: str) -> str:
    """As part of an address: quoting leaves no colon, so that whatever the path is, it names a file and no scheme."""
    return urllib.parse.quote(clean(path))


def _of_a_paper(paper: str, entries: Sequence[Entry], missing: Sequence[str], document: str | None) -> Markup:
    """What holds of a paper, what is refuted, what is open; its studies; and those that were not run."""
    judgements = [j for e in entries for j in e.judgements or ()]
    absent = [element("span", element("code", name), " ", id=study_anchor(name)) for name in missing if _paper(name) == paper]
    link = element("a", "claim by claim", href=_quoted(document)) if document else ""
    return section(
        paper,
        element("p", tally(judgements), link, class_="summary"),
        element("div", *map(_entry, entries), class_="cards"),
        note("Without results here: ", *absent) if absent else "",
    )
