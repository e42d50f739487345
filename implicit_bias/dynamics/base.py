r"""The seam: a law of motion with its own clock, as `start` and `advance`.

    start   : (objective, theta_0, watch)       -> State
    advance : (objective, state, until, watch)  -> State

`advance` moves a run along its clock until it reaches `until`, pausing at every record. `until` is traced: one compiled
program serves a whole run and a segmented one, with the same bits. A run that has ended is not touched again:
its remaining records hold its last value, `steps` and `time` say when, `status` says how.

Both laws share this driver. What differs is `travel`: to the next pause, in steps of an update rule or in steps of
an adaptive integrator.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping
from functools import partial, reduce
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from .. import _vectors
from .._charts import AbstractChart
from .._errors import Mistake
from .._lanes import any_lane
from .._results import Status
from .._types import Count, Flag, Pred, Requirements, Scalar, ScalarLike, Theta
from ..parameterizations.base import AbstractParameterization
from ..problems.base import AbstractProblem
from . import schedules
from .stopping import AbstractStop


class AbstractPenalty(eqx.Module):
    """A function of the weights beside the loss that says whether rotated weights have the same, and what it asks."""

    equivariant: ClassVar[bool] = False
    """Whether it is the same for rotated weights; vectors are then read through `_vectors`."""

    @abc.abstractmethod
    def __call__(self, theta: Theta) -> Scalar: ...

    def requirements(self) -> Requirements:
        return {}


class Objective(eqx.Module):
    """The training loss as a function of the weights, which `chart` carries; laws follow the gradient of loss + penalty."""

    problem: AbstractProblem
    parameterization: AbstractParameterization
    chart: AbstractChart
    penalty: Callable[[Theta], Scalar] | None = None

    def predict(self, theta: Theta) -> Pred:
        return self.parameterization(theta)

    def __call__(self, theta: Theta) -> Scalar:
        return self.problem.loss(self.parameterization(self.chart.evaluate(theta)))

    def value_and_gradient(self, theta: Theta) -> tuple[Scalar, PyTree]:
        """The loss, and the gradient of loss + penalty at `chart.evaluate(theta)`."""
        point = self.chart.evaluate(theta)
        loss, cotangent = self.chart.cotangent(self.problem.loss, self.parameterization(point))
        return loss, self.penalised(theta, self.parameterization.pullback(point, cotangent))

    def penalised(self, theta: Theta, gradient: PyTree) -> PyTree:
        """A gradient of the loss, and the penalty's."""
        if self.penalty is None:
            return gradient
        return jax.tree.map(jnp.add, gradient, jax.grad(self.penalty)(self.chart.evaluate(theta)))

    def total(self, theta: Theta) -> Scalar:
        """loss + penalty"""
        loss = self(theta)
        return loss if self.penalty is None else loss + self.penalty(self.chart.evaluate(theta))


class Moment(eqx.Module):
    """A point of a trajectory: what observables and folds are functions of."""

    theta: Theta
    loss: Scalar
    steps: Count
    time: Scalar
    memory: PyTree = None
    """What the law keeps, as it keeps it; `None` in a fact, which is of the start."""


class AbstractWatch(eqx.Module):
    """What is looked at, and when. The sweep's `Watch` measures observables; tests have smaller ones."""

    clock: eqx.AbstractVar[Array]
    """When to record, ascending, from 0 to the end of the run; in the units of the law's clock."""

    @abc.abstractmethod
    def record(self, moment: Moment) -> PyTree: ...

    @property
    def seldom(self) -> Mapping[int, Callable[[Moment], dict[str, Array]]]:
        """By k, what is measured at each k-th record and at the last, and is nan at others."""
        return {}

    @abc.abstractmethod
    def begin(self, moment: Moment) -> PyTree:
        """The folds' first state; `None` where there are no folds."""

    @abc.abstractmethod
    def update(self, folds: PyTree, before: Moment, after: Moment) -> PyTree: ...


class State(eqx.Module):
    theta: Theta
    carry: PyTree
    """The update rule's state or the integrator's."""
    steps: Count
    time: Scalar
    status: Count
    recorded: tuple[Theta, PyTree]
    """The weights and the law's memory at the last record: what "stalled" and "escaping" are judged against."""
    next_record: Count
    records: PyTree
    folds: PyTree


