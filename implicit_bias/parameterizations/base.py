"""The seam: a parameterization is a map G : theta -> predictor, and a law for theta_0."""

from __future__ import annotations

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .._errors import Mistake
from .._keys import SeedKey, stream
from .._types import Pred, Requirements, Theta
from ..problems.base import AbstractProblem


class AbstractParameterization(eqx.Module):
    """`init` and `__call__`; all else has a default.

    `theta` is any pytree of arrays: a NamedTuple, a dict, an `eqx.Module`. A map that says it is `equivariant` treats
    vectors through the functions of `_vectors`, so that it works in the original coordinates and in rewritten ones.
    """

    equivariant: ClassVar[bool] = False
    """Whether G(Q theta) = Q G(theta) for rotations Q, and init, retract and tangent rotate along."""
    symmetric: ClassVar[bool] = False
    """Whether every predictor is a symmetric matrix."""

    @abc.abstractmethod
    def init(self, problem: AbstractProblem, key: SeedKey) -> Theta:
        """The first weights, in the original coordinates of the problem."""

    @abc.abstractmethod
    def __call__(self, theta: Theta) -> Pred:
        """The predictor."""

    @abc.abstractmethod
    def requirements(self) -> Requirements:
        """What must hold of the values, asked of every run before the first step."""

    def labels(self, theta: Theta) -> PyTree[str]:
        """A word for each array of the weights, or of a gradient: what a law's `rates` and `ratio` speak of."""
        return jax.tree.map(lambda _: "weights", theta)

    def pullback(self, point: PyTree, cotangent: Pred) -> PyTree:
        """The gradient at a point of the weights, from the gradient at its predictor: J_G(point)^T cotangent.

        Reverse-mode AD; a subclass may give a closed form where that is faster.
        """
        (gradient,) = jax.vjp(self, point)[1](cotangent)
        return gradient

    def retract(self, theta: Theta) -> Theta:
        """Back to the manifold after a step of descent."""
        return theta

    def tangent(self, theta: Theta, velocity: PyTree) -> PyTree:
        """The part of a velocity that stays on the manifold, for the flow."""
        del theta
        return velocity


def unit_direction(
    direction: Float[Array, " columns"] | None, problem: AbstractProblem, key: SeedKey
) -> Float[Array, " columns"]:
    """The given direction, or a uniformly random one from the stream `direction`, with norm 1."""
    if direction is None:
        direction = jax.random.normal(stream(key, "direction"), (problem.dimension,))
    direction = jnp.asarray(direction, dtype=float)
    if direction.shape != (problem.dimension,):
        raise Mistake(
            "direction", f"has shape {direction.shape}", f"give {problem.dimension} numbers, one for each column of A"
        )
    return direction / jnp.linalg.norm(direction)


def finite_scale(scale) -> Requirements:
    return {("scale", "is not finite", "give a number"): jnp.isfinite(scale)}


def positive_norm(norm) -> Requirements:
    return {("norm", "must be positive", "give |w0| > 0; the usual choice is 1"): norm > 0}
