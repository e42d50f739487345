"""Thin sets: arrays and axes that no random draw meets, proposed before any is drawn.

Equal entries, a single one, an empty block; rank one, repeated and vanishing singular values, a turned orientation;
aligned with another array, or orthogonal to it; matrices that commute; two layers alike. Of axes: the ends, 0, 1, two of
them equal, and once far beyond what the study varies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np


def arrays_like(name: str, given: Mapping[str, np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Structured arrays of the shape of `given[name]`, some of them made from the others."""
    own = given[name]
    found = [np.ones(own.shape), _one(own.shape, 0), *_halved(own), np.abs(own), -own, *_alike(name, given)]
    if own.ndim == 1:
        found += _vectors(own, given)
    if own.ndim == 2:
        found += _matrices(own, rng)
        found += _symmetric(own)
    return [a for a in found if a.shape == own.shape and np.isfinite(a).all() and np.abs(a).max() > 0]


def _one(shape: tuple[int, ...], place: int) -> np.ndarray:
    array = np.zeros(math.prod(shape))
    array[place] = 1.0
    return array.reshape(shape)


def _halved(a: np.ndarray) -> list[np.ndarray]:
    """Its first entry (row, column) gone; its first half gone; its two halves alike."""
    found = []
    for axis in range(a.ndim):
        b = np.moveaxis(a.copy(), axis, 0)
        if len(b) > 1:
            b[0] = 0.0
            found.append(np.moveaxis(b, 0, axis))
            c = np.moveaxis(a.copy(), axis, 0)
            c[0] = c[1]
            found.append(np.moveaxis(c, 0, axis))
            d = np.moveaxis(a.copy(), axis, 0)
            d[: len(d) // 2] = 0.0
            found.append(np.moveaxis(d, 0, axis))
        if len(b) > 3 and len(b) % 2 == 0:
            e = np.moveaxis(a.copy(), axis, 0)
            e[: len(e) // 2] = e[len(e) // 2 :]
            found.append(np.moveaxis(e, 0, axis))
    return found


def _alike(name: str, given: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Another array of this shape, or of the turned one; and what of it is seen through a shared side."""
    own, found = given[name], []
    for other, a in given.items():
        if other == name or a.ndim != own.ndim:
            continue
        found += [a, -a] if a.shape == own.shape else []
        if own.ndim == 2:
            found += [a.T, -a.T] if a.shape[::-1] == own.shape else []
            if a.shape[0] == own.shape[0]:  # columns inside a frame, and outside
                basis = np.linalg.qr(a)[0]
                inside = basis @ (basis.T @ own)
                found += [inside, own - inside] if a.shape[1] < own.shape[0] else []
    return found


def _vectors(v: np.ndarray, given: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    found = [_one(v.shape, len(v) - 1), np.where(np.arange(len(v)) % 2 == 0, 1.0, -1.0), np.sign(v)]
    for a in given.values():
        if a.ndim == 2 and a.shape[1] == len(v):
            basis = np.linalg.svd(a, full_matrices=False)[2]
            inside = basis.T @ (basis @ v)
            found += [a[0], -a[0], basis[0], basis[-1], inside, v - inside]
    return found


def _matrices(a: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    u, s, v = np.linalg.svd(a, full_matrices=False)
    flat = np.ones_like(s)
    found = [np.eye(*a.shape), (u * flat) @ v, np.outer(u[:, 0], v[0]), (u * np.geomspace(1, 1e-3, len(s))) @ v]
    if len(s) > 1:
        found.append((u * np.append(s[:-1], 0.0)) @ v)
        found.append((u * np.concatenate([[s[0], s[0]], s[2:]])) @ v)  # the two greatest alike
    if a.shape[0] == a.shape[1]:  # the other orientation
        turned = a.copy()
        turned[0] = -turned[0]
        mirror = np.eye(len(a))
        mirror[0, 0] = -1.0
        found += [turned, mirror, -np.eye(len(a)), np.diag(rng.normal(size=len(a)))]
    found.append(np.abs(np.eye(*a.shape)) * s.max() + 1e-3 * a)  # nearly rows of the identity
    found.append(np.repeat(a[:1], len(a), axis=0))
    return found


def _symmetric(a: np.ndarray) -> list[np.ndarray]:
    """Rows that are square matrices: diagonal ones, which commute."""
    side = math.isqrt(a.shape[1])
    if side < 2 or side * side != a.shape[1]:
        return []
    matrices = a.reshape(-1, side, side)
    diagonal = matrices * np.eye(side)
    return [diagonal.reshape(a.shape), np.repeat(np.eye(side).reshape(1, -1), len(a), axis=0)]


def units(weights: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """Of two arrays with a side in common, what one writes and the other reads: two units alike, one dead, half of them.

    And what one is the other's: a layer and its transpose.
    """
    names = list(weights)
    for p, q in zip(names, names[1:]):
        first, second = weights[p], weights[q]
        for i, j in ((i, j) for i in range(first.ndim) for j in range(second.ndim)):
            if first.shape[i] == second.shape[j] > 1:
                for change in (_alike_units, _dead_unit, _dead_half):
                    yield {p: change(first, i), q: change(second, j)}
        for turned in (first, first.T, -first, -first.T):
            if turned.shape == second.shape:
                yield {q: turned}


def _alike_units(a: np.ndarray, axis: int) -> np.ndarray:
    b = np.moveaxis(a.copy(), axis, 0)
    b[1] = b[0]
    return np.moveaxis(b, 0, axis)


def _dead_unit(a: np.ndarray, axis: int) -> np.ndarray:
    b = np.moveaxis(a.copy(), axis, 0)
    b[0] = 0.0
    return np.moveaxis(b, 0, axis)


def _dead_half(a: np.ndarray, axis: int) -> np.ndarray:
    b = np.moveaxis(a.copy(), axis, 0)
    b[len(b) // 2 :] = 0.0
    return np.moveaxis(b, 0, axis)


# -- axes --------------------------------------------------------------------------------------------------------------


def specials(ranges: Mapping[str, tuple[float, float]], limits: Mapping[str, tuple[float, float]]) -> dict[str, list[float]]:
    """Of each axis: its ends, 0 and 1 and 1/2 where they are within its limits, and what lies far beyond."""
    found = {}
    for name, (low, high) in ranges.items():
        begin, end = limits[name]
        known = [low, high, begin, end, *(v for v in (0.0, 1.0, 0.5, -1.0, 2.0) if begin <= v <= end)]
        found[name] = list(dict.fromkeys(float(v) for v in known))
    return found


def axes_at(
    ranges: Mapping[str, tuple[float, float]], limits: Mapping[str, tuple[float, float]], names: Sequence[str]
) -> Iterator[dict[str, float]]:
    """Changes of some axes: one at a special value, all at their ends or at 1, two equal."""
    known = specials({n: ranges[n] for n in names}, limits)
    if len(names) > 1:
        yield {n: ranges[n][0] for n in names}
        yield {n: ranges[n][1] for n in names}
        yield {n: 1.0 for n in names if limits[n][0] <= 1 <= limits[n][1]}
    for a, b in ((a, b) for i, a in enumerate(names) for b in names[i + 1 :]):
        low, high = max(ranges[a][0], ranges[b][0]), min(ranges[a][1], ranges[b][1])
        if low <= high:
            for value in (low, high, 1.0) if low < 1 < high else (low, high):
                yield {a: value, b: value}
    for place in range(max(map(len, known.values()), default=0)):
        for name, values in known.items():
            if place < len(values):
                yield {name: values[place]}