def where(flag: Flag, new: PyTree, old: PyTree) -> PyTree:
    return jax.tree.map(lambda n, o: jnp.where(flag, n, o), new, old)


def _written(buffers: PyTree, value: PyTree, at: Array) -> PyTree:
    return jax.tree.map(lambda buffer, x: jnp.where(at.reshape(-1, *[1] * jnp.ndim(x)), x, buffer), buffers, value)


def _zeros(shape: jax.ShapeDtypeStruct) -> Array:
    return jnp.zeros(shape.shape, shape.dtype)


def scale_by_label(
    parameterization: AbstractParameterization, rates: Mapping[str, ScalarLike], gradient: PyTree
) -> PyTree:
    """Every block of a gradient times the rate of its label. One meaning for descent and flow."""

    def one(label: str, block: Array) -> Array:
        rate = rates.get(label, 1.0)
        return block if isinstance(rate, (int, float)) and rate == 1.0 else rate * block

    return jax.tree.map(one, parameterization.labels(gradient), gradient)


def name_of(rule: Any) -> str:
    """Of a law or a field: its own, or that of its class."""
    return rule.name or type(rule).__name__


def check_like(field: str, what: str, moves: PyTree, weights: PyTree) -> None:
    """A number for each weight: what is broadcast to them is another rule than the one that was meant."""
    if jax.tree.structure(moves) != jax.tree.structure(weights):
        raise Mistake(field, f"{what} that is no tree like the weights", "map over the weights")
    for one, weight in zip(jax.tree.leaves(moves), jax.tree.leaves(weights)):
        if jnp.shape(one) != jnp.shape(weight):
            shapes = f"of shape {jnp.shape(one)} for weights of shape {jnp.shape(weight)}"
            raise Mistake(field, f"{what} {shapes}", "give a number for each weight")


class Landscape(eqx.Module):
    """The objective of a run at one time, as a field sees it: its gradient has the rates in."""

    objective: Objective
    rates: Mapping[str, Any]

    def __call__(self, theta: Theta) -> Scalar:
        """The loss."""
        return self.objective(theta)

    def value_and_gradient(self, theta: Theta) -> tuple[Scalar, PyTree]:
        """The loss, and D times the gradient of loss + penalty."""
        loss, gradient = self.objective.value_and_gradient(theta)
        return loss, scale_by_label(self.objective.parameterization, self.rates, gradient)

    def downhill(self, theta: Theta) -> tuple[Scalar, PyTree]:
        """The loss, and minus that gradient as a velocity of the weights as they are carried."""
        loss, gradient = self.value_and_gradient(theta)
        return loss, self.objective.chart.velocity(theta, gradient)

    def tangent(self, theta: Theta, velocity: PyTree) -> PyTree:
        return self.objective.parameterization.tangent(theta, velocity)


