r"""Gradient flow:  d theta / dt = -tangent(D grad L(theta)),   D = the rate of each label, as under descent.

Or another `field` of those of `fields`: the weights, and what the field remembers, are integrated together.

Integrated by a diffrax solver and step-size controller, one attempted step at a time, in the same driver as descent:
every record is the end of a step (no dense output, whose lower order would show in an invariant), folds see every
accepted step, and a run that has ended costs its companions nothing but its lane. A step ends where a rate jumps.

The stop rule is an event: a step that lands beyond it is shortened by a secant in log(loss / threshold) until it
lands on it, so `time` is the hitting time to about 1e-6 of the local decay time.

`steps` counts accepted steps; `max_steps` bounds the attempts.

>>> import implicit_bias as ib
>>> Flow(max_time=10.0, stop=ib.loss_below(1e-20)).name
'flow (Tsit5)'
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from .._errors import Mistake
from .._lanes import any_lane
from .._results import Status
from .._types import Count, Flag, Requirements, Scalar, ScalarLike, Theta
from ..parameterizations.base import AbstractParameterization
from . import schedules
from .base import AbstractDynamics, AbstractWatch, Landscape, Moment, Objective, State, check_like, name_of, where
from .fields import AbstractField, GradientField
from .schedules import Schedule
from .stopping import AbstractStop

_LANDED = 1e-6
"""A step may end this far beyond the stop rule, in log(loss / threshold)."""
_PATIENCE = 40
"""Shortened steps before whatever lands beyond is taken: near the integrator's tolerance the loss is not smooth."""


class _Integrator(NamedTuple):
    width: Scalar
    """The next step the controller asks for."""
    memory: PyTree
    """The field's, moved along with the weights."""
    solver: PyTree
    controller: PyTree
    jumped: Flag
    loss: Scalar
    attempts: Count
    shortened: Count


def _judged(candidate: PyTree, error: PyTree, before: PyTree) -> tuple[PyTree, PyTree]:
    """What a controller may see of a step that overflowed: an infinite error where it was, so that it is refused.

    inf / inf and inf - inf are nan, and a width that is once nan stays nan.
    """
    numbers = jax.tree.leaves((candidate, error))
    finite = jnp.stack([jnp.all(jnp.isfinite(x)) for x in numbers]).all()
    infinite = jax.tree.map(lambda e: jnp.full_like(e, jnp.inf), error)
    return where(finite, candidate, before), where(finite, error, infinite)


def _constrained(parameterization: AbstractParameterization, theta: Theta) -> bool:
    """Whether velocities are projected: those of a vector space come back as the arrays that they are."""
    velocity = jax.tree.map(jnp.ones_like, theta)
    kept = jax.tree.leaves(parameterization.tangent(theta, velocity))
    return any(new is not old for new, old in zip(kept, jax.tree.leaves(velocity), strict=True))


def _before(edge: Scalar) -> Scalar:
    return jnp.nextafter(edge, -jnp.inf)


@functools.cache
def _trial(solver: diffrax.AbstractSolver, controller: diffrax.AbstractStepSizeController) -> str | None:
    """What goes wrong in one step of dy/dt = -y, by shapes alone; None if nothing does."""

    def step(t: Array) -> PyTree:
        terms, y = diffrax.ODETerm(lambda t, y, args: -y), jnp.ones(2)
        width, state = controller.init(terms, t, t + 1, y, None, None, solver.func, solver.error_order(terms))
        held = solver.init(terms, t, t + width, y, None)
        new, error, _, held, _ = solver.step(terms, t, t + width, y, None, held, jnp.asarray(False))
        return controller.adapt_step_size(t, t + width, y, new, None, error, solver.error_order(terms), state)

    try:
        jax.eval_shape(step, jnp.zeros(()))
    except Exception as error:  # of diffrax, which says it in its own words
        return (str(error) or type(error).__name__).strip().splitlines()[0].rstrip(".")
    return None


def _unfit(
    solver: diffrax.AbstractSolver, controller: diffrax.AbstractStepSizeController
) -> tuple[str, str, str] | None:
    """Why a flow cannot use a solver or a controller, as (field, what, remedy)."""
    if not isinstance(solver, diffrax.AbstractSolver):
        return "solver", f"is {type(solver).__name__}, no solver of diffrax", "give diffrax.Tsit5()"
    if not isinstance(controller, diffrax.AbstractStepSizeController):
        return "controller", f"is {type(controller).__name__}, no controller of diffrax", "give diffrax.PIDController"
    if isinstance(controller, diffrax.ConstantStepSize):
        return "controller", "is a constant step, and records ask for steps that end at them", "leave it out"
    if any(eqx.is_array(leaf) for leaf in jax.tree.leaves((solver, controller))):
        return None  # a traced tolerance has no hash to be tried by
    if (error := _trial(solver, controller)) is None:
        return None
    implicit = isinstance(solver, diffrax.AbstractImplicitSolver)
    remedy = (
        "give its root_finder tolerances: diffrax.VeryChord(rtol=1e-10, atol=1e-13)"
        if implicit
        else "give one for ordinary equations with an error estimate, such as diffrax.Tsit5()"
    )
    return "solver", f"{type(solver).__name__} cannot integrate a flow: {error}", remedy


