r"""Reference solutions that no descent has chosen, each with a certificate: NumPy and SciPy, on the host.

    min_l1(A, y)                 min |x|_1  over  A x = y  (and x >= 0)     a linear program, by HiGHS
    min_norm_separator(B, p)     min |x|_p  over  B x >= 1,  p = 1, 2, inf  programs by HiGHS; p = 2 by `nnls`
    lasso(A, y, w)               min |A x - y|^2 / 2 + sum w_i |x_i|,  w > 0    its dual by `nnls`
    box_least_squares(A, y, r)   min |A x - y|^2 / 2  over  |x|_inf <= r    bounded-variable least squares

A solution comes with a dual point, both made exactly feasible here, so that the relative gap between their values
bounds the error of the value whatever the solver did:

    |x|_1 >= y.v  for |A^T v|_inf <= 1           (A^T v <= 1 for x >= 0)
    |x|_p >= 1.v  for v >= 0, |B^T v|_q <= 1,    1/p + 1/q = 1,
    |A x - y|^2 / 2 + sum w_i |x_i| >= y.v - |v|^2 / 2  for |(A^T v)_i| <= w_i,
    |A x - y|^2 / 2 >= y.v - |v|^2 / 2 - r |A^T v|_1  for |x|_inf <= r and every v.

The direction of `min_norm_separator` is that of the largest margin min_i (B x)_i / |x|_p, which is 1 / value.

>>> import numpy as np
>>> found = min_l1(np.array([[1.0, 2.0]]), np.array([2.0]))
>>> found.x.tolist(), found.value, abs(found.gap) < 1e-12
([0.0, 1.0], 1.0, True)
>>> B = np.array([[2.0, 0.0], [0.0, 1.0]])
>>> [round(min_norm_separator(B, p).value, 6) for p in (1, 2, np.inf)]
[1.5, 1.118034, 1.0]
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Certified(NamedTuple):
    x: np.ndarray
    value: float
    """The norm of x, or whatever is least at it."""
    gap: float
    """(value - dual value) / value: the least value is within this fraction below."""
    residual: float
    """How far x is from feasible, in the entries of A x - y or below B x >= 1."""
    dual: np.ndarray
    """The dual point v."""


def min_l1(A: np.ndarray, y: np.ndarray, nonnegative: bool = False) -> Certified:
    """The interpolator of least l1 norm, among the nonnegative ones if asked; of data of any size."""
    from scipy.optimize import linprog

    columns, size = A.shape[1], float(np.max(np.abs(y), initial=0.0))
    if size == 0:
        return Certified(np.zeros(columns), 0.0, 0.0, 0.0, np.zeros(len(A)))
    matrix, y = A if nonnegative else np.hstack([A, -A]), y / size  # HiGHS is feasible to 1e-7, whatever y is
    cost = np.ones(matrix.shape[1])
    found = linprog(cost, A_eq=matrix, b_eq=y, method="highs-ds")
    if found.status != 0:
        return Certified(np.full(columns, np.nan), np.nan, np.inf, np.inf, np.full(len(A), np.nan))
    vertex, dual = np.maximum(found.x, 0.0), found.eqlin.marginals
    # HiGHS is feasible to 1e-7 only, and below that its vertex may be another: what is left is solved again, enlarged.
    if (off := max(-found.x.min(), np.max(np.abs(matrix @ found.x - y)))) > 1e-14:
        bounds = np.stack([-vertex / off, np.full_like(vertex, np.inf)], -1)
        again = linprog(cost, A_eq=matrix, b_eq=(y - matrix @ vertex) / off, bounds=bounds, method="highs-ds")
        if again.status == 0:
            vertex, dual = np.maximum(vertex + off * again.x, 0.0), again.eqlin.marginals
    support = vertex > 1e-12 * max(vertex.max(), 1e-300)
    z = np.zeros(matrix.shape[1])
    z[support] = np.maximum(np.linalg.lstsq(matrix[:, support], y, rcond=None)[0], 0.0)
    x = z if nonnegative else z[:columns] - z[columns:]
    dual = dual / max(np.max(matrix.T @ dual), 1e-300)
    value = float(np.sum(z))
    residual = float(np.max(np.abs(A @ x - y)))
    return Certified(size * x, size * value, float(1 - y @ dual / value), size * residual, dual)


def min_norm_separator(B: np.ndarray, order: float) -> Certified:
    """The least x in l_order with B x >= 1, for rows y_i a_i: the direction of the largest l_order margin."""
    solve = {1: _l1_separator, 2: _l2_separator, np.inf: _linf_separator}.get(order)
    if solve is None:
        raise ValueError(f"order must be 1, 2 or inf, got {order}")
    x, dual = solve(np.asarray(B, dtype=float))
    least = np.min(B @ x)
    if not least > 0:
        return Certified(np.full(B.shape[1], np.nan), np.nan, np.inf, np.inf, np.full(len(B), np.nan))
    x, dual = x / least, np.maximum(dual, 0.0)
    conjugate = {1: np.inf, 2: 2, np.inf: 1}[order]
    dual = dual / max(np.linalg.norm(B.T @ dual, conjugate), 1e-300)
    value = float(np.linalg.norm(x, order))
    return Certified(x, value, float(1 - np.sum(dual) / value), float(max(0.0, 1 - np.min(B @ x))), dual)


def lasso(A: np.ndarray, y: np.ndarray, weights: np.ndarray | float) -> Certified:
    """The least x of |A x - y|^2 / 2 + sum weights_i |x_i|; all weights are above 0. (Every x is feasible: residual 0.)

    >>> import numpy as np
    >>> lasso(np.eye(2), np.array([2.0, 1.0]), np.array([0.5, 3.0])).x.tolist()
    [1.5, 0.0]
    """
    weights, size = np.broadcast_to(weights, A.shape[1]).astype(float), float(np.max(np.abs(y), initial=0.0))
    if not (weights > 0).all():
        raise ValueError("every weight must be above 0: an entry of weight 0 has no dual point in a box")
    if size == 0:
        return Certified(np.zeros(A.shape[1]), 0.0, 0.0, 0.0, np.zeros(len(A)))
    y, weights = y / size, weights / size
    # The best dual point is the one of the polytope that is nearest to y: v = y + u for the least u with G u >= h. There
    # u = -A x, and the entries of x are its multipliers.
    G, h = np.hstack([-A, A]).T, np.concatenate([A.T @ y - weights, -A.T @ y - weights])
    multiplier = np.subtract(*np.split(_least_distance(G, h), 2))
    x = _on_support(A, y, weights, multiplier)
    residual = y - A @ x
    dual = residual * min(1.0, np.min(weights / np.maximum(np.abs(A.T @ residual), 1e-300)))
    value = float(residual @ residual / 2 + weights @ np.abs(x))
    gap = 1 - float(y @ dual - dual @ dual / 2) / value
    return Certified(size * x, size**2 * value, gap, 0.0, size * dual)


def box_least_squares(A: np.ndarray, y: np.ndarray, radius: float) -> Certified:
    """The least |A x - y|^2 / 2 over |x|_inf <= radius, by `lsq_linear`. The gap is a part of |y|^2 / 2, the value at 0.

    The dual point is y - A x, so that the gap is that of Frank and Wolfe, <g, x> + radius |g|_1 for the gradient g.

    >>> found = box_least_squares(np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([3.0, 1.0]), 1.0)
    >>> found.x.round(12).tolist(), round(found.value, 12), abs(found.gap) < 1e-12
    ([1.0, 0.5], 2.0, True)
    """
    from scipy.optimize import lsq_linear

    if not radius > 0:
        raise ValueError(f"radius must be positive, got {radius}")
    x = lsq_linear(A, y, (-radius, radius), method="bvls", tol=1e-14, max_iter=100 * A.shape[1]).x
    at_bound = abs(x) > radius * (1 - 1e-9)
    x = np.where(at_bound, radius * np.sign(x), x)
    inside = x.copy()
    inside[~at_bound] = np.linalg.lstsq(A[:, ~at_bound], y - A[:, at_bound] @ x[at_bound], rcond=None)[0]
    if np.max(abs(inside), initial=0.0) <= radius:
        x = inside
    dual = y - A @ x
    value, slope = float(dual @ dual / 2), A.T @ dual
    gap = float(radius * np.sum(abs(slope)) - slope @ x)
    return Certified(x, value, gap / max(float(y @ y / 2), 1e-300), 0.0, dual)


def _on_support(A: np.ndarray, y: np.ndarray, weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """x solved again where it is not 0: A_S^T (y - A_S x_S) = w_S sign(x_S); as it was, if that turns a sign."""
    support = np.abs(x) > 1e-12 * max(np.max(np.abs(x)), 1e-300)
    signs, some = np.sign(x[support]), A[:, support]
    inner, triangular = np.linalg.qr(some)
    if not support.any() or some.shape[1] > len(A) or np.min(np.abs(np.diag(triangular))) < 1e-12:
        return np.where(support, x, 0.0)
    pulled = inner.T @ y - np.linalg.solve(triangular.T, weights[support] * signs)
    again = np.zeros_like(x)
    again[support] = np.linalg.solve(triangular, pulled)
    return again if (np.sign(again[support]) == signs).all() else np.where(support, x, 0.0)


def _least_distance(G: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Multipliers m >= 0 of the least u = G^T m with G u >= h (Lawson & Hanson 1974, ch. 23); nan where there is none."""
    from scipy.optimize import nnls

    system, unit = np.vstack([G.T, h]), np.eye(G.shape[1] + 1)[-1]
    found, _ = nnls(system, unit)
    left = 1 - h @ found
    return found / left if left > 1e-12 else np.full(len(h), np.nan)


