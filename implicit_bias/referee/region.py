r"""Where the referee looks: what the problems of a study have in common, and the ranges of its numbers.

A claim may lean on what every draw of its study shares and no slack states (A A^T = I, one greatest singular value, one
|x*|, labels). A `Family` is what was seen to be shared; a `Region` draws points that keep it, and says whether one does.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from . import thin
from .counterexample import LONG
from .given import START
from .recast import Form
from .shared import Shared

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
    limits: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    """How far a structured point may go, where that is beyond the range that is drawn from."""
    usual: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """The value that the study gives a number of its cell which is no axis."""
    pool: Sequence[Mapping[str, np.ndarray]] = ()
    """The study's own draws of the given parts."""

    @functools.cached_property
    def shared(self) -> dict[str, Shared]:
        return {n: Shared.of([draw[n] for draw in self.pool]) for n, _ in self.form.parts}

    def limit(self, name: str) -> tuple[float, float]:
        return self.limits.get(name, self.ranges[name])

    def _axis(self, rng: np.random.Generator, name: str) -> float:
        if name in self.choices:
            return float(rng.choice(self.choices[name]))
        if name in self.usual and rng.random() < 0.5:
            return self.usual[name]
        low, high = self.ranges[name]
        if rng.random() < 0.2:
            return float(rng.choice([low, high]))
        return (
            float(np.clip(np.exp(rng.uniform(np.log(low), np.log(high))), low, high))
            if low > 0
            else rng.uniform(low, high)
        )

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        return np.stack([self.form.pack(self._drawn(rng)) for _ in range(count)])

    def _drawn(self, rng: np.random.Generator) -> dict[str, Any]:
        values: dict[str, Any] = {n: self._axis(rng, n) for n in self.form.axes}
        if self.form.arrays:
            return values | self.family.draw(rng, self.form.rows, self.form.columns)
        if self.form.parts:
            values |= self.pool[rng.integers(len(self.pool))]
        return values | {"seed": rng.integers(self.seeds)}

    # -- thin sets ------------------------------------------------------------------------------------------------

    def structured(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Each structure alone on a random draw, axes and arrays by turns; then several at once, without end."""
        names = [n for n in self.form.axes if n not in self.choices and self.limit(n)[0] < self.limit(n)[1]]
        limits = {n: self.limit(n) for n in names}
        changes = list(thin.axes_at(self.ranges, limits, names))
        pieces = [n for n in self.form.shapes if n not in ("seed", "y")] + ["x"] * self.form.arrays
        first = {n: len(self._options(self._drawn(rng), n, rng)) for n in pieces}
        singles = [("", i) for i in range(len(changes))]
        arrays = [(n, i) for i in range(max(first.values(), default=0)) for n in pieces if i < first[n]]
        layers = [n for n in pieces if n.startswith(START)]
        alike = range(min((first[n] for n in layers), default=0) if len(layers) > 1 else 0)
        several = itertools.zip_longest(singles, arrays, [("all", i) for i in alike], self._of_units(layers, rng))
        for one in itertools.chain.from_iterable(several):
            if isinstance(one, dict):
                yield from self._packed(one)
            elif one is not None and one[0] == "all":  # every layer of one kind
                values = self._drawn(rng)
                for name in layers:
                    values = self._replaced(values, name, one[1], rng)
                yield from self._packed(values)
            elif one is not None:
                name, place = one
                values = self._drawn(rng)
                values = values | changes[place] if name == "" else self._replaced(values, name, place, rng)
                yield from self._packed(values)
        while changes or pieces:
            values = self._drawn(rng)
            for name in rng.permutation(pieces) if pieces else ():
                if rng.random() < 0.6:
                    values = self._replaced(values, str(name), int(rng.integers(max(first[name], 1))), rng)
            for _ in range(rng.integers(3) if changes else 0):
                values = values | changes[rng.integers(len(changes))]
            yield from self._packed(values)

    def _of_units(self, layers: Sequence[str], rng: np.random.Generator) -> Iterator[dict[str, Any]]:
        """Structures of two layers at once, each on a draw of its own."""
        for i in range(sum(1 for _ in thin.units({n: self.pool[0][n] for n in layers}))) if layers else ():
            values = self._drawn(rng)
            change = next(itertools.islice(thin.units({n: values[n] for n in layers}), i, None))
            change = {n: self.shared[n].project(a) for n, a in change.items()}
            if all(self.shared[n].keeps(a) for n, a in change.items()):
                yield values | change

    def _options(self, values: Mapping[str, Any], name: str, rng: np.random.Generator) -> list[np.ndarray]:
        given = {n: values[n] for n in self.form.shapes if n not in ("seed", "y")}
        if self.form.arrays:
            given["x"] = np.linalg.pinv(values["A"]) @ values["y"]
        return thin.arrays_like(name, given, rng)

    def _replaced(self, values: dict[str, Any], name: str, place: int, rng: np.random.Generator) -> dict[str, Any]:
        options = self._options(values, name, rng)
        if not options:
            return values
        new = options[place % len(options)]
        if not self.form.arrays:
            new = self.shared[name].project(new)
            return values | {name: new} if self.shared[name].keeps(new) else values
        size = np.linalg.norm(np.linalg.pinv(values["A"]) @ values["y"])
        x = np.linalg.pinv(values["A"]) @ values["y"] if name != "x" else new
        if name in "Au":
            values = values | {name: new}
        y = values["A"] @ x
        least = np.linalg.norm(np.linalg.pinv(values["A"]) @ y)
        return self.family.project(values | {"y": y * (size / least if least > 0 else 1.0)})

    def _packed(self, values: Mapping[str, Any]) -> Iterator[np.ndarray]:
        point = self.form.pack(values)
        if np.isfinite(point).all() and self.admits(point):
            yield point

    # -- moves ----------------------------------------------------------------------------------------------------

    def scales(self, point: np.ndarray) -> np.ndarray:
        """The natural length of a move of each number."""
        values = self.form.unpack(point)
        found = {}
        for n in self.form.axes:
            low, high = self.ranges[n]
            found[n] = abs(values[n]) if low > 0 else (high - low)
            found[n] *= low < high and n not in self.choices
        for n in self.form.shapes:
            still = n == "seed" or n in self.shared and not self.shared[n].moves
            still |= self.form.arrays and n == "A" and self.family.orthonormal and self.form.rows == self.form.columns
            found[n] = np.full(np.shape(values[n]), 0.0 if still else max(np.abs(values[n]).max(), 1e-3))
        return self.form.pack(found)

    def project(self, point: np.ndarray) -> np.ndarray:
        values = self.form.unpack(point.copy())
        for n in self.form.axes:
            values[n] = float(np.clip(values[n], *self.limit(n)))
        values |= {n: kept.project(values[n]) for n, kept in self.shared.items()}
        return self.form.pack(self.family.project(values) if self.form.arrays else values)

    def far(self, point: np.ndarray) -> list[str]:
        """The axes on which it is beyond the study's own range."""
        return [n for n, v in zip(self.form.axes, point) if not self.ranges[n][0] <= v <= self.ranges[n][1]]

    def fit(self, point: np.ndarray) -> np.ndarray:
        if self.form.arrays:
            return self.form.pack(self.family.fit(self.form.unpack(point)))
        return self.project(point) if self.form.parts else point

    def admits(self, point: np.ndarray) -> bool:
        values = self.form.unpack(point)
        if any(not self.limit(n)[0] <= values[n] <= self.limit(n)[1] for n in self.form.axes):
            return False
        return self.family.admits(values) if self.form.arrays else True


def beyond(low: float, high: float) -> tuple[float, float]:
    """Once far beyond a range: ten times, and a tenth; shares stay shares.

    >>> beyond(0.5, 2.0), beyond(0.1, 0.9), beyond(-1.0, 1.0)
    ((0.05, 20.0), (0.01, 1.0), (-3.0, 3.0))
    """
    if low < 0:
        return low - (high - low), high + (high - low)
    return low / 10, 1.0 if high <= 1 else 10 * high


def _snapped(value: float) -> float:
    """The small fraction that a result of rounding was meant to be."""
    near = float(Fraction(value).limit_denominator(LONG))
    return near if abs(near - value) <= 1e-13 * abs(value) else value
