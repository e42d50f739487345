r"""Reparametrised projected gradient descent in closed form: step counts of Theorem 3.2 and Proposition 3.3.

**Source.** Wu et al., NeurIPS 2020 (arXiv 1911.07956), Section 3; the appendix constants were not at hand, and every
count below is derived.

**The step.** v = w + (1/g) A^T (y - A g w), w' = v/|v|, that is rPGD with step 1/g^2.

**A A^T = I.** v = w_perp + (g*/g) w*: one step makes w_parallel parallel to w*, and b = |w_perp|^2 obeys

    b' = b / (b + k),   k = g*^2/g^2,      hence  1/b' = 1 + k/b,  and for a constant g    1/b_t = k^t/b_0 + (k^t - 1)/(k - 1).

With a = sqrt(1 - b), a step gamma of g is g' = g + gamma a (g* - g a), so that e = g* - g a, for which |A x - y| = |e|,
contracts by 1 - gamma a^2 or faster while a grows.

**lambda_max = 1, g fixed at g0 <= g* lambda_min / (2 + delta).** |v| >= lambda_min g*/g0 - (1 - lambda_min)
>= 1 + delta + lambda_min, and |w_perp'| = |w_perp| / |v|.

The three counts that a run needs before it starts take `xp`, the array module: `jax.numpy` inside a cell.

>>> float(turning_steps(g0=0.5, g_star=1.0, orthogonal=0.9, target=1e-3))
10.0
"""

from typing import Any

import numpy as np

Values = Any


def turning_steps(g0: Values, g_star: Values, orthogonal: Values, target: Values, xp: Any = np) -> Values:
    """The first step at which |w_perp| <= target, for A A^T = I and g fixed at g0 < g*: exact."""
    k = (g_star / g0) ** 2
    rest = 1 / (k - 1)
    count = xp.log((1 / target**2 + rest) / (1 / orthogonal**2 + rest)) / xp.log(k)
    return xp.maximum(xp.ceil(count), 0)


def turning_bound(g0: Values, g_star: Values, orthogonal: Values, target: Values, rho: Values, xp: Any = np) -> Values:
    """Steps after which |w_perp| <= target if g^2 stays below g*^2 - rho (g*^2 - g0^2): b falls by that over g*^2."""
    contraction = 1 - rho * (1 - (g0 / g_star) ** 2)
    return xp.maximum(xp.ceil(xp.log(target**2 / orthogonal**2) / xp.log(contraction)), 1)


def growth_step(g0: Values, g_star: Values, steps: Values, rho: Values, xp: Any = np) -> Values:
    """The step of g that keeps g^2 below g*^2 - rho (g*^2 - g0^2) for `steps` steps: g grows by gamma g*^2/4g at most."""
    return (xp.sqrt(g_star**2 - rho * (g_star**2 - g0**2)) - g0) * 4 * g0 / (g_star**2 * steps)


def growing_steps(g0: Values, g_star: Values, target: Values, gamma: Values) -> Values:
    """Steps of g, once |w_perp| <= target, after which |A x - y|^2 <= 3 target g*^2."""
    a = np.sqrt(1 - target**2)
    left = (1 - g0 * a / g_star) ** 2 / (3 * target)
    return np.maximum(np.ceil(np.log(left) / (-2 * np.log(1 - gamma * a**2))), 0)


def printed_turning_order(g0: Values, g_star: Values, target: Values) -> Values:
    """The order of Theorem 3.2 (b) as printed, with constant 1: g0^2/(g*^2 - g0^2) log(1/target)."""
    return g0**2 / (g_star**2 - g0**2) * np.log(1 / target)


def projection_steps(orthogonal: Values, target: Values, growth: Values) -> Values:
    """Steps after which |w_perp| <= target if |v| >= 1 + growth: delta as printed, delta + lambda_min derived."""
    return np.ceil(np.log(orthogonal / target) / np.log1p(growth))
