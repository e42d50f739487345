r"""Diagonal networks: a power of each weight, over Euclidean, polar or spherical weights.

    Power(inner, L)                z -> z^L                R^d    -> R^d     x >= 0 for z_0 > 0 and L >= 2
    Power(inner, L, signed=True)   (a, b) -> a^L - b^L     R^{2d} -> R^d
    Exponential(start)             gamma -> e^gamma        R^d    -> R_+^d

entry by entry, with z = inner(theta). `inner = Euclidean` is the plain diagonal network of L equal layers, `Polar`
its weight normalisation (one size and one direction, both branches of a signed net together), and L = 1 the linear
model itself. The first direction is (1, ..., 1) unless one is given: z_0 = alpha (1, ..., 1) is
`inner.scale = alpha sqrt(n)`, n = d, or 2d for a signed net.

**Clocks.** The gradient here is that of x = z^L as it stands, L z^{L-1} q. Papers that move each of L equal layers by
its own gradient, z^{L-1} q, have clocks and steps L times as long.

**Coordinates.** For L >= 2 every entry of z moves by a multiple of itself and keeps its sign. A flow with a relative
tolerance alone (`atol` at 1e-300) then follows entries of any size as well as their logarithms would.

**Depths.** A whole number is part of the program, and z^L is a product. Any other number varies without recompiling,
and z^L is sign(z) |z|^L: the same while entries are positive, and a net of its own where a step carries one below 0.

**Depth without end.** In x both families are dx/dt = L^2 x^{2 - 2/L} q: `Exponential`, dx/dt = x^2 q, is the limit of
many layers, up to its clock. With a node an entry it is exponential weight normalisation.

>>> import jax.numpy as jnp
>>> from implicit_bias.parameterizations.polar import Euclidean, EuclideanWeights
>>> net = Power(Euclidean(1.0), 2, signed=True)
>>> net(EuclideanWeights(jnp.array([3.0, 1.0, 2.0, 1.0]))).tolist()
[5.0, 0.0]
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .._errors import Mistake
from .._keys import SeedKey
from .._types import Requirements, Scalar, ScalarLike, Theta
from ..problems.base import AbstractProblem
from .base import AbstractParameterization
from .polar import Euclidean, Polar, Sphere


class _Branches(AbstractProblem):
    """A problem of (a, b) in R^{2d} that sees a - b: what the weights below a signed net are weights of."""

    difference: AbstractProblem

    @property
    def dimension(self) -> int:
        return 2 * self.difference.dimension

    def loss(self, pred: Float[Array, " both"]) -> Scalar:
        return self.difference.loss(_subtract(pred))

    def requirements(self) -> Requirements:
        return self.difference.requirements()


def _subtract(pair: Float[Array, " both"]) -> Float[Array, " columns"]:
    first, second = jnp.split(pair, 2)
    return first - second


class Power(AbstractParameterization):
    """x = z^depth entry by entry, or a^depth - b^depth with z = (a, b); `labels`, `retract`, `tangent` are inner's."""

    inner: Euclidean | Polar | Sphere
    depth: int | ScalarLike
    signed: bool = eqx.field(static=True, default=False)

    def labels(self, theta: Theta) -> PyTree[str]:
        return self.inner.labels(theta)

    def init(self, problem: AbstractProblem, key: SeedKey) -> Theta:
        seen = _Branches(problem) if self.signed else problem
        uniform = self.inner.direction is None
        inner = dataclasses.replace(self.inner, direction=jnp.ones(seen.dimension)) if uniform else self.inner
        return inner.init(seen, key)

    def layer(self, theta: Theta) -> Float[Array, " layer"]:
        """z: one layer of the net, both branches of a signed one."""
        return self.inner(theta)

    def __call__(self, theta: Theta) -> Float[Array, " columns"]:
        z = self.layer(theta)
        power = z**self.depth if isinstance(self.depth, int) else jnp.sign(z) * jnp.abs(z) ** self.depth
        return _subtract(power) if self.signed else power

    def pullback(self, point: PyTree, cotangent: Float[Array, " columns"]) -> PyTree:
        """q -> inner.pullback(L z^{L-1} q), with (q, -q) for the two branches."""
        both = jnp.concatenate([cotangent, -cotangent]) if self.signed else cotangent
        z, below = self.layer(point), self.depth - 1
        slope = self.depth * (z**below if isinstance(self.depth, int) else jnp.abs(z) ** below)
        return self.inner.pullback(point, slope * both)

    def retract(self, theta: Theta) -> Theta:
        return self.inner.retract(theta)

    def tangent(self, theta: Theta, velocity: PyTree) -> PyTree:
        return self.inner.tangent(theta, velocity)

    def requirements(self) -> Requirements:
        deep = jnp.asarray(self.depth) >= 1
        return self.inner.requirements() | {("depth", "must be at least 1", "give 2 for x = z^2"): deep}


class ExponentialWeights(NamedTuple):
    gamma: Float[Array, " columns"]


class Exponential(AbstractParameterization):
    """x = e^gamma entry by entry, started at x = `start` > 0: the gradient in gamma is x q."""

    start: Float[Array, " columns"]

    def init(self, problem: AbstractProblem, key: SeedKey) -> ExponentialWeights:
        del key
        if jnp.shape(self.start) != (problem.dimension,):
            raise Mistake(
                "start", f"has shape {jnp.shape(self.start)}", f"give {problem.dimension} numbers, one for each column"
            )
        return ExponentialWeights(jnp.log(self.start))

    def __call__(self, theta: ExponentialWeights) -> Float[Array, " columns"]:
        return jnp.exp(theta.gamma)

    def requirements(self) -> Requirements:
        return {("start", "has an entry that is not above 0", "e^gamma is positive"): jnp.all(self.start > 0)}
