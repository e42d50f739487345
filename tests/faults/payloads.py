"""Words that would be markup, in every text field of a page.

Each field of a study's page and of the index takes each of 204 payloads, all fields at a time with different ones. The
elements that a browser would build are those of a page of plain words, and each payload is there to be read. The words
of drawings (labels, titles, legends, names of parts) and whole drawings that somebody edited are tried too.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from implicit_bias.evidence.page import markup as pages
from implicit_bias.evidence.page import report
from implicit_bias.evidence.claims import Claim, Judgement
from implicit_bias.evidence.figures import Figure, house_style, render
from implicit_bias.evidence.figures.table import Numbers, Row
from implicit_bias.evidence.kinds import Finding, Identity
from tests.evidence.test_report import PAYLOADS, SVG, Elements, plan, results

from .common import Outcome, Tally, replaced

DRAWINGS = 40
"""Payloads that are drawn as labels of a figure in the quick attack; all of them where more is asked for."""
QUICK = len(PAYLOADS) + DRAWINGS


@contextlib.contextmanager
def _unescaped():
    with replaced(pages.html, "escape", lambda text, quote=True: text):
        yield


SABOTAGE = {"nothing is escaped": _unescaped}

Word = Callable[[str], str]
"""What a field says."""


class Kind(Identity):
    def __init__(self, name: str):
        object.__setattr__(self, "_name", name)

    @property
    def name(self) -> str:
        return self._name


def judgement(word: Word, number: int) -> Judgement:
    say = lambda field: word(f"{field} of claim {number}")
    claim = Claim(
        id=say("id"), source=say("source"), statement=say("statement"), because=say("because"), kind=Kind(say("kind")),
        residual=lambda d: d, tolerance=lambda d: 1.0,
    )  # fmt: skip
    finding = Finding(
        ["supported", "refuted"][number], 0.5, {say("axis"): say("value"), "scale": 0.25}, say("measured")
    )
    counts = dict(tested=7, inside=8, outside=2, ended_badly=1, absent=1, undefined=1)
    return Judgement(claim, finding.verdict, finding=finding, outside_by={say("hypothesis"): 2}, **counts)


def document(word: Word) -> dict:
    """A plan whose grids share no word."""
    said = plan()
    axes = {
        word(f"name of axis {i}"): {
            "traced": True,
            "words": True,
            "values": ["0x0p+0"],
            "labels": [word(f"label {i}")] * n,
        }
        for i, n in enumerate((1, 3, 7))
    }
    fields = ("rewriting", "dynamics", "program")
    return {
        **said,
        "study": word("study in the plan"),
        "fingerprint": {word("mark"): word("its value")},
        "settings": {word("setting"): word("value of the setting")},
        "grids": [{"name": word("grid"), "order": list(axes), "axes": axes}],
        "batches": [{"grid": 0, "statics": {word("static"): word("its word")}, **{f: word(f) for f in fields}}],
    }


def numbers(word: Word) -> Numbers:
    """Of a figure: a table on the page."""
    said = {f: word(f"{f} of a number") for f in ("title", "kind", "series", "band")}
    return Numbers("figure", [Row(figure="figure", panel=1, x=0.0, y=1.0, **said)])


def study_page(word: Word, data=None) -> str:
    judgements = [judgement(word, number) for number in range(2)]
    figures = [
        Figure(id=word("id of the figure"), draw=lambda data: None, caption=word("caption"), claims=[judgements[0].claim.id]),
        Figure(id="f", draw=lambda data: None, caption=lambda data: word("caption by a function")),
    ]
    return report.study_page(
        name=word("name"), statement=word("statement"), data=results() if data is None else data, judgements=judgements,
        figures=[report.Shown(figure, SVG.encode(), numbers(word)) for figure in figures], document=document(word),
        replays={judgements[0].claim.id: word("replay")}, again=word("again"), up="../", siblings=[word("sibling")],
        bibliography=word("bibliography"), laboratory=word("laboratory"),
    )  # fmt: skip


def index_page(word: Word) -> str:
    entries = [
        report.Entry(
            name=f"{word('paper')}/{word(f'name {n}')}", statement=word(f"statement {n}"), href=word(f"path {n}"),
            runs=3,
            judgements=[judgement(lambda field: word(f"{field} in the index"), 1)],
        )
        for n in range(2)
    ]  # fmt: skip
    return report.index_page(entries)


PAGES = {"a study's page": study_page, "the index": index_page}


CHANGED = ("program", "setting", "value of the setting")
"""Fields that are cut, or quoted for a shell."""


def fields_of(make: Callable[[Word], str]) -> dict[str, bool]:
    """The names of the fields of a page, in the order in which they are asked for: whether their words are shown."""
    asked: dict[str, str] = {}
    text = Elements(make(lambda field: asked.setdefault(field, f"field-{len(asked)}-"))).text
    return {field: token in text and field not in CHANGED for field, token in asked.items()}


def attack(count: int, seed: int, folder: Path) -> Outcome:
    tally = Tally(seed)
    shapes = {name: Elements(make(str)).shape for name, make in PAGES.items()}
    known = {name: fields_of(make) for name, make in PAGES.items()}
    tally.notes.append(f"{sum(map(len, known.values()))} fields")
    for number in range(len(PAYLOADS)):
        with tally.one(f"payload {number}"):
            for name, make in PAGES.items():
                words = {f: PAYLOADS[(number + k) % len(PAYLOADS)] for k, f in enumerate(known[name])}
                if _differs(make, words, known[name], shapes[name]):
                    guilty = [
                        f for f in words if tally.lost < 3 and _differs(make, {f: words[f]}, known[name], shapes[name])
                    ]
                    tally.lose(f"{name}: {[(f, words[f]) for f in guilty][:3] or words}")
            _in_a_tree(tally, PAYLOADS[number])
    _drawn(tally, PAYLOADS if count > QUICK else [str(p) for p in tally.random(1).permutation(PAYLOADS)[:DRAWINGS]])
    _edited(tally, max(100, count - tally.tried))
    return tally.outcome()


def _differs(make: Callable[[Word], str], words: dict[str, str], shown: dict[str, bool], shape) -> bool:
    """Whether a page has other elements, does not show a word, cannot be stored, or links to another place."""
    try:
        text = make(lambda field: words.get(field, field))
        found = Elements(text)
        text.encode()
    except Exception:
        return True
    missing = [f for f, w in words.items() if shown[f] and " ".join(pages.clean(w).split()) not in found.text]
    links = all(re.match(r"(f\d-|t\d-|#|[^:]*$)", link) for link in found.every("href"))
    return found.shape != shape or bool(missing) or not links


def _in_a_tree(tally: Tally, payload: str) -> None:
    """As the name of a grid among several, which is the name of a node of the results."""
    if not payload or "/" in payload:  # a node's name may have no slash
        return
    trees = [xr.DataTree.from_dict({name: results(), "other": results()}) for name in ("word", payload)]
    calm, spoiled = (Elements(study_page(str, tree)).shape for tree in trees)
    tally.check(calm == spoiled, f"the name of a grid: {payload}")


# -- drawings ----------------------------------------------------------------------------------------------------------


def _figure(text: str) -> Figure:
    def draw(data):
        with house_style() as plt:
            figure, axes = plt.subplots(figsize=(3, 2))
            axes.plot([0, 1], [0, 1], "o", label=text, url=text, gid=text)
            axes.set(xlabel=text, ylabel=text, title=text, xticks=[0], xticklabels=[text])
            axes.annotate(text, (0.5, 0.5))
            axes.legend(title=text)
            figure.suptitle(text)
            return figure

    return Figure(id="a", draw=draw, caption=text)


def _drawn(tally: Tally, payloads: list[str]) -> None:
    """Labels that matplotlib can draw at all: no mathematics that does not parse, no lone surrogates."""

    def shape(text: str) -> list:
        figure = _figure(text)
        page = report.study_page(
            name="a", statement="", data=results(), judgements=[], figures=[report.Shown(figure, render(figure, results())[0])],
            document=plan(),
        )  # fmt: skip
        # how many strokes a text has is its own matter
        return [(t, set(a)) for t, a in Elements(page).tags if t not in ("g", "path", "rect", "use", "text", "tspan")]

    calm = shape("word")
    for payload in payloads:
        text = pages.clean(payload).replace("$", "")
        with tally.one(f"drawn: {payload!r}"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # glyphs that the font has not
            tally.check(shape(text) == calm, f"drawn: {payload!r} changes the elements")


HOSTILE = [
    "<script>x</script>", '<a href="javascript:x"><path/></a>', '<use href="//evil.example/x#y"/>',
    "<style>*{}</style>",
    '<image href="https://evil.example/x.png"/>', '<image href="data:image/svg+xml,x"/>',
    "<foreignObject><p/></foreignObject>",
    '<rect style="fill: url(//evil.example/x)"/>', '<rect onload="x()"/>', '<animate attributeName="href"/>', "<set/>",
    '<path d="M 0 0" class="against"/>', "<iframe/>", "<metadata>x</metadata>", '<g id="x" style="a: b"/>',
    "<title>x</title>",
    "<g>" * 3000 + "</g>" * 3000, "&lol;", "<![CDATA[<script>x</script>]]>", "<!-- x -->", "<?php x ?>", "</svg><b>",
]  # fmt: skip
SAFE = {"svg", "g", "path", "use", "rect", "image", "text", "tspan"}


def _edited(tally: Tally, count: int) -> None:
    """Drawings, which a figure of a user's own makes: whatever is in them, a page is a page."""

    def drawn(drawing: str) -> str:
        inside = ""
        with contextlib.suppress(ValueError, SyntaxError, RecursionError):  # `ParseError` is a `SyntaxError`
            inside = pages.inline_svg(drawing, "t-", "a label")
        return pages.page("a", inside)

    calm = Elements(pages.page("a", "")).tags
    for number in range(count):
        rng = tally.random(2, number)
        drawing = _hostile_drawing(rng)
        with tally.one(f"an edited drawing: {drawing[:200]!r}"):
            text = drawn(drawing)
            text.encode()
            tags = Elements(text).tags
            rest = [t for t in tags if t[0] not in SAFE]
            tally.check(rest == calm, f"an edited drawing: {drawing[:200]!r} adds {[t for t in rest if t not in calm]}")
            said = [f"{k}={v}" for t, a in tags if t in SAFE for k, v in a.items() if k not in ("id", "aria-label")]
            wrong = [
                s for s in said if re.search(r"^on|^class=against|=.*(://|//evil|javascript:|data:(?!image/png))", s)
            ]
            tally.check(not wrong, f"an edited drawing: {drawing[:200]!r} keeps {wrong}")


def _hostile_drawing(rng: np.random.Generator) -> str:
    inside = "".join(HOSTILE[k] for k in rng.integers(len(HOSTILE), size=rng.integers(4)))
    text = SVG.replace("<g id=", f"{inside}<g id=")
    kind = rng.integers(5)
    if kind == 0:
        text = text[: rng.integers(len(text) + 1)]
    elif kind == 1:
        at = rng.integers(len(text))
        text = text[:at] + PAYLOADS[rng.integers(len(PAYLOADS))] + text[at:]
    elif kind == 2:
        text = '<!DOCTYPE svg [<!ENTITY lol "lol"><!ENTITY l2 "&lol;&lol;">]>' + text.partition("<svg")[2].join(
            ["<svg", ""]
        )
    elif kind == 3:
        text = text.replace(
            'viewBox="0 0 9 9"', ['viewBox="0 0 1e9 9"', "", 'viewBox="x"', 'onload="x()"'][rng.integers(4)]
        )
    return text