class AbstractDynamics(eqx.Module):
    """`begin`, `travel` and `position`; `start` and `advance` follow."""

    ratio: eqx.AbstractVar[Any]
    """The rate of the weights labelled `size`."""
    rates: eqx.AbstractVar[Mapping[str, Any]]
    """Those of others, by label."""
    stop: eqx.AbstractVar[AbstractStop | None]
    bound: eqx.AbstractVar[ScalarLike]
    max_steps: eqx.AbstractVar[int]
    unit: ClassVar[str]
    """What the clock counts: `steps` or `t`."""

    @property
    @abc.abstractmethod
    def name(self) -> str: ...

    @property
    @abc.abstractmethod
    def equivariant(self) -> bool:
        """Whether rotated data and weights give the rotated run."""

    @property
    def draws_examples(self) -> bool:
        """Whether a step looks at some of the examples, so that they may not be mixed."""
        return False

    @property
    @abc.abstractmethod
    def end(self) -> ScalarLike:
        """Where the clock stops."""

    @abc.abstractmethod
    def clock_at(self, times: Array) -> Array:
        """Times t in the units of the clock."""

    @abc.abstractmethod
    def begin(self, objective: Objective, theta: Theta) -> PyTree: ...

    @abc.abstractmethod
    def hold(self, objective: Objective, theta: Theta) -> PyTree:
        """The weights as the law carries them from step to step; the chart's `settle` reads them."""

    @abc.abstractmethod
    def once(self, objective: Objective, held: PyTree) -> PyTree:
        """What a step computes, or each stage of one: by what it costs it is decided how many runs a block holds."""

    @property
    def rate_of(self) -> dict[str, Any]:
        """label -> number or schedule."""
        if "size" in self.rates:
            raise Mistake("rates", "names size, which is what ratio means", "give one of the two: ratio")
        return {"size": self.ratio, **self.rates}

    def rates_at(self, clock: Array) -> dict[str, ScalarLike]:
        return {label: schedules.at(rate, clock) for label, rate in self.rate_of.items()}

    @abc.abstractmethod
    def position(self, state: State) -> Array: ...

    def remembered(self, carry: PyTree) -> PyTree:
        """What of the carry is the law's memory."""
        del carry
        return None

    def first_memory(self, objective: Objective, held: PyTree) -> PyTree:
        """The memory at the start, from the weights as the law carries them."""
        del objective, held
        return None

    def divisor(self, memory: PyTree) -> PyTree | None:
        """What the law divides the gradient by, weight by weight; None of one that does not."""
        del memory
        return None

    def memory(self, carry: PyTree) -> PyTree:
        """What of the carry must keep as well, before unchanged weights mean that they will never change."""
        del carry
        return None

    def rounds(self, records: int) -> int:
        """How often the loop of a run goes round, at most: by it launches and tiles are cut, and checkpoints kept."""
        del records
        return self.max_steps

    def settled(self, clock: Array) -> Flag:
        """Whether the law is the same at every later time: a two-stage ratio may move what its first stage left."""
        first, *others = (schedules.settled(rate, clock) for rate in self.rate_of.values())
        return reduce(jnp.logical_and, others, first)

    def still(self, objective: Objective, state: State) -> Flag:
        """Whether one step more moves nothing but by rounding: a cycle of steps, too, is back where it was."""
        del objective
        return jnp.ones_like(state.status, dtype=bool)

    @abc.abstractmethod
    def travel(
        self, objective: Objective, state: State, active: Flag, goal: Array, until: Array, watch: AbstractWatch
    ) -> State:
        """Move the active runs to `goal` (a record) or to their end, and stop on the way once `until` is reached.

        Where it stops on the way must not change the steps it takes: segments give the bits of the whole run.
        """

    def requirements(self, parameterization: AbstractParameterization, theta: Theta) -> Requirements:
        known = sorted(set(jax.tree.leaves(parameterization.labels(theta))))
        asked: Requirements = {}
        for label, rate in self.rates.items():
            if label not in known:
                raise Mistake(
                    "rates", f"names {label!r}, and no weights have that label", f"known: {', '.join(known)}"
                )
            asked |= schedules.require(
                f"rates[{label}]", rate, lambda c: c >= 0, "is below zero or not finite", "give 0 to freeze, or a number above 0"
            )
        asked |= schedules.require(
            "ratio", self.ratio, lambda c: c >= 0, "is below zero or not finite", "give 0 to freeze g, or a number above 0"
        )
        if "size" not in known:
            asked |= schedules.require(
                "ratio",
                self.ratio,
                lambda c: c == 1,
                f"scales the weights labelled size, and {type(parameterization).__name__} has none",
                "leave ratio out, or use Polar or Sphere",
            )
        return asked | (self.stop.requirements() if self.stop is not None else {})

    def diverged(self, loss: Scalar) -> Flag:
        return ~(loss < self.bound)  # so that nan counts, and inf under a bound of inf

    def start(self, objective: Objective, theta: Theta, watch: AbstractWatch) -> State:
        zero = jnp.zeros((), dtype=jnp.int32)
        time = jnp.zeros(())
        # Of this memory only the shapes are read, before the law has begun.
        shapes = jax.eval_shape(lambda: self.first_memory(objective, self.hold(objective, theta)))
        memory = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), shapes)
        moment = Moment(theta, objective(theta), zero, time, memory)
        count = watch.clock.shape[0]
        often = jax.eval_shape(watch.record, moment)
        empty = jax.tree.map(lambda s: jnp.zeros((count, *s.shape), s.dtype), often)
        for measure in watch.seldom.values():
            rare = jax.eval_shape(measure, moment)
            empty |= {n: jnp.full((count, *s.shape), jnp.nan, s.dtype) for n, s in rare.items()}
        held = self.hold(objective, theta)
        carry = self.begin(objective, held)
        moment = dataclasses.replace(moment, memory=self.remembered(carry))
        return State(
            theta=held,
            carry=carry,
            steps=zero,
            time=time,
            status=zero + jnp.int32(Status.RUNNING),
            recorded=(theta, self.memory(carry)),
            next_record=zero,
            records=empty,
            folds=watch.begin(moment),
        )

    def advance(self, objective: Objective, state: State, until: ScalarLike, watch: AbstractWatch) -> State:
        # In the clock's own dtype: a count of steps stays exact, and half a step is reached with the whole one.
        last = watch.clock[-1]
        whole = jnp.ceil(until) if jnp.issubdtype(last.dtype, jnp.integer) else until
        until = jnp.where(until < last.astype(float), jnp.asarray(whole).astype(last.dtype), last)

        def pending(state: State) -> Flag:
            return (state.status == Status.RUNNING) & (self.position(state) < until)

        def leg(state: State) -> State:
            """To the next record: the first of a run moves nothing, so that what is measured is compiled in one place."""
            active = pending(state)
            moved = self.travel(objective, state, active, watch.clock[state.next_record], until, watch)
            return self._pause(objective, moved, active, watch)

        return jax.lax.while_loop(lambda state: any_lane(pending(state)), leg, state)

    def _pause(self, objective: Objective, state: State, active: Flag, watch: AbstractWatch) -> State:
        """Judge and record at the end of a leg. A pause at `until` alone changes nothing."""
        last = watch.clock.shape[0] - 1
        passed = watch.clock <= self.position(state)  # times that round to one step are passed together
        due = active & passed[jnp.minimum(state.next_record, last)]
        theta = objective.chart.settle(state.theta)
        loss = objective(theta)

        status = state.status
        judged = due & (status == Status.RUNNING)
        now = (theta, self.memory(state.carry))
        same = [jnp.all(a == b) for a, b in zip(jax.tree.leaves(state.recorded), jax.tree.leaves(now))]
        since = watch.clock[jnp.maximum(state.next_record - 1, 0)]
        stalled = judged & (state.next_record > 0) & jnp.stack(same).all() & self.settled(since)
        # a step for the whole block, where any lane may have stalled
        stalled &= jax.lax.cond(any_lane(stalled), partial(self.still, objective), lambda s: s.status < 0, state)
        ended = (
            self._escaping(objective, theta, state.recorded[0])
            if objective.problem.separable
            else jnp.int32(Status.CAPPED)
        )
        status = jnp.where(judged & passed[last], ended, status)
        status = jnp.where(stalled, jnp.int32(Status.STALLED), status)
        if self.stop is not None:
            status = jnp.where(judged & self.stop.met(loss), jnp.int32(Status.CONVERGED), status)
        status = jnp.where(judged & self.diverged(loss), jnp.int32(Status.DIVERGED), status)

        over = active & (status != Status.RUNNING)
        moment = Moment(theta, loss, state.steps, state.time, self.remembered(state.carry))
        value = watch.record(moment)
        index = jnp.arange(last + 1, dtype=state.next_record.dtype)
        write = ((due & passed) | over) & (index >= state.next_record)
        often = {name: state.records[name] for name in value} if watch.seldom else state.records
        records = _written(often, value, write)
        for stride, measure in watch.seldom.items():
            some = write & ((index % stride == 0) | (index == last))
            shapes = jax.eval_shape(measure, moment)
            # A branch for the whole block: whether any lane asks.
            value = jax.lax.cond(
                any_lane(some.any()), measure, lambda _, shapes=shapes: jax.tree.map(_zeros, shapes), moment
            )
            records |= _written({name: state.records[name] for name in value}, value, some)
        following = jnp.where(due, jnp.sum(passed, dtype=state.next_record.dtype), state.next_record)
        recorded = where(due, now, state.recorded)
        return dataclasses.replace(state, status=status, recorded=recorded, next_record=following, records=records)

    def _escaping(self, objective: Objective, theta: Theta, recorded: Theta) -> Count:
        """At the cap of a separable problem: norm and margin still growing is `escaping`."""
        pred, earlier = objective.predict(theta), objective.predict(recorded)
        growing = _vectors.norm(pred) > _vectors.norm(earlier)
        return jnp.where(
            growing & objective.problem.separates(pred), jnp.int32(Status.ESCAPING), jnp.int32(Status.CAPPED)
        )
