"""A figure of results, as a notebook shows it and a file holds it: at the width where it is printed.

`study.figure("error", ds)` is a `Picture`, with `_repr_html_` (its caption and verdicts are below it), `_repr_svg_`,
`_repr_png_`, `caption`, `numbers` and `save("error.pdf")`. Without a style it is drawn as on the study's page; with one
("neurips", "icml", ...) at the venue's `width`, "column" or "page".

A drawing says in its title whose it is, and is written over only by the same figure of the same result. Beside it stands
its csv: every point that it shows.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ._errors import Mistake, nearest
from ._files import put
from .evidence.claims import Data, Judgement
from .evidence.figures import COLUMNS, FORMATS, Figure, Numbers, numbers, rendered, style_of


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """A figure of a study's results in one style; drawn when it is first shown."""

    figure: Figure
    data: Data
    judgements: Sequence[Judgement] = ()
    style: str | None = None
    width: str | None = None
    study: str = "study"
    """The study's name, with @NAME where the result is not its own grid's."""

    def __post_init__(self):
        style_of(self.style).inches(self.width, across=1)  # a mistake in a word is one now, and not when it is shown

    def __repr__(self) -> str:
        return f"{self.figure.id} of {self.study}: {self.caption}"

    @functools.cached_property
    def caption(self) -> str:
        """Words with the numbers of the results in them, and the verdicts."""
        return self.figure.caption_for(self.data, self.judgements)

    @functools.cached_property
    def _shown(self) -> dict[str, bytes]:
        svg, png = self._drawn("svg", "png").pictures
        return {"svg": svg, "png": png}

    @functools.cached_property
    def numbers(self) -> Numbers:
        """Every point that is shown; `numbers.csv()` is the text."""
        return numbers(self.figure, self.data)

    def _drawn(self, *formats: str, grey: bool = False) -> Any:
        how = dict(style=self.style, width=self.width, grey=grey, title=mark(self.study, self.figure.id))
        return rendered(self.figure, self.data, *formats, **how)

    def _repr_svg_(self) -> str:
        return self._shown["svg"].decode()

    def _repr_png_(self) -> bytes:
        return self._shown["png"]

    def _repr_html_(self) -> str:
        from .notebook import figure_html

        return figure_html(self.figure, self._repr_svg_(), self.data, self.judgements)

    def save(self, to: str | Path, *formats: str, grey: bool = False) -> list[Path]:
        """Write the drawing, in the format of its ending or in each one named, and its csv; returns the files."""
        to = Path(to)
        formats = formats or (to.suffix[1:],)
        for format in formats:
            if format not in FORMATS:
                remedy = nearest(format, FORMATS) if format else f"give an ending: {to}.{', .'.join(FORMATS)}"
                raise Mistake("format", f"there is no {format!r}" if format else f"{to} names none", remedy)
        stem = to.with_suffix("") if to.suffix[1:] in FORMATS else to
        targets = [stem.with_name(f"{stem.name}.{format}") for format in formats]
        table = stem.with_name(f"{stem.name}.csv")
        for target in (*targets, table):
            self._refuse_anothers(target)
        drawn = self._drawn(*formats, grey=grey)
        for target, picture in zip(targets, drawn.pictures):
            put(target, picture)
        put(table, drawn.numbers.csv(self.study).encode())
        return [*targets, table]

    def _refuse_anothers(self, target: Path) -> None:
        """What is there and does not say that it is this figure stays."""
        if not target.exists():
            return
        ours = mark(self.study, self.figure.id)
        if target.suffix == ".csv":
            ours = f"study,{','.join(COLUMNS)}\n{self.study},{self.figure.id},"
        empty = f"study,{','.join(COLUMNS)}\n".encode()  # a figure of nothing has a head alone, and is anybody's
        held = target.read_bytes() if target.is_file() else b""
        if held != empty and ours.encode() not in held:
            what = f"{target} is there and is no drawing of {self.figure.id} of {self.study}"
            raise Mistake("to", what, "choose another file with --to, or remove it")


def mark(study: str, figure: str) -> str:
    """The title of a drawing: whose it is, in letters that every format keeps as they are.

    >>> mark("me/study@fine", "error (1)")
    'implicit-bias: error%20%281%29 of me/study@fine'
    """
    return f"implicit-bias: {quote(figure)} of {quote(study, safe='/@')}"


def figure_of(
    study: Any, name: str, data: Data, judgements: Sequence[Judgement] = (), style: str | None = None, width: str | None = None,
    told: str | None = None,
) -> Picture:
    """A figure of a `Study` by its name, of these results; an unknown name, style or width is a mistake with the nearest.

    `told` is what the results are called, STUDY@NAME, where they are not the study's own grid's.
    """
    known = {figure.id: figure for figure in study.figures}
    if name not in known:
        has = "has no figures" if not known else f"has no figure {name!r}"
        raise Mistake("figure", f"{study.name} {has}", nearest(name, known) if known else "give the study `figures=[...]`")
    return Picture(known[name], data, judgements, style, width, told or study.name)
