r"""A loss that is written down: x -> f(x; numbers), R^d -> R, with a few numbers that may be axes.

For what a theorem needs two or three coordinates to show. With `Euclidean` the weights are x itself, and a start is a
size and a direction: `Euclidean(|x_0|, x_0)`.

>>> import jax.numpy as jnp
>>> saddle = toy(lambda x, curvature: curvature * x[0] ** 2 - x[1] ** 2, 2, curvature=3.0)
>>> float(saddle.loss(jnp.array([1.0, 1.0]))), saddle.dimension
(2.0, 2)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from .._errors import Mistake
from .._types import Requirements, Scalar
from .base import AbstractProblem


class Toy(AbstractProblem):
    """`loss(x) = function(x, **numbers)`."""

    function: Callable[..., Scalar] = eqx.field(static=True)
    size: int = eqx.field(static=True)
    numbers: Mapping[str, Array]

    @property
    def dimension(self) -> int:
        return self.size

    def loss(self, pred: Float[Array, " size"]) -> Scalar:
        return self.function(pred, **self.numbers)

    def requirements(self) -> Requirements:
        return {
            (name, "is not finite", "give a real number"): jnp.all(jnp.isfinite(value)) for name, value in self.numbers.items()
        }


def toy(function: Callable[..., Scalar], size: int, **numbers: ArrayLike) -> Toy:
    """The problem whose loss at x in R^size is `function(x, **numbers)`."""
    if not isinstance(size, int) or size < 1:
        raise Mistake("size", f"must be a whole number from 1, got {size}", "say how many numbers x has")
    return Toy(function, size, {name: jnp.asarray(value, dtype=float) for name, value in numbers.items()})
