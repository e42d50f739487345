r"""Sharpness-aware minimisation: the gradient at a point uphill,  theta' = theta - step grad L(theta + rho_t d),

    order=2         d = grad / |grad|     the steepest ascent of length rho in l2, of all weights together
    order=inf       d = sign(grad)        in l_inf
    order=None      d = grad              rho times the gradient, which vanishes where the loss is least

`sharpness_aware` is the law of descent, `SharpnessAware` the field d theta / dt = -grad L(theta + rho_t d) of a flow. Both
gradients of a step are those of its own examples, and have the rates of labels in.

The first two are perturbed by rho at any gradient however small, so that with a constant rho they do not fit: near an
interpolator they jump over it. The field of either jumps where a gradient, or a sign, changes side, and an integrator with
error control stops there; that of order=None is as smooth as the loss.

>>> import jax.numpy as jnp
>>> theta = jnp.array([3.0, 4.0])                                      # L = |theta|^2 / 2, grad = theta
>>> for order in (2, np.inf, None):
...     print(sharpness_aware(2.5, order=order).step(lambda at: at, theta, None, None)[0].tolist())
[4.5, 6.0]
[5.5, 6.5]
[10.5, 14.0]
"""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree

from .._errors import Mistake
from .._types import Requirements, Scalar, ScalarLike, Theta
from . import schedules
from .base import Landscape
from .fields import AbstractField
from .laws import AbstractLaw, GradientAt, Memory
from .steepest import signs_of, unit_of

WORDS = {2: "SAM", np.inf: "l_inf SAM", None: "unnormalised SAM"}


def _uphill(theta: Theta, gradient: PyTree, rho: ScalarLike, order: float | None) -> Theta:
    direction = {2: unit_of, np.inf: signs_of, None: lambda same: same}[order]
    return jax.tree.map(lambda w, d: w + rho * d, theta, direction(gradient))


def _check(order: float | None) -> None:
    if order not in WORDS:
        raise Mistake("order", f"must be 2, inf or None, got {order}", "give 2 for the SAM of the papers")


class SharpnessAwareLaw(AbstractLaw):
    rho: ScalarLike
    order: float | None = eqx.field(static=True)

    @property
    def name(self) -> str:
        return WORDS[self.order]

    def init(self, theta: Theta) -> Memory:
        del theta

    def step(
        self, gradient_at: GradientAt, theta: Theta, memory: Memory, key: Key[Array, ""] | None
    ) -> tuple[PyTree, Memory]:
        del key
        return gradient_at(_uphill(theta, gradient_at(theta), self.rho, self.order)), memory


def sharpness_aware(rho: ScalarLike, *, order: float | None = 2) -> SharpnessAwareLaw:
    """The gradient at theta + rho d, d the gradient over its l2 norm, its signs (`order=inf`), or itself (`order=None`)."""
    _check(order)
    return SharpnessAwareLaw(rho, order)


class SharpnessAware(AbstractField):
    """-grad L(theta + rho d), d = grad (`order=None`, the default), grad / |grad| (2) or sign(grad) (inf)."""

    rho: ScalarLike
    order: float | None = eqx.field(static=True, default=None)
    autonomous: ClassVar[bool] = True

    def __check_init__(self):
        _check(self.order)

    @property
    def name(self) -> str:
        return WORDS[self.order]

    def __call__(self, objective: Landscape, t: Scalar, theta: Theta, memory: Memory) -> PyTree:
        del t, memory
        uphill = _uphill(theta, objective.value_and_gradient(theta)[1], self.rho, self.order)
        return jax.tree.map(jnp.negative, objective.value_and_gradient(uphill)[1])

    def requirements(self) -> Requirements:
        return schedules.require("rho", self.rho, lambda r: r >= 0, "is below zero or not finite", "give 0 for gradient flow")
