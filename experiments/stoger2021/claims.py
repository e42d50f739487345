r"""The claims of Stoeger and Soltanolkotabi 2021 that these studies judge. Formulas are in `implicit_bias.theory.sensing`.

Of the paper only the abstract was at hand: what is tested is derived; its own exponent 21/16, which is remembered, is
drawn beside the measured one.
"""

import numpy as np
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.curves import at_first, first_moment, per_log
from implicit_bias.theory import sensing as theory

from .._sensing import ANY_END, claims_of_the_start, crossing, of_rank_one, spacing, steps_per_log

SOURCE = "Stoeger & Soltanolkotabi 2021"

# -- phases --------------------------------------------------------------------------------------------------------

ALIGNED, GROWN, REFINED = 0.25, 0.5, 1e-3


def ends(ds):
    """The times at which each of the three phases is over."""
    return crossing(ds, ALIGNED / ds.misalignment), crossing(ds, ds.signal / (GROWN * ds.least)), refined(ds)


def refined(ds):
    return crossing(ds, REFINED / ds.error)


def _whole(ds):
    """From a small start, through all three phases: what a run did that was stopped before says nothing of them."""
    return {
        "alpha <= 0.001": np.log(1.001e-3) - np.log(ds.scale),
        "refined before the run ends": ds.clock.max("record") - refined(ds),
    }


def _of_smallest(ds, value):
    """From the smallest alpha, at each point of the other axes."""
    return value.isel(scale=int(ds.scale.values.argmin()), drop=True)


def _others(ds):
    """Those that are compared with the smallest."""
    return _whole(ds) | {"not the smallest alpha": np.log(ds.scale / ds.scale.min()) - 1e-9}


def _phase_claim(name, about, statement, **more):
    common = dict(kind=ib.Inequality(), accepts=ANY_END, hypotheses=_whole)
    return ib.Claim(id=name, source=f"{SOURCE}, {about}", statement=statement, **(common | more))


def _in_order(ds):
    first, second, third = ends(ds)
    return xr.where(first - second > second - third, first - second, second - third)


def _amplified(ds):
    """sigma_r(Z) / alpha^2 when the directions have aligned."""
    return at_first(ds.signal, ds.clock, ends(ds)[0]) / ds.scale**2


def _power_gap(ds):
    """The distance to the power method over its bound, while Z is small."""
    return ((ds.power_gap - 1e-12) / theory.power_gap(ds.seen, ds.least)).where(ds.seen <= ds.least / 100)


def _turned_by_alpha(ds):
    """What alpha changes in the directions of phase I, over the bound of what the power method leaves out."""
    change = abs(ds.misalignment - _of_smallest(ds, ds.misalignment))
    return ((change - 1e-10) / theory.power_gap(ds.seen, ds.least)).where(ds.clock <= ends(ds)[0])


def _growth(ds):
    first, second, _ = ends(ds)
    return -per_log((second - first).where(np.isfinite(refined(ds))), "scale")


def _refinement(ds):
    _, second, third = ends(ds)
    return (third - second).where(np.isfinite(third))


def _smallest_refined(ds):
    return ds.scale.where(np.isfinite(refined(ds))).min("scale")


def _refinement_of_smallest(ds):
    """The refinement from the smallest alpha that came to its end."""
    return _refinement(ds).where(ds.scale == _smallest_refined(ds)).max("scale")


phases = [
    _phase_claim(
        "three-phases-in-order", "the three phases",
        "the leading directions align (sin 1/4), then sigma_r(Z) grows (half of X's), then the error falls (1e-3)",
        residual=lambda ds: _in_order(ds) + spacing(ds), tolerance=lambda ds: 0.0,
        because="by more than the spacing of the records",
    ),
    _phase_claim(
        "aligned-while-small", "phase I",
        "when the directions have aligned, sigma_r(Z) is proportional to alpha^2: as small as one likes, to 1 %",
        kind=ib.Identity(), hypotheses=_others, tolerance=lambda ds: 0.01,
        residual=lambda ds: abs(_amplified(ds) / _of_smallest(ds, _amplified(ds)) - 1),
        because="what alignment costs is a power of the start that does not depend on alpha, until Z is seen in A*A(X - Z)",
    ),
    _phase_claim(
        "phase-I-is-the-power-method", "phase I (bound derived to leading order)",
        "while |Z| <= sigma_r(X)/100, |U_t - (I + mu A*(y))^t U_0| <= |U_t| |A*A(Z_t)| / 2 sigma_r(X)",
        residual=lambda ds: _power_gap(ds),
        tolerance=lambda ds: 1.0, because="a ratio, after 1e-12 for the rounding of up to 60 steps",
    ),
    _phase_claim(
        "phase-I-does-not-depend-on-alpha", "phase I (derived: the power method has no scale)",
        "until it is over, the directions are those from the smallest alpha: to |A*A(Z_t)| / 2 sigma_r(X) in sin",
        hypotheses=_others, residual=_turned_by_alpha, tolerance=lambda ds: 1.0,
        because="a ratio to what the power method leaves out, after 1e-10 for rounding",
    ),
    _phase_claim(
        "phase-II-per-log-alpha", "phase II (constant derived)",
        "a start e times smaller makes phase II longer by 1/ln(1 + mu sigma_r(X)) steps, to 10 %",
        residual=lambda ds: abs(_growth(ds) / steps_per_log(ds) - 1), tolerance=lambda ds: 0.1,
        hypotheses=lambda ds: _whole(ds) | {"sigma_r(A*A(X)) within 10 %": 0.1 - abs(ds.seen_least / ds.least - 1)},
        because="the data see sigma_r(A*A(X)) instead, off by the isometry defect",
    ),
    _phase_claim(
        "phase-III-does-not-depend-on-alpha", "phase III (derived: local contraction)",
        "from sigma_r(X)/2 to an error of 1e-3 takes as long as from the smallest alpha, to 5 %",
        residual=lambda ds: abs(_refinement(ds) / _refinement_of_smallest(ds) - 1), tolerance=lambda ds: 0.05,
        hypotheses=lambda ds: _whole(ds) | {"not the smallest alpha": np.log(ds.scale / _smallest_refined(ds)) - 1e-9},
        because="what else has grown until then is of the order of a power of alpha, at alpha = 0.001 some per cent",
    ),
]  # fmt: skip


