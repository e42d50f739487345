r"""The claims of Wu et al. 2020 that these studies judge. Closed forms are in `implicit_bias.theory.weight_normalisation`.

Tolerances, for |w0| = 1. A run that stops at loss tau has |r|^2 = 2 tau, so its row-space part is within

    row = sqrt(2 tau / lambda_min)

of x*. The orthogonal part is then off by the change that g has still to make, a relative row * |x| / c by the
invariant. Descent with step eta drifts off the flow's invariant by sum eta^2 (c g'^2 - h^2) / 2, g' = dL/dg and h the
relative rate of w_perp, which is at most (eta / 2) L0 max(1, |x|^2 / c) because the flow spends its loss L0 on
integral c g'^2 dt <= L0. Each estimate is to leading order; SAFETY covers the next one.
"""

import numpy as np
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.curves import among, last
from implicit_bias.theory import weight_normalisation as theory

SOURCE = "Wu et al. 2020"
SAFETY = 2.0
ROUNDING = 1e-12


def law(ds):
    """The arguments of the closed forms, one value per run."""
    return dict(g0=ds.scale, orthogonal=ds.w_perp, g_star=ds.g_star, ratio=ds.ratio)


def row(ds):
    """How far a run that stops at loss `stop` may be from x* in the row space."""
    return np.sqrt(2 * ds.stop / ds.lambda_min)


# -- robustness (Figure 1) ---------------------------------------------------------------------------------------------


def descent_tolerance(ds):
    """The stop rule and the step, for |x| and |x - x*| of WN and rPGD under descent."""
    size, excess = theory.limit_norm(**law(ds)), theory.limit_excess(**law(ds))
    drift = ds.step / 2 * ds.loss.isel(record=0) * np.maximum(1, size**2 / ds.ratio)
    return SAFETY * (row(ds) * (1 + excess * size / ds.ratio) + excess * drift)


descent_limit = ib.Claim(
    id="gradient-descent-limit",
    source=f"{SOURCE}, after Theorem 2.6 (corrected: g0 in the place of g*)",
    statement="GD ends at x* + g0 w_perp(0): |x| = sqrt(g*^2 + g0^2 |w_perp(0)|^2)",
    on="gd",
    residual=lambda ds: abs(last(ds.norm) - theory.gradient_descent_limit_norm(ds.scale, ds.w_perp, ds.g_star)),
    tolerance=lambda ds: row(ds) + ROUNDING,
    because="the stop rule leaves |x - x_inf| <= sqrt(2 tau / lambda_min); the law itself is exact at every step",
)

robust_limit = ib.Claim(
    id="weight-normalisation-limit",
    source=f"{SOURCE}, Theorem 2.6 I (corrected) and Lemma 2.2",
    statement="WN and rPGD end at |x| = sqrt(G), G (1 - a exp((g0^2 - G)/c)) = g*^2, a = |w_perp(0)|^2",
    on="wn+rpgd",
    residual=lambda ds: abs(last(ds.norm) - theory.limit_norm(**law(ds))),
    tolerance=descent_tolerance,
    because="stop rule: row (1 + |x - x*| |x| / c); step: |x - x*| (eta / 2) L0 max(1, |x|^2 / c); factor 2",
)

closer_by_the_mean = ib.Claim(
    id="closer-than-gd-by-the-mean",
    source=f"{SOURCE}, after Theorem 2.6 (corrected)",
    statement="WN ends closer to x* than GD where c < LM(g_inf^2, g0^2) and g_inf > g0 (c > LM where g_inf < g0)",
    kind=ib.Inequality(),
    on="wn+rpgd",
    hypotheses=lambda ds: {"exact criterion": theory.closer_than_descent(**law(ds))},
    residual=lambda ds: last(ds.excess) - theory.gradient_descent_limit_excess(ds.scale, ds.w_perp),
    tolerance=descent_tolerance,
    because="as for the limit law: a run within its tolerance of a tie may end on either side",
)

