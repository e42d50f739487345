"""What all draws of an array share: a claim may lean on it without a slack, so whatever replaces a draw keeps it.

>>> frames = [np.linalg.qr(np.random.default_rng(s).normal(size=(4, 2)))[0] for s in range(3)]
>>> kept = Shared.of(frames)
>>> near = kept.project(np.arange(8.0).reshape(4, 2))
>>> kept.frame, bool(np.allclose(near.T @ near, np.eye(2))), kept.keeps(near), kept.keeps(np.ones((4, 2)))
(True, True, True, False)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Shared:
    labels: bool
    """Every entry is -1 or 1 (of a direction: of one size)."""
    zero: np.ndarray
    """Entries that are always 0."""
    nonzeros: int | None
    """How many entries are not 0, where that is always the same and not all that may be."""
    nonnegative: bool
    frame: bool
    """Orthonormal columns, or rows."""
    alike: tuple[int, ...]
    """Axes whose slices are all of one length: rows 0, columns 1."""
    symmetric: int
    """The side of the symmetric matrices that its rows are, or 0."""

    @classmethod
    def of(cls, draws: Sequence[np.ndarray]) -> Shared:
        stack = np.stack(draws)
        sizes = np.abs(stack).reshape(len(stack), -1)
        top = sizes.max(1, keepdims=True)
        zero = (stack == 0).all(0)
        counts = {int((d != 0).sum()) for d in draws}
        one_count = len(counts) == 1 and counts != {int((~zero).sum())}
        matrix = stack.ndim == 3
        return cls(
            labels=bool((np.abs(sizes - top) <= 1e-12 * top).all()),
            zero=zero,
            nonzeros=counts.pop() if one_count else None,
            nonnegative=bool((stack >= 0).all()),
            frame=matrix and all(map(_is_frame, draws)),
            alike=tuple(a for a in (0, 1) if matrix and stack.shape[1 + a] > 1 and all(_alike(d, a) for d in draws)),
            symmetric=_side(draws) if matrix else 0,
        )

    @property
    def moves(self) -> bool:
        return not self.labels

    def keeps(self, array: np.ndarray) -> bool:
        """Whether an array has it all: a row of zeros cannot be given the length of the others."""
        other = Shared.of([array, array])
        fewer = self.nonzeros is not None and int((array != 0).sum()) != self.nonzeros
        frame, labels = other.frame or not self.frame, other.labels or not self.labels
        return bool(np.abs(array).max() > 0) and frame and labels and {*self.alike} <= {*other.alike} and not fewer

    def project(self, array: np.ndarray) -> np.ndarray:
        """Near an array, one with all that is shared."""
        array = np.where(self.zero, 0.0, array)
        if self.labels:
            return np.where(array >= 0, 1.0, -1.0) * ~self.zero
        if self.nonnegative:
            array = np.abs(array)
        if self.nonzeros is not None:
            flat = array.ravel().copy()
            flat[np.argsort(np.abs(flat))[: flat.size - self.nonzeros]] = 0.0
            array = flat.reshape(array.shape)
        if self.symmetric:
            m = array.reshape(-1, self.symmetric, self.symmetric)
            array = ((m + m.transpose(0, 2, 1)) / 2).reshape(array.shape)
        for axis in self.alike:
            lengths = np.linalg.norm(array, axis=1 - axis, keepdims=True)
            array = array / np.where(lengths > 0, lengths, 1.0)
        if self.frame:
            u, _, v = np.linalg.svd(array, full_matrices=False)
            array = u @ v
        return array


def _is_frame(a: np.ndarray) -> bool:
    tall = a if a.shape[0] >= a.shape[1] else a.T
    gram = tall.T @ tall
    scale = np.trace(gram) / len(gram)
    return len(gram) > 0 and bool(np.abs(gram - scale * np.eye(len(gram))).max() <= 1e-9 * scale)


def _alike(a: np.ndarray, axis: int) -> bool:
    lengths = np.linalg.norm(a, axis=1 - axis)
    return bool(np.ptp(lengths) <= 1e-9 * lengths.max())


def _side(draws: Sequence[np.ndarray]) -> int:
    side = math.isqrt(draws[0].shape[1])
    if side < 2 or side * side != draws[0].shape[1]:
        return 0
    matrices = np.concatenate(draws).reshape(-1, side, side)
    return side * bool(np.abs(matrices - matrices.transpose(0, 2, 1)).max() <= 1e-12 * np.abs(matrices).max())
