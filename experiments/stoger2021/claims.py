r"""The claims of Stoeger and Soltanolkotabi 2021 that these studies judge. Formulas are in `implicit_bias.theory.sensing`.

Of the paper only the abstract was at hand: what is tested is derived, and its own exponent 21/16, which is remembered,
is shown beside the measured one and decides nothing.
"""

import numpy as np
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.curves import among, at_first, first_moment, per_log
from implicit_bias.evidence.starts import claims_of_the_start
from implicit_bias.theory import sensing as theory

SOURCE = "Stoeger & Soltanolkotabi 2021"
STEP, SPACING = 0.25, 2
ANY_END = (ib.Status.CAPPED, ib.Status.CONVERGED, ib.Status.STALLED)

# -- phases --------------------------------------------------------------------------------------------------------

ALIGNED, GROWN, REFINED = 0.25, 0.5, 1e-3


def ends(ds):
    """The first steps, to the record, at which each of the three phases is over."""
    return (
        first_moment(ds.misalignment <= ALIGNED, ds.clock),
        first_moment(ds.signal >= GROWN * ds.least, ds.clock),
        first_moment(ds.error <= REFINED, ds.clock),
    )


def _in_order(ds):
    first, second, third = ends(ds)
    return xr.where(first - second > second - third, first - second, second - third)


in_order = ib.Claim(
    id="three-phases-in-order",
    source=f"{SOURCE}, the three phases",
    statement="the leading directions align (sin 1/4), then sigma_r(Z) grows (half of X's), then the error falls (1e-3)",
    kind=ib.Inequality(),
    accepts=ANY_END,
    residual=lambda ds: _in_order(ds) + SPACING,
    tolerance=lambda ds: 0.0,
    because="by more than the spacing of the records",
)

still_small = ib.Claim(
    id="aligned-while-small",
    source=f"{SOURCE}, phase I",
    statement="when the directions have aligned, sigma_r(Z) is below a thousandth of X's, from alpha <= 0.001",
    kind=ib.Inequality(),
    accepts=ANY_END,
    residual=lambda ds: at_first(ds.signal, ds.clock, ends(ds)[0]) / ds.least,
    tolerance=lambda ds: 1e-3,
    because="what alignment costs is a power of the start that does not depend on alpha",
)

power_method = ib.Claim(
    id="phase-I-is-the-power-method",
    source=f"{SOURCE}, phase I (bound derived to leading order)",
    statement="while |Z| <= sigma_r(X)/100, |U_t - (I + mu A*(y))^t U_0| <= |U_t| |A*A(Z_t)| / 2 sigma_r(X)",
    kind=ib.Inequality(),
    accepts=ANY_END,
    residual=lambda ds: ((ds.power_gap - 1e-12) / theory.power_gap(ds.seen, ds.least)).where(_early(ds)),
    tolerance=lambda ds: 1.0,
    because="a ratio, after 1e-12 for the rounding of up to 60 steps",
)


def _early(ds):
    return ds.seen <= ds.least / 100


first_phase_ignores_alpha = ib.Claim(
    id="phase-I-does-not-depend-on-alpha",
    source=f"{SOURCE}, phase I (derived: the power method has no scale)",
    statement="until it is over, the directions are at every step those from the smallest alpha, to 0.01 in sin",
    accepts=ANY_END,
    residual=lambda ds: abs(
        ds.misalignment - ds.misalignment.isel(scale=int(ds.scale.values.argmin()), drop=True)
    ).where(ds.clock <= ends(ds)[0]),
    tolerance=lambda ds: 0.01,
    because="what the power method leaves out, of the order of |Z| / sigma_r(X) at alpha = 0.001",
)

second_phase = ib.Claim(
    id="phase-II-per-log-alpha",
    source=f"{SOURCE}, phase II (constant derived)",
    statement="a start e times smaller makes phase II longer by 1/ln(1 + mu sigma_r(X)) steps",
    kind=ib.Inequality(),
    accepts=ANY_END,
    residual=lambda ds: abs(-per_log(ends(ds)[1] - ends(ds)[0], "scale") / theory.steps_per_log(STEP, ds.least) - 1),
    tolerance=lambda ds: 0.1,
    because="the data see sigma_r(A*A(X)) instead, off by the isometry defect",
)

third_phase = ib.Claim(
    id="phase-III-does-not-depend-on-alpha",
    source=f"{SOURCE}, phase III (derived: local contraction)",
    statement="from sigma_r(X)/2 to an error of 1e-3 takes as long from every alpha, to 15 %",
    kind=ib.Inequality(),
    accepts=ANY_END,
    residual=lambda ds: abs((ends(ds)[2] - ends(ds)[1]) / (ends(ds)[2] - ends(ds)[1]).mean("scale") - 1),
    tolerance=lambda ds: 0.15,
    because="what else has grown until then depends on alpha, and the moments are known to two steps",
)

# -- recovery ------------------------------------------------------------------------------------------------------


def steps_per_log(ds):
    return theory.steps_per_log(STEP, ds.least)


