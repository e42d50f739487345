r"""What is fitted, and what is kept back: a number for each seed and point of a grid of axes.

    q[seed, point],  x[point, axis]        fitted: the first half of the seeds, and the inner part of each axis

The outer part is the first and the last sixth of an axis's values, one at least, of those that have a number; and never
so much that fewer than three are left. Where a run is lost or not as the study accepts, its number is nan. A point of
which less than 0.9 of the runs have a number is left out, and counted.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import xarray as xr

from .._errors import Mistake
from ..evidence.claims import SHARE
from ..refine.sides import Question

OUTER = 1 / 6
LEAST = 5
"""Values of an axis, of which the inner three are fitted."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """A quantity on a product of axes, one number a run."""

    name: str
    axes: tuple[str, ...]
    x: np.ndarray
    """[points, axes]"""
    q: np.ndarray
    """[seeds, points]"""
    fitted: np.ndarray
    """Seeds that are fitted; the others are kept back."""
    inner: np.ndarray
    """Points that are fitted."""
    recorded: bool = False
    """Whether it has records, of which the last is meant."""
    words: frozenset[str] = frozenset()
    """Axes of whole numbers, which results hold as words."""
    left_out: int = 0
    """Points without a number in enough of their runs."""

    @property
    def positive(self) -> bool:
        """Of all seeds: what is not has no logarithm, and would be left out where it is judged."""
        known = self.q[np.isfinite(self.q)]
        return bool(len(known) and (known > 0).all())

    @property
    def reach(self) -> float:
        """Greatest less least, of the seeds that are fitted."""
        known = self.q[self.fitted]
        return float(np.ptp(known[np.isfinite(known)])) or 1.0

    def to_fit(self) -> tuple[np.ndarray, np.ndarray]:
        """(x, q) of the fitted part."""
        return self.x[self.inner], self.q[np.ix_(self.fitted, self.inner)]

    @property
    def range(self) -> dict[str, tuple[float, float]]:
        return {n: (float(v.min()), float(v.max())) for n, v in zip(self.axes, self.x.T)}


def inner_of(values: np.ndarray) -> np.ndarray:
    """Which points of a product have no coordinate in an outer part of its axis.

    >>> inner_of(np.arange(12.0)[:, None]).nonzero()[0]
    array([2, 3, 4, 5, 6, 7, 8, 9])
    """
    inside = np.ones(len(values), bool)
    for column in values.T:
        known = np.unique(column)
        cut = min(max(1, round(OUTER * len(known))), max((len(known) - 3) // 2, 0))
        kept = known[cut : len(known) - cut]
        inside &= (column >= kept[0]) & (column <= kept[-1])
    return inside


def measured(
    ds: xr.Dataset, name: str, over: Sequence[str], accepts: Sequence[int], above: float | None = None
) -> Measured:
    """A variable of results over some of their axes, at the last record; every other axis but `seed` has one value."""
    value = Question.number(ds, name)
    value = value.broadcast_like(ds["status"]).where(ds["status"].isin([int(s) for s in accepts]))
    if above is not None:
        value = value.where(abs(value) > above)
    several = [d for d in value.dims if d not in over and d != "seed" and value.sizes[d] > 1]
    if several:
        raise Mistake(str(several[0]), f"has {value.sizes[several[0]]} values", f"choose one: {several[0]}=VALUE")
    value = value.isel({d: 0 for d in value.dims if d not in over and d != "seed"}, drop=True)
    value = value.transpose("seed", *over)
    x = np.array(list(itertools.product(*(ds[n].values.astype(float) for n in over))))
    q = value.values.reshape(value.sizes["seed"], -1)
    kept = np.isfinite(q).mean(0) >= SHARE
    for column, axis in zip(x[kept].T, over):
        if len(np.unique(column)) < LEAST:
            what = f"{name} has a number at {len(np.unique(column))} values of it"
            raise Mistake(axis, what, f"at least {LEAST} are needed: {axis}=lo..hi:9:log")
    fitted = np.arange(len(q)) < len(q) // 2
    recorded = "record" in ds[name].dims
    words = frozenset(n for n in over if not np.issubdtype(ds[n].dtype, np.number))
    inner, left_out = inner_of(x[kept]), int((~kept).sum())
    return Measured(name, tuple(over), x[kept], q[:, kept], fitted, inner, recorded, words, left_out)
