"""The seam: a problem is data and a loss on predictors.

>>> from implicit_bias.problems import linear
>>> problem = linear.gaussian(rows=2, columns=3)(0)
>>> problem.loss(min_norm(problem)) < 1e-12
Array(True, dtype=bool)
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from functools import singledispatch
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .._keys import SeedKey
from .._types import Flag, Pred, Requirements, Scalar


class AbstractProblem(eqx.Module):
    """A loss on predictors. Subclasses hold the data as arrays."""

    separable: ClassVar[bool] = False
    """Whether the infimum of the loss is reached only at infinity, in the direction of a separator."""

    @property
    @abc.abstractmethod
    def dimension(self) -> int:
        """How many numbers a predictor has in the coordinates the user knows."""

    @abc.abstractmethod
    def loss(self, pred: Pred) -> Scalar:
        """The training loss of a predictor."""

    @abc.abstractmethod
    def requirements(self) -> Requirements:
        """What must hold of the values, asked of every run before the first step."""

    def margins(self, pred: Pred) -> Array:
        """y_i <a_i, x> for each example (asked of separable problems only)."""
        raise TypeError(f"{type(self).__name__} is not a separable problem: it has no margin")

    def separates(self, pred: Pred) -> Flag:
        """Whether a predictor classifies every example rightly (asked of separable problems only)."""
        return jnp.all(self.margins(pred) > 0)

    @property
    def examples(self) -> int:
        """Of how many examples the loss is a sum."""
        raise TypeError(f"{type(self).__name__} is no sum over examples: there is nothing to draw a batch from")

    def subset(self, indices: Int[Array, " batch"]) -> AbstractProblem:
        """The problem of some of the examples."""
        raise TypeError(f"{type(self).__name__} is no sum over examples: there is nothing to draw a batch from")

    def relabelled(self, change: Callable[[Array], Array]) -> AbstractProblem:
        """The same problem with the targets change(y), which are numbers and no labels."""
        raise TypeError(f"{type(self).__name__} has no targets that are numbers: there is nothing to add noise to")


ProblemSampler = Callable[[SeedKey | int], AbstractProblem]


def random_frame(key, size: int, count: int) -> Float[Array, "size count"]:
    """A uniformly random orthonormal frame: the Q of a Gaussian with the signs of R's diagonal made positive."""
    q, r = jnp.linalg.qr(jax.random.normal(key, (size, count)))
    return q * jnp.sign(jnp.diagonal(r))[None, :]


@singledispatch
def min_norm(problem: AbstractProblem) -> Pred:
    """The predictor of least l2 norm among those of zero loss: x* = pinv(A) y for least squares.

    In the coordinates of the problem it is given, so that a rewritten problem has its own.
    """
    raise TypeError(
        f"{type(problem).__name__} has no minimum-norm interpolator that is known in closed form: "
        "register one with `min_norm.register`"
    )


@singledispatch
def truth(problem: AbstractProblem) -> Pred:
    """The predictor that the data were made from, noise apart, where the sampler knows one."""
    raise TypeError(f"{type(problem).__name__} does not know the predictor that its data were made from")


@singledispatch
def orthogonal_part(problem: AbstractProblem, pred: Pred) -> Pred:
    """The component of a predictor that the data cannot see: (I - pinv(A) A) x."""
    raise TypeError(f"{type(problem).__name__} does not say which part of a predictor its data cannot see")


@singledispatch
def singular_values(problem: AbstractProblem) -> Array:
    """The singular values of the linear operator A of a problem that has one, in descending order."""
    raise TypeError(f"{type(problem).__name__} has no linear operator whose spectrum is known")


@singledispatch
def condense(problem: AbstractProblem, symmetric: bool) -> tuple[AbstractProblem, str] | None:
    """The same loss from fewer numbers, and in words how: exact for every predictor, or every symmetric one; or None.

    Examples may be mixed.
    """
    del problem, symmetric
    return None