printed_descent_limit = ib.Claim(
    id="gradient-descent-limit-as-printed",
    source=f"{SOURCE}, after Theorem 2.6 (as printed)",
    statement="GD ends at x* + g* w_perp(0): |x| = sqrt(g*^2 + g*^2 |w_perp(0)|^2)",
    on="gd",
    residual=lambda ds: abs(last(ds.norm) - theory.gradient_descent_limit_norm(ds.g_star, ds.w_perp, ds.g_star)),
    tolerance=lambda ds: row(ds) + ROUNDING,
    because="as for the exact limit; the two agree at g0 = g* alone",
    hypotheses=lambda ds: {"g0 is not g*": abs(np.log(ds.scale / ds.g_star)) - 0.1},
    expected="refuted",
)

closer_if_small = ib.Claim(
    id="closer-than-gd-as-printed",
    source=f"{SOURCE}, after Theorem 2.6 (as printed)",
    statement="WN ends closer to x* than GD whenever g0 < g*; GD at its true limit x* + g0 w_perp(0)",
    kind=ib.Inequality(),
    on="wn+rpgd",
    hypotheses=lambda ds: {"g0 < g*": ds.g_star - ds.scale},
    residual=lambda ds: last(ds.excess) - theory.gradient_descent_limit_excess(ds.scale, ds.w_perp),
    tolerance=descent_tolerance,
    because="as for the limit law",
    expected="refuted",
)

# -- limit (Theorem 2.6 I) ---------------------------------------------------------------------------------------------


def _flow_tolerance(ds):
    """The stop rule and the integrator (rtol 1e-12 a step, a few hundred steps that contract)."""
    size, excess = theory.limit_norm(**law(ds)), theory.limit_excess(**law(ds))
    return SAFETY * row(ds) * (1 + excess * size / ds.ratio) + 1e-9 * size


def _signed_gap(ds, predicted_excess, predicted_sign):
    """|x_inf - prediction| along the orthogonal direction, with the sign of g; x_perp = g w_perp(0) exp(...)."""
    return abs(np.sign(last(ds.g)) * last(ds.excess) - predicted_sign * predicted_excess)


exact_excess = ib.Claim(
    id="limit-excess-exact",
    source=f"{SOURCE}, Theorem 2.6 I (corrected)",
    statement="x_inf = x* + g_inf w_perp(0) exp((g0^2 - G)/2c), with the sign of g_inf",
    residual=lambda ds: _signed_gap(ds, theory.limit_excess(**law(ds)), np.sign(last(ds.g))),
    tolerance=_flow_tolerance,
    because="stop rule: 2 row (1 + |x - x*| |x| / c); integrator 1e-9 |x|. |x_inf| = sqrt(G) is the same equation",
)

printed_limit = ib.Claim(
    id="limit-as-printed",
    source=f"{SOURCE}, eq. (7)",
    statement="x_inf = x* + g* w_perp(0) exp((g0^2 - g*^2)/2c)",
    residual=lambda ds: _signed_gap(ds, theory.printed_limit_excess(**law(ds)), 1.0),
    tolerance=_flow_tolerance,
    because="as for the exact law",
    expected="refuted",
)

def _opposed(ds):
    """c s0^2 - 2 g0^2 |A^T y| sqrt(2 lambda_max L0) where s0 = w0.A^T y < 0; above 0 the size must cross zero.

    While g >= 0, dg/dt = c (s - g |A w|^2) <= c s, and s moves by at most g0 |A^T y| |q| per unit of time, with
    |q|^2 <= 2 lambda_max L0: g(t) <= g0 + c (s0 t + g0 |A^T y| |q| t^2 / 2), whose least value is below 0 then.
    """
    force = np.sqrt(2 * ds.lambda_max * ds.loss.isel(record=0))
    slack = ds.ratio * ds.pull_along**2 - 2 * ds.scale**2 * ds.pull_size * force
    return slack.where(ds.pull_along < 0, -1.0)


