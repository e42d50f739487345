r"""What a small start buys: claims about the size alpha of a start, the axis `scale` of a study of low-rank recovery.

The study observes `error` = |Z - X| / |X| and `rank_ratio` = sigma_{r+1}(Z) / sigma_r(Z), r the rank of X, in two grids:
`population` (A*A = I) and `gaussian`, with the fact `least` = sigma_r(X). Everything is read at one stated moment, at three times the first step with an
error of 10 %: exponents depend on when one stops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._lazy import lazy
from .._results import Status
from .claims import Claim
from .curves import at_first, first_moment, per_log
from .figures import COLOURS, Figure
from .kinds import Exponent, Identity, Inequality, Limit, Remembered

xr = lazy("xarray")

AFTER = 3.0
"""When to stop: at this multiple of the first moment with an error of 10 %."""
LARGE = 0.5
LARGEST_FIT = 3e-3


def reached(ds: xr.Dataset) -> xr.DataArray:
    """The first step at which |Z - X| <= |X| / 10, to the record."""
    return first_moment(ds.error <= 0.1, ds.clock)


def stopped(ds: xr.Dataset, variable: xr.DataArray) -> xr.DataArray:
    """A variable at the stop."""
    return at_first(variable, ds.clock, AFTER * reached(ds))


def small(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    return {"alpha <= 0.003": np.log(LARGEST_FIT) - np.log(ds.scale)}


class OfTheStart(NamedTuple):
    """The claims, in the order of a table."""

    time_population: Claim
    time_sensing: Claim
    error_population: Claim
    error_remembered: Claim
    error_falls: Claim
    low_rank: Claim
    large_start: Claim


def claims_of_the_start(
    source: str,
    steps_per_log: Callable[[xr.Dataset], xr.DataArray],
    *,
    rate: str,
    within: float,
    bound: str,
    remembered: float,
    because: str,
    prefix: str = "",
) -> OfTheStart:
    """`steps_per_log` is `rate` in numbers; `within` how far sensing may be off it; `bound` the exponent as remembered."""

    def claim(name: str, about: str, statement: str, on: str, **more) -> Claim:
        common = dict(accepts=(Status.CAPPED, Status.CONVERGED, Status.STALLED), hypotheses=small)
        common |= dict(tolerance=lambda ds: 1.0)
        return Claim(id=prefix + name, source=f"{source}, {about}", statement=statement, on=on, **(common | more))

    def slope_gap(ds: xr.Dataset) -> xr.DataArray:
        """Steps per factor e of 1/alpha, over what is expected, - 1: one number for each curve."""
        steps = reached(ds).where(ds.scale <= LARGEST_FIT)
        return abs(-per_log(steps, "scale") / steps_per_log(ds) - 1)

    def error(ds: xr.Dataset) -> xr.DataArray:
        return stopped(ds, ds.error)

    def short_of_ten_times(ds: xr.Dataset) -> xr.DataArray:
        end = ds.error.isel(record=-1)
        return 10 * end.isel(scale=int(ds.scale.values.argmin()), drop=True) - end

    at_the_stop = "at three times the time to 10 %, the error is"
    return OfTheStart(
        claim(
            "time-per-log-alpha", "iteration count (derived constant)",
            f"with A*A = I, a start e times smaller needs {rate} steps more to an error of 10 %", "population",
            kind=Identity(), residual=slope_gap, tolerance=lambda ds: 0.04,
            because="moments are known to 2 or 3 steps of some 40 to 250; 11 of them on a line leave 4 %",
        ),
        claim(
            "time-per-log-alpha-sensing", "iteration count (derived order)",
            f"the same under sensing, to {within:.0%}", "gaussian",
            kind=Inequality(), residual=slope_gap, tolerance=lambda ds: within,
            because="the data see sigma_min(A*A(X)), which is off sigma_min(X) by the isometry defect",
        ),
        claim(
            "error-exponent-population", "error against alpha (derived for A*A = I)",
            f"with A*A = I, {at_the_stop} proportional to alpha^2", "population",
            kind=Exponent(against="scale", value=2.0, within=0.05), residual=error,
            because="what X does not see of the start stays; by then the rest has contracted to below it",
        ),
        claim(
            f"error-exponent-beside-{bound}", "main theorem (exponent as remembered, not read)",
            f"under sensing, {at_the_stop} at most of the order of alpha^({bound})", "gaussian",
            kind=Remembered(against="scale", remembered=remembered), residual=error,
            because=because, expected="unresolved",
        ),
        claim(
            "error-vanishes-with-alpha", "main theorem (its limit)",
            "under sensing, at that moment, the error tends to zero with alpha", "gaussian",
            kind=Limit(against="scale"), residual=error, tolerance=lambda ds: 1e-3,
            because="seen down to alpha = 1e-6",
        ),
        claim(
            "rank-of-the-truth", "main theorem (the nuisance part)",
            "at that moment sigma_{r+1}(Z) / sigma_r(Z) tends to zero with alpha", "gaussian",
            kind=Limit(against="scale"), residual=lambda ds: stopped(ds, ds.rank_ratio), tolerance=lambda ds: 1e-3,
            because="seen down to alpha = 1e-6",
        ),
        claim(
            "large-start-does-not-recover", "the role of small initialisation (control)",
            "from alpha >= 1/2 the run ends with at least ten times the error of the smallest start", "gaussian",
            kind=Inequality(), residual=short_of_ten_times, tolerance=lambda ds: 0.0,
            hypotheses=lambda ds: {"alpha >= 1/2": np.log(ds.scale) - np.log(LARGE)},
            because="a factor of ten",
        ),
    )  # fmt: skip


GRIDS = {
    "population": ("$A^*A = I$", "with A*A = I", COLOURS["orange"], "s"),
    "gaussian": ("Gaussian sensing", "under sensing", COLOURS["blue"], "o"),
}


def _grids(data: xr.DataTree):
    """(name, its dataset of the largest condition, large starts apart), for the grids that were run."""
    for name in GRIDS:
        if name in data.children:
            ds = data[name].to_dataset().isel(operator=0)
            ds = ds.isel({axis: -1 for axis in ("condition", "rank") if axis in ds.dims})
            yield name, ds.where(ds.scale < LARGE, drop=True)


def figure_of_the_start(
    id: str,
    claims: OfTheStart,
    steps_per_log: Callable[[xr.Dataset], xr.DataArray],
    *,
    product: str,
    bound: str,
    remembered: float,
    caveat: str = "",
) -> Figure:
    """Steps, error and rank at the stop against alpha; `product` is Z in TeX."""

    def draw(data: xr.DataTree):
        import matplotlib.pyplot as plt

        drawing, panels = plt.subplots(1, 3, figsize=(13.2, 3.9))
        for grid, ds in _grids(data):
            label, _, colour, marker = GRIDS[grid]
            first, error = reached(ds), stopped(ds, ds.error)
            for panel, value in zip(panels, (first, error, stopped(ds, ds.rank_ratio))):
                value = value.where(np.isfinite(value)).transpose("scale", "seed")
                panel.fill_between(ds.scale, value.min("seed"), value.max("seed"), color=colour, alpha=0.2, lw=0)
                panel.plot(ds.scale, value.median("seed"), marker, color=colour, label=label)
            slope = float(steps_per_log(ds).mean())
            anchor = float(first.median("seed")[0]) + slope * float(np.log(ds.scale[0]))
            name = rf"slope $1/\ln(1 + \mu\sigma_{{\min}}) = {slope:.3g}$"
            panels[0].plot(ds.scale, anchor - slope * np.log(ds.scale), "-", color=colour, lw=1, label=name)
            fitted = ds.scale.where(ds.scale <= LARGEST_FIT, drop=True)
            power, name = (2.0, "slope 2") if grid == "population" else (remembered, f"slope {bound}, as remembered")
            growth = float(error.median("seed")[0]) * (fitted / float(fitted[0])) ** power
            panels[1].plot(fitted, growth, "-" if grid == "population" else ":", color=colour, lw=1.4, label=name)
        for panel in panels:
            panel.set(xscale="log", xlabel=r"size of the start $\alpha$")
            panel.legend(fontsize=8.5)
        panels[0].set_ylabel("steps to an error of 10 %")
        panels[1].set(yscale="log", ylabel=rf"$|{product} - X| / |X|$")
        panels[2].set(yscale="log", ylabel=r"$\sigma_{r+1}(Z) / \sigma_r(Z)$")
        return drawing

    def caption(data: xr.DataTree) -> str:
        said = []
        for grid, ds in _grids(data):
            slopes = per_log(np.log(stopped(ds, ds.error).where(ds.scale <= LARGEST_FIT)), "scale")
            least = f"sigma_min(X) = {float(ds.least.mean()):.2g}, {slopes.size} seeds"
            said.append(f"{GRIDS[grid][1]} ({least}) {float(slopes.mean()):.2f}")
        return (
            "Left: steps until |Z - X| <= |X|/10, against the size of the start; the lines have the derived slope. Middle: "
            f"the error at three times that moment; its exponent is {' and '.join(said)}. The bound as remembered asks for "
            f"{bound}{caveat}; it was not read. Right: what there is besides rank r at that moment. Median and range over "
            "seeds."
        )

    shown = (claims.time_population, claims.error_population, claims.error_remembered, claims.low_rank)
    return Figure(id=id, draw=draw, caption=caption, claims=[claim.id for claim in shown])