of_the_start = claims_of_the_start(
    SOURCE,
    steps_per_log,
    prefix="psd-",
    rate="1/ln(1 + mu sigma_min(X))",
    within=0.15,
    bound="21/16",
    remembered=theory.REMEMBERED_SYMMETRIC,
    because="the bound was not read, and asks for a restricted isometry that m < n(n+1)/2 at n = 30 does not give",
)

# -- width ---------------------------------------------------------------------------------------------------------


RANK, SIZE = 2, 12


def turned(ds):
    """The length of phase I."""
    return first_moment(ds.misalignment <= ALIGNED, ds.clock)


def _shorter(ds, width, than):
    """Phase I at one width less that at another, of one seed; words are what a static axis has."""
    steps = turned(ds)
    steps = steps.where(np.isfinite(steps))
    return steps.sel(width=str(width), drop=True) - steps.sel(width=str(than), drop=True)


width_shortens = ib.Claim(
    id="width-shortens-phase-I",
    source=f"{SOURCE}, the role of over-parameterisation",
    statement="phase I is shorter, on average over paired seeds, with twice as many columns as X has rank",
    kind=ib.Ordering(over="seed"),
    accepts=ANY_END,
    residual=lambda ds: _shorter(ds, 2 * RANK, RANK),
    tolerance=lambda ds: 0.0,
    because="paired over seeds",
)

width_shortens_again = ib.Claim(
    id="more-width-shortens-phase-I-further",
    source=f"{SOURCE}, the role of over-parameterisation",
    statement="phase I is shorter, on average over paired seeds, with n columns than with twice the rank",
    kind=ib.Ordering(over="seed"),
    accepts=ANY_END,
    residual=lambda ds: _shorter(ds, SIZE, 2 * RANK),
    tolerance=lambda ds: 0.0,
    because="paired over seeds",
)

# -- measurements --------------------------------------------------------------------------------------------------

RECOVERED = 0.05


def freedom(ds):
    """Degrees of freedom of a symmetric matrix of rank r."""
    rank = ds["rank"].astype(float)
    return SIZE * rank - rank * (rank - 1) / 2


recovers = ib.Claim(
    id="enough-measurements-recover",
    source=f"{SOURCE}, main theorem (the order n r of m; constant measured)",
    statement="from three times as many measurements as degrees of freedom, X is recovered (to 5 %) with probability 0.8",
    kind=ib.Probability(level=0.8),
    accepts=ANY_END,
    hypotheses=lambda ds: {"m >= 3 (degrees of freedom)": ds.measurements - 3 * freedom(ds)},
    residual=lambda ds: ds.error.isel(record=-1),
    tolerance=lambda ds: RECOVERED,
    because="what counts as recovered",
)

does_not_recover = ib.Claim(
    id="too-few-measurements-do-not",
    source=f"{SOURCE}, main theorem (derived converse: counting)",
    statement="from fewer measurements than degrees of freedom, the error stays above 5 % with probability 0.8",
    kind=ib.Probability(level=0.8),
    accepts=ANY_END,
    hypotheses=lambda ds: {"m < degrees of freedom": freedom(ds) - ds.measurements - 1},
    residual=lambda ds: RECOVERED - ds.error.isel(record=-1),
    tolerance=lambda ds: 0.0,
    because="what counts as recovered",
)


def _band(ds):
    """The 95 % quantile of | chi^2_m / m - 1 |, from below by the two tails apart."""
    from scipy import stats

    low, high = (stats.chi2.ppf(p, ds.measurements) / ds.measurements for p in (0.025, 0.975))
    return np.maximum(1 - low, high - 1)


concentrates = ib.Claim(
    id="measurements-keep-a-norm",
    source=f"{SOURCE}, restricted isometry (derived: its pointwise part, exact)",
    statement="m |A(X)|^2 / |X|^2 is chi-square with m degrees of freedom: within its 95 % band with probability 0.75",
    kind=ib.Probability(level=0.75),
    accepts=(*ANY_END, ib.Status.DIVERGED),
    hypotheses=lambda ds: {"m = 24, r = 1": xr.where((ds.measurements == 24) & (ds["rank"] == "1"), 1.0, -1.0)},
    residual=lambda ds: abs(ds.isometry_at_the_truth),
    tolerance=_band,
    because="exact; every seed counts once, and 24 of them show 0.75 where the truth is above 0.95",
)

recovers_without_isometry = ib.Claim(
    id="recovers-without-restricted-isometry",
    source=f"{SOURCE}, main theorem (its hypothesis is sufficient, not necessary; derived)",
    statement="r = 1: the restricted isometry constant of order 2 is above 1/2 with probability 0.8, at m that recover, too",
    kind=ib.Probability(level=0.8),
    accepts=ANY_END,
    hypotheses=lambda ds: {"r = 1": among(ds["rank"], "1")},
    residual=lambda ds: 0.5 - ds.defect,
    tolerance=lambda ds: 0.0,
    because="a search bounds the constant from below, so what it finds is certain",
)
