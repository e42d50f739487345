r"""Kinds of claim: what has to be seen in the tested runs for each verdict.

    Identity, Inequality   residual <= tolerance in every tested run
    Exponent               residual ~ axis^value: the 95 % interval of a common log-log slope lies in value +- within
    Limit                  residual -> 0 as the axis goes to its end: it decays there, and has come within tolerance
    Ordering               residual < 0 on average, paired over an axis: a test by flipping signs
    Probability            residual <= tolerance with probability at least `level`: Clopper-Pearson
    UpToConstant           residual / tolerance stays bounded along an axis: an interval of its trend; never from one scale

`refuted` needs evidence too: an interval that excludes the claim. What excludes neither is `unresolved`. Intervals are
over seeds (`intervals`). A limit that is approached slower than every power, like 1 / log, is no matter for `Limit`:
claim the bound at every value of the axis instead, an `Inequality` with `bound`.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from .._lazy import lazy
from .intervals import (
    NONE,
    Interval,
    by_unit,
    confidence,
    share,
    sign_flips,
    skew_corrected,
    skew_level,
    trend,
    value_at,
)

xr = lazy("xarray")


@dataclasses.dataclass(frozen=True)
class Finding:
    verdict: str
    worst: float
    where: Mapping[str, Any]
    measured: str


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a kind sees: one number per run, nan where a run is not tested."""

    residual: xr.DataArray
    tolerance: xr.DataArray
    """1 of a kind that asks for none."""
    tested: xr.DataArray
    inside: xr.DataArray
    """Computed, and inside the hypotheses: with those that ended badly."""
    bound: xr.DataArray | None = None

    @property
    def ratio(self) -> xr.DataArray:
        return over_tolerance(self.residual, self.tolerance, self.bound)

    @property
    def lost(self) -> xr.DataArray:
        return self.inside & ~self.tested


class Kind(abc.ABC):
    """A rule that makes a verdict of the tested runs."""

    uses_tolerance: ClassVar[bool] = True
    signed: ClassVar[bool] = True
    """Whether a residual far below 0 is as good as one that is small: of an identity it is a failure."""

    @abc.abstractmethod
    def find(self, runs: Seen) -> Finding: ...

    @property
    def name(self) -> str:
        return type(self).__name__.lower()

    @property
    def axis(self) -> str | None:
        """The axis along which it looks at a trend."""
        return getattr(self, "against", None)


def worst_run(ratio: xr.DataArray) -> tuple[float, dict[str, Any]]:
    """The largest value and its coordinates; nan counts as least."""
    flat = np.where(np.isnan(ratio.values), -np.inf, ratio.values)
    place = np.unravel_index(int(flat.argmax()), flat.shape)
    where = {d: ratio[d].values[i].item() for d, i in zip(ratio.dims, place) if d in ratio.coords}
    return float(flat[place]), where


def over_tolerance(residual: xr.DataArray, tolerance: xr.DataArray, bound: xr.DataArray | None = None) -> xr.DataArray:
    """Residual over tolerance: above 1 where it fails, 1 at the edge. Of a tolerance below 0, 2 - residual / tolerance.

    With a bound left over right + tolerance, of left - right <= tolerance.
    """
    if bound is not None:
        residual, tolerance = residual + bound, tolerance + bound
    # A residual of 0 passes a tolerance of 0 (exact laws); anything above it does not.
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = residual / tolerance
    ratio = ratio.where((tolerance != 0) | residual.isnull(), xr.where(residual <= 0, 0.0, np.inf))
    return xr.where(tolerance < 0, 2 - ratio, ratio)


def span(values: xr.DataArray) -> str:
    """Least and greatest value, once where they agree."""
    low, high = f"{float(values.min()):.2g}", f"{float(values.max()):.2g}"
    return low if low == high else f"{low} to {high}"


# -- run by run --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Identity(Kind):
    """|left - right| within tolerance, run by run: of a residual with a sign, either is a failure."""

    signed: ClassVar[bool] = False

    def find(self, runs: Seen) -> Finding:
        worst, where = worst_run(runs.ratio)
        failed = int((runs.residual > runs.tolerance).sum())
        measured = f"{failed} of {int(runs.tested.sum())} runs beyond tolerance{self.about(runs)}"
        return Finding("refuted" if failed else "supported", max(worst, 0.0), where, measured)

    def about(self, runs: Seen) -> str:
        return f"; residual at most {float(runs.residual.max()):.2g}"


@dataclasses.dataclass(frozen=True)
class Inequality(Identity):
    """left - right <= tolerance, run by run. Where the claim gives right as its `bound`: how much of it left reaches."""

    signed: ClassVar[bool] = True

    def about(self, runs: Seen) -> str:
        if runs.bound is None:
            return super().about(runs)
        reached = (runs.residual + runs.bound).where(runs.bound > 0) / runs.bound
        if not bool(reached.notnull().any()):
            return "; the bound is nowhere positive"
        return f"; at most {float(reached.max()):.2g} of the bound (at least {float(reached.min()):.2g})"


