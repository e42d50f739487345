r"""Size and direction apart: Euclidean, polar and spherical coordinates of a predictor x in R^d.

    Euclidean   x                 R^d -> R^d                     gradient descent (GD)
    Polar       (g, w) -> g w/|w| R x R^d\{0} -> R^d             weight normalisation (WN)
    Sphere      (g, w) -> g w     R x S^{d-1} -> R^d             reparametrised projected descent (rPGD)

All start from x_0 = g_0 u with the same unit vector u, so a comparison at equal `scale` is paired.

Under `Polar` the gradient flow conserves |w|, and its predictor obeys the flow of |w| = 1 with the *effective ratio*
c |w_0|^2, run at the speed 1 / |w_0|^2: dw/dt = (g / |w|) P_w q moves the direction w/|w| by (g / |w|^2) P_w q, while
dg/dt = c (w/|w|).q does not feel |w|. So `norm != 1` is allowed, and every closed form takes c |w_0|^2 for c.

>>> import jax.numpy as jnp
>>> x = Polar(scale=2.0)(PolarWeights(g=jnp.array(2.0), w=jnp.array([3.0, 4.0])))
>>> [round(float(v), 6) for v in x]
[1.2, 1.6]
"""

from __future__ import annotations

from functools import singledispatch
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .. import _vectors
from .._keys import SeedKey
from .._types import Requirements, Scalar, ScalarLike, Theta
from .._vectors import Vector
from ..problems.base import AbstractProblem
from .base import AbstractParameterization, finite_scale, positive_norm, unit_direction


class EuclideanWeights(NamedTuple):
    x: Vector


class PolarWeights(NamedTuple):
    g: Scalar
    w: Vector


@singledispatch
def weight_vector(theta: Theta) -> Vector:
    """The one vector among the weights, as they are carried."""
    raise TypeError(f"{type(theta).__name__} has no one vector of weights: register one with `weight_vector.register`")


@weight_vector.register
def _(theta: EuclideanWeights) -> Vector:
    return theta.x


@weight_vector.register
def _(theta: PolarWeights) -> Vector:
    return theta.w


class Euclidean(AbstractParameterization):
    """The predictor itself, started at `scale` times a unit vector."""

    scale: ScalarLike
    direction: Float[Array, " columns"] | None = None
    equivariant: ClassVar[bool] = True

    def init(self, problem: AbstractProblem, key: SeedKey) -> EuclideanWeights:
        return EuclideanWeights(self.scale * unit_direction(self.direction, problem, key))

    def __call__(self, theta: EuclideanWeights) -> Vector:
        return theta.x

    def requirements(self) -> Requirements:
        return finite_scale(self.scale)


class Polar(AbstractParameterization):
    """Weight normalisation: x = g w / |w|, with g_0 = `scale` and |w_0| = `norm`."""

    scale: ScalarLike
    direction: Float[Array, " columns"] | None = None
    norm: ScalarLike = 1.0
    equivariant: ClassVar[bool] = True

    def init(self, problem: AbstractProblem, key: SeedKey) -> PolarWeights:
        return PolarWeights(
            jnp.asarray(self.scale, dtype=float), self.norm * unit_direction(self.direction, problem, key)
        )

    def __call__(self, theta: PolarWeights) -> Vector:
        return _vectors.scale(theta.w, theta.g / _vectors.norm(theta.w))

    def labels(self, theta: PolarWeights) -> PolarWeights:
        return PolarWeights("size", jax.tree.map(lambda _: "weights", theta.w))

    def pullback(self, point: PolarWeights, cotangent: Vector) -> PolarWeights:
        r"""With u = w/|w|:  d/dg = <u, q>,  d/dw = (g/|w|) (q - <u, q> u).  One reduction, where AD makes two."""
        g, w = point
        inverse = 1 / _vectors.norm(w)
        along = _vectors.along(w, cotangent) * inverse
        return PolarWeights(along, _vectors.turned(w, cotangent, g * inverse, along * inverse))

    def requirements(self) -> Requirements:
        return finite_scale(self.scale) | positive_norm(self.norm)


class Sphere(AbstractParameterization):
    """rPGD: x = g w on |w| = 1, kept there by projection after the step."""

    scale: ScalarLike
    direction: Float[Array, " columns"] | None = None
    norm: ClassVar[float] = 1.0
    equivariant: ClassVar[bool] = True

    def init(self, problem: AbstractProblem, key: SeedKey) -> PolarWeights:
        return PolarWeights(jnp.asarray(self.scale, dtype=float), unit_direction(self.direction, problem, key))

    def __call__(self, theta: PolarWeights) -> Vector:
        return _vectors.scale(theta.w, theta.g)

    def labels(self, theta: PolarWeights) -> PolarWeights:
        return PolarWeights("size", jax.tree.map(lambda _: "weights", theta.w))

    def pullback(self, point: PolarWeights, cotangent: Vector) -> PolarWeights:
        """d/dg = <w, q>,  d/dw = g q: the orthogonal part is not moved, since q has none."""
        g, w = point
        return PolarWeights(_vectors.along(w, cotangent), jax.tree.map(lambda q: g * q, cotangent))

    def retract(self, theta: PolarWeights) -> PolarWeights:
        return PolarWeights(theta.g, _vectors.scale(theta.w, 1 / _vectors.norm(theta.w)))

    def tangent(self, theta: PolarWeights, velocity: PyTree) -> PyTree:
        return PolarWeights(velocity.g, _vectors.tangent(theta.w, velocity.w))

    def requirements(self) -> Requirements:
        return finite_scale(self.scale)
