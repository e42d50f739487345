r"""Diagonal networks x = w^L (entry by entry) and their weight normalisation: conserved quantities, potentials, limits.

**Sources.** Chou, Rauhut, Ward, "Robust implicit regularization via weight normalization", 2023 (arXiv 2305.05448), of
which the abstract alone was at hand; Woodworth et al., "Kernel and rich regimes in overparametrized models", 2020
(arXiv 2002.09277). All that is below was derived; nothing is a transcript of a statement of the first of the two.

**Flows.** With q = A^T (y - A x), and the gradient of each of L equal layers,

    plain        dw/dt = q w^{L-1},
    normalised   w = r u, |u| = 1:   dr/dt = c r^{L-1} S,   du/dt = r^L (q u^{L-1} - u S),   S = <q, u^L>.

A signed net u^L - v^L is the same with [A, -A] in the place of A and (u, v) in that of w.

**Conserved.** With p = w in the first flow and p = u exp(r^2/2c) in the second,

    L = 1:  p,       L = 2:  log p,       L >= 3:  p^{-(L-2)}        moves inside range(A^T) only.

All three say dp/dk = p^{L-1} for some k in range(A^T), entry by entry, or for short p = grow(p_0, k).

**Plain limits.** So the limit is x = grow(w_0, A^T v)^L with A x = y, which is the KKT condition of min Phi(x) over
A x = y for the convex Phi whose conjugate is Phi*(k) = sum grow(w_0, k)^2 / 2: its derivative is grow^L. For
L = 2, signed, from w_0 = alpha (1, ..., 1), Phi is half the hyperbolic entropy.

**Normalised limits.** p has the form of the plain flow, so the limit is the plain flow's from w_0 / rho,

    rho = (r_0 / r_inf) exp((r_inf^2 - r_0^2) / 2c)                                         (the magnification)

and for L = 2 it is also the minimiser of

    Phi(x) = sum x_i log[(x_i / s) / (x0_i / s0)] + (s - s0)^2 / 2c,       s = |x|_1 = r^2.

**The l1 gap.** For L = 2, u_0 > 0 and |u_0| = 1: compare Phi at the limit with Phi at the least l1 solution, of size Q;
the first sum is at least 0, and at most Q D there, D = max log(1/u0_i^2) (log n for a uniform start), so

    |x_inf|_1 - Q <= sqrt(d^2 + 2 c Q D) - d,   d = Q - s0,                                 for every s0,
                  <= min(c Q D / d, sqrt(2 c Q D))                                          for s0 < Q.

For c -> 0 the first bound tends to 0 if s0 <= Q, and to 2 (s0 - Q) beyond: small ratios help only from small starts.

>>> print(f"{magnification(1.0, 2.0, 1.0):.4f}")
2.2408
>>> print(f"{gap_bound(1.0, 0.5, 0.1, 10):.4f} {simple_gap_bound(1.0, 0.5, 0.1, 10):.4f}")
0.3429 0.4605
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Values = Any
"""A number, an array or a labelled array: what takes part in arithmetic and in NumPy's ufuncs."""

# -- what the flows conserve -------------------------------------------------------------------------------------------


def conserved(
    layer: Values, depth: Values, ratio: Values | None = None, size: Values | None = None, xp: Any = np
) -> Values:
    """p, log p or p^{-(L-2)} of a layer w: constant up to range(A^T). `size` = |w| with a ratio; both None: plain."""
    p = layer if ratio is None else layer / size * xp.exp(size**2 / (2 * ratio))
    return p if depth == 1 else xp.log(p) if depth == 2 else p ** (2.0 - depth)


def magnification(size0: Values, size: Values, ratio: Values) -> Values:
    """rho = (r_0 / r) exp((r^2 - r_0^2) / 2c): what the normalised flow divides its start by."""
    return size0 / size * np.exp((size - size0) * (size + size0) / (2 * ratio))


# -- the l1 gap of depth 2 ---------------------------------------------------------------------------------------------


def gap_bound(least: Values, start: Values, ratio: Values, entries: Values) -> Values:
    """sqrt(d^2 + 2 c Q log n) - d, d = Q - s0: bounds |x_inf|_1 - Q from any uniform start of n entries."""
    room, spread = least - start, 2 * ratio * least * np.log(entries)
    return spread / (np.sqrt(room**2 + spread) + abs(room)) + np.maximum(-room, 0) * 2  # no cancellation for d > 0