OPPOSED = "w0.A^T y < 0, c (w0.A^T y)^2 > 2 g0^2 |A^T y| sqrt(2 lambda_max L0)"

positive_size = ib.Claim(
    id="size-stays-positive-as-inferred",
    source=f"{SOURCE}, Theorem 2.6 I (inferred, not printed: eq. (7) has g* > 0 in the place of g_inf)",
    statement="g_inf > 0 for every g0 > 0, also from a start that is opposed to A^T y",
    kind=ib.Inequality(),
    hypotheses=lambda ds: {OPPOSED: _opposed(ds)},
    residual=lambda ds: -np.sign(last(ds.g)),
    tolerance=lambda ds: 0.0,
    because="a sign is exact: |g_inf| >= g* > 0",
    expected="refuted",
)

sign_is_lost = ib.Claim(
    id="size-turns-negative-from-an-opposed-start",
    source=f"{SOURCE}, Theorem 2.6 I with Lemma 2.3 (derived)",
    statement="g_inf < 0 if w0.A^T y < 0 and c (w0.A^T y)^2 > 2 g0^2 |A^T y| sqrt(2 lambda_max L0)",
    kind=ib.Inequality(),
    hypotheses=lambda ds: {OPPOSED: _opposed(ds)},
    residual=lambda ds: np.sign(last(ds.g)),
    tolerance=lambda ds: 0.0,
    because="g reaches 0 before w.A^T y can turn; there the loss is |y|^2/2, and below it g cannot come back",
)

sign_is_kept = ib.Claim(
    id="size-keeps-its-sign-below-the-saddle",
    source=f"{SOURCE}, Lemma 2.3 (derived)",
    statement="g_inf > 0 if the initial loss is below the loss at zero: g = 0 cannot be crossed, its loss is |y|^2/2",
    kind=ib.Inequality(),
    hypotheses=lambda ds: {"L0 < |y|^2/2": ds.loss_at_zero - ds.loss.isel(record=0)},
    residual=lambda ds: -np.sign(last(ds.g)),
    tolerance=lambda ds: 0.0,
    because="a sign is exact: |g_inf| >= g* > 0",
)

ends_at_zero_loss = ib.Claim(
    id="below-the-saddle-only-zero-loss",
    source=f"{SOURCE}, Lemma 2.3",
    statement="a run whose loss is below the loss at zero can end at zero loss only",
    kind=ib.Inequality(),
    accepts=(ib.Status.CONVERGED, ib.Status.CAPPED, ib.Status.STALLED, ib.Status.DIVERGED),
    hypotheses=lambda ds: {"L0 < |y|^2/2": ds.loss_at_zero - ds.loss.isel(record=0)},
    residual=lambda ds: last(ds.loss),
    tolerance=lambda ds: ds.stop * (1 + 1e-5),
    because="the stop rule, whose event is located to 1e-6; a run that rests or is cut off elsewhere counts against it",
)

# -- invariant (Lemma 2.5, Appendix D) ---------------------------------------------------------------------------------


def _drift(ds):
    return abs(ds.log_invariant - ds.log_invariant.isel(record=0))


def _squared_as_read(ds):
    return 2 * ds.log_w_perp + ds.g**2 / (2 * ds.ratio)


ENDS_AT_T = (ib.Status.CAPPED, ib.Status.ESCAPING, ib.Status.CONVERGED)

flow_conserves = ib.Claim(
    id="flow-conserves-the-invariant",
    source=f"{SOURCE}, Lemma 2.5 and Appendix D",
    statement="log|w_perp| + g^2/(2c) is constant under the flow, for every smooth loss of A x",
    on="flow",
    accepts=ENDS_AT_T,
    residual=_drift,
    tolerance=lambda ds: 1e-8,
    because="integrator at rtol 1e-11 over at most a few hundred steps; exact in time",
)

