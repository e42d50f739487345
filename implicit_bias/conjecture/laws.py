r"""Laws with exponents, by least squares in the logarithm, a constant free for each seed.

    Power        log q = c_s + a . u                                        u = log x
    TwoPowers    log q = c_s + a . u + sign * log(1 + exp(sign (b - a) . u - k))     exponents a, and b beyond the crossover
    Limit        q = L + sign * exp(c_s + a . u)

Intervals are simultaneous: over the seeds and, since one curve may bend for every seed alike, over the points; the wider
of the two jackknives, at 95 % for all numbers of a law together. That of a power law is no narrower than twice
what the exponents of the two halves of an axis are apart from it: a curve that bends towards its law is on the way there.

>>> u = np.log(np.geomspace(0.01, 1, 8))[:, None]
>>> found = fit(Power(1), u, np.stack([2 * u[:, 0], 2 * u[:, 0] + 1, 2 * u[:, 0] + 5]))
>>> found.values.round(9), bool(found.halves[0] < 1e-9)
(array([2.]), True)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np

from ..evidence.intervals import CONFIDENCE

ROUNDING = 1e-12
MOST = 200
"""Evaluations of a least-squares problem."""


@runtime_checkable
class Law(Protocol):
    axes: int

    def __call__(self, p: np.ndarray, u: np.ndarray) -> np.ndarray:
        """What is fitted, up to a constant for each seed: [points]."""

    def solve(self, u: np.ndarray, curve: np.ndarray, near: np.ndarray | None) -> np.ndarray | None: ...

    @property
    def names(self) -> list[str]: ...


@dataclasses.dataclass(frozen=True)
class Jackknife:
    """What a fit becomes without each seed, and without each point."""

    seeds: np.ndarray
    """[seeds, numbers]"""
    points: np.ndarray
    """[points, numbers]"""
    spent: int
    """Numbers that were fitted."""

    def halves(self, of: Callable[[np.ndarray], np.ndarray], count: int, *, points: bool = True) -> np.ndarray:
        """Simultaneous half-widths of `count` functions of the numbers: the wider of the two, or that of seeds alone."""
        from scipy import stats

        wide = np.zeros(count)
        for found, degrees in ((self.seeds, len(self.seeds) - 1), (self.points, len(self.points) - self.spent - 1)):
            if len(found) > 1 and (points or found is self.seeds):
                values = np.array([of(p) for p in found])
                n = len(found)
                error = np.sqrt((n - 1) / n * ((values - values.mean(0)) ** 2).sum(0))
                wide = np.maximum(wide, stats.t.ppf(1 - (1 - CONFIDENCE) / (2 * count), max(degrees, 1)) * error)
        return wide


@dataclasses.dataclass(frozen=True)
class Fit:
    """A law with its numbers and their simultaneous half-widths."""

    law: Law
    values: np.ndarray
    halves: np.ndarray
    rms: float
    left: Jackknife

    def __call__(self, u: np.ndarray) -> np.ndarray:
        return self.law(self.values, u)

    def doubt(self, u: np.ndarray, *, free: bool) -> np.ndarray:
        """Half-width of what it says at each point, beside its mean where a constant is free.

        From seeds alone: how far it is from bending as the points do is what those that were kept back are asked.
        """

        def said(p: np.ndarray) -> np.ndarray:
            found = self.law(p, u)
            return found - found.mean() if free else found

        return self.left.halves(said, len(u), points=False)


def curve_of(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """v[s, p] = c[s] + h[p] by least squares over what is known, the mean of h being 0: (h, c)."""
    known, filled = np.isfinite(v), np.nan_to_num(v)
    offset, curve = np.zeros(len(v)), np.zeros(v.shape[1])
    for _ in range(1 if known.all() else 60):
        offset = np.where(known, filled - curve, 0).sum(1) / np.maximum(known.sum(1), 1)
        curve = np.where(known, filled - offset[:, None], 0).sum(0) / np.maximum(known.sum(0), 1)
        curve -= curve.mean()
    return curve, offset


@dataclasses.dataclass(frozen=True)
class Power:
    axes: int

    @property
    def names(self) -> list[str]:
        return [f"a{j}" for j in range(self.axes)]

    def __call__(self, p: np.ndarray, u: np.ndarray) -> np.ndarray:
        return u @ p

    def solve(self, u: np.ndarray, curve: np.ndarray, near: np.ndarray | None) -> np.ndarray:
        del near
        return _slopes(u, curve)


def _slopes(u: np.ndarray, curve: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(u - u.mean(0), curve - curve.mean(), rcond=None)[0]


def _least_squares(
    of: Callable[[np.ndarray], np.ndarray], slope: Callable[[np.ndarray], np.ndarray], starts: list[np.ndarray]
) -> np.ndarray | None:
    from scipy import optimize

    best, least = None, np.inf
    for start in starts:
        if not np.isfinite(start).all() or not np.isfinite(of(start)).all():
            continue
        found = optimize.least_squares(of, start, slope, method="lm", xtol=1e-13, ftol=1e-13, gtol=1e-13, max_nfev=MOST)
        if np.isfinite(found.cost) and found.cost < least:
            best, least = found.x, found.cost
    return best


@dataclasses.dataclass(frozen=True)
class TwoPowers:
    """`sign` +1: a sum of two powers, of which the larger is seen; -1: a harmonic sum, of which the smaller is."""

    axes: int
    sign: int

    @property
    def names(self) -> list[str]:
        return [*(f"a{j}" for j in range(self.axes)), *(f"b{j}" for j in range(self.axes)), "k"]

    def parts(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """(a, b, k)"""
        return p[: self.axes], p[self.axes : -1], float(p[-1])

    def __call__(self, p: np.ndarray, u: np.ndarray) -> np.ndarray:
        a, _, _ = self.parts(p)
        return u @ a + self.sign * np.logaddexp(0.0, self.beyond(p, u))

    def beyond(self, p: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Above 0 beyond the crossover: the logarithm of how far."""
        a, b, k = self.parts(p)
        return self.sign * (u @ (b - a)) - k

    def solve(self, u: np.ndarray, curve: np.ndarray, near: np.ndarray | None) -> np.ndarray | None:
        from scipy import special

        def rest(p):
            r = curve - self(p, u)
            return r - r.mean()

        def slope(p):
            share = special.expit(self.beyond(p, u))[:, None]  # of the second power
            found = -np.hstack([u * (1 - share), u * share, -self.sign * share])
            return found - found.mean(0)

        return _least_squares(rest, slope, self._starts(u, curve) if near is None else [near])

    def _starts(self, u: np.ndarray, curve: np.ndarray) -> list[np.ndarray]:
        """Slopes of the two ends of each axis, with the crossover at three places between."""
        whole = _slopes(u, curve)
        found = []
        for j in range(self.axes):
            low, high = u[:, j] <= np.quantile(u[:, j], 0.4), u[:, j] >= np.quantile(u[:, j], 0.6)
            first, second = _slopes(u[low], curve[low]), _slopes(u[high], curve[high])
            way = np.sign(self.sign * (second[j] - first[j])) or 1.0  # the end that is `a`
            a, b = (first, second) if way > 0 else (second, first)
            here = np.arange(self.axes) == j
            a, b = np.where(here, a, whole), np.where(here, b, whole)
            along = self.sign * (b - a)[j]
            found += [np.array([*a, *b, along * np.quantile(u[:, j], at)]) for at in (0.2, 0.5, 0.8)]
        return found


