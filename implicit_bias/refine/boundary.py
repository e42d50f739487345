r"""What was found, as a Dataset: crossings with their intervals, the corners that tell them, and the cells between.

    crossing   where the boundary passes an edge, `along` an axis: between `cell_low` and `cell_high`, two neighbours of
               different sides; `low` to `high` is its interval, in which the seeds leave open, too, where it is
    corner     every point that was computed: its value, side, and how many of its runs are numbers
    cell       a rectangle that is believed to be of one side, or `edge`, through which the boundary passes
    chord      two crossings of one cell: the boundary between them

The interval is along the edge. Between the points each seed's number is interpolated (linearly, on triangles), and at
a place of the line the seeds leave the side open if the 95 % interval of their mean has both: the interval goes on from
the two neighbours as long as they do. It holds for each crossing by itself. Seeds that are too few to decide anything
leave it as wide as the two neighbours are apart: it is then of these seeds alone, and said to be.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from .axes import Axis
from .sides import NO, NONE, YES, Question, Rule
from .tree import Bracket, Line, Tree


@dataclasses.dataclass(frozen=True)
class Field:
    """Numbers of each run at the points, and between them."""

    places: np.ndarray
    """[points, axes]"""
    values: np.ndarray
    """[points, runs of a point]"""

    def at(self, places: np.ndarray) -> np.ndarray:
        """[places, axes] -> [places, runs]; nan where a corner about it has no number."""
        if self.places.shape[1] == 1:
            order = np.argsort(self.places[:, 0])
            x = self.places[order, 0]
            return np.column_stack([np.interp(places[:, 0], x, column[order]) for column in self.values.T])
        from scipy.interpolate import LinearNDInterpolator

        return LinearNDInterpolator(self.places, self.values)(places)


def crossing_of(bracket: Bracket, ends: tuple[float, float]) -> tuple[float, ...]:
    """Where between its ends a bracket is crossed: linear between numbers of two signs, else half way."""
    low, high = ends
    with np.errstate(invalid="ignore", divide="ignore"):
        share = low / (low - high)
    return bracket.between(float(share) if low * high < 0 and np.isfinite(share) else 0.5)


class Lines:
    """The line of each bracket along one axis, in steps as wide as a bracket: what is known there, between points."""

    def __init__(self, axis: Axis, along: int, brackets: Sequence[Bracket], to: float):
        self.along, self.brackets = along, brackets
        self.steps = np.array(axis.places(2 ** math.ceil(math.log2(1 / to) - 1e-9)))

    def _numbers(self, field: Field) -> np.ndarray:
        """[runs, brackets x steps]"""
        places = np.array([np.repeat(np.array(b.low)[None], len(self.steps), axis=0) for b in self.brackets])
        places[..., self.along] = self.steps
        return field.at(places.reshape(-1, places.shape[-1])).T

    def _rows(self, flat: np.ndarray) -> np.ndarray:
        return flat.reshape(len(self.brackets), len(self.steps))

    def intervals(self, field: Field, rule: Rule, closed: bool) -> np.ndarray:
        """[brackets, 2]: from the bracket outwards, as long as the seeds leave the side open."""
        ends = np.array([[b.low[self.along], b.high[self.along]] for b in self.brackets])
        if not rule.decides(field.values.shape[1]):
            return ends
        for end, line in zip(ends, self._rows(rule.undecided(self._numbers(field), closed))):
            for side, outwards in ((0, self.steps[::-1]), (1, self.steps)):
                far = [k for k in range(len(outwards)) if (outwards[k] - end[side]) * (2 * side - 1) >= 0]
                decided = (k for k in far if not (line if side else line[::-1])[k])
                last = next(decided, len(outwards)) - 1
                if last >= far[0]:
                    end[side] = outwards[last]
        return ends

    def nearest_zero(self, field: Field, rule: Rule, at: Sequence[float]) -> np.ndarray:
        """[brackets]: where on its line a theory changes sign, nearest to the crossing; nan where it does not."""
        found = np.full(len(self.brackets), np.nan)
        for i, (place, line) in enumerate(zip(at, self._rows(rule.middle(self._numbers(field))))):
            k = np.flatnonzero((line[:-1] > 0) != (line[1:] > 0))
            k = k[np.isfinite(line[k]) & np.isfinite(line[k + 1])]
            if len(k):
                roots = self.steps[k] + (self.steps[k + 1] - self.steps[k]) * line[k] / (line[k] - line[k + 1])
                found[i] = roots[abs(roots - place).argmin()]
        return found


SIDES = {YES: "yes", NO: "no", NONE: "no number"}
EDGE = "edge"


@dataclasses.dataclass(frozen=True)
class Found:
    """What a search knows at its end."""

    axes: Sequence[Axis]
    tree: Tree | Line
    differences: np.ndarray
    """[runs of a point, points]"""
    places: np.ndarray
    sides: np.ndarray
    checked: np.ndarray
    """[points]: drawn at random."""
    theory: np.ndarray | None
    """[runs of a point, points]"""


def dataset(found: Found, asked: Question, rule: Rule, to: float) -> xr.Dataset:
    """The boundary and what tells it."""
    axes, brackets = found.axes, found.tree.brackets()
    middle = rule.middle(found.differences)
    index = {tuple(place): i for i, place in enumerate(found.places)}
    ends = [(middle[index[b.low]], middle[index[b.high]]) for b in brackets]
    at = [crossing_of(b, pair) for b, pair in zip(brackets, ends)]
    kinds = [{found.sides[index[b.low]], found.sides[index[b.high]]} for b in brackets]
    along = [b.along for b in brackets]
    own = np.array([[b.low[b.along], b.high[b.along]] for b in brackets]).reshape(-1, 2)
    spans, zero = own.copy(), np.full(len(brackets), np.nan)
    for k, axis in enumerate(axes):
        if here := [i for i, b in enumerate(brackets) if b.along == k and NONE not in kinds[i]]:
            lines = Lines(axis, k, [brackets[i] for i in here], to)
            spans[here] = lines.intervals(Field(found.places, found.differences.T), rule, asked.closed)
            if found.theory is not None:
                zero[here] = lines.nearest_zero(Field(found.places, found.theory.T), rule, [at[i][k] for i in here])

    def values(column: np.ndarray, along: Sequence[int]) -> np.ndarray:
        return np.array([float(axes[a].value(u)) if np.isfinite(u) else np.nan for u, a in zip(column, along)], float)

    names = [axis.name for axis in axes]
    crossing = {n: ("crossing", [_between(axes[k], place[k]) for place in at]) for k, n in enumerate(names)}
    crossing |= {
        "along": ("crossing", np.array([names[a] for a in along], dtype=str)),
        "between": ("crossing", np.array(["known and unknown" if NONE in k else "sides" for k in kinds], dtype=str)),
        "cell_low": ("crossing", values(own[:, 0], along)),
        "cell_high": ("crossing", values(own[:, 1], along)),
        "low": ("crossing", values(spans[:, 0], along)),
        "high": ("crossing", values(spans[:, 1], along)),
        "width": ("crossing", spans[:, 1] - spans[:, 0], {"definition": "high - low, in parts of its axis"}),
    }
    if found.theory is not None:
        crossing["theory"] = ("crossing", [_between(axes[a], u) for u, a in zip(zero, along)])
        off = [abs(u - place[a]) for u, place, a in zip(zero, at, along)]
        crossing["off_theory"] = ("crossing", np.array(off), {"definition": "from the theory's, in parts of the axis"})
        inside = [bool(lo - 1e-9 <= u <= hi + 1e-9) for u, (lo, hi) in zip(zero, spans)]
        crossing["theory_inside"] = ("crossing", np.array(inside, bool))
    spots = {axis.name: [axis.value(u) for u in column] for axis, column in zip(axes, found.places.T)}
    corner = {f"corner_{name}": ("corner", values_) for name, values_ in spots.items()}
    corner |= {
        "value": ("corner", asked.shown(middle), {"definition": f"{asked.said}: {rule} over runs of a point"}),
        "side": ("corner", np.array([SIDES[int(s)] for s in found.sides], dtype=str)),
        "numbers": ("corner", (~np.isnan(found.differences)).sum(0)),
        "drawn": ("corner", found.checked, {"definition": "by the random check"}),
    }
    if found.theory is not None:
        corner["theory_value"] = ("corner", rule.middle(found.theory))
    cell: dict[str, Any] = {}
    for k, axis in enumerate(axes):
        for end, word in ((0, "low"), (1, "high")):
            cell[f"{axis.name}_{word}"] = ("cell", [axis.value(c[end][k]) for c in found.tree.cells])
    cell["believed"] = ("cell", np.array(_beliefs(found), dtype=str))
    number = {b: i for i, b in enumerate(brackets)}
    chords = np.array([[number[a], number[b]] for a, b in found.tree.chords()], int).reshape(-1, 2)
    return xr.Dataset({**crossing, **corner, **cell, "chord": (("chord", "end"), chords)})


def _between(axis: Axis, place: float) -> float:
    """The value at a place, whole or not: half way between two whole numbers lies no value of theirs."""
    return float(dataclasses.replace(axis, whole=False).value(place)) if np.isfinite(place) else math.nan


def _beliefs(found: Found) -> list[str]:
    """Of each cell: its side where its border and all that lies inside agree."""
    said = []
    for low, high in found.tree.cells:
        within = ((found.places >= np.array(low)) & (found.places <= np.array(high))).all(1)
        sides = {*found.sides[within].tolist()}
        said.append(SIDES[sides.pop()] if len(sides) == 1 else EDGE)
    return said


def shares(ds: xr.Dataset, axes: Sequence[Axis]) -> dict[str, float]:
    """Which part of the area each belief has, every axis in its own scale."""
    area = np.ones(ds.sizes["cell"])
    for axis in axes:
        area = area * (axis.place(ds[f"{axis.name}_high"].values) - axis.place(ds[f"{axis.name}_low"].values))
    return {word: float(area[ds["believed"].values == word].sum()) for word in (*SIDES.values(), EDGE)}
