r"""Intervals from curves and pairs, with the seed as the unit: what one seed drew is one draw, however many runs it has.

A curve is what is left of an array when one point of every axis but `against` is chosen. Curves of one seed share its
problem and its start, so their errors move together. Where there is no axis of seeds, or one seed, each curve counts.

>>> x = np.log([1.0, 2.0, 4.0, 8.0])
>>> found = trend(np.array([[2 * x], [2 * x + 1], [2 * x + 3]]), x)
>>> round(found.value, 12), round(found.half, 12), found.units
(2.0, 0.0, 3)
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .._lazy import lazy

xr = lazy("xarray")

CONFIDENCE = 0.95
EXACT_PAIRS = 12
FLIPS = 10_000
SKEW_LEVEL = 0.005

_confidence = contextvars.ContextVar("confidence", default=CONFIDENCE)


def confidence() -> float:
    """Of every interval and test: 95 %, but within `at_confidence`."""
    return _confidence.get()


def skew_level() -> float:
    """`SKEW_LEVEL`, which is that of 95 %, in proportion."""
    return SKEW_LEVEL * (1 - confidence()) / (1 - CONFIDENCE)


@contextlib.contextmanager
def at_confidence(level: float) -> Iterator[None]:
    """Verdicts at another confidence: who looks at many results has to ask more of each.

    >>> with at_confidence(0.99):
    ...     round(share(200, 200).low, 4)
    0.9739
    """
    token = _confidence.set(level)
    try:
        yield
    finally:
        _confidence.reset(token)


class Interval(NamedTuple):
    """value +- half, from `units` units; a half-width of inf where they are too few."""

    value: float
    half: float
    units: int

    @property
    def low(self) -> float:
        return self.value - self.half

    @property
    def high(self) -> float:
        return self.value + self.half

    def __neg__(self) -> Interval:
        return Interval(-self.value, self.half, self.units)

    def __str__(self) -> str:
        return f"{self.value:.3f} +- {self.half:.3f}"


NONE = Interval(float("nan"), float("inf"), 0)


def student(degrees: int) -> float:
    from scipy import stats

    return float(stats.t.ppf((1 + confidence()) / 2, degrees))


def by_unit(values: xr.DataArray, against: str) -> np.ndarray:
    """The values as (unit, curve, point)."""
    seeded = "seed" in values.dims and against != "seed" and values.sizes["seed"] > 1
    others = [d for d in values.dims if d not in (against, "seed")]
    units = ["seed"] if seeded else [d for d in values.dims if d != against]
    curves = others if seeded else []
    shape = (int(np.prod([values.sizes[d] for d in units])), int(np.prod([values.sizes[d] for d in curves])), -1)
    return values.transpose(*units, *curves, against).values.reshape(shape)


@dataclasses.dataclass(frozen=True)
class _Lines:
    """Points of each curve about their mean, with what unit and curve they are of."""

    dx: np.ndarray
    dy: np.ndarray
    unit: np.ndarray
    curves: int

    @classmethod
    def of(cls, y: np.ndarray, x: np.ndarray) -> _Lines | None:
        dx, dy, unit, curves = [], [], [], 0
        for number, block in enumerate(y):
            for row in block:
                seen = np.isfinite(row)
                if seen.sum() >= 2:
                    dx.append(x[seen] - x[seen].mean())
                    dy.append(row[seen] - row[seen].mean())
                    unit.append(np.full(seen.sum(), number))
                    curves += 1
        return cls(np.concatenate(dx), np.concatenate(dy), np.concatenate(unit), curves) if curves else None

    @property
    def slope(self) -> float:
        return float(self.dx @ self.dy / (self.dx @ self.dx))

    def scatter(self) -> tuple[float, int]:
        """Mean square of what the common slope leaves, and its degrees of freedom."""
        degrees = len(self.dx) - self.curves - 1
        rest = self.dy - self.slope * self.dx
        return (float(rest @ rest) / degrees if degrees > 0 else float("inf")), degrees


def trend(y: np.ndarray, x: np.ndarray) -> Interval:
    r"""The common slope b of y against x over (unit, curve, point), with a free intercept for each curve.

    Its variance is that of sums over units,

        n / (n - 1)  sum_u (sum_{i in u} dx_i e_i)^2 / (sum_i dx_i^2)^2,      e_i = dy_i - b dx_i,

    with Student's t of n - 1 degrees: for n equal units the interval of the mean of their slopes. The half-width is at
    least that of the points about the line, which sees a curve that bends.
    """
    lines = _Lines.of(y, x)
    if lines is None:
        return NONE
    slope, norm = lines.slope, float(lines.dx @ lines.dx)
    square, degrees = lines.scatter()
    about = student(degrees) * np.sqrt(square / norm) if degrees > 0 else float("inf")
    scores = np.bincount(lines.unit, lines.dx * (lines.dy - slope * lines.dx), minlength=len(y))
    units = len(np.unique(lines.unit))
    if units == 1:
        return Interval(slope, float(about if len(y) == 1 else np.inf), 1)
    among = student(units - 1) * np.sqrt(units / (units - 1) * float(scores @ scores)) / norm
    return Interval(slope, float(max(about, among)), units)


def value_at(y: np.ndarray, x: np.ndarray, where: float) -> Interval:
    """The value at a point on lines of one slope for each unit: mean over its curves, interval over units."""
    found, errors = [], []
    for block in y:
        lines = _Lines.of(block[None], x)
        if lines is None:
            continue
        square, degrees = lines.scatter()
        ends = []
        for row in block:
            seen = np.isfinite(row)
            if seen.sum() >= 2:
                ends.append(row[seen].mean() + lines.slope * (where - x[seen].mean()))
        spread = float(lines.dx @ lines.dx)
        reach = (where - x.mean()) ** 2 / spread
        errors.append(student(degrees) ** 2 * square * (1 / len(lines.dx) + reach) if degrees > 0 else np.inf)
        found.append(np.mean(ends))
    if not found:
        return NONE
    value, units = float(np.mean(found)), len(found)
    if units == 1:
        return Interval(value, float(np.sqrt(errors[0]) if len(y) == 1 else np.inf), 1)
    return Interval(value, float(student(units - 1) * np.std(found, ddof=1) / np.sqrt(units)), units)


def share(held: float, of: int) -> Interval:
    """Clopper and Pearson, for a number of successes that may be a fraction: a unit may hold in part of its runs.

    >>> found = share(200, 200)
    >>> round(found.low, 4), round(found.high, 4)
    (0.9817, 1.0)
    """
    from scipy import stats

    miss = (1 - confidence()) / 2
    low = float(stats.beta.ppf(miss, held, of - held + 1)) if held > 0 else 0.0
    high = float(stats.beta.ppf(1 - miss, held + 1, of - held)) if held < of else 1.0
    return Interval((low + high) / 2, (high - low) / 2, of)


def bootstrap(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95 % interval of the mean over units, BCa (Efron 1987): `values` is (unit, point); fixed draws.

    Each point by itself, by the same draws. Where one has fewer than three units, or a single value, there is none.

    >>> low, high = bootstrap(np.arange(20.0)[:, None])
    >>> bool(6.5 < low[0] < 7.5), bool(11.5 < high[0] < 12.5)
    (True, True)
    """
    from scipy import stats

    low, high = (np.full(values.shape[1], np.nan) for _ in range(2))
    for point, column in enumerate(values.T):
        known = column[np.isfinite(column)]
        if len(known) >= 3 and np.ptp(known) > 0:
            found = stats.bootstrap((known,), np.mean, confidence_level=CONFIDENCE, n_resamples=FLIPS, rng=0)
            low[point], high[point] = found.confidence_interval
    return low, high


