r"""The referee: look for a run inside a claim's hypotheses on which it fails, and make that run small.

    maximise   residual / tolerance     over   points = (numeric axes, A, y, direction)
    subject to every slack >= 0, a status that the claim accepts, and a problem of the study's own kind

1. *Random search.* Axes are drawn log-uniformly in the study's ranges (a fifth of them at an end). A is drawn by its
   singular values, between half the least and twice the greatest that the study draws; y by the size of x* = pinv(A) y,
   likewise. What every draw of the study has in common (A A^T = I, one greatest singular value, one |x*|, labels) is kept,
   because it may be a hypothesis that no slack states.
2. *Climbing*, where that found nothing or little. The slope of log(residual / tolerance) goes forward through the run
   to its recorded numbers; the claim, a closed form of those, is differenced along it. Beside points along the slope,
   each round tries random ones nearby, which carry it on where there is no slope (a sign, a maximum, a tie).
3. *Shrinking.* A run of an equivariant law in the coordinates where A = [diag(s), 0] and y >= 0 is the same run. There
   each number in turn is replaced by the simplest rational p/q (least |p| + q) under which the claim still fails by a
   clear factor, and by a tenth of what it did: a simple run at the edge of failing shows less.

Nothing found is no proof. What is reported then is the greatest ratio and how many runs were spent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import xarray as xr

from .._errors import Mistake
from .._results import Status
from ..sweep.recast import WIDTH, Form, Runs
from .claims import Claim, weigh
from .counterexample import LONG, rational
from .kinds import Identity, over_tolerance

SIZES = ((1, 2), (1, 3), (2, 4))
"""Rows and columns, smallest first; from the second on, what is orthogonal to the rows has a direction."""
WIDEN = 2.0
"""How far beyond what the study draws singular values and sizes may go."""
CLEAR = 10.0
"""A ratio from which a failure needs no climbing, and below which shrinking does not take it."""
PLENTY = 1e9
"""A ratio beyond which more says nothing."""
ROUNDS = 25


# -- what a claim says of points ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Score:
    """A claim on several points. `ratio` is -inf where it was not tested."""

    ratio: np.ndarray
    residual: np.ndarray
    tolerance: np.ndarray
    slacks: dict[str, np.ndarray]
    inside: np.ndarray

    @property
    def best(self) -> int:
        return int(np.argmax(self.ratio))


def score(claim: Claim, data: xr.Dataset, opens: np.ndarray) -> Score:
    """As `judge` sees each run, with a tested run's ratio: inf where a tolerance of 0 is exceeded."""
    try:
        with np.errstate(all="ignore"):  # a closed form may be nan where the claim says nothing
            seen = weigh(claim, data)
    except (KeyError, IndexError) as error:
        raise Mistake(
            "claim",
            f"{claim.id} cannot be asked of single runs ({type(error).__name__}: {error})",
            "write it as a function of one run's numbers: no .sel over an axis",
        ) from None
    inside = seen.met().values.ravel() & np.ravel(opens)
    tested = inside & (seen.accepted & seen.defined).values.ravel()
    return Score(
        ratio=np.where(tested, over_tolerance(seen.residual, seen.tolerance).values.ravel(), -np.inf),
        residual=seen.residual.values.ravel(),
        tolerance=seen.tolerance.values.ravel(),
        slacks={n: s.values.ravel() for n, s in seen.slacks.items()},
        inside=inside,
    )


