"""Schedules are values: functions of the clock (steps under descent, t under flow) that may hold traced numbers.

A `step` or a `ratio` is a number or one of these; an optax schedule, being a function of the step count, is one too.
A step may also be one of them over the loss: `over_loss`.

>>> schedule = two_stage(0.0, 1.0, switch=100)
>>> float(schedule(99)), float(schedule(100))
(0.0, 1.0)
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp

from .._errors import Mistake
from .._types import Clock, Flag, Requirements, Scalar, ScalarLike

Schedule = Callable[[Clock], Scalar]


class TwoStage(eqx.Module):
    first: ScalarLike
    second: ScalarLike
    switch: ScalarLike

    def __call__(self, clock: Clock) -> Scalar:
        return jnp.where(jnp.asarray(clock).astype(float) < self.switch, self.first, self.second)


def two_stage(first: ScalarLike, second: ScalarLike, switch: ScalarLike) -> TwoStage:
    """`first` while the clock is below `switch`, then `second`: frozen g then released is `two_stage(0, c, T)`."""
    return TwoStage(first, second, switch)


class OverLoss(eqx.Module):
    step: ScalarLike | Schedule

    def __call__(self, clock: Clock, loss: Scalar | None = None) -> Scalar:
        if loss is None:
            raise Mistake("over_loss", "is used where no loss is known", "give it as the step of a Descent")
        scaled = at(self.step, clock) / loss
        # A loss that has underflowed has no gradient left: the run stalls and says so.
        return jnp.where(jnp.isfinite(scaled), scaled, 0.0)


def over_loss(step: ScalarLike | Schedule) -> OverLoss:
    """The step eta / L(theta): gradient descent on log L, with t = sum of eta / L.

    On separable data the loss falls like 1/t, so that a constant step sees log t grow by 1/k at step k; over the loss,
    log t grows by a constant at every step.
    """
    return OverLoss(step)


def at(value: ScalarLike | Schedule, clock: Clock, loss: Scalar | None = None) -> ScalarLike:
    if isinstance(value, OverLoss):
        return value(clock, loss)
    return value(clock) if callable(value) else value


def settled(value: ScalarLike | Schedule, clock: Clock) -> Flag:
    """Whether the value is known to keep from `clock` on, for weights that keep."""
    if isinstance(value, OverLoss):
        return settled(value.step, clock)
    if isinstance(value, TwoStage):
        return jnp.asarray(clock).astype(float) >= value.switch
    return jnp.asarray(not callable(value))


def switches(value: ScalarLike | Schedule) -> list[ScalarLike]:
    """Where on the clock the value jumps: an integrator ends a step there."""
    return [value.switch] if isinstance(value, TwoStage) else []


def values(value: ScalarLike | Schedule) -> list[ScalarLike]:
    """The numbers that a check can look at: those a schedule of this file takes, or the number itself."""
    if isinstance(value, TwoStage):
        return [value.first, value.second]
    if isinstance(value, OverLoss):
        return values(value.step)
    return [] if callable(value) else [value]


def require(field: str, value: ScalarLike | Schedule, holds: Callable, what: str, remedy: str) -> Requirements:
    """One requirement on every number that `value` is known to take."""
    checks = [jnp.asarray(holds(jnp.asarray(v))) & jnp.isfinite(v) for v in values(value)]
    return {(field, what, remedy): jnp.all(jnp.stack(checks))} if checks else {}
