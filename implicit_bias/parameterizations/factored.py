r"""Factored matrices: predictors Z in R^{n1 x n2} as products, started at a small Gaussian.

    Symmetric    U           -> U U^T             U in R^{n x r}
    Asymmetric   (V, W)      -> V W^T             V in R^{n1 x r}, W in R^{n2 x r}
    DeepLinear   (W_L .. W_1) -> W_L ... W_1      inner sizes r
    Normalised   (g, F)      -> the above at g_i F_i / |F_i|_F: each factor with a scalar size of its own

Entries of a first factor with r columns are N(0, scale^2 / r), so that E U_0 U_0^T = scale^2 I for every width; those
of a square inner factor are the same. A `start` gives U (or V, W, ...) in the place of the Gaussian, times `scale`.

>>> import jax.numpy as jnp
>>> z = Symmetric(scale=1.0, width=2)(SymmetricWeights(jnp.array([[1.0, 1.0], [0.0, 2.0]])))
>>> z.tolist()
[[2.0, 2.0], [2.0, 4.0]]
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._errors import Mistake
from .._keys import SeedKey, stream
from .._types import Requirements, ScalarLike
from ..problems.base import AbstractProblem
from .base import AbstractParameterization, finite_scale

Factor = Float[Array, "size width"]


class SymmetricWeights(NamedTuple):
    u: Factor


class AsymmetricWeights(NamedTuple):
    v: Float[Array, "first width"]
    w: Float[Array, "second width"]

    def factors(self) -> tuple[Array, ...]:
        """Z as their product."""
        return self.v, self.w.T


class LayerWeights(NamedTuple):
    layers: tuple[Array, ...]
    """W_L, ..., W_1: in the order of the product."""

    def factors(self) -> tuple[Array, ...]:
        return self.layers


class NormalisedWeights(NamedTuple):
    g: Float[Array, " factors"]
    w: NamedTuple


def _gaussian(key: SeedKey, name: str, shape: tuple[int, int], width: int) -> Array:
    return jax.random.normal(stream(key, name), shape) / np.sqrt(width)


def check_width(width: int) -> None:
    if not isinstance(width, int) or width < 1:
        raise Mistake("width", f"must be a whole number of at least 1, got {width}", "give the columns of the factors")


def started(given: Sequence[Array] | None, drawn: Sequence[Array]) -> list[Array]:
    """The given factors, if their shapes are right, or the drawn ones."""
    if given is None:
        return list(drawn)
    given = [jnp.asarray(x, dtype=float) for x in given]
    if [x.shape for x in given] != [x.shape for x in drawn]:
        raise Mistake("start", f"has shapes {[x.shape for x in given]}", f"give {[x.shape for x in drawn]}")
    return given


class Symmetric(AbstractParameterization):
    """Z = U U^T."""

    scale: ScalarLike
    width: int = eqx.field(static=True)
    start: Factor | None = None
    symmetric: ClassVar[bool] = True

    def __check_init__(self):
        check_width(self.width)

    def init(self, problem: AbstractProblem, key: SeedKey) -> SymmetricWeights:
        size, other = problem.shape
        if size != other:
            raise Mistake("problem", f"has {size} x {other} predictors", "U U^T is square: use Asymmetric")
        drawn = _gaussian(key, "factor", (size, self.width), self.width)
        (u,) = started(None if self.start is None else [self.start], [drawn])
        return SymmetricWeights(self.scale * u)

    def __call__(self, theta: SymmetricWeights) -> Float[Array, "size size"]:
        return theta.u @ theta.u.T

    def pullback(self, point: SymmetricWeights, cotangent: Float[Array, "size size"]) -> SymmetricWeights:
        """(C + C^T) U: one product, where AD makes two."""
        return SymmetricWeights((cotangent + cotangent.T) @ point.u)

    def requirements(self) -> Requirements:
        return finite_scale(self.scale)


class Asymmetric(AbstractParameterization):
    """Z = V W^T."""

    scale: ScalarLike
    width: int = eqx.field(static=True)
    start: tuple[Array, Array] | None = None

    def __check_init__(self):
        check_width(self.width)

    def init(self, problem: AbstractProblem, key: SeedKey) -> AsymmetricWeights:
        names = ("left factor", "right factor")
        drawn = [_gaussian(key, name, (n, self.width), self.width) for name, n in zip(names, problem.shape)]
        return AsymmetricWeights(*(self.scale * x for x in started(self.start, drawn)))

    def __call__(self, theta: AsymmetricWeights) -> Float[Array, "first second"]:
        return theta.v @ theta.w.T

    def requirements(self) -> Requirements:
        return finite_scale(self.scale)


class DeepLinear(AbstractParameterization):
    """Z = W_L ... W_1, L = `depth`, inner sizes `width`; each factor starts at `scale` times a Gaussian."""

    scale: ScalarLike
    depth: int = eqx.field(static=True)
    width: int = eqx.field(static=True)
    start: tuple[Array, ...] | None = None

    def __check_init__(self):
        check_width(self.width)
        if not isinstance(self.depth, int) or self.depth < 2:
            raise Mistake("depth", f"must be a whole number of at least 2, got {self.depth}", "give that many factors")

    def init(self, problem: AbstractProblem, key: SeedKey) -> LayerWeights:
        first, second = problem.shape
        sizes = [first, *[self.width] * (self.depth - 1), second]
        drawn = [
            _gaussian(key, f"layer {self.depth - i}", shape, self.width)
            for i, shape in enumerate(zip(sizes, sizes[1:]))
        ]
        return LayerWeights(tuple(self.scale * x for x in started(self.start, drawn)))

    def __call__(self, theta: LayerWeights) -> Float[Array, "first second"]:
        return reduce(jnp.matmul, theta.layers)

    def requirements(self) -> Requirements:
        return finite_scale(self.scale)


class Normalised(AbstractParameterization):
    """Weight-normalised factors: each factor F_i of `inner` as g_i F_i / |F_i|_F, started at the same Z, |F_i|_F = 1."""

    inner: AbstractParameterization

    @property
    def symmetric(self) -> bool:
        return self.inner.symmetric

    def init(self, problem: AbstractProblem, key: SeedKey) -> NormalisedWeights:
        factors, tree = jax.tree.flatten(self.inner.init(problem, key))
        sizes = [jnp.linalg.norm(f) for f in factors]
        return NormalisedWeights(jnp.stack(sizes), jax.tree.unflatten(tree, [f / s for f, s in zip(factors, sizes)]))

    def __call__(self, theta: NormalisedWeights) -> Float[Array, "first second"]:
        factors, tree = jax.tree.flatten(theta.w)
        scaled = [g / jnp.linalg.norm(f) * f for g, f in zip(theta.g, factors)]
        return self.inner(jax.tree.unflatten(tree, scaled))

    def labels(self, theta: NormalisedWeights) -> NormalisedWeights:
        return NormalisedWeights("size", jax.tree.map(lambda _: "weights", theta.w))

    def pullback(self, point: NormalisedWeights, cotangent: Float[Array, "first second"]) -> NormalisedWeights:
        """Through `inner` at the scaled factors, then as weight normalisation does with each."""
        factors, tree = jax.tree.flatten(point.w)
        inverse = [1 / jnp.linalg.norm(f) for f in factors]
        scaled = jax.tree.unflatten(tree, [g * i * f for g, i, f in zip(point.g, inverse, factors)])
        slopes = jax.tree.leaves(self.inner.pullback(scaled, cotangent))
        along = [jnp.sum(d * f) * i for d, f, i in zip(slopes, factors, inverse)]
        turned = [g * i * (d - a * i * f) for g, i, d, a, f in zip(point.g, inverse, slopes, along, factors)]
        return NormalisedWeights(jnp.stack(along), jax.tree.unflatten(tree, turned))

    def requirements(self) -> Requirements:
        return self.inner.requirements()