# -- pairs -------------------------------------------------------------------------------------------------------------


def _signs(pairs: int) -> np.ndarray:
    """All 2^n ways to swap n pairs, or `FLIPS` (more, where a level asks for them) by a fixed seed; the first swaps none."""
    if pairs <= EXACT_PAIRS:
        return np.array(list(itertools.product((1.0, -1.0), repeat=pairs)))
    count = max(FLIPS, math.ceil(4 / (1 - confidence())))  # the least chance that can be seen is 1 / count
    drawn = np.random.default_rng(0).choice((1.0, -1.0), size=(count, pairs))
    drawn[0] = 1.0
    return drawn


def sign_flips(differences: np.ndarray) -> tuple[np.ndarray, float]:
    r"""Chances under the null that swapping the two of a pair changes nothing: (below 0 at each point, above at some).

    `differences` is (pair, point), nan where a pair is missing. A point's statistic is its sum over the root of its sum
    of squares, which no flip changes; a pair is flipped at all points together. The second chance is that of the
    greatest statistic, so that it does not grow with the number of points.
    """
    known = np.nan_to_num(differences)
    scale = np.sqrt((known**2).sum(0))
    unit = np.divide(known, scale, out=np.zeros_like(known), where=scale > 0)
    flipped = _signs(len(known)) @ unit
    rounding = 1e-9
    below = (flipped <= flipped[0] + rounding).mean(0)
    above = float((flipped.max(1) >= flipped[0].max() - rounding).mean())
    return below, above


def skew_corrected(differences: np.ndarray) -> np.ndarray:
    r"""Hall's t of each point: a mean of 0 with a long tail on one side looks like a mean on the other.

    With x the mean over the standard deviation and c the skewness,  t = sqrt(n - 1) (x + c x^2/3 + c^2 x^3/27 + c/(6n)).
    At a level of `SKEW_LEVEL` 5 % of samples of a lognormal with mean 0 are beyond it, for 6 to 12 pairs.
    """
    count = np.isfinite(differences).sum(0)
    mean, spread = np.nanmean(differences, axis=0), np.nanstd(differences, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        x, skew = mean / spread, np.nanmean((differences - mean) ** 3, axis=0) / spread**3
        t = np.sqrt(count - 1) * (x + skew * x**2 / 3 + skew**2 * x**3 / 27 + skew / (6 * count))
    return np.where(spread > 1e-12 * abs(mean), t, np.where(mean == 0, 0.0, np.copysign(np.inf, mean)))
