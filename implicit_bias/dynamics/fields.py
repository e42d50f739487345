r"""The seam: a field says how fast the weights of a flow move, d theta / dt = field(objective, t, theta, memory).

    GradientField    -D grad f                       f = loss + penalty, D = the rate of each label
    UnitSpeed        v / |v|,  v = -D grad f         the same path, and t is its length
    Rescaled         -D grad f / loss^power          the same path by another clock
    Inertial         mass memory' = -friction memory - D grad f,  theta' = memory    heavy ball in continuous time

The first three follow one path at different speeds: a positive factor is a change of time, ds = factor dt, and leaves
the curve, its limit and every invariant alone. At unit speed a minimum is reached in finite time, where there is no
direction: give such a flow a stop rule.

The `objective` that a field sees has the rates in its gradient, and a velocity is made tangent to the manifold of the
weights, where there is one, after the field has spoken. `downhill` is -D grad f in the coordinates that carry the
weights; a field of your own is run in the user's coordinates, where it is the gradient's opposite.

>>> Rescaled(0.5).name, Inertial(0.1).equivariant
('gradient over loss^0.5', False)
"""

from __future__ import annotations

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from .. import _vectors
from .._types import Requirements, Scalar, ScalarLike, Theta
from . import schedules
from .base import Landscape

Memory = PyTree


class AbstractField(eqx.Module):
    """A call that gives the velocity; one with a memory also says how that moves."""

    name: ClassVar[str] = ""
    equivariant: ClassVar[bool] = False
    """Whether rotated weights move with the rotated velocity, and it is read through `downhill` and `_vectors`."""
    autonomous: ClassVar[bool] = False
    """Whether t does not enter: weights and memory at rest then stay at rest."""

    @abc.abstractmethod
    def __call__(self, objective: Landscape, t: Scalar, theta: Theta, memory: Memory) -> PyTree:
        """d theta / dt"""

    def init(self, theta: Theta) -> Memory:
        """The first memory; `None` where there is none."""
        del theta

    def first(self, objective: Landscape, theta: Theta) -> Memory:
        """The first memory where it hangs on the objective: of the shapes that `init` gives."""
        del objective
        return self.init(theta)

    def remember(self, objective: Landscape, t: Scalar, theta: Theta, memory: Memory) -> Memory:
        """d memory / dt"""
        del objective, t, theta, memory

    def requirements(self) -> Requirements:
        return {}


class GradientField(AbstractField):
    """-D grad f: gradient flow."""

    name: ClassVar[str] = "gradient"
    equivariant: ClassVar[bool] = True
    autonomous: ClassVar[bool] = True

    def __call__(self, objective: Landscape, t: Scalar, theta: Theta, memory: Memory) -> PyTree:
        del t, memory
        return objective.downhill(theta)[1]


def _times(factor: ScalarLike, velocity: PyTree) -> PyTree:
    return jax.tree.map(lambda v: factor * v, velocity)


class UnitSpeed(AbstractField):
    """v / |v| for the velocity v of gradient flow: its path, with t the length of it; 0 where v is 0.

    The path has an end, which no step passes: without a stop rule a run that reaches it counts as diverged.
    """

    name: ClassVar[str] = "unit speed"
    equivariant: ClassVar[bool] = True
    autonomous: ClassVar[bool] = True

    def __call__(self, objective: Landscape, t: Scalar, theta: Theta, memory: Memory) -> PyTree:
        del t, memory
        velocity = objective.tangent(theta, objective.downhill(theta)[1])
        squares = jax.tree.map(_vectors.square_speed, theta, velocity, is_leaf=_vectors.is_vector)
        square = sum(jax.tree.leaves(squares))
        return _times(jnp.where(square > 0, 1 / jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0), velocity)


class Rescaled(AbstractField):
    """-D grad f / loss^power: with power 1, log loss is what descends; with 1/2, least squares moves at even speed."""

    power: ScalarLike = 1.0
    equivariant: ClassVar[bool] = True
    autonomous: ClassVar[bool] = True

    @property
    def name(self) -> str:
        power = f"^{self.power:g}" if isinstance(self.power, (int, float)) else "^power"
        return "gradient over loss" + power

    def __call__(self, objective: Landscape, t: Scalar, theta: Theta, memory: Memory) -> PyTree:
        del t, memory
        loss, velocity = objective.downhill(theta)
        return _times(loss**-self.power, velocity)

    def requirements(self) -> Requirements:
        return {("power", "of the loss is not finite", "give 1, or 0 for gradient flow"): jnp.isfinite(self.power)}


class Inertial(AbstractField):
    """mass theta'' = -friction theta' - D grad f: the heavy ball in continuous time; from rest, or theta'(0) = -push D grad f.

    The heavy ball, theta' = theta - h v', v' = b v + (1 - b) grad f, follows it to second order in h at times h k if friction
    = 1, mass = h (1 + b) / (2 (1 - b)) and push = h / (2 mass + h): what is at rest is the step before the first.

    A second order in time has no rewriting here: a logarithm cannot carry an amplitude that passes through 0.
    """

    friction: ScalarLike
    mass: ScalarLike = 1.0
    push: ScalarLike = 0.0
    name: ClassVar[str] = "inertial"
    autonomous: ClassVar[bool] = True

    def init(self, theta: Theta) -> Memory:
        return jax.tree.map(jnp.zeros_like, theta)

    def first(self, objective: Landscape, theta: Theta) -> Memory:
        if isinstance(self.push, (int, float)) and self.push == 0:
            return self.init(theta)
        return _times(self.push, objective.downhill(theta)[1])

    def __call__(self, objective: Landscape, t: Scalar, theta: Theta, memory: Memory) -> PyTree:
        del objective, t, theta
        return memory

    def remember(self, objective: Landscape, t: Scalar, theta: Theta, memory: Memory) -> Memory:
        del t
        return jax.tree.map(lambda v, m: (v - self.friction * m) / self.mass, objective.downhill(theta)[1], memory)

    def requirements(self) -> Requirements:
        friction = schedules.require("friction", self.friction, lambda c: c >= 0, "is below zero or not finite", "give 0 or more")
        remedy = "leave the field out: without mass it is gradient flow"
        mass = schedules.require("mass", self.mass, lambda m: m > 0, "must be positive", remedy)
        push = schedules.require("push", self.push, jnp.isfinite, "is not finite", "give 0 for a start at rest")
        return friction | mass | push
