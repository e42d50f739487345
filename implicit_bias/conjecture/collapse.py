r"""Collapse: the product of powers that makes many curves one.

    q / prod_j x_j^{a_j}  =  F(z),   z = x_i prod_j x_j^{b_j},        j over all axes but the first, i

F is whatever the points say: at each point it is read off the two nearest of *other* curves (another x_j), on a line in
log z. What is left is how far the curves are apart, and its least square gives a and b. A power law collapses for any b,
so it is left to `laws`. Intervals: jackknives over seeds and over the curves that are left out, the wider of the two.

>>> x = np.stack(np.meshgrid(np.geomspace(0.01, 10, 9), [0.5, 1.0, 2.0, 4.0], indexing="ij"), -1).reshape(-1, 2)
>>> found = fit(np.log(x), np.log(x[:, 1] ** 0.5 * np.tanh(x[:, 0] * x[:, 1]))[None])
>>> found.a.round(2), found.b.round(2)
(array([0.5]), array([1.]))
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..evidence.intervals import CONFIDENCE
from .laws import curve_of

STARTS = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)


@dataclasses.dataclass(frozen=True)
class Collapse:
    a: np.ndarray
    b: np.ndarray
    halves: np.ndarray
    """Of a, then of b."""
    z: np.ndarray
    """Sorted, of the points that F was read off."""
    F: np.ndarray
    """log F there."""
    rms: float

    def __call__(self, u: np.ndarray) -> np.ndarray:
        """log q up to a constant for each seed; nan where z is beyond what was fitted."""
        z = u[:, 0] + u[:, 1:] @ self.b
        inside = (z >= self.z[0] - 1e-9) & (z <= self.z[-1] + 1e-9)
        return np.where(inside, np.interp(z, self.z, self.F) + u[:, 1:] @ self.a, np.nan)


def apart(p: np.ndarray, u: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """How far each point is from the line through its neighbours in z that are of other curves; 0 where it has none."""
    count = u.shape[1] - 1
    z, f = u[:, 0] + u[:, 1:] @ p[count:], curve - u[:, 1:] @ p[:count]
    order = np.argsort(z, kind="stable")
    z, f, of = z[order], f[order], u[order][:, 1:]
    other = (abs(of[:, None] - of[None]) > 1e-9).any(-1)  # [point, point]
    below = np.where(other & (z[None] <= z[:, None]), z[None], -np.inf)
    above = np.where(other & (z[None] >= z[:, None]), z[None], np.inf)
    i, j = below.argmax(1), above.argmin(1)
    known = np.isfinite(below.max(1)) & np.isfinite(above.min(1))
    width = z[j] - z[i]
    share = np.divide(z - z[i], width, out=np.full(len(z), 0.5), where=width > 1e-12)
    rest = np.where(known, f - (1 - share) * f[i] - share * f[j], 0.0)
    found = np.zeros(len(z))
    found[order] = rest / np.sqrt(max(known.mean(), 1e-9))  # a collapse that shares no z explains nothing
    return found if known.sum() >= 0.5 * len(z) else np.full(len(z), 1e3)


def _solve(u: np.ndarray, curve: np.ndarray, near: np.ndarray | None) -> np.ndarray:
    from scipy import optimize

    count = u.shape[1] - 1

    def square(p: np.ndarray) -> float:
        return float((apart(p, u, curve) ** 2).sum())

    if near is None:
        slopes = np.linalg.lstsq(u - u.mean(0), curve - curve.mean(), rcond=None)[0]
        # with b given, a follows from the mean power: q ~ x_i^s0 x_j^sj
        starts = [np.concatenate([slopes[1:] - b * slopes[0], np.full(count, b)]) for b in STARTS]
        starts += [np.concatenate([np.zeros(count), np.full(count, b)]) for b in STARTS]
        near = min(starts, key=square)
        starts = sorted(starts, key=square)[:3]
    else:
        starts = [near]
    how = {"method": "Nelder-Mead", "options": {"xatol": 1e-7, "fatol": 1e-14, "maxiter": 2000}}
    found = [optimize.minimize(square, start, **how) for start in starts]
    return min(found, key=lambda f: f.fun).x


def fit(u: np.ndarray, v: np.ndarray, *, below: float = np.inf) -> Collapse | None:
    """Of v[seeds, points] = log q; None with one axis, fewer than three curves, or no root mean square below what is asked."""
    from scipy import stats

    if u.shape[1] < 2 or len(np.unique(u[:, 1:], axis=0)) < 3:
        return None
    curve, _ = curve_of(v)
    p = _solve(u, curve, None)
    rms = float(np.sqrt(np.mean(apart(p, u, curve) ** 2)))
    if not rms < below:
        return None
    curves = np.unique(u[:, 1:], axis=0)
    rows = np.arange(len(v))
    parts = [[_solve(u, curve_of(np.delete(v, i, 0))[0], p) for i in rows]] if len(v) > 1 else []
    left = [(abs(u[:, 1:] - c) > 1e-9).any(1) for c in curves]
    parts.append([_solve(u[k], curve[k], p) for k in left])
    halves = np.zeros(len(p))
    for found in parts:
        n = len(found)
        error = np.sqrt((n - 1) / n * ((np.array(found) - np.mean(found, axis=0)) ** 2).sum(0))
        halves = np.maximum(halves, stats.t.ppf(1 - (1 - CONFIDENCE) / (2 * len(p)), max(n - 1, 1)) * error)
    count = u.shape[1] - 1
    z, F = u[:, 0] + u[:, 1:] @ p[count:], curve - u[:, 1:] @ p[:count]
    order = np.argsort(z)
    return Collapse(p[:count], p[count:], halves, z[order], F[order], rms)
