r"""The seam: a chart says how weights are carried while they move, so that no law and no observable has to know.

    hold   : theta -> carried           as descent carries them from step to step
    settle : carried -> theta           at rest again
    point  : carried -> point           what an update rule sees
    pull   : gradient, carried          the gradient of the loss in the coordinates of `point`
    move   : carried, update -> carried
    lift   : theta -> theta             in the coordinates the user knows

`theta` is any pytree of arrays: a NamedTuple, a dict, an `eqx.Module`. Under `Flat` all of these are identities and
sums. The exact rewritings of `symmetry` have a chart of their own, which carries an amplitude as a sign and a logarithm.

>>> import jax.numpy as jnp
>>> Flat().move({"w": jnp.array([1.0])}, {"w": jnp.array([0.5])}, relative=False)["w"].tolist()
[1.5]
"""

from __future__ import annotations

import abc
from collections.abc import Callable

import equinox as eqx
import jax
from jaxtyping import PyTree

from ._types import Pred, Scalar, Theta

SETTLE = 16
"""Descent puts its weights at rest at every such step of its clock."""


class AbstractChart(eqx.Module):
    @abc.abstractmethod
    def hold(self, theta: Theta) -> PyTree:
        """The weights as descent carries them."""

    @abc.abstractmethod
    def integrable(self, theta: Theta) -> PyTree:
        """The weights as an integrator carries them: every number finite, and a vector space."""

    @abc.abstractmethod
    def settle(self, carried: PyTree) -> Theta:
        """The weights at rest: nothing pending."""

    @abc.abstractmethod
    def evaluate(self, carried: PyTree) -> PyTree:
        """What the parameterization is evaluated and differentiated at."""

    @abc.abstractmethod
    def cotangent(self, function: Callable[[Pred], Scalar], pred: Pred) -> tuple[Scalar, PyTree]:
        """(loss, gradient) of a function of the predictor, at the predictor of an evaluated point."""

    @abc.abstractmethod
    def point(self, carried: PyTree, relative: bool) -> PyTree:
        """What an update rule sees. `relative`: its update of an amplitude is a multiple of the amplitude."""

    @abc.abstractmethod
    def at(self, carried: PyTree, point: PyTree) -> PyTree:
        """The weights at another point, not relative, where `carried` are those of this one."""

    @abc.abstractmethod
    def pull(self, gradient: PyTree, carried: PyTree, relative: bool) -> PyTree:
        """The gradient in the coordinates of `point`, from the one at `evaluate`."""

    @abc.abstractmethod
    def move(self, carried: PyTree, update: PyTree, relative: bool) -> PyTree:
        """The weights after an update in the coordinates of `point`."""

    @abc.abstractmethod
    def velocity(self, carried: PyTree, gradient: PyTree) -> PyTree:
        """d theta / dt of the gradient flow, in carried coordinates, from the gradient at `evaluate`."""

    @abc.abstractmethod
    def lift(self, theta: PyTree) -> PyTree:
        """Weights, or a predictor, in the coordinates the user knows."""

    @abc.abstractmethod
    def lift_memory(self, memory: PyTree) -> PyTree:
        """What a law keeps of points and updates, in the coordinates the user knows."""


class Flat(AbstractChart):
    """The weights themselves."""

    def hold(self, theta: Theta) -> PyTree:
        return theta

    def integrable(self, theta: Theta) -> PyTree:
        return theta

    def settle(self, carried: PyTree) -> Theta:
        return carried

    def evaluate(self, carried: PyTree) -> PyTree:
        return carried

    def cotangent(self, function: Callable[[Pred], Scalar], pred: Pred) -> tuple[Scalar, PyTree]:
        return jax.value_and_grad(function)(pred)

    def point(self, carried: PyTree, relative: bool) -> PyTree:
        del relative
        return carried

    def at(self, carried: PyTree, point: PyTree) -> PyTree:
        del carried
        return point

    def pull(self, gradient: PyTree, carried: PyTree, relative: bool) -> PyTree:
        del carried, relative
        return gradient

    def move(self, carried: PyTree, update: PyTree, relative: bool) -> PyTree:
        del relative
        return jax.tree.map(lambda w, u: w + u, carried, update)

    def velocity(self, carried: PyTree, gradient: PyTree) -> PyTree:
        del carried
        return jax.tree.map(lambda d: -d, gradient)

    def lift(self, theta: PyTree) -> PyTree:
        return theta

    def lift_memory(self, memory: PyTree) -> PyTree:
        return memory
