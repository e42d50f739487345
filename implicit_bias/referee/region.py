r"""Where the referee looks: what the problems of a study have in common, and the ranges of its numbers.

A claim may lean on what every draw of its study shares and no slack states (A A^T = I, one greatest singular value, one
|x*|, labels). A `Family` is what was seen to be shared; a `Region` draws points that keep it, and says whether one does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from .counterexample import LONG
from .recast import Form

WIDEN = 2.0
"""How far beyond what the study draws singular values and sizes may go."""


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


def is_choice(values: Sequence[float]) -> bool:
    """Whether an axis takes whole numbers one after the other: layers, a rank.

    >>> is_choice([1.0, 2.0, 3.0]), is_choice([1.0, 4.0]), is_choice([2.0])
    (True, False, False)
    """
    values = sorted(values)
    return len(values) > 1 and values[0] == round(values[0]) and all(np.diff(values) == 1)


@dataclasses.dataclass(frozen=True)
class Region:
    """Where points are drawn, and what keeps one inside."""

    form: Form
    ranges: Mapping[str, tuple[float, float]]
    family: Family | None
    seeds: int = 10_000
    choices: Mapping[str, Sequence[float]] = dataclasses.field(default_factory=dict)
    """The values of axes that are chosen from, and not moved along."""

    def _axis(self, rng: np.random.Generator, name: str) -> float:
        if name in self.choices:
            return float(rng.choice(self.choices[name]))
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
            found[n] *= low < high and n not in self.choices
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


def _snapped(value: float) -> float:
    """The small fraction that a result of rounding was meant to be."""
    near = float(Fraction(value).limit_denominator(LONG))
    return near if abs(near - value) <= 1e-13 * abs(value) else value