# -- recovery ------------------------------------------------------------------------------------------------------


of_the_start = claims_of_the_start(SOURCE, bound="21/16", prefix="psd-")

# -- width ---------------------------------------------------------------------------------------------------------


def turned(ds):
    """The length of phase I."""
    return first_moment(ds.misalignment <= ALIGNED, ds.clock)


def _shortens(name, statement, wide, than):
    """Phase I of one width less that of another, of one seed; `wide(ds)` and `than(ds)` are numbers of columns."""

    def at(ds, width):
        return turned(ds).where(ds.width.astype(int) == width(ds)).max("width")

    def residual(ds):
        # a narrow start that is not turned when the run ends takes at least so long; a wide one tells nothing
        narrow = np.minimum(at(ds, than), ds.clock.max("record"))
        return (at(ds, wide) - narrow).where(np.isfinite(at(ds, wide)))

    def run(ds, width):
        return xr.where(ds.width.astype(int) == width(ds), 1.0, -1.0).max("width")

    return ib.Claim(
        id=name,
        source=f"{SOURCE}, the role of over-parameterisation",
        statement=f"phase I is shorter, on average over paired seeds, with {statement}",
        kind=ib.Ordering(over="seed"),
        accepts=ANY_END,
        hypotheses=lambda ds: {"both widths were run": np.minimum(run(ds, wide), run(ds, than))},
        residual=residual,
        because="paired over seeds",
    )


widths = [
    _shortens(
        "width-shortens-phase-I", "twice as many columns as X has rank than with as many",
        lambda ds: 2 * ds["rank"], lambda ds: ds["rank"],
    ),
    _shortens(
        "more-width-shortens-phase-I-further", "n columns than with twice the rank",
        lambda ds: ds["size"], lambda ds: 2 * ds["rank"],
    ),
]  # fmt: skip

# -- measurements --------------------------------------------------------------------------------------------------

RECOVERED = 0.05


def freedom(ds):
    """Degrees of freedom of a symmetric matrix of rank r."""
    rank = ds["rank"].astype(float)
    return ds["size"] * rank - rank * (rank - 1) / 2


def _grown(ds):
    """A direction of size 1 grows by 1 + mu a step: three times from alpha to 1."""
    return ds.max_steps * np.log1p(ds.step) + 3 * np.log(ds.scale)


def _runs_long(ds):
    return {"alpha <= 0.001": np.log(1.001e-3) - np.log(ds.scale), "steps enough to grow": _grown(ds)}


def _share(name, about, statement, level=0.8, **more):
    """With probability `level` over seeds."""
    kind = ib.Probability(level=level)
    return ib.Claim(id=name, source=f"{SOURCE}, {about}", statement=statement, kind=kind, **(dict(accepts=ANY_END) | more))


def _error(ds):
    return ds.error.isel(record=-1)


def _band(ds):
    """The 95 % quantile of | chi^2_m / m - 1 |, from below by the two tails apart."""
    from scipy import stats

    low, high = (stats.chi2.ppf(p, ds.measurements) / ds.measurements for p in (0.025, 0.975))
    return np.maximum(1 - low, high - 1)


counts = [
    _share(
        "enough-measurements-recover", "main theorem (the order n r of m; constant measured)",
        "from three times as many measurements as degrees of freedom, X is recovered (to 5 %) with probability 0.8",
        hypotheses=lambda ds: _runs_long(ds) | {"m >= 3 (degrees of freedom)": ds.measurements - 3 * freedom(ds)},
        residual=_error, tolerance=lambda ds: RECOVERED, because="what counts as recovered",
    ),
    _share(
        "too-few-measurements-do-not", "main theorem (derived converse: counting)",
        "from fewer measurements than degrees of freedom, the error stays above 5 % with probability 0.8",
        hypotheses=lambda ds: _runs_long(ds) | {"m < degrees of freedom": freedom(ds) - ds.measurements - 1},
        residual=lambda ds: RECOVERED - _error(ds), tolerance=lambda ds: 0.0, because="what counts as recovered",
    ),
    _share(
        "measurements-keep-a-norm", "restricted isometry (derived: its pointwise part, exact)",
        "m |A(X)|^2 / |X|^2 is chi-square with m degrees of freedom: within its 95 % band with probability 0.75",
        hypotheses=lambda ds: {"m = 24": 0.5 - abs(ds.measurements - 24)} | of_rank_one(ds),
        level=0.75, accepts=(*ANY_END, ib.Status.DIVERGED),
        residual=lambda ds: abs(ds.isometry_at_the_truth), tolerance=_band,
        because="exact; every seed counts once, and 24 of them show 0.75 where the truth is above 0.95",
    ),
    _share(
        "recovers-without-restricted-isometry",
        "main theorem (its hypothesis is sufficient, not necessary; derived)",
        "r = 1: the restricted isometry constant of order 2 is above 1/2 with probability 0.8, at m that recover, too",
        hypotheses=of_rank_one,
        residual=lambda ds: 0.5 - ds.defect, tolerance=lambda ds: 0.0,
        because="a search bounds the constant from below, so what it finds is certain",
    ),
]  # fmt: skip
