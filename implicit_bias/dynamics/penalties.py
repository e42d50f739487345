r"""Penalties: scalar functions of the weights that are part of the objective, so that descent and flow both see them.

    objective(theta) = loss(G(theta)) + penalty(theta)

`loss`, stop rules and records go on speaking of the loss alone; `snapshot.objective` is the sum. Any function of the
weights will do. One that is `equivariant` is the same for rotated weights and reads vectors through `_vectors`; a run
with another stays in the original coordinates.

>>> import jax.numpy as jnp
>>> float(weight_decay(0.5)({"w": jnp.array([1.0, 1.0]), "g": jnp.array(2.0)}))
1.5
"""

from __future__ import annotations

from typing import ClassVar

import jax

from .. import _vectors
from .._types import Requirements, Scalar, ScalarLike, Theta
from . import schedules
from .base import AbstractPenalty


class WeightDecay(AbstractPenalty):
    rate: ScalarLike
    equivariant: ClassVar[bool] = True

    def __call__(self, theta: Theta) -> Scalar:
        blocks = jax.tree.leaves(theta, is_leaf=_vectors.is_vector)
        return self.rate / 2 * sum(_vectors.square_norm(w) for w in blocks)

    def requirements(self) -> Requirements:
        return schedules.require("rate", self.rate, lambda r: r >= 0, "of a decay is below zero or not finite", "give 0 or more")


def weight_decay(rate: ScalarLike) -> WeightDecay:
    """rate |theta|^2 / 2 over all weights: under gradient descent the law `decayed(rate)`, and a term of the flow."""
    return WeightDecay(rate)