@dataclasses.dataclass(frozen=True)
class Limit:
    """q itself, of one curve: L + sign exp(c + a . u); no constant is free for each seed."""

    axes: int
    sign: int

    @property
    def names(self) -> list[str]:
        return ["L", *(f"a{j}" for j in range(self.axes)), "c"]

    def __call__(self, p: np.ndarray, u: np.ndarray) -> np.ndarray:
        return p[0] + self.sign * np.exp(np.clip(p[-1] + u @ p[1:-1], -200, 200))

    def solve(self, u: np.ndarray, curve: np.ndarray, near: np.ndarray | None) -> np.ndarray | None:
        scale = np.abs(curve).max() or 1.0

        def rest(p):
            return (curve - self(p, u)) / scale

        def slope(p):
            gone = self(p, u)[:, None] - p[0]
            return -np.hstack([np.ones_like(gone), gone * u, gone]) / scale

        if near is not None:
            return _least_squares(rest, slope, [near])
        starts, ends = [], (curve.min(), curve.max())
        for end in (ends[0] - 0.05 * np.ptp(curve), ends[0] - 0.5 * np.ptp(curve)) if self.sign > 0 else (
            ends[1] + 0.05 * np.ptp(curve), ends[1] + 0.5 * np.ptp(curve)):  # fmt: skip
            logs = np.log(np.maximum(self.sign * (curve - end), 1e-300))
            a = _slopes(u, logs)
            starts.append(np.array([end, *a, logs.mean() - u.mean(0) @ a]))
        return _least_squares(rest, slope, starts)


def fit(law: Law, u: np.ndarray, v: np.ndarray, *, free: bool = True, below: float = np.inf) -> Fit | None:
    """By least squares over seeds and points.

    None where it has no solution, too few points for its numbers, or no root mean square below what is asked.
    """
    count = len(law.names)
    if len(u) <= count + 1:
        return None

    def curve(part: np.ndarray) -> np.ndarray:
        return curve_of(part)[0] if free else np.nanmean(part, axis=0)

    rows, columns = np.arange(len(v)), np.arange(len(u))
    whole = curve(v)
    values = law.solve(u, whole, None)
    if values is None:
        return None
    rest = whole - law(values, u)
    rms = float(np.sqrt(np.mean((rest - (rest.mean() if free else 0.0)) ** 2)))
    if not rms < below:
        return None
    seeds = [law.solve(u, curve(np.delete(v, i, 0)), values) for i in rows] if len(rows) > 1 else []
    points = [law.solve(np.delete(u, i, 0), curve(np.delete(v, i, 1)), values) for i in columns]
    if any(p is None for p in (*seeds, *points)):
        return None
    left = Jackknife(np.array(seeds), np.array(points), count)
    halves = left.halves(lambda p: p, count) + ROUNDING * np.abs(values)
    if isinstance(law, Power):
        halves = np.maximum(halves, 2 * _bend(u, whole, values))
    return Fit(law, values, halves, rms, left)


def _bend(u: np.ndarray, curve: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """How far the exponents of either half of an axis are from those of the whole."""
    apart = np.zeros(len(slopes))
    for j, column in enumerate(u.T):
        values = np.unique(column)
        middle = len(values) // 2
        for some in (values[: middle + 1], values[-middle - 1 :]):
            if len(some) > 2:
                here = np.isin(column, some)
                apart[j] = max(apart[j], abs(_slopes(u[here], curve[here]) - slopes)[j])
    return apart
