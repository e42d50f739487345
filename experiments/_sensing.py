r"""What a small start buys in low-rank recovery: claims and a figure shared by the papers on U U^T and V W^T.

Their studies observe `error` = |Z - X| / |X| and `rank_ratio` = sigma_{r+1}(Z) / sigma_r(Z), r the rank of X, against the
size alpha of the start, the axis `scale`, in two grids: `population` (A*A = I) and `gaussian`, with the fact `least` =
sigma_r(X). Everything is read at one stated moment, at three times the first step with an error of 10 %: exponents
depend on when one stops.
"""

from typing import NamedTuple

import numpy as np
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.curves import at_first, first_moment, per_log
from implicit_bias.evidence.figures import COLOURS
from implicit_bias.theory import sensing as theory

ANY_END = (ib.Status.CAPPED, ib.Status.CONVERGED, ib.Status.STALLED)
AFTER = 3.0
"""When to stop: at this multiple of the first moment with an error of 10 %."""
LARGE = 0.5
LARGEST_FIT = 3e-3


def crossing(ds, ratio):
    """The time at which a ratio first is 1, its logarithm linear from record to record; inf if it never is."""
    log, clock = np.log(ratio), ds.clock
    over = log >= 0
    before, first = log.shift(record=1), over & ~over.shift(record=1, fill_value=False)
    at = clock - (clock - clock.shift(record=1)) * log / (log - before)
    return at.fillna(clock).where(first, np.inf).min("record")


def reached(ds):
    """The first step at which |Z - X| <= |X| / 10, to the record."""
    return first_moment(ds.error <= 0.1, ds.clock)


def time_to_ten_percent(ds):
    """The same between records."""
    return crossing(ds, 0.1 / ds.error)


def stopped(ds, variable):
    """A variable at the stop."""
    return at_first(variable, ds.clock, AFTER * reached(ds))


def spacing(ds):
    """Steps from record to record: a moment is known to that."""
    return ds.clock.diff("record").max("record")


def small(ds):
    return {"alpha <= 0.003": np.log(LARGEST_FIT) - np.log(ds.scale)}


def of_rank_one(ds):
    return {"r = 1": xr.where(ds["rank"].astype(int) == 1, 1.0, -1.0)}


def seen_next(snapshot):
    """What A*(y) has next to its r leading eigenvalues (singular values, where it is not symmetric). A fact."""
    import jax.numpy as jnp

    seen, rank = snapshot.problem.backprojection(), snapshot.problem.rank
    if snapshot.parameterization.symmetric:
        return jnp.linalg.eigvalsh(seen)[-1 - rank]
    return jnp.linalg.svd(seen, compute_uv=False)[rank]


def derived(ds):
    """The exponent of the error in alpha for r = 1, and about that for more.

    What X does not see grows like (1 + mu m_2)^t until X is there, (1 + mu m_1)^t alpha ~ 1, and Z has its square.
    """
    return 2 - 2 * np.log1p(ds.step * ds.seen_next) / np.log1p(ds.step * ds.seen_least)


def steps_per_log(ds, least="least"):
    """Steps more for a start smaller by a factor e: 1 / ln(1 + mu sigma_r(X))."""
    return theory.steps_per_log(ds.step, ds[least])


def read_closely(ds, least):
    """A moment between records is known to second order in what Z grows by from one to the next."""
    growth = spacing(ds) * np.log1p(ds.step * ds[least])
    return small(ds) | {"from record to record Z grows by a factor 2.2 at most": 0.8 - growth}


def with_room(ds):
    """What X does not see is left behind: with too few measurements for r it grows about as fast, and nothing vanishes."""
    return small(ds) | {"measurements leave p >= 1/2": derived(ds) - 0.5}


class OfTheStart(NamedTuple):
    """The claims, in the order of a table."""

    time_population: ib.Claim
    time_sensing: ib.Claim
    error_population: ib.Claim
    error_sensing: ib.Claim
    error_falls: ib.Claim
    low_rank: ib.Claim
    large_start: ib.Claim


