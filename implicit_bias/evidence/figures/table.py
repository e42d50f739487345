"""The numbers of a figure: what its layers note while they draw, so that the table cannot differ from the drawing.

A row is one point of a series, one cell of a map, or a level; its columns, in the order of the csv:

    figure                    the figure's id (with `csv(study)` the study's name is written before it)
    panel, title              the panel, counted from 1, and what stands over it
    kind                      measured, runs, theory, guide, level, map, contour, or drawn by a function
    series                    the name in the legend, or of the level; of a map what its colours mean
    x, y                      the point (of a map: the cell's middle)
    low, high, band           the band around y, and what it says: "range over seeds"
    value                     of a map: the number of the cell
    missing                   how many runs of the point are no number; such a point is open
    x_is, y_is                what stands beside the axes

>>> table = Numbers("error", [Row("error", 1, "", "measured", "GD", 0.5, 2.0, 1.0, 3.0, "range over seeds")])
>>> print(table.csv(), end="")
figure,panel,title,kind,series,x,y,low,high,band,value,missing,x_is,y_is
error,1,,measured,GD,0.5,2.0,1.0,3.0,range over seeds,,,,
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

SERIES = ("measured", "runs", "drawn")
"""Kinds that are series of their own; theory, guides and levels are read against them."""


class Row(NamedTuple):
    figure: str
    panel: int
    title: str
    kind: str
    series: str
    x: float | None = None
    y: float | None = None
    low: float | None = None
    high: float | None = None
    band: str = ""
    value: float | None = None
    missing: int | None = None
    x_is: str = ""
    y_is: str = ""


COLUMNS = Row._fields


@dataclasses.dataclass(frozen=True)
class Numbers:
    """A figure as a table: one `Row` for each point that it shows."""

    figure: str
    rows: Sequence[Row]
    panels: int = 0
    """How many it has."""

    def csv(self, study: str | None = None) -> str:
        """The table, every digit of a float64; with the name of a study in a first column."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        first = [] if study is None else [study]
        table.writerow([*(["study"] if first else []), *COLUMNS])
        table.writerows([*first, *("" if v is None else v for v in row)] for row in self.rows)
        return text.getvalue()

    def series(self, panel: int | None = None) -> list[str]:
        """Names of the measured series, in the order they were drawn; of one panel, or of all."""
        named = (r for r in self.rows if r.series or r.kind != "drawn")  # a line without a name is to be read against
        shown = (r for r in named if r.kind in SERIES and panel in (None, r.panel))
        return list(dict.fromkeys(r.series for r in shown))

    @property
    def counts(self) -> dict[str, int]:
        """What a caption may count: `{panels.count}`, `{series.count}`."""
        return {"panels": self.panels, "series": len(self.series())}


def table_of(figure: str, sheets: Sequence[Any]) -> Numbers:
    """The notes of panels, in order."""
    rows = [row for number, sheet in enumerate(sheets, 1) for row in _rows(figure, number, sheet)]
    return Numbers(figure, rows, len(sheets))


def _rows(figure: str, number: int, sheet: Any) -> Iterator[Row]:
    named = dict(figure=figure, panel=number, title=sheet.texts[0], x_is=sheet.texts[1], y_is=sheet.texts[2])
    for note in sheet.notes:
        columns = {k: np.ravel(v) for k, v in note.items() if k not in ("kind", "series", "band")}
        words = {k: note[k] for k in ("kind", "series", "band") if k in note}
        for at in range(max(len(v) for v in columns.values())):
            point = {k: _number(v[at if len(v) > 1 else 0]) for k, v in columns.items()}
            if point.get("y", point.get("value")) is not None or point.get("missing") or words["kind"] == "level":
                yield Row(**named, **words, **point)


def _number(value: Any) -> float | int | None:
    if isinstance(value, (int, np.integer)):
        return int(value)
    return float(value) if np.isfinite(value) or np.isinf(value) else None


def drawn_in(axes: Any) -> list[Any]:
    """The artists of a panel that show numbers."""
    return [*axes.lines, *axes.collections]


def read(artists: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Notes of what a function drew: lines, points, and the edges of filled bands, by the name in the legend.

    A line across the whole panel has a number along one axis only; one that is given by its slope has none.
    """
    from matplotlib.collections import Collection, PathCollection
    from matplotlib.lines import Line2D

    for artist in artists:
        label = str(artist.get_label() or "")
        drawn = {"kind": "drawn", "series": "" if label.startswith("_") else label}
        if isinstance(artist, PathCollection):
            points = np.ma.filled(np.ma.asarray(artist.get_offsets(), float), np.nan)
        elif isinstance(artist, Collection):
            points = np.concatenate([np.empty((0, 2)), *(p.vertices for p in artist.get_paths())])
        elif isinstance(artist, Line2D):
            points = np.asarray(artist.get_xydata(), float)
            along = artist.get_transform().contains_branch_seperately(artist.axes.transData)
            if not all(along):
                if any(along):
                    at = 0 if along[0] else 1
                    yield {**drawn, "kind": "level", "xy"[at]: points[:1, at]}
                continue
        else:
            continue
        if len(points):
            yield {**drawn, "x": points[:, 0], "y": points[:, 1]}