descent_drifts = ib.Claim(
    id="descent-drifts-by-O(step)",
    source=f"{SOURCE}, Lemma 2.5 under Condition 2.1 (derived)",
    statement="under WN and rPGD descent the invariant drifts in proportion to the step",
    kind=ib.Exponent(against="step", value=1.0, within=0.1),
    on="wn+rpgd",
    accepts=ENDS_AT_T,
    residual=lambda ds: _drift(ds).isel(record=-1),
    because="first-order methods: at steps of 0.02 and less the next order bends the slope by a few per cent",
)

printed_invariant = ib.Claim(
    id="squared-norm-invariant-as-read",
    source=f"{SOURCE}, eq. (6), scalar form as the text layer reads",
    statement="|w_perp|^2 exp(g^2/(2c)) is constant under the flow (the exponent that is right is g^2/c)",
    on="flow",
    accepts=ENDS_AT_T,
    residual=lambda ds: abs(_squared_as_read(ds) - _squared_as_read(ds).isel(record=0)),
    tolerance=lambda ds: 1e-8,
    because="as for the vector form",
    expected="refuted",
)

# -- path (Figure 2) ---------------------------------------------------------------------------------------------------


def _fallen(ds):
    """How far log|w_perp| falls before the release; above 0 it says g0 < g*."""
    return ds.scale * (ds.g_star - ds.scale) * ds.release


def _path_ratio(ds):
    """Of the course that a run takes: the other one's setting is nothing to it."""
    return xr.where(ds.course == "careful", ds.slow, ds.ratio)


def _path_law(ds):
    arguments = dict(g0=ds.scale, orthogonal=ds.w_perp, g_star=ds.g_star, ratio=_path_ratio(ds))
    descent = theory.gradient_descent_limit_excess(ds.scale, ds.w_perp)
    return xr.where(ds.course == "gd", descent, theory.limit_excess(**arguments))


def _path_tolerance(ds):
    return 1e-9 + SAFETY * row(ds) * (1 + 9.0 / _path_ratio(ds))  # |x - x*| |x| / c <= 3 x 3 / c


path_ends = ib.Claim(
    id="path-ends-by-the-exact-law",
    source=f"{SOURCE}, Fig. 2 with Theorem 2.6 I (corrected)",
    statement="with a constant ratio each path ends at (2, sqrt(G - 4)); gradient flow ends at (2, g0 w_perp)",
    hypotheses=lambda ds: {"constant ratio": among(ds.course, "together", "careful", "gd")},
    residual=lambda ds: abs(last(ds.excess) - _path_law(ds)),
    tolerance=_path_tolerance,
    because="loss 1e-20 leaves sqrt(2e-20) in x1, amplified by at most |x - x*| |x| / c; integrator 1e-9",
)

released_ends_at_min_norm = ib.Claim(
    id="frozen-then-released-ends-at-x*",
    source=f"{SOURCE}, Theorem 2.6 II with its missing hypothesis g0 < g*",
    statement="with g frozen at g0 < g* until w has turned, then released, the path ends at x* = (2, 0)",
    hypotheses=lambda ds: {"g frozen first": among(ds.course, "frozen"), "g0 (g* - g0) T > 20": _fallen(ds) - 20},
    residual=lambda ds: last(ds.excess),
    tolerance=_path_tolerance,
    because="as for the other paths; while g is frozen |w_perp| falls like exp(-g0 (g* - g0) t), by e^-20 or more",
)

release_beyond = ib.Claim(
    id="frozen-then-released-as-printed",
    source=f"{SOURCE}, Theorem 2.6 II (as printed: no hypothesis on g0)",
    statement="with g frozen at any g0 and then released, the path ends at x*",
    hypotheses=lambda ds: {"g frozen first": among(ds.course, "frozen")},
    residual=lambda ds: last(ds.excess),
    tolerance=_path_tolerance,
    because="as for the other paths",
    expected="refuted",
)
