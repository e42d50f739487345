"""An axis of a refinement: [0, 1] -> its values, even in its own scale; whole numbers stay whole.

Places are numbers in [0, 1]. Those of the tree are k / 2^n, so that a finer search meets every point of a coarser one. A
value is written with 15 digits, as `ib.logspace` writes it, so that it is the same number on each machine.

>>> scale = Axis("scale", 0.01, 1.0, log=True, whole=False)
>>> scale.value(0.5), scale.places(4), scale.middle(0.25, 0.5)
(0.1, [0.0, 0.25, 0.5, 0.75, 1.0], 0.375)
>>> depth = Axis("depth", 2, 5, log=False, whole=True)
>>> [depth.value(u) for u in depth.places(8)], depth.middle(0.0, depth.places(8)[1])
([2, 3, 4, 5], None)
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._errors import Mistake, nearest
from ..sweep.ask.grid import Grid, Labelled

MOST = 2


@dataclasses.dataclass(frozen=True)
class Axis:
    name: str
    low: float
    high: float
    log: bool
    whole: bool

    def value(self, place: float) -> float | int:
        """The value at a place; both ends are exact."""
        if place in (0.0, 1.0):
            return self.high if place else self.low
        found = self.low * (self.high / self.low) ** place if self.log else self.low + (self.high - self.low) * place
        return round(found) if self.whole else float(f"{found:.15g}")

    def place(self, value: Any) -> Any:
        """The place of a value, or of an array of them."""
        value = np.asarray(value, dtype=float)
        if self.log:
            return np.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def snapped(self, place: float) -> float:
        """The nearest place that has a value: of whole numbers not every one has."""
        return float(self.place(self.value(place))) if self.whole else place

    def places(self, cells: int) -> list[float]:
        """Of the ends of so many cells, or of as many as there are whole numbers for."""
        return sorted({self.snapped(k / cells) for k in range(cells + 1)})

    def middle(self, low: float, high: float) -> float | None:
        """Half way between two places; None where no whole number lies between."""
        if not self.whole:
            return (low + high) / 2
        first, last = self.value(low), self.value(high)
        if last - first < 2:
            return None
        return float(self.place(min(max(self.value((low + high) / 2), first + 1), last - 1)))

    def dense(self, to: float) -> int:
        """Values of a grid that is as fine."""
        most = int(self.high - self.low) + 1 if self.whole else math.inf
        return int(min(math.ceil(1 / to - 1e-9) + 1, most))

    def __str__(self) -> str:
        return f"{self.name} {self.low:g} .. {self.high:g}" + " (log)" * self.log


def names_of(over: str | Sequence[str]) -> list[str]:
    """The axes that a search is over."""
    names = [n.strip() for n in over.split(",")] if isinstance(over, str) else [*over]
    if not names or not all(names):
        raise Mistake("over", "names no axis", "write over=scale, or over=scale,ratio")
    if len(set(names)) != len(names):
        raise Mistake("over", f"names {next(n for n in names if names.count(n) > 1)} twice", "name two different axes")
    if len(names) > MOST:
        what = f"names {len(names)} axes, and a boundary is followed over one or two"
        raise Mistake("over", what, f"set the others: {' '.join(f'{n}=VALUE' for n in names[MOST:])}")
    return names


_RANGE = re.compile(r"(?P<low>[^:]+?)\.\.(?P<high>[^:]+?)(?::(?P<count>\d+))?(?::(?P<scale>log|lin))?")


def span_of(name: str, given: Any) -> tuple[float, float, bool | None]:
    """(low, high, log) of `lo..hi[:log]`, or of (lo, hi) and (lo, hi, "log"); None where the scale is not said.

    >>> span_of("scale", "1e-3..10:log"), span_of("scale", (0.1, 1)), span_of("scale", "0..1:lin")
    ((0.001, 10.0, True), (0.1, 1.0, None), (0.0, 1.0, False))
    """
    remedy = f"write {name}=lo..hi, or {name}=lo..hi:log"
    if isinstance(given, str):
        found = _RANGE.fullmatch(given.strip())
        given = () if found is None else (found["low"], found["high"], *([found["scale"]] if found["scale"] else []))
    given = tuple(given) if isinstance(given, (tuple, list)) else ()
    try:
        low, high = float(given[0]), float(given[1])
        known = {(): None, ("log",): True, ("lin",): False}[given[2:]]
    except (TypeError, ValueError, IndexError, KeyError):
        raise Mistake(name, "is searched over, and has no range", remedy) from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise Mistake(name, f"has the range {low:g} .. {high:g}, which is none", remedy)
    if known and low <= 0:
        raise Mistake(name, f"is logarithmic and begins at {low:g}", "begin above 0, or write :lin")
    return low, high, known


def axis_of(name: str, grid: Grid, defaults: Mapping[str, Any], given: Any) -> Axis:
    """The axis of a study, or a keyword of its cell, from end to end or as far as is asked."""
    own = list(grid.axes.get(name, ()))
    kept = own or [v for n, v in defaults.items() if n == name and v is not None]
    if name == "seed" or name.startswith("seed."):
        raise Mistake("over", "seeds have no boundary", "name axes or keywords that are numbers")
    if name not in grid.axes and name not in defaults:
        raise Mistake("over", f"{name!r} is no axis or keyword of this study", nearest(name, [*grid.axes, *defaults]))
    if any(isinstance(v, (str, bool, Labelled)) or not isinstance(v, (int, float)) for v in kept):
        how = f"choose one of its values: {name}={getattr(kept[0], 'label', kept[0])}"
        raise Mistake("over", f"{name} is an axis of words, which has nothing between two of them", how)
    whole = bool(kept) and all(isinstance(v, int) for v in kept)
    if given is None and len(own) < 2:
        raise Mistake(name, "has no range of its own", f"write {name}=lo..hi, or {name}=lo..hi:log")
    low, high, log = (min(own), max(own), None) if given is None else span_of(name, given)
    if log is None:
        log = low > 0 and _is_geometric(own)
    if whole:
        if not (float(low).is_integer() and float(high).is_integer()):
            raise Mistake(name, "takes whole numbers", f"write {name}={math.floor(low)}..{math.ceil(high)}")
        low, high = int(low), int(high)
    return Axis(name, low, high, log, whole)


def _is_geometric(values: Sequence[float]) -> bool:
    """Whether values lie evenly on a logarithmic axis rather than on a linear one; of two: whether they are far apart."""
    at = np.sort(np.asarray(values, dtype=float))
    if len(at) < 2 or at[0] <= 0:
        return False
    if len(at) == 2:
        return bool(at[1] > 3 * at[0])
    uneven = [np.ptp(np.diff(v)) / abs(np.diff(v)).mean() for v in (np.log(at), at)]
    return bool(uneven[0] < uneven[1])