def simple_gap_bound(least: Values, start: Values, ratio: Values, entries: Values) -> Values:
    """min(c Q log n / (Q - s0), sqrt(2 c Q log n)), for s0 < Q; beyond, the root alone, which bounds nothing there."""
    spread = ratio * least * np.log(entries)
    with np.errstate(divide="ignore"):
        return np.minimum(spread / np.maximum(least - start, 0.0), np.sqrt(2 * spread))


def plain_gap_bound(x: np.ndarray, least: Values, alpha: Values, depth: Values) -> Values:
    """A bound of |x|_1 - Q from the plain limit x of a signed net started at alpha (1, ..., 1), alpha < 1 at L = 2.

    k in range(A^T) gives sum |x_i| |k_i| = <k, z> <= Q max |k_i| for the least l1 solution z. At L >= 3 all |k_i| < 1 and
    |k_i| >= 1 - (alpha / |x_i|^{1/L})^{L-2}; at L = 2 |k_i| = arcsinh(|x_i| / 2 alpha^2) >= log(|x_i| / alpha^2). Hence

        L >= 3:  alpha^{L-2} sum |x_i|^{2/L},
        L = 2:   [Q log M + sum |x_i| log(1/|x_i|)] / log(1/alpha^2),   M = t/2 + sqrt(t^2/4 + alpha^4), t = max |x_i|:

    polynomial in alpha at L >= 3, and one over a logarithm at L = 2.
    """
    size = np.abs(x)
    if depth > 2:
        return alpha ** (depth - 2) * np.sum(size ** (2 / depth), -1)
    top = np.max(size, -1)
    most = np.log(top / 2 + np.hypot(top / 2, alpha**2))  # log alpha^2 + arcsinh(top / 2 alpha^2)
    entropy = -np.sum(size * np.log(np.where(size > 0, size, 1.0)), -1)
    with np.errstate(divide="ignore"):
        return (least * most + entropy) / np.log(1 / alpha**2)


# -- potentials --------------------------------------------------------------------------------------------------------


def hyperbolic_entropy(x: Values, alpha: Values) -> Values:
    """Q_alpha(x) = alpha^2 sum q(x_i / alpha^2),  q(z) = 2 - sqrt(4 + z^2) + z arcsinh(z/2)."""
    z = x / alpha**2
    return alpha**2 * np.sum(z * np.arcsinh(z / 2) - z**2 / (2 + np.sqrt(4 + z**2)), -1)


def hyperbolic_entropy_gradient(x: Values, alpha: Values) -> Values:
    """arcsinh(x / 2 alpha^2)."""
    return np.arcsinh(x / (2 * alpha**2))


def normalised_potential(x: np.ndarray, start: np.ndarray, ratio: Values) -> Values:
    """sum x_i log[(x_i / s) / (x0_i / s0)] + (s - s0)^2 / 2c, with 0 log 0 = 0."""
    size, size0 = np.sum(x, -1), np.sum(start, -1)
    shares, shares0 = x / np.asarray(size)[..., None], start / np.asarray(size0)[..., None]
    entropy = np.sum(x * np.log(np.where(x > 0, shares, 1.0) / np.where(x > 0, shares0, 1.0)), -1)
    return entropy + (size - size0) ** 2 / (2 * ratio)


def grow(start: np.ndarray, k: np.ndarray, depth: Values) -> np.ndarray:
    """w with w(0) = start and dw/dk = w^{L-1}; nan beyond a pole, which L >= 3 has."""
    if depth == 1:
        return start + k
    if depth == 2:
        return start * np.exp(k)
    base = start ** (2.0 - depth) - (depth - 2) * k
    return np.where(base > 0, base, np.nan) ** (-1.0 / (depth - 2))


class Dual(NamedTuple):
    """A conjugate potential at A^T v: Phi*, its gradient x, and a factor F of its Hessian there, A Phi*'' A^T = F^T F."""

    value: Values
    x: np.ndarray
    factor: np.ndarray


def _plain(A: np.ndarray, start: np.ndarray, depth: Values) -> Callable[[np.ndarray], Dual]:
    def dual(k: np.ndarray) -> Dual:
        w = grow(start, k, depth)
        root = np.sqrt(float(depth)) * np.abs(w) ** (depth - 1)
        return Dual(np.sum(w**2, -1) / 2, w**depth, np.swapaxes(A * root[..., None, :], -1, -2))

    return dual


