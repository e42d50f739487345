"""Stop rules are values: a run ends as `converged` at the first point where its rule is met.

>>> rule = loss_below(1e-5)
>>> bool(rule.met(1e-6)), bool(rule.met(1e-5))
(True, False)
"""

from __future__ import annotations

import abc

import equinox as eqx
import jax.numpy as jnp

from .._types import Flag, Requirements, Scalar, ScalarLike


class AbstractStop(eqx.Module):
    """`met` is tested before every step of descent; `excess` is what the flow finds a zero of."""

    @abc.abstractmethod
    def met(self, loss: Scalar) -> Flag: ...

    @abc.abstractmethod
    def excess(self, loss: Scalar) -> Scalar:
        """Smooth along a trajectory, and at most 0 exactly where the rule is met."""

    @abc.abstractmethod
    def requirements(self) -> Requirements: ...


class LossBelow(AbstractStop):
    threshold: ScalarLike

    def met(self, loss: Scalar) -> Flag:
        return loss < self.threshold

    def excess(self, loss: Scalar) -> Scalar:
        # Linear in t where the loss decays like an exponential, so that a secant step lands on the crossing.
        return jnp.log(loss) - jnp.log(self.threshold)

    def requirements(self) -> Requirements:
        return {
            (
                "stop",
                "loss_below needs a positive threshold",
                "a loss of exactly 0 is not reached in floats: give one above 0",
            ): jnp.asarray(self.threshold) > 0
        }


def loss_below(threshold: ScalarLike) -> LossBelow:
    """Stop where the training loss is below `threshold`."""
    return LossBelow(threshold)
