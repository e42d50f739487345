r"""The central flow of gradient descent: the gradient flow that does not go where a step could not follow.

Descent of step eta is unstable where the curvature S, the largest eigenvalue of H, is above 2/eta: it then oscillates
along the eigenvector u, and by the third derivatives of the loss an oscillation of variance x moves its mean by
-eta (x/2) grad S, S = u^T H u, which lowers S. With the variance that holds S at the edge (Cohen, Damian et al. 2024),

    theta' = -D (grad f + (x/2) grad S),      x >= 0,   S <= 2/eta,   x (2/eta - S) = 0,

in coordinates where the rates D are 1: S is of D^1/2 H D^1/2. In place of the last condition, which switches, stands
that of a step: S may not rise by more than would bring it to 2/eta within the time `delay` eta,

    x = max(0, 2 (dS/dt - (2/eta - S) / (delay eta)) / |grad S|_D^2),      dS/dt = -<grad S, D grad f>,

which is Lipschitz, comes to rest where the central flow does, and is that flow for delay -> 0. One direction is held at the
edge: where the second eigenvalue gets there, too, this is no longer the central flow. A heuristic of third order: how
exact it is, is for a study to say.

>>> Central(0.1).name
'central'
"""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import PyTree

from .. import linalg
from .._types import Requirements, Scalar, ScalarLike, Theta
from . import schedules
from .base import Landscape, scale_by_label
from .fields import AbstractField, Memory


def _inner(one: PyTree, other: PyTree) -> Scalar:
    return sum(jax.tree.leaves(jax.tree.map(jnp.vdot, one, other)))


_FEW = 100
"""Weights of which the matrix itself is faster than Lanczos on it, and exact."""


def _leading(matvec: linalg.Matvec, like: PyTree, tolerance: float | None) -> PyTree:
    """The eigenvector of the largest eigenvalue."""
    flat, unravel = ravel_pytree(like)
    if flat.size > _FEW:
        return jax.tree.map(lambda v: v[0], linalg.top(matvec, like, tolerance=tolerance).vectors)
    return unravel(jnp.linalg.eigh(linalg.dense(matvec, like))[1][:, -1])


class Central(AbstractField):
    """-D (grad f + (x/2) grad S), S held at 2/step or below by the variance x."""

    step: ScalarLike
    """eta, of the descent whose mean is followed."""
    delay: ScalarLike = 1.0
    """In steps of eta: how fast the edge may be approached. The flow is as stiff as 1 / (delay eta)."""
    tolerance: float | None = eqx.field(static=True, default=None)
    """Of `linalg.top`, which finds u where there are more than a hundred weights."""
    name: ClassVar[str] = "central"
    autonomous: ClassVar[bool] = True

    def __call__(self, objective: Landscape, t: Scalar, theta: Theta, memory: Memory) -> PyTree:
        del t, memory
        total, parameterization = objective.objective.total, objective.objective.parameterization
        _, downhill = objective.value_and_gradient(theta)
        rates = scale_by_label(parameterization, objective.rates, jax.tree.map(jnp.ones_like, theta))
        root = jax.tree.map(jnp.sqrt, rates)

        def times(one: PyTree, other: PyTree) -> PyTree:
            return jax.tree.map(jnp.multiply, one, other)

        hessian = linalg.hvp(total, theta)
        leading = _leading(lambda v: times(root, hessian(times(root, v))), theta, self.tolerance)
        along = times(root, jax.lax.stop_gradient(leading))  # of a double eigenvalue it has no derivative
        # The eigenvector moves, too, but S does not feel that to first order.
        curvature, slope = jax.value_and_grad(lambda theta: _inner(along, linalg.hvp(total, theta)(along)))(theta)
        climbs = times(rates, slope)
        rise = -_inner(slope, downhill) - (2 / self.step - curvature) / (self.delay * self.step)
        square = _inner(slope, climbs)
        variance = jnp.where(square > 0, jnp.maximum(2 * rise, 0.0) / jnp.where(square > 0, square, 1.0), 0.0)
        return jax.tree.map(lambda d, c: -d - variance / 2 * c, downhill, climbs)

    def requirements(self) -> Requirements:
        what = "of the central flow must be positive"
        step = schedules.require("step", self.step, lambda s: s > 0, what, "give that of the descent")
        return step | schedules.require("delay", self.delay, lambda d: d > 0, "must be positive", "give 1: the time of a step")