def _normalised(A: np.ndarray, start: np.ndarray, ratio: Values) -> Callable[[np.ndarray], Dual]:
    """Phi*(k) = (s0 + c M)^2 / 2c - s0^2 / 2c,  M = log sum (x0_i / s0) e^{k_i}; x = s softmax, s = s0 + c M > 0."""
    size0 = np.sum(start, -1)
    shares0 = start / size0[..., None]

    def dual(k: np.ndarray) -> Dual:
        top = np.max(k, -1)
        weights = shares0 * np.exp(k - top[..., None])
        total = np.sum(weights, -1)
        mean = top + np.log(total)
        shares, size = weights / total[..., None], size0 + ratio * mean
        size = np.where(size > 0, size, np.nan)
        average = np.sum(A * shares[..., None, :], -1)[..., None, :]
        spread = np.sqrt(size[..., None] * shares)[..., None] * (np.swapaxes(A, -1, -2) - average)
        factor = np.concatenate([spread, np.sqrt(ratio)[..., None, None] * average], -2)
        return Dual(size0 * mean + ratio * mean**2 / 2, size[..., None] * shares, factor)

    return dual


STEPS = 200


def _interpolate(
    A: np.ndarray, y: np.ndarray, dual: Callable[[np.ndarray], Dual], v: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """(v, x): damped Newton steps from v on the convex v -> Phi*(A^T v) - y.v, all problems at once."""

    def at(v: np.ndarray) -> tuple[Values, np.ndarray, Dual]:
        found = dual(np.einsum("...mn,...m->...n", A, v))
        return found.value - np.sum(y * v, -1), np.einsum("...mn,...n->...m", A, found.x) - y, found

    with np.errstate(all="ignore"):
        v = v + np.zeros(np.broadcast_shapes(y.shape, dual(0 * A[..., 0, :]).x.shape[:-1] + y.shape[-1:]))
        value, slope, now = at(v)
        for _ in range(STEPS):
            # H^{-1} slope through the QR of the factor: its condition number, not that squared
            triangular = np.linalg.qr(np.broadcast_to(now.factor, v.shape[:-1] + now.factor.shape[-2:]), mode="r")
            scale = np.max(np.abs(triangular), (-2, -1))[..., None]
            triangular = triangular + 1e-14 * scale[..., None] * np.eye(v.shape[-1])
            half = np.linalg.solve(np.swapaxes(triangular, -1, -2), slope[..., None])
            step = -np.linalg.solve(triangular, half)[..., 0]
            promised = np.sum(slope * step, -1)
            length = np.ones(v.shape[:-1])
            for _ in range(60):
                new = at(v + length[..., None] * step)
                slack = 1e-4 * length * promised + 1e-14 * (1 + np.abs(value))
                short = ~(new[0] <= value + slack)
                if not short.any():
                    break
                length = np.where(short, length / 2, length)
            length = np.where(short, 0.0, length)
            v = v + length[..., None] * step
            value, slope, now = at(v)
            if (np.max(np.abs(slope), -1) <= 1e-14 * (1 + np.max(np.abs(y), -1))).all() or not length.any():
                break
    return v, now.x


def _batch(A: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(A, dtype=float), np.asarray(y, dtype=float)


def plain_limit(A: np.ndarray, y: np.ndarray, start: np.ndarray, depth: Values) -> np.ndarray:
    """w^L at the end of the plain flow from w_0 = `start`, where it fits: the minimiser of Phi over A w^L = y.

    Leading axes of the arguments broadcast. For a signed net give [A, -A] and both branches, and subtract.
    """
    A, y = _batch(A, y)
    start = np.asarray(start, dtype=float)
    if not np.ndim(depth):
        return _interpolate(A, y, _plain(A, start, depth))[1]
    runs = np.broadcast_shapes(np.shape(depth), A.shape[:-2], y.shape[:-1], start.shape[:-1])
    A, y, start = (np.broadcast_to(v, runs + v.shape[v.ndim - k :]) for v, k in ((A, 2), (y, 1), (start, 1)))
    depths, x = np.broadcast_to(depth, runs), np.empty(start.shape)
    for one in np.unique(depths):
        of = depths == one
        x[of] = plain_limit(A[of], y[of], start[of], one)
    return x


def normalised_limit(A: np.ndarray, y: np.ndarray, start: np.ndarray, ratio: Values) -> np.ndarray:
    """The minimiser over A x = y, x >= 0, of the potential of the normalised flow of depth 2 from x_0 = `start`."""
    A, y = _batch(A, y)
    start, ratio = np.asarray(start, dtype=float), np.asarray(ratio, dtype=float)
    # Small ratios by way of larger ones: v grows like 1/c, and from 0 the shares would saturate on the way.
    now, v = np.maximum(ratio, 1.0), 0.0
    while True:
        v, x = _interpolate(A, y, _normalised(A, start, now), v)
        if (now == ratio).all():
            return x
        smaller = np.maximum(ratio, now / 3)
        v, now = v * (now / smaller)[..., None], smaller
