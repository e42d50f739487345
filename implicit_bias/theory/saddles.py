r"""Saddle to saddle: where the flow of x = a^2 - b^2 from a = b = alpha (1, ..., 1) rests as alpha -> 0, and until when.

**Sources.** Pesme, Flammarion, "Saddle-to-saddle dynamics in diagonal linear networks", 2023 (arXiv 2304.00488), of which
the abstract alone was at hand; the algorithm as others restate it, in the laboratory's clock. The clock was derived.

**Flow.** Under |A x - y|^2 / 2, x = 2 alpha^2 sinh(k) and dk/dt = 4 A^T (y - A x), entry by entry. With

    l = log(1 / 2 alpha^2),    s = k / l,    tau = 4 t / l:        ds/dtau = A^T (y - A x),    x = e^{-l} sinh(l s),

so that for l -> infinity an entry is 0 while |s_i| < 1, and s_i = sign(x_i) while it is not.

**Homotopy.** Therefore, from s = 0 and x = 0: s moves along the constant v = A^T (y - A x) until an |s_i| that moves is 1;
then x jumps to the minimiser of the loss over

    x_i >= 0 where s_i = 1,    x_i <= 0 where s_i = -1,    x_i = 0 elsewhere,

and so on until v = 0. There s is in range(A^T), |s| <= 1 and s.x = |x|_1: x is an interpolator of least l1 norm, and s its
certificate. An entry may leave: a minimiser with x_i = 0 has v_i s_i <= 0, and |s_i| falls.

Entries are taken to be in general position: no two arrive together, and each minimiser is the only one.

**Fine-tuning.** From a start x_0 that does not shrink, a b = alpha^2 entry by entry, s starts at sign(x_0) and x jumps at
tau = 0, from x_0 to the first minimiser; the rest is the same. At the end s - sign(x_0) is in range(A^T), so that x minimises
over the interpolators

    sum |x_i| over x_0i = 0,   and   |x_i| - sign(x_0i) x_i over the others:

what keeps its sign costs nothing (Proposition 2 of Decleves, Boursier, Flammarion, 2026). Fewer entries than rows start.

>>> path = homotopy(np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), np.array([1.0, 1.0]))
>>> path.tau.tolist(), path.x.tolist()
([0.0, 0.5, 1.0], [[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.5, 1.0, 0.0]])
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Staircase(NamedTuple):
    """x[k] is where the flow rests from tau[k] to tau[k + 1], the last for ever; s[k] and v[k] are of tau[k]."""

    tau: np.ndarray
    x: np.ndarray
    s: np.ndarray
    v: np.ndarray

    def step_at(self, tau: np.ndarray | float) -> np.ndarray:
        """Which saddle the flow rests at."""
        return np.searchsorted(self.tau, tau, side="right") - 1

    def s_at(self, tau: np.ndarray | float) -> np.ndarray:
        """s at any time: piecewise linear, and continuous."""
        k = self.step_at(tau)
        return self.s[k] + (np.asarray(tau) - self.tau[k])[..., None] * self.v[k]


def homotopy(
    A: np.ndarray, y: np.ndarray, start: np.ndarray | None = None, *, signs: bool = True, most: int = 1000
) -> Staircase:
    """The saddles and jump times of A x = y. Without `signs` entries that came stay: least squares on a growing support."""
    A, y = np.asarray(A, dtype=float), np.asarray(y, dtype=float)
    s, tau = np.zeros(A.shape[1]) if start is None else np.sign(start), 0.0
    x = _least_squares(A, y, s, signs)
    resolution = 1e-11 * np.max(np.abs(A.T @ y))
    path = []
    for _ in range(most):
        v = A.T @ (y - A @ x)
        v[(x != 0) | (np.abs(v) <= resolution)] = 0.0
        path.append((tau, x, s, v))
        if not v.any():
            break
        with np.errstate(divide="ignore", invalid="ignore"):
            waits = np.where(v != 0, (1 - s * np.sign(v)) / np.abs(v), np.inf)
        here = int(np.argmin(waits))
        s, tau = s + waits[here] * v, tau + waits[here]
        s[here] = np.sign(v[here])
        x = _least_squares(A, y, s, signs)
    return Staircase(*map(np.array, zip(*path)))


def _least_squares(A: np.ndarray, y: np.ndarray, s: np.ndarray, signs: bool) -> np.ndarray:
    """The minimiser over the entries that are at 1 or -1, of their signs if asked."""
    from scipy.optimize import nnls

    free = np.abs(s) == 1
    if signs and free.any():
        # which entries stay is a matter of signs, their values of a linear solve: nnls stops at a tolerance of its own
        free[free] = nnls(A[:, free] * s[free], y)[0] > 0
    x = np.zeros(len(s))
    x[free] = np.linalg.lstsq(A[:, free], y, rcond=None)[0]
    return x


def tuning_cost(x: np.ndarray, start: np.ndarray) -> np.ndarray | float:
    """sum |x_i| - sign(x_0i) x_i, with sign(0) = 0: what fine-tuning from x_0 minimises as alpha -> 0."""
    return np.sum(np.abs(x) - np.sign(start) * x, -1)


def tuning_bound(A: np.ndarray, x: np.ndarray, start: np.ndarray, ell: float) -> float:
    """A bound, at a finite l, of the cost of a flow's x above the least at its data A x. Of order 1/l.

    With w = arcsinh(e^l x)/l and w_0 that of x_0, w - w_0 is in range(A^T) at all times. So (w - w_0).(x - z) = 0 for
    every z with A z = A x, and where z has the least cost,

        cost(x) - cost(z) <= sum |x_i| (1 - |w_i|)_+ + |z_i| (|w_i| - 1)_+ + |w_0i - sign(x_0i)| |x_i - z_i|.
    """
    z = homotopy(A, A @ x, start).x[-1]
    w, w0 = (np.arcsinh(np.exp(ell) * np.abs(v)) / ell for v in (x, start))
    kept = np.where(start != 0, np.abs(w0 - 1), 0.0)
    return float(np.sum(np.abs(x) * np.maximum(1 - w, 0.0) + np.abs(z) * np.maximum(w - 1, 0.0) + kept * np.abs(x - z)))
