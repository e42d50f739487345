r"""Low-rank matrix sensing from a small start, in closed form: imbalance, the power method, times, the commuting limit.

**Sources.** Soltanolkotabi, Stoeger, Xie, COLT 2023 (arXiv 2303.14244): factors Z = V W^T. Stoeger, Soltanolkotabi,
NeurIPS 2021 (arXiv 2106.15013): Z = U U^T. Gunasekar et al., NeurIPS 2017: commuting measurements. Only abstracts were
at hand: every formula below is derived.

**Imbalance.** For Z = F_1 F_2 ... F_L let D_j = F_j^T F_j - F_{j+1} F_{j+1}^T. Under the flow the terms of D_j' cancel in
pairs. A step F_j -> F_j - mu G_j leaves the second order alone, which for (V, W^T) and R = A*(y - A(V W^T)) reads

    D_j(next) - D_j = mu^2 (G_j^T G_j - G_{j+1} G_{j+1}^T),        D(next) - D = mu^2 (W^T R^T R W - V^T R R^T V).

**Phase I.** While Z is small, R = M := A*(y), and U_t = (I + mu M)^t U_0: the power method. What it leaves out is
mu A*A(Z_s) U_s at each step s; as |U_s| grows at least like (1 + mu m)^s, m the least eigenvalue of M that counts, the
sum over s <= t is a geometric one, |U_t - (I + mu M)^t U_0| <= |U_t| |A*A Z_t| / 2m to leading order.

**Times.** A start that is smaller by a factor e spends its additional time in phases I and II alone, and there the
slowest direction of the signal grows by 1 + mu s_min a step, s_min the least singular value of X: 1/ln(1 + mu s_min)
steps more, for U U^T and V W^T alike. (In terms of a factor of X = Y Y^T, s_min(X) = s_min(Y)^2.)

**Population, A*A = I.** R vanishes off the singular spaces of X but for Z itself: the part of the start that X does not
see stays, and the error comes down to alpha^2 |U_perp U_perp^T|: exponent 2.

**Commuting A_i = Q diag(b_i) Q^T, U_0 = alpha I, flow.** The eigenvalues of Z are l = alpha^2 exp(B^T s), so that l is
the point of B l = y that minimises sum l log(l / alpha^2) - l, and log(l / alpha^2) lies in the range of B^T. As
alpha -> 0 that is log(1/alpha^2) sum l: the least nuclear norm. How fast depends on the dual: with

    delta = 1 - min { max_{i off X} (B^T nu)_i  :  (B^T nu)_i = 1 on X },

eigenvalues off X tend to zero like alpha^(2 delta), slowly where the certificate is nearly tight. With as many A_i as X
has rank, B = (B_on, B_off) with B_on invertible, one nu is left, and s too: with W = B_on^{-1} B_off and X a projection,

    l_off = alpha^(2 (1 - B_off^T nu)) exp(W^T log l_on),    l_on = 1 - W l_off,

so that to leading order |Z - X|^2 = |l_off|^2 + |W l_off|^2 at l_on = 1, off by a factor 1 + O(|W|^2 |l_off|).

>>> round(float(steps_per_log(0.25, 1.0)), 3), round(float(steps_per_log(0.25, 1 / 4)), 2)
(4.481, 16.49)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

Values = Any


def imbalances(factors: Sequence[Values]) -> list[Values]:
    """D_j = F_j^T F_j - F_{j+1} F_{j+1}^T, for neighbours in the product: conserved by the flow."""
    return [left.T @ left - right @ right.T for left, right in zip(factors, factors[1:])]


def imbalance_steps(gradients: Sequence[Values], step: Values) -> list[Values]:
    """D_j(next) - D_j for F_j -> F_j - step G_j, from the gradients: exact."""
    return [step**2 * change for change in imbalances(gradients)]


def power_iterate(backprojection: Values, step: Values, count: Values, start: Values, xp: Any = np) -> Values:
    """(I + step M)^count start, for a symmetric M."""
    values, basis = xp.linalg.eigh(backprojection)
    return basis @ ((1 + step * values)[:, None] ** count * (basis.T @ start))


def power_gap(measured: Values, least: Values) -> Values:
    """|U_t - (I + mu M)^t U_0| / |U_t| to leading order: |A*A Z_t| / 2 least."""
    return measured / (2 * least)


def steps_per_log(step: Values, least: Values) -> Values:
    """Steps that a start smaller by a factor e needs more: 1 / ln(1 + step s_min)."""
    return 1 / np.log1p(step * least)


def certificate_slack(eigenvalues: Values, rank: int) -> float:
    """delta of a commuting problem, by linear programming; X lies on the first `rank` columns of B = `eigenvalues`."""
    from scipy.optimize import linprog

    count = eigenvalues.shape[0]
    on, off = eigenvalues[:, :rank], eigenvalues[:, rank:]
    # the variables are nu and t;  min t  with  off^T nu <= t,  on^T nu = 1
    found = linprog(
        np.r_[np.zeros(count), 1.0],
        A_ub=np.c_[off.T, -np.ones(off.shape[1])],
        b_ub=np.zeros(off.shape[1]),
        A_eq=np.c_[on.T, np.zeros(rank)],
        b_eq=np.ones(rank),
        bounds=(None, None),
    )
    return float(1 - found.x[-1])


def small_start_error(eigenvalues: Values, rank: int, scale: float) -> tuple[float, float]:
    """|Z - X| / |X| to leading order, and its own relative error to leading order, |W|^2 |l_off|.

    For a projection X on the first `rank` columns of B = `eigenvalues`, which has as many rows.

    >>> np.round(small_start_error(np.array([[1.0, 0.5]]), 1, 1e-3), 6).tolist()  # l_on + l_off / 2 = 1,  l_off = alpha sqrt(l_on)
    [0.001118, 0.00025]
    """
    on, off = eigenvalues[:, :rank], eigenvalues[:, rank:]
    certificate = off.T @ np.linalg.solve(on.T, np.ones(rank))
    small = scale ** (2 * (1 - certificate))
    answer = np.linalg.solve(on, off)
    error = np.sqrt(np.sum(small**2) + np.sum((answer @ small) ** 2)) / np.sqrt(rank)
    return float(error), float(np.linalg.norm(answer, 2) ** 2 * np.linalg.norm(small))