# -- where to look -----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Family:
    """What the problems that a study draws have in common."""

    singular: tuple[float, float]
    size: tuple[float, float]
    orthonormal: bool
    top: float | None
    """The greatest singular value, where it is always the same."""
    length: float | None
    """|x*|, where it is always the same: an axis may be measured in it."""
    labels: bool

    @classmethod
    def of(cls, draws: Sequence[tuple[np.ndarray, np.ndarray]], *, labels: bool) -> Family:
        spectra = [np.linalg.svd(A, compute_uv=False) for A, _ in draws]
        sizes = [float(np.linalg.norm(np.linalg.pinv(A) @ y)) for A, y in draws]
        tops = [s[0] for s in spectra]
        same = bool(max(tops) - min(tops) < 1e-9 * max(tops))
        least, greatest = float(min(s[-1] for s in spectra)), float(max(tops))
        orthonormal = same and bool(abs(greatest - 1) < 1e-9 and abs(least - 1) < 1e-9)
        one = max(sizes) - min(sizes) < 1e-9 * max(sizes) and not labels
        length = float(f"{max(sizes):.9g}") if one else None
        return cls((least, greatest), (min(sizes), max(sizes)), orthonormal, greatest if same else None, length, labels)

    def _spectrum(self, rng: np.random.Generator, count: int) -> np.ndarray:
        if self.orthonormal:
            return np.ones(count)
        low, high = self.singular[0] / WIDEN, self.singular[1] * WIDEN
        s = np.exp(rng.uniform(np.log(low), np.log(high), count))
        return s if self.top is None else np.minimum(s, s.max()) * self.top / s.max()

    def draw(self, rng: np.random.Generator, rows: int, columns: int) -> dict[str, np.ndarray]:
        left, _ = np.linalg.qr(rng.normal(size=(rows, rows)))
        right, _ = np.linalg.qr(rng.normal(size=(columns, rows)))
        s = self._spectrum(rng, rows)
        A = (left * s) @ right.T
        x = right @ rng.normal(size=rows)
        drawn = np.exp(rng.uniform(np.log(self.size[0] / WIDEN), np.log(self.size[1] * WIDEN)))
        x *= (drawn if self.length is None else self.length) / np.linalg.norm(x)
        y = np.where(A @ x >= 0, 1.0, -1.0) if self.labels else A @ x
        return {"A": A, "y": y, "u": rng.normal(size=columns)}

    def project(self, values: dict[str, Any]) -> dict[str, Any]:
        """To the nearest problem that keeps what all draws share."""
        A = values["A"]
        if self.orthonormal:
            u, _, v = np.linalg.svd(A, full_matrices=False)
            A = u @ v
        elif self.top is not None:
            A = A * self.top / max(np.linalg.norm(A, 2), 1e-300)
        y = np.where(values["y"] >= 0, 1.0, -1.0) if self.labels else values["y"]
        return self.fit({**values, "A": A, "y": y})

    def fit(self, values: dict[str, Any]) -> dict[str, Any]:
        """With the length of x* that all draws share: y is a multiple of what it was."""
        size = np.linalg.norm(np.linalg.pinv(values["A"]) @ values["y"])
        if self.length is None or not size > 0:
            return values
        return {**values, "y": np.array([_snapped(v * self.length / size) for v in values["y"]])}

    def admits(self, values: Mapping[str, Any]) -> bool:
        A, y, u = (values[n] for n in "Ayu")
        s = np.linalg.svd(A, compute_uv=False)
        if not (np.linalg.norm(u) > 1e-6 and s[-1] > 1e-9 * s[0]):
            return False
        perp = u - np.linalg.pinv(A) @ (A @ u)
        if np.linalg.norm(perp) < 1e-6 * np.linalg.norm(u):
            return False  # the engine carries log|w_perp|
        near = 1 + 1e-9
        if self.orthonormal and np.abs(s - 1).max() > 1e-9:
            return False
        if self.top is not None and abs(s[0] / self.top - 1) > 1e-9:
            return False
        if s[-1] * near < self.singular[0] / WIDEN or s[0] > self.singular[1] * WIDEN * near:
            return False
        if self.labels:
            return bool((np.abs(y) == 1).all())
        size = np.linalg.norm(np.linalg.pinv(A) @ y)
        if self.length is not None:
            return bool(abs(size / self.length - 1) < 1e-9)
        return bool(self.size[0] / WIDEN <= size * near and size <= self.size[1] * WIDEN * near)


@dataclasses.dataclass(frozen=True)
class Region:
    """Where points are drawn, and what keeps one inside."""

    form: Form
    ranges: Mapping[str, tuple[float, float]]
    family: Family | None
    seeds: int = 10_000

    def _axis(self, rng: np.random.Generator, name: str) -> float:
        low, high = self.ranges[name]
        if rng.random() < 0.2:
            return float(rng.choice([low, high]))
        return (
            float(np.clip(np.exp(rng.uniform(np.log(low), np.log(high))), low, high))
            if low > 0
            else rng.uniform(low, high)
        )

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        points = []
        for _ in range(count):
            values: dict[str, Any] = {n: self._axis(rng, n) for n in self.form.axes}
            values |= self.family.draw(rng, self.form.rows, self.form.columns) if self.form.arrays else {
                "seed": rng.integers(self.seeds)
            }  # fmt: skip
            points.append(self.form.pack(values))
        return np.stack(points)

    def scales(self, point: np.ndarray) -> np.ndarray:
        """The natural length of a move of each number."""
        values = self.form.unpack(point)
        found = {}
        for n in self.form.axes:
            low, high = self.ranges[n]
            found[n] = abs(values[n]) if low > 0 else (high - low)
            found[n] *= low < high
        if not self.form.arrays:
            return self.form.pack({**found, "seed": 0.0})
        for n in "Ayu":
            fixed = n == "A" and self.family.orthonormal and self.form.rows == self.form.columns
            found[n] = np.full(np.shape(values[n]), 0.0 if fixed else max(np.abs(values[n]).max(), 1e-3))
        return self.form.pack(found)

    def project(self, point: np.ndarray) -> np.ndarray:
        values = self.form.unpack(point)
        for n in self.form.axes:
            values[n] = float(np.clip(values[n], *self.ranges[n]))
        return self.form.pack(self.family.project(values) if self.form.arrays else values)

    def fit(self, point: np.ndarray) -> np.ndarray:
        return self.form.pack(self.family.fit(self.form.unpack(point))) if self.form.arrays else point

    def admits(self, point: np.ndarray) -> bool:
        values = self.form.unpack(point)
        if any(not self.ranges[n][0] <= values[n] <= self.ranges[n][1] for n in self.form.axes):
            return False
        return self.family.admits(values) if self.form.arrays else True


# -- search ------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Found:
    point: np.ndarray
    ratio: float