def claims_of_the_start(source, *, bound, prefix=""):
    """`bound` is the paper's own exponent of the error, as remembered; a prefix tells papers that say the same apart."""

    def claim(name, about, statement, on, **more):
        common = dict(accepts=ANY_END, hypotheses=small)
        return ib.Claim(id=prefix + name, source=f"{source}, {about}", statement=statement, on=on, **(common | more))

    def slope_gap(ds, least):
        """Steps per factor e of 1/alpha, over what is expected, - 1: one number for each curve."""
        steps = time_to_ten_percent(ds).where(ds.scale <= LARGEST_FIT)
        return abs(-per_log(steps, "scale") / steps_per_log(ds, least) - 1)

    def error(ds):
        return stopped(ds, ds.error)

    def short_of_ten_times(ds):
        end = ds.error.isel(record=-1)
        return 10 * end.isel(scale=int(ds.scale.values.argmin()), drop=True) - end

    at_the_stop = "at three times the time to 10 %, the error is"
    return OfTheStart(
        claim(
            "time-per-log-alpha", "iteration count (derived constant)",
            "with A*A = I, a start e times smaller needs 1/ln(1 + mu sigma_min(X)) steps more to an error of 10 %",
            "population", residual=lambda ds: slope_gap(ds, "least"), tolerance=lambda ds: 0.02,
            hypotheses=lambda ds: read_closely(ds, "least"),
            because="what else has grown by then is of the order of alpha; the moment is interpolated between records",
        ),
        claim(
            "time-per-log-alpha-sensing", "iteration count (derived constant)",
            "under sensing of r = 1, a start e times smaller needs 1/ln(1 + mu sigma_1(A*A(X))) steps more", "gaussian",
            residual=lambda ds: slope_gap(ds, "seen_least"), tolerance=lambda ds: 0.02,
            hypotheses=lambda ds: read_closely(ds, "seen_least") | of_rank_one(ds),
            because="as with A*A = I: while Z is small its leading direction grows as A*A(X) says",
        ),
        claim(
            "error-exponent-population", "error against alpha (derived for A*A = I)",
            f"with A*A = I, {at_the_stop} proportional to alpha^2", "population",
            kind=ib.Exponent(against="scale", value=2.0, within=0.05), residual=error,
            because="what X does not see of the start stays; by then the rest has contracted to below it",
        ),
        claim(
            f"error-exponent-beside-{bound}", "main theorem (exponent derived; its own bound was not read)",
            f"under sensing of r = 1, {at_the_stop} proportional to alpha^p, p = 2 - 2 ln(1 + mu m_2) / ln(1 + mu m_1), "
            "m_i the leading singular values of A*A(X), to 0.1 in the exponent",
            "gaussian", hypotheses=lambda ds: small(ds) | of_rank_one(ds),
            kind=ib.Exponent(against="scale", value=0.0, within=0.1), residual=lambda ds: error(ds) / ds.scale ** derived(ds),
            remembered=f"its own bound is of the order of alpha^({bound})",
            because="the exponent less p: what X does not see grows at most like m_2 while X grows like m_1",
        ),
        claim(
            "error-vanishes-with-alpha", "main theorem (its limit)",
            "under sensing, at that moment, the error tends to zero with alpha", "gaussian",
            hypotheses=with_room,
            kind=ib.Limit(against="scale"), residual=error, tolerance=lambda ds: 1e-3,
            because="seen down to alpha = 1e-6",
        ),
        claim(
            "rank-of-the-truth", "main theorem (the nuisance part)",
            "at that moment sigma_{r+1}(Z) / sigma_r(Z) tends to zero with alpha", "gaussian",
            hypotheses=with_room,
            kind=ib.Limit(against="scale"), residual=lambda ds: stopped(ds, ds.rank_ratio), tolerance=lambda ds: 1e-3,
            because="seen down to alpha = 1e-6",
        ),
        claim(
            "large-start-does-not-recover", "the role of small initialisation (control)",
            "from alpha >= 1/2 the run ends with at least ten times the error of the smallest start", "gaussian",
            kind=ib.Inequality(), residual=short_of_ten_times, tolerance=lambda ds: 0.0,
            hypotheses=lambda ds: {
                "alpha >= 1/2": np.log(ds.scale) - np.log(LARGE),
                "the smallest alpha <= 0.003": np.log(LARGEST_FIT) - np.log(ds.scale.min()),
            },
            because="a factor of ten",
        ),
    )  # fmt: skip


