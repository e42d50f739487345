r"""Kinds of claim: what has to be seen in the tested runs for each verdict.

    Identity, Inequality   residual <= tolerance in every tested run
    Exponent               residual ~ axis^value: the 95 % interval of a pooled log-log slope lies in value +- within
    Limit                  residual -> 0 as the axis goes to its end: the slope's interval excludes 0, and the
                           residual at the end is within tolerance
    Ordering               residual < 0 on average, paired over an axis: the interval of the mean excludes 0
    Probability            residual <= tolerance with probability at least `level`: Clopper-Pearson
    UpToConstant           residual / bound stays bounded along an axis: no upward trend; never from one scale
    Remembered             an exponent beside a value that only memory supports: always `unresolved`

`refuted` needs evidence too: an interval that excludes the claim. What excludes neither is `unresolved`.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._lazy import lazy

xr = lazy("xarray")

CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Finding:
    verdict: str
    worst: float
    where: Mapping[str, Any]
    measured: str


class Kind(abc.ABC):
    """`find` sees the residuals and tolerances of the tested runs, nan elsewhere."""

    @abc.abstractmethod
    def find(self, residual: xr.DataArray, tolerance: xr.DataArray, tested: xr.DataArray) -> Finding: ...

    @property
    def name(self) -> str:
        return type(self).__name__.lower()


def worst_run(ratio: xr.DataArray) -> tuple[float, dict[str, Any]]:
    """The largest value and its coordinates; nan counts as least."""
    flat = np.where(np.isnan(ratio.values), -np.inf, ratio.values)
    place = np.unravel_index(int(flat.argmax()), flat.shape)
    where = {d: ratio[d].values[i].item() for d, i in zip(ratio.dims, place) if d in ratio.coords}
    return float(flat[place]), where


def over_tolerance(residual: xr.DataArray, tolerance: xr.DataArray) -> xr.DataArray:
    """Residual over tolerance."""
    # A residual of 0 passes a tolerance of 0 (exact laws); anything above it does not.
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = residual / tolerance
    return ratio.where((tolerance != 0) | residual.isnull(), xr.where(residual <= 0, 0.0, np.inf))


@dataclasses.dataclass(frozen=True)
class Identity(Kind):
    """|left - right| within tolerance, run by run."""

    def find(self, residual: xr.DataArray, tolerance: xr.DataArray, tested: xr.DataArray) -> Finding:
        worst, where = worst_run(over_tolerance(residual, tolerance))
        failed = int((residual > tolerance).sum())
        measured = f"{failed} of {int(tested.sum())} runs beyond tolerance"
        return Finding("refuted" if failed else "supported", worst, where, measured)


@dataclasses.dataclass(frozen=True)
class Inequality(Identity):
    """left - right <= tolerance, run by run."""


def _slope(residual: xr.DataArray, against: str) -> tuple[float, float, int]:
    """Pooled slope of log residual on log axis with a free intercept for each curve: (slope, half-width, scales).

    The half-width is the greater of two: of the residuals about the line, and, because a curve bends as one, of the
    slopes of single curves about their mean.
    """
    from scipy import stats

    x = np.log(np.abs(residual[against].values.astype(float)))
    y = np.log(residual.where(residual > 0).transpose(..., against).values.reshape(-1, len(x)))
    xs, ys, slopes = [], [], []
    for row in y:
        seen = np.isfinite(row)
        if seen.sum() >= 2:
            xs.append(x[seen] - x[seen].mean())
            ys.append(row[seen] - row[seen].mean())
            slopes.append(xs[-1] @ ys[-1] / (xs[-1] @ xs[-1]))
    curves = len(slopes)
    if not curves:
        return float("nan"), float("inf"), 0
    dx, dy = np.concatenate(xs), np.concatenate(ys)
    slope = float(dx @ dy / (dx @ dx))
    degrees = len(dx) - curves - 1
    if degrees < 1:
        return slope, float("inf"), len(np.unique(np.round(dx, 12)))
    error = float(np.sqrt(np.sum((dy - slope * dx) ** 2) / degrees / (dx @ dx)))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, degrees)) * error
    if curves >= 3:
        among = float(stats.t.ppf((1 + CONFIDENCE) / 2, curves - 1) * np.std(slopes, ddof=1) / np.sqrt(curves))
        half = max(half, among)
    return slope, half, int(np.isfinite(y).any(0).sum())


@dataclasses.dataclass(frozen=True)
class Exponent(Kind):
    """residual = C axis^value, C free for each curve."""

    against: str
    value: float
    within: float = 0.1

    def find(self, residual: xr.DataArray, tolerance: xr.DataArray, tested: xr.DataArray) -> Finding:
        slope, half, scales = _slope(residual, self.against)
        measured = f"exponent {slope:.3f} +- {half:.3f} in {self.against} over {scales} values"
        worst = abs(slope - self.value) / self.within
        if scales < 3 or not np.isfinite(half):
            return Finding("unresolved", worst, {}, measured + " (at least 3 are needed)")
        if abs(slope - self.value) + half <= self.within:
            return Finding("supported", worst, {}, measured)
        refuted = abs(slope - self.value) - half > self.within
        return Finding("refuted" if refuted else "unresolved", worst, {}, measured)


@dataclasses.dataclass(frozen=True)
class Limit(Kind):
    """residual -> 0 as the axis goes to its end, `towards` "zero" or "infinity"."""

    against: str
    towards: str = "zero"

    def find(self, residual: xr.DataArray, tolerance: xr.DataArray, tested: xr.DataArray) -> Finding:
        slope, half, scales = _slope(residual, self.against)
        slope = slope if self.towards == "zero" else -slope
        axis = residual[self.against].values
        end = int(axis.argmin() if self.towards == "zero" else axis.argmax())
        worst, where = worst_run(over_tolerance(residual, tolerance).isel({self.against: [end]}))
        measured = f"decays with exponent {slope:.3f} +- {half:.3f} over {scales} values of {self.against}"
        if scales < 3 or not np.isfinite(half):
            return Finding("unresolved", worst, where, measured + " (at least 3 are needed)")
        if slope - half > 0 and worst <= 1:
            return Finding("supported", worst, where, measured)
        return Finding("refuted" if slope + half < 0 else "unresolved", worst, where, measured)


@dataclasses.dataclass(frozen=True)
class Ordering(Kind):
    """residual < 0 on average over the pairs along `over`, at each point of the other axes."""

    over: str = "seed"

    def find(self, residual: xr.DataArray, tolerance: xr.DataArray, tested: xr.DataArray) -> Finding:
        from scipy import stats

        pairs = residual.count(self.over)
        mean = residual.mean(self.over)
        error = residual.std(self.over, ddof=1) / np.sqrt(pairs)

        def quantile(miss: float) -> xr.DataArray:
            return xr.apply_ufunc(lambda n: stats.t.ppf(1 - miss / 2, np.maximum(n - 1, 1)), pairs)

        high = mean + quantile(1 - CONFIDENCE) * error
        # one point in the wrong order refutes, so the chance of a slip is shared out over the points
        low = mean - quantile((1 - CONFIDENCE) / max(pairs.size, 1)) * error
        known = (pairs >= 3) & mean.notnull()
        worst, where = worst_run(high.where(known))
        measured = (
            f"mean difference {float(mean.max()):.3g} at most, over {int(pairs.min())} or more pairs; "
            f"ordered at {int((high < 0).where(known, False).sum())} of {int(pairs.size)} points"
        )
        if not bool(known.all()):
            return Finding("unresolved", worst, where, measured + " (at least 3 pairs are needed at each)")
        if bool((high < 0).all()):
            return Finding("supported", worst, where, measured)
        return Finding("refuted" if bool((low > 0).any()) else "unresolved", worst, where, measured)


@dataclasses.dataclass(frozen=True)
class Probability(Kind):
    """residual <= tolerance with probability at least `level` over the runs."""

    level: float

    def find(self, residual: xr.DataArray, tolerance: xr.DataArray, tested: xr.DataArray) -> Finding:
        from scipy import stats

        held, count = int((residual <= tolerance).sum()), int(tested.sum())
        interval = stats.binomtest(held, count).proportion_ci(CONFIDENCE, method="exact")
        worst, where = worst_run(over_tolerance(residual, tolerance))
        measured = f"held in {held} of {count} runs: probability in [{interval.low:.3f}, {interval.high:.3f}]"
        if interval.low >= self.level:
            return Finding("supported", worst, where, measured)
        return Finding("refuted" if interval.high < self.level else "unresolved", worst, where, measured)


@dataclasses.dataclass(frozen=True)
class UpToConstant(Kind):
    """residual = O(tolerance) along an axis: their ratio has no upward trend towards the axis's end."""

    against: str
    towards: str = "infinity"

    def find(self, residual: xr.DataArray, tolerance: xr.DataArray, tested: xr.DataArray) -> Finding:
        ratio = over_tolerance(residual, tolerance)
        slope, half, scales = _slope(ratio, self.against)
        slope = slope if self.towards == "infinity" else -slope
        worst, where = worst_run(ratio)
        measured = f"sup ratio {worst:.3g}, trend {slope:.3f} +- {half:.3f} over {scales} values of {self.against}"
        if scales < 3 or not np.isfinite(half):
            return Finding("unresolved", worst, where, measured + " (one scale cannot support an O(.))")
        if slope - half > 0:
            return Finding("refuted", worst, where, measured)
        return Finding("supported" if slope <= 0 or slope + half < 0.1 else "unresolved", worst, where, measured)


@dataclasses.dataclass(frozen=True)
class Remembered(Kind):
    """An exponent, shown beside one that was remembered and not read: it decides nothing."""

    against: str
    remembered: float

    def find(self, residual: xr.DataArray, tolerance: xr.DataArray, tested: xr.DataArray) -> Finding:
        del tolerance, tested
        slope, half, scales = _slope(residual, self.against)
        measured = (
            f"exponent {slope:.3f} +- {half:.3f} in {self.against} over {scales} values, beside {self.remembered:.4g} "
            "as remembered"
        )
        return Finding("unresolved", float("nan"), {}, measured)