def _l1_separator(B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.optimize import linprog

    columns = B.shape[1]
    found = linprog(np.ones(2 * columns), A_ub=-np.hstack([B, -B]), b_ub=-np.ones(len(B)), method="highs-ds")
    if found.status != 0:
        return np.zeros(columns), np.zeros(len(B))
    return found.x[:columns] - found.x[columns:], -found.ineqlin.marginals


def _linf_separator(B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """min t over B x >= 1, -t <= x <= t, with x = a - t for a >= 0: B a - t B 1 >= 1, a <= 2 t."""
    from scipy.optimize import linprog

    rows, columns = B.shape
    cost = np.append(np.zeros(columns), 1.0)
    margins = -np.hstack([B, -B.sum(1)[:, None]])
    sizes = np.hstack([np.eye(columns), np.full((columns, 1), -2.0)])
    bounds = np.append(-np.ones(rows), np.zeros(columns))
    found = linprog(cost, A_ub=np.vstack([margins, sizes]), b_ub=bounds, method="highs-ds")
    if found.status != 0:
        return np.zeros(columns), np.zeros(rows)
    return found.x[:columns] - found.x[columns], -found.ineqlin.marginals[:rows]


def _l2_separator(B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    dual = _least_distance(B, np.ones(len(B)))
    return B.T @ dual, dual