GRIDS = {
    "population": ("$A^*A = I$", "with A*A = I", COLOURS["orange"], "s"),
    "gaussian": ("Gaussian sensing", "under sensing", COLOURS["blue"], "o"),
}


def _grids(data):
    """(name, its dataset of the largest condition, large starts apart), for the grids that were run."""
    for name in GRIDS:
        if name in data.children:
            ds = data[name].to_dataset().isel(operator=0)
            ds = ds.isel({axis: -1 for axis in ("condition", "rank") if axis in ds.dims})
            yield name, ds.where(ds.scale < LARGE, drop=True)


def figure_of_the_start(id, claims, *, product, bound, remembered, caveat=""):
    """Steps, error and rank at the stop against alpha; `product` is Z in TeX."""

    def draw(data):
        import matplotlib.pyplot as plt

        drawing, panels = plt.subplots(1, 3, figsize=(13.2, 3.9))
        for grid, ds in _grids(data):
            label, _, colour, marker = GRIDS[grid]
            first, error = time_to_ten_percent(ds), stopped(ds, ds.error)
            for panel, value in zip(panels, (first, error, stopped(ds, ds.rank_ratio))):
                value = value.where(np.isfinite(value)).transpose("scale", "seed")
                panel.fill_between(ds.scale, value.min("seed"), value.max("seed"), color=colour, alpha=0.2, lw=0)
                panel.plot(ds.scale, value.median("seed"), marker, color=colour, label=label)
            slope = float(steps_per_log(ds, "seen_least" if grid == "gaussian" else "least").mean())
            anchor = float(first.median("seed")[0]) + slope * float(np.log(ds.scale[0]))
            name = rf"slope $1/\ln(1 + \mu\sigma) = {slope:.3g}$"
            panels[0].plot(ds.scale, anchor - slope * np.log(ds.scale), "-", color=colour, lw=1, label=name)
            fitted = ds.scale.where(ds.scale <= LARGEST_FIT, drop=True)
            powers = {"-": (2.0, "slope 2")}
            if grid == "gaussian":
                mean = float(derived(ds).mean())
                powers = {"-": (mean, f"slope {mean:.2f}, derived"), ":": (remembered, f"slope {bound}, as remembered")}
            for line, (power, name) in powers.items():
                growth = float(error.median("seed")[0]) * (fitted / float(fitted[0])) ** power
                panels[1].plot(fitted, growth, line, color=colour, lw=1.4, label=name)
        panels[2].fill_between([], [], color="0.5", alpha=0.3, lw=0, label="range over seeds")
        for panel in panels:
            panel.set(xscale="log", xlabel=r"size of the start $\alpha$")
            panel.legend(fontsize=8.5)
        panels[0].set_ylabel("steps to an error of 10 %")
        panels[1].set(yscale="log", ylabel=rf"$|{product} - X| / |X|$")
        panels[2].set(yscale="log", ylabel=r"$\sigma_{r+1}(Z) / \sigma_r(Z)$")
        return drawing

    def caption(data):
        said = []
        for grid, ds in _grids(data):
            slopes = per_log(np.log(stopped(ds, ds.error).where(ds.scale <= LARGEST_FIT)), "scale")
            least = f"sigma_min(X) = {float(ds.least.mean()):.2g}, {slopes.size} seeds"
            said.append(f"{GRIDS[grid][1]} ({least}) {float(slopes.mean()):.2f}")
        return (
            "Left: steps until |Z - X| <= |X|/10, against the size of the start; the lines have the derived slope, sigma "
            "the least singular value of X that A*A(X) shows. Middle: "
            f"the error at three times that moment; its exponent is {' and '.join(said)}. The bound as remembered, not read, "
            f"asks for {bound}{caveat}. Right: what there is besides rank r at that moment. Median and range over "
            "seeds."
        )

    shown = (claims.time_population, claims.error_population, claims.error_sensing, claims.low_rank)
    return ib.Figure(id=id, draw=draw, caption=caption, claims=[claim.id for claim in shown])
