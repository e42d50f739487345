r"""Descent:  theta_{k+1} = retract(theta_k - eta_k law(D grad L(theta_k))),   D = the rate of each label.

`ratio` is the rate of the weights labelled `size`, `rates` those of other labels, and 1 where nothing is said.
Both gradients of a step use the old point. The clock counts steps, and t = sum of eta.

>>> import implicit_bias as ib
>>> Descent(0.1, stop=ib.loss_below(1e-8), max_steps=1000).name
'gradient descent'
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree, UInt32

from .._charts import SETTLE
from .._errors import Mistake
from .._keys import SeedKey, stream
from .._lanes import any_lane, counted, lanes_last, min_lane
from .._results import Status
from .._types import Flag, Requirements, Scalar, ScalarLike, Theta
from ..parameterizations.base import AbstractParameterization
from . import schedules
from .batches import LabelNoise, Minibatch
from .base import AbstractDynamics, AbstractWatch, Moment, Objective, State, check_like, name_of, scale_by_label, where
from .laws import AbstractLaw, gradient_descent
from .schedules import Schedule
from .stopping import AbstractStop

_NEVER = np.iinfo(np.int32).max


def _next_settling(count: Array) -> Array:
    return (count // SETTLE + 1) * SETTLE


def _settled(objective: Objective, theta: PyTree, count: Array) -> PyTree:
    """At rest for a moment, where the count says so; a run that has ended keeps its value either way."""
    chart = objective.chart
    return where(count % SETTLE == 0, chart.hold(chart.settle(theta)), theta)


def _words(key: SeedKey | Key[Array, ""] | UInt32[Array, " words"] | None) -> UInt32[Array, " words"] | None:
    """A sweep hands plain numbers from program to program."""
    if key is None or (hasattr(key, "dtype") and key.dtype == jnp.uint32):
        return key
    return jax.random.key_data(stream(key, "law"))


class Descent(AbstractDynamics):
    """`step` and `ratio` are numbers or schedules of the step count; `bound` is a loss above which a run diverged.

    With a `batch` the gradient is that of examples drawn at each step; losses and stop rules are of all of them.
    """

    step: ScalarLike | Schedule
    _: dataclasses.KW_ONLY
    ratio: ScalarLike | Schedule = 1.0
    rates: Mapping[str, ScalarLike | Schedule] = eqx.field(default_factory=dict)
    law: AbstractLaw = eqx.field(default_factory=gradient_descent)
    batch: Minibatch | LabelNoise | None = None
    key: UInt32[Array, " words"] | None = eqx.field(default=None, converter=_words)
    """What the cell received, for laws that draw."""
    stop: AbstractStop | None = None
    max_steps: int = eqx.field(static=True, default=100_000)
    bound: ScalarLike = float("inf")
    stepped: bool = eqx.field(static=True, default=False)
    """Every step is taken, also of a law whose steps have a power in closed form (`sweep.program.powers`).

    Powers give the numbers of the steps to rounding. What hangs on the last bit may differ: a run at rest may be stalled by one
    and capped by the other, one that stops where its loss is all rounding may stop at another step."""
    unit: ClassVar[str] = "steps"

    def __check_init__(self):
        if not isinstance(self.max_steps, int) or not 1 <= self.max_steps < _NEVER:
            raise Mistake(
                "max_steps", f"must be a whole number from 1 to {_NEVER - 1}, got {self.max_steps}", "give one"
            )

    @property
    def name(self) -> str:
        law = name_of(self.law)
        return law if self.batch is None else f"{law} on {self.batch.name}"

    @property
    def draws_examples(self) -> bool:
        return self.batch is not None

    @property
    def equivariant(self) -> bool:
        return self.law.equivariant

    @property
    def end(self) -> int:
        return self.max_steps

    def clock_at(self, times: Array) -> Array:
        if callable(self.step):
            raise Mistake("records", "given in t need a constant step", "give them in steps")
        return jnp.clip(jnp.round(times / self.step), 0, self.max_steps).astype(jnp.int32)

    def requirements(self, parameterization: AbstractParameterization, theta: Theta) -> Requirements:
        positive = schedules.require("step", self.step, lambda s: s > 0, "must be positive", "give a step above 0")
        return positive | super().requirements(parameterization, theta)

    def begin(self, objective: Objective, theta: Theta) -> PyTree:
        return self._law(objective).init(objective.chart.point(theta, self.law.relative))

    def _law(self, objective: Objective) -> AbstractLaw:
        return self.law.labelled(objective.parameterization.labels)

    def hold(self, objective: Objective, theta: Theta) -> PyTree:
        return objective.chart.hold(theta)

    def once(self, objective: Objective, held: PyTree) -> PyTree:
        return self.update(objective, held, self.begin(objective, held), jnp.zeros((), jnp.int32))

    def position(self, state: State) -> Array:
        return state.steps

    def remembered(self, carry: PyTree) -> PyTree:
        return carry

    def first_memory(self, objective: Objective, held: PyTree) -> PyTree:
        return self.begin(objective, held)

    def divisor(self, memory: PyTree) -> PyTree | None:
        return self.law.divisor(memory)

    def memory(self, carry: PyTree) -> PyTree:
        return eqx.filter(carry, eqx.is_inexact_array)  # not the counters, which never keep

    def settled(self, clock: Array) -> Flag:
        if self.draws_examples or self.key is not None:
            return jnp.asarray(False)  # another draw may move what the last ones left
        return super().settled(clock) & schedules.settled(self.step, clock)

    def still(self, objective: Objective, state: State) -> Flag:
        _, moved, _ = self.update(objective, state.theta, state.carry, state.steps)

        def alike(old: Array, new: Array) -> Flag:
            rounding = 8 * jnp.finfo(old.dtype).eps * jnp.max(jnp.abs(old), initial=0)
            return jnp.all((new == old) | (jnp.abs(new - old) <= rounding))

        pair = (jax.tree.leaves(objective.chart.settle(theta)) for theta in (state.theta, moved))
        return jnp.stack([alike(old, new) for old, new in zip(*pair)]).all()

    def update(self, objective: Objective, theta: Theta, rule: PyTree, count: Array) -> tuple[Scalar, Theta, PyTree]:
        """One step: the loss at the old point, and the new point."""
        chart, relative = objective.chart, self.law.relative
        point = chart.point(theta, relative)
        loss, gradient = self._gradient(objective, theta, count)

        def gradient_at(elsewhere: PyTree) -> PyTree:
            if elsewhere is point:
                return gradient
            if relative:
                raise Mistake("law", "is relative and asks for a gradient elsewhere", "give it relative = False")
            return self._gradient(objective, chart.at(theta, elsewhere), count)[1]

        key = None if self.key is None else jax.random.fold_in(jax.random.wrap_key_data(self.key), count)
        direction, rule = self._law(objective).step(gradient_at, point, rule, key)
        check_like("law", f"{name_of(self.law)} gives an update", direction, point)
        step = schedules.at(self.step, count, loss)
        theta = chart.move(theta, jax.tree.map(lambda d: -step * d, direction), relative)
        return loss, objective.parameterization.retract(theta), rule

    def _gradient(self, objective: Objective, theta: PyTree, count: Array) -> tuple[Scalar, PyTree]:
        """The loss of all examples, and the gradient as the law sees it."""
        if self.batch is None:
            loss, gradient = objective.value_and_gradient(theta)
        else:
            loss, gradient = objective(theta), self.batch.gradient(objective, theta, count)
        gradient = scale_by_label(objective.parameterization, self.rates_at(count), gradient)
        return loss, objective.chart.pull(gradient, theta, self.law.relative)

    def _time(self, count: Array, time: Scalar, loss: Scalar | None = None) -> Scalar:
        """t after step `count`: the product where the step is constant (no drift), else the running sum."""
        if callable(self.step):
            return time + schedules.at(self.step, count, loss)
        return self.step * (count.astype(float) + 1)

    def travel(
        self, objective: Objective, state: State, active: Flag, goal: Array, until: Array, watch: AbstractWatch
    ) -> State:
        goal = jnp.minimum(goal, until)
        if self.stop is None and state.folds is None:
            return self._march(objective, state, active, goal)
        # clocks may differ from lane to lane, and those that walk together go as far as the nearest record
        return self._walk(objective, state, active, min_lane(jnp.where(active, goal, _NEVER)), watch)

    def _march(self, objective: Objective, state: State, active: Flag, goal: Array) -> State:
        """Nothing to look at between two pauses: active runs share one step count, and one select ends the leg."""
        count = min_lane(jnp.where(active, state.steps, _NEVER))
        goal = min_lane(jnp.where(active, goal, _NEVER))

        def one(count, moving):
            theta, rule, time = moving
            loss, theta, rule = self.update(objective, theta, rule, count)
            # with a constant step the time is a product, taken once at the end of the leg
            return lanes_last((theta, rule, self._time(count, time, loss) if callable(self.step) else time))

        def stretch(at):
            count, moving = at
            stop = jnp.minimum(goal, _next_settling(count))
            theta, rule, time = counted(count, stop, SETTLE, one, moving)
            return stop, lanes_last((_settled(objective, theta, stop), rule, time))

        moving = lanes_last((state.theta, state.carry, state.time))
        _, (theta, rule, time) = jax.lax.while_loop(lambda at: at[0] < goal, stretch, (count, moving))
        if not callable(self.step):
            time = self._time(goal - 1, time)
        moved = (theta, rule, time, goal + jnp.zeros_like(state.steps))
        theta, rule, time, steps = where(active, moved, (state.theta, state.carry, state.time, state.steps))
        return dataclasses.replace(state, theta=theta, carry=rule, time=time, steps=steps)

    def _walk(self, objective: Objective, state: State, active: Flag, goal: Array, watch: AbstractWatch) -> State:
        """A stop rule or a fold sees every step, so each step freezes the runs that have ended or arrived.

        Where only a stop rule looks on, runs first march a stretch and note whether it would have stopped them; only
        those that it would have walk that stretch, from where they were. A run's own course decides which it does, so
        that its bits do not depend on its companions.
        """

        def one(stop, moving):
            theta, rule, time, steps, status, folds, going = moving
            walking = going & (steps < stop)
            loss, new_theta, new_rule = self.update(objective, theta, rule, steps)
            bad = self.diverged(loss)
            met = self.stop.met(loss) if self.stop is not None else jnp.zeros_like(bad)
            verdict = jnp.where(bad, jnp.int32(Status.DIVERGED), jnp.int32(Status.CONVERGED))
            status = jnp.where(walking & (bad | met), verdict, status)
            walking, going = walking & ~(bad | met), going & ~(walking & (bad | met))
            new_time = self._time(steps, time, loss)
            if folds is not None:
                before = Moment(objective.chart.settle(theta), loss, steps, time, rule)
                rest = objective.chart.settle(new_theta)
                after = Moment(rest, objective(new_theta), steps + 1, new_time, new_rule)
                folds = where(walking, watch.update(folds, before, after), folds)
            moved = (new_theta, new_rule, new_time, steps + 1)
            theta, rule, time, steps = where(walking, moved, (theta, rule, time, steps))
            theta, rule, folds = lanes_last((theta, rule, folds))
            return theta, rule, time, steps, status, folds, going & (steps < goal)

        def march(count, stop, moving):
            theta, rule, time, steps, status, folds, going = moving

            def blindly(count, at):
                theta, rule, time, noted = at
                loss, theta, rule = self.update(objective, theta, rule, count)
                noted = noted | self.diverged(loss) | self.stop.met(loss)
                return lanes_last((theta, rule, self._time(count, time, loss) if callable(self.step) else time, noted))

            start = lanes_last((theta, rule, time, jnp.zeros_like(going)))
            new_theta, new_rule, new_time, noted = counted(count, stop, SETTLE, blindly, start)
            if not callable(self.step):
                new_time = self._time(stop - 1, time)
            through = going & ~noted
            moved = (new_theta, new_rule, new_time, stop + jnp.zeros_like(steps))
            theta, rule, time, steps = where(through, moved, (theta, rule, time, steps))
            return lanes_last((theta, rule, time, steps, status, folds, going & (steps < goal)))

        def stretch(moving):
            steps, going = moving[3], moving[-1]
            count = min_lane(jnp.where(going, steps, _NEVER))  # they keep step, until they end
            stop = jnp.minimum(_next_settling(count), min_lane(jnp.where(going, goal, _NEVER)))
            if state.folds is None:
                moving = march(count, stop, moving)
            moving = jax.lax.while_loop(
                lambda moving: any_lane(moving[-1] & (moving[3] < stop)), lambda moving: one(stop, moving), moving
            )
            theta, rule, time, steps, *rest = moving
            return lanes_last((_settled(objective, theta, steps), rule, time, steps, *rest))

        moving = (
            state.theta,
            state.carry,
            state.time,
            state.steps,
            state.status,
            state.folds,
            active & (state.steps < goal),
        )
        moving = jax.lax.while_loop(lambda moving: any_lane(moving[-1]), stretch, lanes_last(moving))
        theta, rule, time, steps, status, folds, _ = moving
        return dataclasses.replace(state, theta=theta, carry=rule, time=time, steps=steps, status=status, folds=folds)
