"""Lines to read a panel by: levels, powers through a measured series, and whatever else a function draws."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ..._errors import Mistake
from .layers import Layer, Sheet, Value
from .looks import COLOURS
from .table import drawn_in, read

LINES = ("-", "--", ":", "-.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Level(Layer):
    """A straight line: at one y (or one x), with its name at the edge."""

    at: Value | float
    label: str = ""
    vertical: bool = False
    line: str = ":"
    colour: str = "black"
    counts: ClassVar[bool] = False

    def draw(self, sheet: Sheet) -> None:
        at = self.at
        if not isinstance(at, (int, float)):
            ds = self.dataset(sheet)
            if ds is None:
                return
            at = float(self.value(ds, at).mean())
        if not np.isfinite(at):
            return
        axes, paint = sheet.axes, COLOURS.get(self.colour, self.colour)
        (axes.axvline if self.vertical else axes.axhline)(at, color=paint, lw=sheet.pen(0.9), ls=self.line, zorder=1.5)
        sheet.note("level", self.label, **{"x" if self.vertical else "y": at})
        if not self.label:
            return
        if self.vertical:
            place, where, shift = (at, 1), ("data", "axes fraction"), (3, -2)
            turned = dict(rotation=90, va="top", ha="left")
        else:
            place, where, shift = (1, at), ("axes fraction", "data"), (-2, 2)
            turned = dict(va="bottom", ha="right")
        name = axes.annotate(self.label, place, shift, where, "offset points", color=paint, **turned)
        sheet.levels.append((name, self.vertical))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Guide(Layer):
    """A power law through the middle of a measured series (or its first or last point)."""

    power: Value | float
    label: str = ""
    series: int | str = 0
    """Which of the series drawn before it; "each" for every one in its colour."""
    through: str = "middle"
    within: tuple[float, float] = (0.0, float("inf"))
    """The stretch of x that it leans on and is drawn over."""
    line: str | None = None
    """Without one, the next that no guide of the panel has."""
    counts: ClassVar[bool] = False

    def __post_init__(self):
        if self.through not in ("first", "middle", "last"):
            raise Mistake("through", f"of a guide is {self.through!r}", "give first, middle or last")

    def draw(self, sheet: Sheet) -> None:
        here = self.on is None or self.dataset(sheet) is not None
        if not sheet.points or not here:
            return
        power = self.power
        if not isinstance(power, (int, float)):
            ds = self.dataset(sheet)
            if ds is None:
                return
            power = float(self.value(ds, power).mean())
        line, sheet.guides = self.line or LINES[sheet.guides % len(LINES)], sheet.guides + (self.line is None)
        chosen = sheet.points if self.series == "each" else [sheet.points[int(self.series)]]
        for i, (x, y, colour) in enumerate(chosen):
            with np.errstate(invalid="ignore"):
                fit = (x > 0) & (y > 0) & np.isfinite(y) & (x >= self.within[0]) & (x <= self.within[1])
            if not fit.any():
                continue
            u, v = np.log(x[fit]), np.log(y[fit])
            rise = v - power * u
            anchor = {"middle": rise.mean(), "first": rise[0], "last": rise[-1]}[self.through]
            ends = np.array([u.min(), u.max()])
            paint = colour if self.series == "each" else "black"
            label = self.label.format(power) if not i else None
            x, y = np.exp(ends), np.exp(anchor + power * ends)
            sheet.axes.plot(x, y, line, color=paint, lw=sheet.pen(1), zorder=1.6, label=label)
            sheet.note("guide", self.label.format(power), x, y)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawn(Layer):
    """What the grammar has no word for: a function of matplotlib's axes and the dataset."""

    function: Callable[[Any, Any], None]

    def draw(self, sheet: Sheet) -> None:
        ds = self.dataset(sheet)
        if ds is not None:
            before = {id(artist) for artist in sheet.axes.get_children()}
            self.function(sheet.axes, ds)
            sheet.notes += read([artist for artist in drawn_in(sheet.axes) if id(artist) not in before])


def level(at: Value | float, label: str = "", **options: Any) -> Level:
    """A horizontal line with its name."""
    return Level(at=at, label=label, **options)


def across(at: Value | float, label: str = "", **options: Any) -> Level:
    """A vertical line with its name."""
    return Level(at=at, label=label, vertical=True, **options)


def guide(power: Value | float, label: str = "slope {:.3g}", **options: Any) -> Guide:
    """A straight line of that slope on logarithmic axes, through the series before it."""
    return Guide(power=power, label=label, **options)


def drawn(function: Callable[[Any, Any], None], **options: Any) -> Drawn:
    """A function of (matplotlib's axes, the dataset)."""
    return Drawn(function=function, **options)