NOTHING = Found(np.zeros(0), -np.inf)


def draw_and_test(claim: Claim, runs: Runs, region: Region, count: int, rng: np.random.Generator) -> Found:
    """Random search. A first block with no run inside the hypotheses ends it: words may be a hypothesis."""
    best = NOTHING
    for start in range(0, count, WIDTH):
        points = region.draw(rng, min(WIDTH, count - start))
        found = score(claim, *runs(points))
        if found.ratio[found.best] > best.ratio:
            best = Found(points[found.best], float(found.ratio[found.best]))
        if start == 0 and not found.inside.any():
            break
    return best


def slope(claim: Claim, runs: Runs, region: Region, point: np.ndarray) -> np.ndarray:
    """d log(residual / tolerance), per natural length of each number; zeros where there is no slope."""
    lengths = region.scales(point)
    moved, data = runs.slopes(point, 1e-6 * lengths)
    with np.errstate(all="ignore"):
        found = score(claim, data, np.ones(len(moved), bool))
        logs = np.log(np.where(found.ratio > 0, found.ratio, np.nan))
        plus, minus = np.split(logs, 2)
        rise = (plus - minus) / 2e-6
    return np.where(np.isfinite(rise) & (lengths > 0), rise, 0.0)


def climb(claim: Claim, runs: Runs, region: Region, begin: Found, rng: np.random.Generator) -> Found:
    """Uphill from a tested point, until three rounds bring less than a hundredth or a clear failure is found."""
    best, idle = begin, 0
    for _ in range(ROUNDS):
        if best.ratio >= CLEAR or idle == 3:
            break
        lengths = region.scales(best.point)
        rise = slope(claim, runs, region, best.point)
        size = np.linalg.norm(rise)
        along = rise / size if size > 0 else np.zeros_like(rise)
        reach = np.geomspace(1e-4, 2, WIDTH // 2)
        straight = best.point + reach[:, None] * lengths * along
        around = best.point + reach[:, None] * lengths * rng.normal(size=(len(reach), len(lengths)))
        points = np.stack([region.project(p) for p in (*straight, *around)])
        points = points[[region.admits(p) for p in points]]
        if not len(points):
            break
        found = score(claim, *runs(points))
        gain = found.ratio[found.best]
        idle = idle + 1 if not gain > best.ratio + 0.01 * abs(best.ratio) else 0
        if gain > best.ratio:
            best = Found(points[found.best], float(gain))
    return best


# -- shrinking ---------------------------------------------------------------------------------------------------------


def complexity(value: Fraction) -> float:
    """0, 1, -1, 2, 1/2, ... in this order.

    >>> sorted(map(Fraction, ("1/3", "2", "0", "-1", "1")), key=complexity)
    [Fraction(0, 1), Fraction(1, 1), Fraction(-1, 1), Fraction(2, 1), Fraction(1, 3)]
    """
    return 0.0 if value == 0 else abs(value.numerator) + 1.01 * value.denominator + 0.5 * (value < 0)


_SIMPLE = {s * Fraction(p, q) for p in range(11) for q in (1, 2, 3, 4, 5, 10) for s in (1, -1)}
_LARGE_AND_SMALL = {Fraction(p) ** s for p in (20, 30, 50, 100, 1000) for s in (1, -1)}
RATIONALS = sorted(_SIMPLE | _LARGE_AND_SMALL, key=complexity)


def _snapped(value: float) -> float:
    """The small fraction that a result of rounding was meant to be."""
    near = float(Fraction(value).limit_denominator(LONG))
    return near if abs(near - value) <= 1e-13 * abs(value) else value


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


def shrink(claim: Claim, runs: Runs, region: Region, begin: Found, *, square: bool) -> Found:
    """The simplest numbers under which the claim still fails clearly, and by a tenth of what it did."""
    form = runs.form
    tenth = min(begin.ratio / 10, PLENTY) if np.isfinite(begin.ratio) else 0
    enough = max(min(CLEAR, 1 + (begin.ratio - 1) / 2), tenth)

    def first(points: Sequence[np.ndarray]) -> Found | None:
        """The first that will do. A slack of 0 would not: there the strict and the weak inequality differ."""
        points = [p for p in points if region.admits(p)]
        for start in range(0, len(points), WIDTH):
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
        for i in [*range(axes, form.size), *range(axes)]:  # arrays first: axes can follow them more freely
            options = _simpler(best.point[i], seed=not form.arrays and i == axes)
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


# -- of a claim and of a run ---------------------------------------------------------------------------------------------


def askable(claim: Claim) -> None:
    """Whether the claim is about single runs."""
    if not isinstance(claim.kind, Identity):
        raise Mistake(
            "claim",
            f"{claim.id} is about many runs together (its kind is {claim.kind.name})",
            "the referee takes identities and inequalities, which one run can refute",
        )


def status_of(converged: bool, data: xr.Dataset) -> int:
    """A status for a rechecked run: that of the run itself where it ended at its cap."""
    if converged:
        return int(Status.CONVERGED)
    own = int(data["status"].values.ravel()[0])
    return own if own in (Status.ESCAPING, Status.STALLED) else int(Status.CAPPED)