class Flow(AbstractDynamics):
    """`ratio` is a number or a schedule of t; `rtol`, `atol` and `solver` are values of diffrax's meaning."""

    max_time: ScalarLike
    _: dataclasses.KW_ONLY
    field: AbstractField = eqx.field(default_factory=GradientField)
    ratio: ScalarLike | Schedule = 1.0
    rates: Mapping[str, ScalarLike | Schedule] = eqx.field(default_factory=dict)
    stop: AbstractStop | None = None
    rtol: ScalarLike = 1e-10
    atol: ScalarLike = 1e-13
    solver: diffrax.AbstractSolver = eqx.field(default_factory=diffrax.Tsit5)
    controller: diffrax.AbstractStepSizeController | None = None
    """Any adaptive one of diffrax; by default a `PIDController` of `rtol` and `atol`."""
    max_steps: int = eqx.field(static=True, default=1_000_000)
    bound: ScalarLike = float("inf")
    unit: ClassVar[str] = "t"

    def __check_init__(self):
        if not isinstance(self.field, AbstractField):
            raise Mistake("field", f"is {type(self.field).__name__}, no ib.AbstractField", "give ib.UnitSpeed()")
        if (reason := _unfit(self.solver, self._controller())) is not None:
            raise Mistake(*reason)

    @property
    def name(self) -> str:
        solver = type(self.solver).__name__
        if type(self.field) is GradientField:
            return f"flow ({solver})"
        return f"{name_of(self.field)} flow ({solver})"

    @property
    def equivariant(self) -> bool:
        # The equation is; the controller's error norm sees other coordinates, which moves the steps within tolerance.
        return self.field.equivariant

    @property
    def end(self) -> ScalarLike:
        return self.max_time

    def clock_at(self, times: Array) -> Array:
        return jnp.clip(times, 0.0, self.max_time)

    def requirements(self, parameterization: AbstractParameterization, theta: Theta) -> Requirements:
        positive = schedules.require(
            "max_time", self.max_time, lambda t: t > 0, "must be positive", "give a time above 0"
        )
        rtol = schedules.require("rtol", self.rtol, lambda r: (r > 0) & (r < 1), "must be between 0 and 1", "give 1e-10")
        atol = schedules.require("atol", self.atol, lambda a: a > 0, "must be positive", "give 1e-13")
        if self.field.init(theta) is not None and _constrained(parameterization, theta):
            what = f"{self.field.name} has a memory, and {type(parameterization).__name__}'s weights lie on a manifold"
            raise Mistake("field", what, "use a parameterization of a vector space, such as Polar")
        return positive | rtol | atol | self.field.requirements() | super().requirements(parameterization, theta)

    def _terms(self, objective: Objective) -> diffrax.ODETerm:
        def velocity(t: Scalar, y: tuple[Theta, PyTree], args: None) -> tuple[PyTree, PyTree]:
            del args
            theta, memory = y
            seen = Landscape(objective, self.rates_at(t))
            moving = self.field(seen, t, theta, memory)
            check_like("field", f"{name_of(self.field)} gives a velocity", moving, theta)
            return objective.parameterization.tangent(theta, moving), self.field.remember(seen, t, theta, memory)

        return diffrax.ODETerm(velocity)

    def _controller(self) -> diffrax.AbstractStepSizeController:
        controller = self.controller or diffrax.PIDController(rtol=self.rtol, atol=self.atol)
        return controller.wrap(1) if isinstance(controller, diffrax.AbstractStepSizeController) else controller

    def _next_switch(self, time: Scalar) -> Scalar | None:
        """The first time above `time` at which a rate jumps, inf after the last; None where none ever does."""
        times = [t for rate in self.rate_of.values() for t in schedules.switches(rate)]
        if not times:
            return None
        times = jnp.stack([jnp.asarray(t, dtype=float) for t in times])
        return jnp.min(jnp.where(times > time, times, jnp.inf))

    def begin(self, objective: Objective, theta: Theta) -> _Integrator:
        terms, zero, end = self._terms(objective), jnp.zeros(()), jnp.asarray(self.max_time, dtype=float)
        memory = self.first_memory(objective, theta)
        y = theta, memory
        first, controller = self._controller().init(
            terms, zero, end, y, None, None, self.solver.func, self.solver.error_order(terms)
        )
        first = jnp.where((first > 0) & jnp.isfinite(first), first, end)  # its estimate may overflow, to 0 or nan
        return _Integrator(
            width=first,
            memory=memory,
            solver=self.solver.init(terms, zero, first, y, None),
            controller=controller,
            jumped=jnp.asarray(False),
            loss=objective(theta),
            attempts=jnp.zeros((), dtype=jnp.int32),
            shortened=jnp.zeros((), dtype=jnp.int32),
        )

    def hold(self, objective: Objective, theta: Theta) -> PyTree:
        return objective.chart.integrable(theta)

    def once(self, objective: Objective, held: PyTree) -> PyTree:
        return self._terms(objective).vf(jnp.zeros(()), (held, self.first_memory(objective, held)), None)

    def position(self, state: State) -> Array:
        return state.time

    def memory(self, carry: _Integrator) -> PyTree:
        return carry.memory

    def remembered(self, carry: _Integrator) -> PyTree:
        return carry.memory

    def first_memory(self, objective: Objective, held: PyTree) -> PyTree:
        return self.field.first(Landscape(objective, self.rates_at(jnp.zeros(()))), held)

    def settled(self, clock: Array) -> Flag:
        return super().settled(clock) if self.field.autonomous else jnp.asarray(False)

    def travel(
        self, objective: Objective, state: State, active: Flag, goal: Array, until: Array, watch: AbstractWatch
    ) -> State:
        terms, controller = self._terms(objective), self._controller()
        order = self.solver.error_order(terms)

        def attempt(moving: tuple[State, Flag]) -> tuple[State, Flag]:
            state, going = moving
            theta, carry, t0 = state.theta, state.carry, state.time
            y = theta, carry.memory
            edge = self._next_switch(t0)
            end = goal if edge is None else jnp.minimum(goal, _before(edge))
            clipped = t0 + carry.width >= end
            t1 = jnp.where(clipped, end, t0 + carry.width)
            arrived, error, _, solver, _ = self.solver.step(terms, t0, t1, y, None, carry.solver, carry.jumped)
            seen, error = _judged(arrived, error, y)
            keep, next0, next1, jumped, adapted, _ = controller.adapt_step_size(
                t0, t1, y, seen, None, error, order, carry.controller
            )
            candidate, memory = arrived
            candidate = objective.parameterization.retract(candidate)
            loss = objective(candidate)
            # A step cut short by a record says nothing against the width the controller had.
            width = next1 - next0
            width = jnp.where(keep & clipped, jnp.maximum(width, carry.width), width)

            bad = self.diverged(loss) & keep
            stuck = t0 + width <= t0  # the error stays above tolerance at any width: finite-time blow-up
            met = beyond = jnp.zeros_like(bad)
            if self.stop is not None:
                excess, before = self.stop.excess(loss), self.stop.excess(carry.loss)
                short = t0 + (t1 - t0) * (before + _LANDED / 2) / (before - excess)
                beyond = keep & (excess < -_LANDED) & (short > t0) & (short < t1) & (carry.shortened < _PATIENCE)
                width = jnp.where(beyond, short - t0, width)
                keep = keep & ~beyond
                met = keep & (excess <= 0)

            if edge is not None:  # every stage saw the rate before the jump, and the next step starts after it
                jumped = jumped | (t1 >= _before(edge))
                t1 = jnp.where(t1 >= _before(edge), edge, t1)
            new_time = jnp.where(keep, t1, t0)
            accepted = dataclasses.replace(state, theta=candidate, time=new_time, steps=state.steps + 1)
            if state.folds is not None:
                before_step = Moment(theta, carry.loss, state.steps, t0, carry.memory)
                after_step = Moment(candidate, loss, state.steps + 1, t1, memory)
                accepted = dataclasses.replace(accepted, folds=watch.update(state.folds, before_step, after_step))
            new = where(keep, accepted, state)
            integrator = _Integrator(
                width=width,
                memory=where(keep, memory, carry.memory),
                solver=where(keep, solver, carry.solver),
                controller=where(keep | (width < carry.width), adapted, carry.controller),
                jumped=jumped & keep,
                loss=jnp.where(keep, loss, carry.loss),
                attempts=carry.attempts + 1,
                shortened=carry.shortened + beyond.astype(jnp.int32),
            )
            status = jnp.where(met, jnp.int32(Status.CONVERGED), state.status)
            tired = integrator.attempts >= self.max_steps
            status = jnp.where(tired & ~met, jnp.int32(Status.CAPPED), status)
            status = jnp.where(bad | stuck, jnp.int32(Status.DIVERGED), status)
            new = dataclasses.replace(new, carry=integrator, status=status)
            state = where(going, new, state)
            return state, going & (state.status == Status.RUNNING) & (state.time < jnp.minimum(goal, until))

        state, _ = jax.lax.while_loop(
            lambda moving: any_lane(moving[1]), attempt, (state, active & (state.time < goal))
        )
        return state
