r"""Weight normalisation of a matrix: a frame X in St(m, r), X^T X = I, and the best core between two copies of it,

    X  ->  X Theta X^T,    Theta = X^T M X = argmin |X Theta X^T - M|,    M a given symmetric m x m matrix.

What counts is the range of X: with P = X X^T the predictor is P M P. Descent steps along the gradient on the manifold,

    G = (I - P) 2 K X,    K = C P M + M P C    for a cotangent C (symmetric),

which is orthogonal to X, and is brought back by the polar factor: the frame next to Y is Y (Y^T Y)^{-1/2}.

>>> import jax.numpy as jnp
>>> frame = StiefelWeights(jnp.array([[0.6], [0.8]]))
>>> (10_000 * Stiefel(1, jnp.diag(jnp.array([1.0, 0.0])))(frame)).round().astype(int).tolist()
[[1296, 1728], [1728, 2304]]
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import Mistake
from .._keys import SeedKey, stream
from .._types import Requirements
from ..problems.base import AbstractProblem, random_frame
from .base import AbstractParameterization
from .factored import Factor, check_width, started

Square = Float[Array, "size size"]


class StiefelWeights(NamedTuple):
    x: Factor


def polar_factor(y: Factor) -> Factor:
    """Y (Y^T Y)^{-1/2}, the frame nearest to Y."""
    left, _, right = jnp.linalg.svd(y, full_matrices=False)
    return left @ right


class Stiefel(AbstractParameterization):
    """P M P, P = X X^T: X a frame of `width` columns, uniform at first or the polar factor of `start`; M = `target`."""

    width: int = eqx.field(static=True)
    target: Square
    start: Factor | None = None
    symmetric: ClassVar[bool] = True

    def __check_init__(self):
        check_width(self.width)

    def init(self, problem: AbstractProblem, key: SeedKey) -> StiefelWeights:
        size = problem.shape[0]
        if problem.shape != (size, size) or jnp.shape(self.target) != (size, size):
            what = f"has shape {jnp.shape(self.target)} for predictors {problem.shape}"
            raise Mistake("target", what, "give a symmetric matrix of their shape")
        if self.width > size:
            raise Mistake("width", f"must be at most {size}, got {self.width}", "a frame has no more columns than rows")
        drawn = random_frame(stream(key, "factor"), size, self.width)
        (x,) = started(None if self.start is None else [self.start], [drawn])
        return StiefelWeights(x if self.start is None else polar_factor(x))

    def __call__(self, theta: StiefelWeights) -> Square:
        x = theta.x
        return x @ (x.T @ self.target @ x) @ x.T

    def pullback(self, point: StiefelWeights, cotangent: Square) -> StiefelWeights:
        """The gradient along the manifold: what leaves it, to first order, is taken out. See the head of this file."""
        x, c = point.x, (cotangent + cotangent.T) / 2
        mx, cx = self.target @ x, c @ x
        slope = 2 * (cx @ (x.T @ mx) + mx @ (x.T @ cx))  # 2 K X
        return StiefelWeights(slope - x @ (x.T @ slope))

    def retract(self, theta: StiefelWeights) -> StiefelWeights:
        return StiefelWeights(polar_factor(theta.x))

    def tangent(self, theta: StiefelWeights, velocity: StiefelWeights) -> StiefelWeights:
        """V - X sym(X^T V)."""
        along = theta.x.T @ velocity.x
        return StiefelWeights(velocity.x - theta.x @ ((along + along.T) / 2))

    def requirements(self) -> Requirements:
        rounding = 100 * jnp.finfo(self.target.dtype).eps * jnp.max(jnp.abs(self.target))
        fine = jnp.max(jnp.abs(self.target - self.target.T)) <= rounding  # and not nan
        return {("target", "is not finite, or not symmetric", "give (M + M^T) / 2"): fine}
