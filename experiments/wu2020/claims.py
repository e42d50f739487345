r"""What several studies of Wu et al. 2020 share. Closed forms are in `implicit_bias.theory.weight_normalisation`.

Tolerances, for |w0| = 1. A run that stops at loss tau has |r|^2 = 2 tau, so its row-space part is within

    row = sqrt(2 tau / lambda_min)

of x*. The orthogonal part is then off by the change that g has still to make, a relative row * |x| / c by the
invariant. Descent with step eta drifts off the flow's invariant by sum eta^2 (c g'^2 - h^2) / 2, g' = dL/dg and h the
relative rate of w_perp, which is at most (eta / 2) L0 max(1, |x|^2 / c) because the flow spends its loss L0 on
integral c g'^2 dt <= L0. Each estimate is to leading order; SAFETY covers the next one.
"""

import numpy as np

import implicit_bias as ib

theory = ib.theory.weight_normalisation

SOURCE = "Wu et al. 2020"
SAFETY = 2.0
ROUNDING = 1e-12
ENDS_AT_T = (ib.Status.CAPPED, ib.Status.ESCAPING, ib.Status.CONVERGED)

WEIGHTS = {"gd": ib.Euclidean, "wn": ib.Polar, "rpgd": ib.Sphere}
FACTS = {"g_star": ib.min_norm_size, "w_perp": ib.orthogonal_size, "lambda_min": ib.lambda_min}

LIMITS = {
    "limit_norm": ib.batched(lambda scale, w_perp, g_star, ratio: theory.limit_norm(scale, w_perp, g_star, ratio)),
    "limit_excess": ib.batched(lambda scale, w_perp, g_star, ratio: theory.limit_excess(scale, w_perp, g_star, ratio)),
}
"""Theorem 2.6 I, corrected: |x| and |x - x*| of WN and rPGD, as predictions of a study that has FACTS."""


def row(ds):
    """How far a run that stops at loss `stop` may be from x* in the row space."""
    return np.sqrt(2 * ds.stop / ds.lambda_min)


def descent_tolerance(ds):
    """The stop rule and the step, for |x| and |x - x*| of WN and rPGD under descent, in a study that predicts LIMITS."""
    size, excess = ds.limit_norm, ds.limit_excess
    drift = ds.step / 2 * ds.loss.isel(record=0) * np.maximum(1, size**2 / ds.ratio)
    return SAFETY * (row(ds) * (1 + excess * size / ds.ratio) + excess * drift)


BECAUSE_OF_DESCENT = "stop rule: row (1 + |x - x*| |x| / c); step: |x - x*| (eta / 2) L0 max(1, |x|^2 / c); factor 2"