# -- along an axis -----------------------------------------------------------------------------------------------------


def _values(runs: Seen, axis: str, towards: str) -> np.ndarray:
    """The places on the axis that have a tested run, in the order in which its end is reached."""
    order = np.argsort(runs.residual[axis].values.astype(float))
    others = [d for d in runs.tested.dims if d != axis]
    seen = runs.tested.any(others).values
    return np.array([i for i in (order[::-1] if towards == "zero" else order) if seen[i]], int)


def _logs(values: xr.DataArray, axis: str, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log value as (unit, curve, point), and log axis. What is not positive has no logarithm and is left out."""
    at = values.where(values > 0).isel({axis: places})
    with np.errstate(divide="ignore"):
        return np.log(by_unit(at, axis)), np.log(np.abs(at[axis].values.astype(float)))


def _fit(values: xr.DataArray, axis: str, places: np.ndarray) -> Interval:
    return trend(*_logs(values, axis, places)) if len(places) else NONE


def _short_of_the_end(runs: Seen, axis: str, towards: str, common: bool) -> str:
    """Which curves do not reach the end: of the axis, if it is `common` to all, else of where they are inside."""
    order = np.argsort(runs.residual[axis].values.astype(float))
    order = order[::-1] if towards == "zero" else order
    others = [d for d in runs.inside.dims if d != axis]
    inside = runs.inside.transpose(*others, axis).values.reshape(-1, len(order))[:, order]
    tested = runs.tested.transpose(*others, axis).values.reshape(-1, len(order))[:, order]
    curves = inside.any(1)
    last = len(order) - 1 - inside[:, ::-1].argmax(1)
    end = np.full_like(last, last[curves].max()) if common else last
    short = int((curves & ~tested[np.arange(len(end)), end]).sum())
    return f"; {short} of {int(curves.sum())} curves do not reach the end of {axis}" if short else ""


def _too_few(scales: int, found: Interval) -> str:
    if scales < 3:
        return " (at least 3 are needed)"
    return "" if np.isfinite(found.half) else " (more seeds are needed)"


@dataclasses.dataclass(frozen=True)
class Exponent(Kind):
    """residual = C axis^value, C free for each curve."""

    against: str
    value: float
    within: float = 0.1
    uses_tolerance: ClassVar[bool] = False

    def find(self, runs: Seen) -> Finding:
        places = _values(runs, self.against, "infinity")
        found = _fit(runs.residual, self.against, places)
        measured = f"exponent {found} in {self.against} over {len(places)} values"
        off = abs(found.value - self.value)
        worst = off / self.within
        if few := _too_few(len(places), found):
            return Finding("unresolved", worst, {}, measured + few)
        if off + found.half <= self.within:
            if off > found.half:
                measured += f" (its interval excludes {self.value:g}: it passes by its `within` of {self.within:g})"
            return Finding("supported", worst, {}, measured)
        return Finding("refuted" if off - found.half > self.within else "unresolved", worst, {}, measured)


@dataclasses.dataclass(frozen=True)
class Limit(Kind):
    r"""residual -> 0 as the axis goes to its end, `towards` "zero" or "infinity", at least as fast as axis^`slowest`.

    From the last four values: b, the exponent of its decay there, and v, its value at the end over the tolerance there.
    A residual L + C axis^p has b = p (1 - L/v), so whatever p >= `slowest` it has, L >= v (1 - b / slowest).
    """

    against: str
    towards: str = "zero"
    slowest: float = 0.25

    def find(self, runs: Seen) -> Finding:
        axis, places = self.against, _values(runs, self.against, self.towards)
        last = places[-4:]
        decay = _fit(runs.residual, axis, last)
        decay = decay if self.towards == "zero" else -decay
        end = last[-1]
        worst, where = worst_run(runs.ratio.isel({axis: [end]}))
        measured = f"decays with exponent {decay} over the last {len(last)} values of {axis}"
        if short := _short_of_the_end(runs, axis, self.towards, common=True):
            return Finding("unresolved", worst, where, measured + short)
        if few := _too_few(len(last), decay):
            return Finding("unresolved", worst, where, measured + few)
        scaled = runs.residual / runs.tolerance.isel({axis: end}, drop=True)
        logs, x = _logs(scaled, axis, last)
        value = value_at(logs, x, x[-1])
        low, high = np.exp(value.low), np.exp(value.high)
        measured += f", to {low:.2g} ... {high:.2g} of its tolerance"
        if decay.low > 0 and value.high <= 0 and worst <= 1:
            return Finding("supported", worst, where, measured)
        left = low * (1 - max(decay.high, 0.0) / self.slowest)
        return Finding("refuted" if left > 1 else "unresolved", worst, where, measured)


@dataclasses.dataclass(frozen=True)
class UpToConstant(Kind):
    """residual = O(tolerance) along an axis: over its last half their ratio grows slower than axis^`within`."""

    against: str
    towards: str = "infinity"
    within: float = 0.1

    def find(self, runs: Seen) -> Finding:
        axis, places, ratio = self.against, _values(runs, self.against, self.towards), runs.ratio
        last = places[-max(4, (len(places) + 1) // 2) :]
        growth = _fit(ratio, axis, last)
        growth = growth if self.towards == "infinity" else -growth
        worst, where = worst_run(ratio)
        measured = f"sup ratio {worst:.3g}, trend {growth} over the last {len(last)} values of {axis}"
        if short := _short_of_the_end(runs, axis, self.towards, common=False):
            return Finding("unresolved", worst, where, measured + short)
        if few := _too_few(len(last), growth):
            return Finding("unresolved", worst, where, measured + (few if len(last) > 1 else " (one scale bounds nothing)"))
        if growth.high <= self.within:
            return Finding("supported", worst, where, measured)
        return Finding("refuted" if growth.low > 0 else "unresolved", worst, where, measured)


# -- many runs together ------------------------------------------------------------------------------------------------

PAIRS = 6


@dataclasses.dataclass(frozen=True)
class Ordering(Kind):
    """residual < 0 on average over the pairs along `over`, at each point of the other axes.

    The null is that to swap the two of a pair changes nothing. A difference within `floor`, the rounding of what is
    subtracted, is a tie. Lost pairs may be lost because of their value: each counts against a verdict, with the
    greatest difference that was seen at its point.
    """

    over: str = "seed"
    floor: float = 1e-12
    uses_tolerance: ClassVar[bool] = False

    def find(self, runs: Seen) -> Finding:
        others = [d for d in runs.residual.dims if d != self.over]
        shape = (runs.residual.sizes[self.over], -1)
        seen, lost = (a.transpose(self.over, *others).values.reshape(shape) for a in (runs.residual, runs.lost))
        asked = np.isfinite(seen).any(0) | lost.any(0)
        worst, where = worst_run(runs.residual.mean(self.over))
        points, seen, lost = int(asked.sum()), seen[:, asked], lost[:, asked]
        greatest = np.max(abs(np.nan_to_num(seen)), axis=0)
        tied = abs(seen) <= self.floor
        ties, seen = int(tied.sum()), np.where(tied, 0.0, seen)
        pairs = np.isfinite(seen).sum(0)
        measured = f"mean difference {worst:.3g} at most, over {int(pairs.min())} or more pairs"
        measured += f" ({ties} ties)" if ties else ""
        if int(pairs.min()) < PAIRS:
            return Finding("unresolved", worst, where, f"{measured} (at least {PAIRS} pairs are needed at each point)")
        ordered = _ordered(np.where(lost, greatest, seen))
        measured += f"; ordered at {int(ordered.sum())} of {points} points"
        if bool(ordered.all()):
            return Finding("supported", worst, where, measured)
        return Finding("refuted" if _turned(np.where(lost, -greatest, seen)) else "unresolved", worst, where, measured)


def _ordered(differences: np.ndarray) -> np.ndarray:
    """Points at which the mean is below 0."""
    from scipy import stats

    below, _ = sign_flips(differences)
    count = np.isfinite(differences).sum(0)
    return (below < (1 - confidence()) / 2) & (skew_corrected(differences) < stats.t.ppf(skew_level(), count - 1))


def _turned(differences: np.ndarray) -> bool:
    """Whether at some point the mean is above 0."""
    from scipy import stats

    _, above = sign_flips(differences)
    count = np.isfinite(differences).sum(0)
    apart = skew_corrected(differences) > -stats.t.ppf(skew_level() / differences.shape[1], count - 1)
    return above < (1 - confidence()) / 2 and bool(apart.any())


@dataclasses.dataclass(frozen=True)
class Probability(Kind):
    """residual <= tolerance with probability at least `level`: of a seed, the share of its runs that hold.

    Where there is no axis of seeds the runs are the units. A lost run may have held or not: it counts against either
    verdict.
    """

    level: float

    def find(self, runs: Seen) -> Finding:
        holds = (runs.residual <= runs.tolerance) & runs.tested
        worst, where = worst_run(runs.ratio)
        others = [d for d in holds.dims if d != "seed"]
        if "seed" not in holds.dims or holds.sizes["seed"] == 1:
            others = []
        count = runs.inside.astype(int).sum(others)
        units = int((count > 0).sum())
        least, most = ((a.astype(int).sum(others) / count).where(count > 0).sum() for a in (holds, holds | runs.lost))
        low, high = share(float(least), units), share(float(most), units)
        measured = (
            f"held in {int(holds.sum())} of {int(runs.tested.sum())} runs of {units} {'seeds' if others else 'runs'}: "
            f"probability in [{low.low:.3f}, {high.high:.3f}]"
        )
        if low.low >= self.level:
            return Finding("supported", worst, where, measured)
        return Finding("refuted" if high.high < self.level else "unresolved", worst, where, measured)
