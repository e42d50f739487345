r"""Shrinking: the same failure in the fewest and simplest numbers.

A run of an equivariant law in the coordinates where A = [diag(s), 0] and y >= 0 is the same run. There each number in
turn is replaced by the simplest rational p/q (least |p| + q) under which the claim still fails by a clear factor, and by
a tenth of what it did: a simple run at the edge of failing shows less.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ..evidence.claims import Claim
from .clock import Clock
from .counterexample import rational
from .recast import Form
from .region import Region
from .runs import WIDTH, Runs
from .search import CLEAR, PLENTY, Found, score


MOST = 80
"""Numbers of a point beyond which its arrays are left as they are."""


def complexity(value: Fraction) -> float:
    """0, 1, -1, 2, 1/2, ... in this order.

    >>> sorted(map(Fraction, ("1/3", "2", "0", "-1", "1")), key=complexity)
    [Fraction(0, 1), Fraction(1, 1), Fraction(-1, 1), Fraction(2, 1), Fraction(1, 3)]
    """
    return 0.0 if value == 0 else abs(value.numerator) + 1.01 * value.denominator + 0.5 * (value < 0)


_SIMPLE = {s * Fraction(p, q) for p in range(11) for q in (1, 2, 3, 4, 5, 10) for s in (1, -1)}
_LARGE_AND_SMALL = {Fraction(p) ** s for p in (20, 30, 50, 100, 1000) for s in (1, -1)}
RATIONALS = sorted(_SIMPLE | _LARGE_AND_SMALL, key=complexity)


def canonical(form: Form, values: Mapping[str, Any], *, square: bool) -> dict[str, Any]:
    """The same run with A = [diag(s), 0] (or [L, 0]), y >= 0, and the orthogonal part of u along one axis, upwards."""
    A, y, u = (values[n] for n in "Ayu")
    m = form.rows
    if square:
        left, s, right = np.linalg.svd(A)
        A, y, u = np.hstack([np.diag(s), np.zeros((m, form.columns - m))]), left.T @ y, right @ u
        signs = np.where(y < 0, -1.0, 1.0)
        y, u = signs * y, np.concatenate([signs * u[:m], u[m:]])
    else:
        right, lower = np.linalg.qr(A.T, mode="complete")
        A, u = lower.T, right.T @ u
    perp = np.zeros(form.columns - m)
    perp[0] = np.linalg.norm(u[m:])
    u = np.concatenate([u[:m], perp])
    return {**values, "A": A, "y": y, "u": u / np.abs(u).max()}


def shrink(claim: Claim, runs: Runs, region: Region, begin: Found, *, square: bool, clock: Clock | None = None) -> Found:
    """The simplest numbers under which the claim still fails clearly, and by a tenth of what it did."""
    form = runs.form
    if not region.far(begin.point):
        region = dataclasses.replace(region, limits={})  # it stays in the study's own ranges
    tenth = min(begin.ratio / 10, PLENTY) if np.isfinite(begin.ratio) else 0
    enough = max(min(CLEAR, 1 + (begin.ratio - 1) / 2), tenth)

    def first(points: Sequence[np.ndarray]) -> Found | None:
        """The first that will do. A slack of 0 would not: there the strict and the weak inequality differ."""
        points = [p for p in points if region.admits(p)]
        for start in range(0, len(points), WIDTH):
            if clock is not None and clock.over:
                return None
            block = points[start : start + WIDTH]
            found = score(claim, *runs(np.stack(block)))
            good = (found.ratio >= enough) & np.all([s > 1e-9 for s in found.slacks.values()], axis=0)
            if good.any():
                return Found(block[int(good.argmax())], float(found.ratio[good.argmax()]))
        return None

    best = begin
    if form.arrays:
        best = first([region.project(form.pack(canonical(form, form.unpack(best.point), square=square)))]) or best
    axes = len(form.axes)
    for _ in range(3):
        before = best.point
        arrays = range(axes, form.size) if form.size <= MOST else [*range(form.size - (not form.arrays), form.size)]
        for i in [*arrays, *range(axes)]:  # arrays first: axes can follow them more freely
            options = _simpler(best.point[i], seed=not form.arrays and i == form.size - 1)
            if i < axes and form.axes[i] in region.usual:
                usual = region.usual[form.axes[i]]
                options = [usual, *options] if best.point[i] != usual else []
            best = first([region.fit(_with(best.point, i, value)) for value in options]) or best
        if form.arrays and square:
            best = first([form.pack(_upright(form.unpack(best.point.copy())))]) or best
        if np.array_equal(before, best.point):
            break
    return best


def _upright(values: dict[str, Any]) -> dict[str, Any]:
    """Where A is diagonal, the same run with A >= 0 and y >= 0, by reflections alone: no digit changes."""
    A, y, u = (values[n] for n in "Ayu")
    if np.array_equal(A, np.eye(*A.shape) * np.pad(np.diag(A), (0, A.shape[1] - A.shape[0]))):
        for i in range(len(y)):
            u[i] *= np.copysign(1, A[i, i] * y[i]) if A[i, i] * y[i] else 1
            A[i, i], y[i] = abs(A[i, i]), abs(y[i])
    return values


def _with(point: np.ndarray, index: int, value: float) -> np.ndarray:
    new = point.copy()
    new[index] = value
    return new


def _simpler(value: float, *, seed: bool) -> list[float]:
    """What may stand in its place, simplest first: rationals near and far, whole numbers for a seed."""
    if seed:
        return [float(i) for i in range(int(min(value, 2 * WIDTH)))]
    near = [Fraction(value).limit_denominator(q) for q in (20, 50, 100, 1000)]
    known = rational(value)
    most = np.inf if known is None else complexity(known)
    return [float(r) for r in [*RATIONALS, *sorted(near, key=complexity)] if complexity(r) < most]
