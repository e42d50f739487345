r"""The claims of Soltanolkotabi et al. 2023 that these studies judge. Formulas are in `implicit_bias.theory.sensing`.

Of the paper only the abstract was at hand: what is tested is derived, and its own exponent 3/5, which is remembered, is
shown beside the measured one and decides nothing.
"""

import numpy as np
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.curves import at_first, first_moment, per_log
from implicit_bias.theory import sensing as theory

SOURCE = "Soltanolkotabi et al. 2023"
STEP = 0.25
ANY_END = (ib.Status.CAPPED, ib.Status.CONVERGED, ib.Status.STALLED)


def word(ds, axis, *names):
    """Slack of a hypothesis on a static axis: 1 for the named values, -1 for the others."""
    return xr.where(ds[axis].isin(names), 1.0, -1.0) + 0 * ds.time


# -- balance -------------------------------------------------------------------------------------------------------

flow_conserves = ib.Claim(
    id="flow-conserves-the-imbalance",
    source=f"{SOURCE}, coupling of the factors (derived)",
    statement="V^T V - W^T W is constant under the flow, and W_{l+1}^T W_{l+1} - W_l W_l^T for three factors",
    on="flow factors+layers",
    accepts=ANY_END,
    residual=lambda ds: ds.imbalance_drift,
    tolerance=lambda ds: 1e-10 * np.maximum(1, ds.first_imbalance),
    because="integrator at rtol 1e-11 over at most a few hundred steps; exact in time",
)

_descent = "descent gaussian+population"

descent_conserves = ib.Claim(
    id="descent-conserves-the-imbalance",
    source=f"{SOURCE}, coupling of the factors (the flow's law, taken for descent)",
    statement="V^T V - W^T W is constant under descent",
    on=_descent,
    accepts=ANY_END,
    residual=lambda ds: ds.imbalance_drift,
    tolerance=lambda ds: 1e-8,
    because="as for the flow",
    expected="refuted",
)

one_step = ib.Claim(
    id="one-step-of-the-imbalance",
    source=f"{SOURCE}, coupling of the factors (derived: exact)",
    statement="D(next) - D = mu^2 (W^T R^T R W - V^T R R^T V) at every step of descent, D = V^T V - W^T W",
    accepts=ANY_END,
    residual=lambda ds: ds.identity_gap,
    tolerance=lambda ds: 1e-14 * np.maximum(1, ds.largest),
    because="exact; rounding of a step, of numbers as large as |V|^2 + |W|^2",
)


def _forgotten(ds):
    """alpha^2 << mu: what is left of the start in max |D| is below a hundredth."""
    return np.log(1e-3 * ds.step) - 2 * np.log(ds.scale)


saturates = ib.Claim(
    id="imbalance-saturates",
    source=f"{SOURCE}, coupling of the factors (derived order)",
    statement="under descent with A*A != I and alpha^2 << mu, max |D| does not depend on alpha",
    kind=ib.Exponent(against="scale", value=0.0, within=0.1),
    on=_descent,
    accepts=ANY_END,
    hypotheses=lambda ds: {"sensing": word(ds, "operator", "gaussian"), "alpha^2 < mu/1000": _forgotten(ds)},
    residual=lambda ds: ds.largest_imbalance,
    tolerance=lambda ds: 1.0,
    because="how far the iterate aligns before it grows depends on alpha, weakly",
)

first_order = ib.Claim(
    id="imbalance-is-first-order",
    source=f"{SOURCE}, coupling of the factors (derived order)",
    statement="under descent with A*A != I and alpha^2 << mu, max |D| is proportional to mu",
    kind=ib.Exponent(against="step", value=1.0, within=0.2),
    on=_descent,
    accepts=ANY_END,
    hypotheses=lambda ds: {"sensing": word(ds, "operator", "gaussian"), "alpha^2 < mu/1000": _forgotten(ds)},
    residual=lambda ds: ds.largest_imbalance,
    tolerance=lambda ds: 1.0,
    because="1/mu steps of order mu^2; at mu = 1/5 the next order adds a tenth",
)

population_follows_start = ib.Claim(
    id="population-imbalance-follows-the-start",
    source=f"{SOURCE}, coupling of the factors (derived)",
    statement="with A*A = I, max |D| is proportional to alpha^2",
    kind=ib.Exponent(against="scale", value=2.0, within=0.1),
    on=_descent,
    accepts=ANY_END,
    hypotheses=lambda ds: {"A*A = I": word(ds, "operator", "population")},
    residual=lambda ds: ds.largest_imbalance,
    tolerance=lambda ds: 1.0,
    because="the error is R = X - V W^T, of which mu^2 (W^T R^T R W - V^T R R^T V) sees the start alone",
)

population_ignores_step = ib.Claim(
    id="population-imbalance-ignores-the-step",
    source=f"{SOURCE}, coupling of the factors (derived)",
    statement="with A*A = I, max |D| does not depend on mu",
    kind=ib.Exponent(against="step", value=0.0, within=0.1),
    on=_descent,
    accepts=ANY_END,
    hypotheses=lambda ds: {"A*A = I": word(ds, "operator", "population")},
    residual=lambda ds: ds.largest_imbalance,
    tolerance=lambda ds: 1.0,
    because="as for the exponent of alpha",
)

# -- recovery ------------------------------------------------------------------------------------------------------

AFTER = 3.0
"""When to stop: at this multiple of the first moment with an error of 10 %."""
LARGE = 0.5
LARGEST_FIT = 3e-3


def reached(ds):
    """The first step at which |Z - X| <= |X| / 10, to the record."""
    return first_moment(ds.error <= 0.1, ds.clock)


def stopped(ds, variable):
    """A variable at the stop."""
    return at_first(variable, ds.clock, AFTER * reached(ds))


def small(ds):
    return {"alpha <= 0.003": np.log(LARGEST_FIT) - np.log(ds.scale)}


def slope_gap(ds, least):
    """Steps per factor e of 1/alpha, over 1/ln(1 + mu least), - 1: one number for each curve."""
    steps = reached(ds).where(ds.scale <= LARGEST_FIT)
    return abs(-per_log(steps, "scale") / theory.steps_per_log(STEP, least) - 1) + 0 * ds.time


time_population = ib.Claim(
    id="time-per-log-alpha",
    source=f"{SOURCE}, iteration count (derived constant)",
    statement="with A*A = I, a start e times smaller needs 1/ln(1 + mu sigma_min(X)) steps more to an error of 10 %",
    accepts=ANY_END,
    on="population",
    hypotheses=small,
    residual=lambda ds: slope_gap(ds, ds.least),
    tolerance=lambda ds: 0.04,
    because="moments are known to 3 steps of some 40 to 120; 11 of them on a line leave 4 %",
)

time_sensing = ib.Claim(
    id="time-per-log-alpha-sensing",
    source=f"{SOURCE}, iteration count (derived order)",
    statement="the same under sensing, to a tenth",
    kind=ib.Inequality(),
    accepts=ANY_END,
    on="gaussian",
    hypotheses=small,
    residual=lambda ds: slope_gap(ds, ds.least),
    tolerance=lambda ds: 0.1,
    because="the data see sigma_min(A*A(X)), which is off sigma_min(X) by the isometry defect",
)

error_population = ib.Claim(
    id="error-exponent-population",
    source=f"{SOURCE}, error against alpha (derived for A*A = I)",
    statement="with A*A = I, at three times the time to 10 %, the error is proportional to alpha^2",
    kind=ib.Exponent(against="scale", value=2.0, within=0.05),
    accepts=ANY_END,
    on="population",
    hypotheses=small,
    residual=lambda ds: stopped(ds, ds.error),
    tolerance=lambda ds: 1.0,
    because="what X does not see of the start stays; by then the rest has contracted to below it",
)

error_remembered = ib.Claim(
    id="error-exponent-beside-3/5",
    source=f"{SOURCE}, main theorem (exponent as remembered, not read)",
    statement="under sensing, at three times the time to 10 %, the error is at most of the order of alpha^(3/5)",
    kind=ib.Remembered(against="scale", remembered=theory.REMEMBERED_ASYMMETRIC),
    accepts=ANY_END,
    on="gaussian",
    hypotheses=small,
    residual=lambda ds: stopped(ds, ds.error),
    tolerance=lambda ds: 1.0,
    because="the bound was not read: a larger exponent agrees with it, and none is tested",
    expected="unresolved",
)

error_falls = ib.Claim(
    id="error-vanishes-with-alpha",
    source=f"{SOURCE}, main theorem (its limit)",
    statement="under sensing, at that moment, the error tends to zero with alpha",
    kind=ib.Limit(against="scale"),
    on="gaussian",
    accepts=ANY_END,
    hypotheses=small,
    residual=lambda ds: stopped(ds, ds.error),
    tolerance=lambda ds: 1e-3,
    because="seen down to alpha = 1e-6",
)

low_rank = ib.Claim(
    id="rank-of-the-truth",
    source=f"{SOURCE}, regularisation towards low rank",
    statement="at that moment sigma_{r+1}(Z) / sigma_r(Z) tends to zero with alpha",
    kind=ib.Limit(against="scale"),
    on="gaussian",
    accepts=ANY_END,
    hypotheses=small,
    residual=lambda ds: stopped(ds, ds.rank_ratio),
    tolerance=lambda ds: 1e-3,
    because="seen down to alpha = 1e-6",
)

large_start = ib.Claim(
    id="a-large-start-does-not-recover",
    source=f"{SOURCE}, the role of small initialisation (control)",
    statement="from alpha >= 1/2 the run ends with at least ten times the error of the smallest start",
    kind=ib.Inequality(),
    accepts=ANY_END,
    on="gaussian",
    hypotheses=lambda ds: {"alpha >= 1/2": np.log(ds.scale) - np.log(LARGE)},
    residual=lambda ds: (
        10 * ds.error.isel(record=-1, scale=int(ds.scale.values.argmin())).drop_vars("scale") - ds.error.isel(record=-1)
    ),
    tolerance=lambda ds: 0.0,
    because="a factor of ten",
)
