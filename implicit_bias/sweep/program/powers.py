r"""A linear law by powers: from record to record, or to the step at which a run stops, in as many operations as n has digits.

Least squares in singular coordinates with the weights themselves as x. Under gradient descent, momentum and coupled decay
a step is affine there, and leaves each coordinate to itself: with z the coordinate and what the law remembers of it,

    z' = M z + c,      z_n = M^n z_0 + (1 + M + ... + M^(n-1)) c,

which is composed from the maps of 1, 2, 4, 8, ... steps, by the digits of n from the first. The bits of a run are those of
its records: each is reached from the one before, wherever a segment has paused between them.

A threshold of a loss that cannot rise is bracketed by the same digits: the largest n at which it is not met yet. That is
gradient descent with |M| <= 1 in each coordinate, whose residual M multiplies. Other runs that stop are stepped (decay
may take a residual through zero to the other side), as are all whose records are closer than digits. The orthogonal part
of x, which no datum sees, is multiplied by one number a step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..._results import Status
from ..._types import Count, Flag, Scalar, Theta
from ...dynamics.base import AbstractDynamics, AbstractWatch, Objective, State, where
from ...dynamics.descent import Descent
from ...dynamics.laws import gradient_descent
from ...dynamics.stopping import LossBelow
from ...parameterizations.polar import Euclidean, EuclideanWeights
from ...symmetry.base import DiagonalLeastSquares, Rewriting
from ...symmetry.row_space import Coordinates, Moving, View

Rows = Float[Array, "kept coordinates"]
"""Of each coordinate, and last of the orthogonal part: the weight, and what the law remembers."""


class Affine(eqx.Module):
    """z -> matrix z + shift, coordinate by coordinate."""

    matrix: Float[Array, "kept kept coordinates"]
    shift: Rows

    @classmethod
    def of(cls, function: Callable[[Rows], Rows], kept: int, coordinates: int) -> Affine:
        zero = jnp.zeros((kept, coordinates))
        columns = [jax.jvp(function, (zero,), (zero.at[j].set(1.0),))[1] for j in range(kept)]
        return cls(jnp.stack(columns, axis=1), function(zero))

    def __call__(self, z: Rows) -> Rows:
        return (self.matrix * z[None]).sum(1) + self.shift

    def twice(self) -> Affine:
        return Affine((self.matrix[:, :, None] * self.matrix[None]).sum(1), self(self.shift))


class Powers(Descent):
    """`Descent` of a law that is linear here: it travels by powers of its step."""

    def rounds(self, records: int) -> int:
        return 2 * records * self.max_steps.bit_length() if self.stop is None else self.max_steps

    def travel(
        self, objective: Objective, state: State, active: Flag, goal: Array, until: Array, watch: AbstractWatch
    ) -> State:
        end = jnp.minimum(goal, until)
        going = active & (state.steps < end)
        last = jnp.maximum(state.next_record - 1, 0)
        since = jnp.where(state.next_record > 0, watch.clock[last], 0)  # the step of `recorded`
        theta, memory = state.recorded
        step = self._affine(objective, theta, memory)
        start = self._rows(theta, memory)
        _, maps = jax.lax.scan(lambda one, _: (one.twice(), one), step, None, length=self.max_steps.bit_length())
        lengths = 2 ** jnp.arange(self.max_steps.bit_length(), dtype=state.steps.dtype)
        z, n = _reached(maps, lengths, start, end - since)
        z = self._kept(start, z)
        if self.stop is None:
            return self._arrived(state, going, theta, z, n, since, step)

        # whatever `until` is, so that segments find the same step, and the point that was seen to meet the rule
        hit, found = _first_met(maps, lengths, start, goal - since, lambda z: self.stop.met(_loss(objective, z)))
        stops = found <= end - since
        z, n = where(stops, (hit, found), (z, n))
        # the loss of a coordinate falls by the square of its multiplier
        falls = jnp.all(abs(step.matrix[..., :-1]) <= 1) & ~self.diverged(_loss(objective, start))
        leapt = self._arrived(state, going & falls, theta, z, n, since, step)
        status = jnp.where(going & falls & stops, jnp.int32(Status.CONVERGED), leapt.status)
        leapt = dataclasses.replace(leapt, status=status)
        return super().travel(objective, leapt, active & ~falls, goal, until, watch)

    def _kept(self, start: Rows, z: Rows) -> Rows:
        """What has moved by rounding alone has not moved: steps come to rest in a number, powers all about it.

        Of the coordinates that the data see; the last one is another's.
        """
        rounding = 8 * jnp.finfo(z.dtype).eps * jnp.max(abs(start[0, :-1]))
        allowed = jnp.full(len(z), rounding / self.step).at[0].set(rounding)  # what is remembered is worth a step of it
        rest = (abs(z - start) <= allowed[:, None])[:, :-1].all()
        return z.at[:, :-1].set(jnp.where(rest, start[:, :-1], z[:, :-1]))

    def _arrived(
        self, state: State, going: Flag, theta: Theta, z: Rows, n: Count, since: Count, step: Affine
    ) -> State:
        """`n` steps after the last record."""
        log, sign, perp = theta.x.log, theta.x.sign, z[0, -1]
        if self.law.relative:
            times = step.matrix[0, 0, -1]
            sign = jnp.where(n % 2 == 1, jnp.sign(times), jnp.where(n > 0, abs(jnp.sign(times)), 1.0)) * sign
            log = log + jnp.where(n > 0, n.astype(log.dtype) * jnp.log(abs(times)), 0.0)
        else:
            sign, log = jnp.sign(perp), jnp.log(abs(perp))
        held = EuclideanWeights(Moving(z[0, :-1], sign, log, jnp.ones_like(log)))
        steps = since + n
        moved = (held, self._remembered(state.carry, z[1:]), self._time(steps - 1, state.time), steps)
        theta, carry, time, steps = where(going, moved, (state.theta, state.carry, state.time, state.steps))
        return dataclasses.replace(state, theta=theta, carry=carry, time=time, steps=steps)

    # -- weights and memory as rows ---------------------------------------------------------------------------------

    def _rows(self, theta: Theta, memory: PyTree) -> Rows:
        perp = jnp.zeros_like(theta.x.log) if self.law.relative else theta.x.sign * jnp.exp(theta.x.log)
        return jnp.stack([_row(View(theta.x.row, perp)), *map(_row, _views(memory))])

    def _remembered(self, carry: PyTree, rows: Rows) -> PyTree:
        views = iter([View(row[:-1], row[-1]) for row in rows])
        return jax.tree.map(lambda x: next(views) if isinstance(x, View) else x, carry, is_leaf=_is_view)

    def _affine(self, objective: Objective, theta: Theta, memory: PyTree) -> Affine:
        rule = self.begin(objective, objective.chart.hold(theta))

        def gradient_at(point: EuclideanWeights) -> EuclideanWeights:
            slope = jax.grad(lambda row: objective.problem.loss(Coordinates(row, jnp.zeros(()))))(point.x.row)
            return EuclideanWeights(View(slope, jnp.zeros(())))

        def step(z: Rows) -> Rows:
            point = EuclideanWeights(View(z[0, :-1], z[0, -1]))
            direction, after = self.law.step(gradient_at, point, self._remembered(rule, z[1:]), None)
            moved = jax.tree.map(lambda w, d: w - self.step * d, point, direction)
            return jnp.stack([_row(moved.x), *map(_row, _views(after))])

        return Affine.of(step, 1 + len(_views(memory)), theta.x.row.shape[0] + 1)


def _is_view(x: object) -> bool:
    return isinstance(x, View)


def _views(memory: PyTree) -> list[View]:
    return [x for x in jax.tree.leaves(memory, is_leaf=_is_view) if isinstance(x, View)]


def _row(view: View) -> Array:
    return jnp.concatenate([view.row, view.perp[None]])


def _loss(objective: Objective, z: Rows) -> Scalar:
    return objective.problem.loss(Coordinates(z[0, :-1], jnp.zeros(())))


def _reached(maps: Affine, lengths: Array, z: Rows, far: Count) -> tuple[Rows, Count]:
    """z_n of n = `far`, digit by digit, and n."""

    def digit(at: tuple[Rows, Count], power: tuple[Affine, Count]) -> tuple[tuple[Rows, Count], None]:
        (z, n), (jump, length) = at, power
        return where(n + length <= far, (jump(z), n + length), (z, n)), None

    return jax.lax.scan(digit, (z, jnp.zeros_like(lengths[0])), (maps, lengths), reverse=True)[0]


def _first_met(
    maps: Affine, lengths: Array, start: Rows, far: Count, met: Callable[[Rows], Flag]
) -> tuple[Rows, Count]:
    """The first z_n up to `far` that meets a rule which all later ones meet, and n; a large n where there is none.

    Digits find the last one that does not: the last that was left out because it did is the next.
    """
    none = jnp.full_like(lengths[0], jnp.iinfo(lengths.dtype).max)

    def digit(at: tuple[Any, Any], power: tuple[Affine, Count]) -> tuple[tuple[Any, Any], None]:
        ((z, n), hit), (jump, length) = at, power
        new = jump(z), n + length
        inside, is_met = new[1] <= far, met(new[0])
        return (where(inside & ~is_met, new, (z, n)), where(inside & is_met, new, hit)), None

    first = (start, jnp.zeros_like(none)), (start, jnp.where(met(start), 0, none))
    return jax.lax.scan(digit, first, (maps, lengths), reverse=True)[0][1]


def by_powers(run: Any, new: Rewriting, records: int, folds: bool) -> tuple[AbstractDynamics, str]:
    """A run's dynamics, as `Powers` where they are linear in the coordinates of `new` and that saves steps; what to call it."""
    dynamics, as_it_is = run.dynamics, (run.dynamics, new.name)
    if type(dynamics) is not Descent or dynamics.stepped or not dynamics.law.linear:
        return as_it_is
    plain = not callable(dynamics.step) and not dynamics.rates and dynamics.batch is None and run.penalty is None
    here = isinstance(new.problem, DiagonalLeastSquares) and type(run.parameterization) is Euclidean
    leaps = dynamics.max_steps >= 4 * records * dynamics.max_steps.bit_length()
    falls = type(dynamics.stop) is LossBelow and dynamics.law == gradient_descent()
    if not (plain and here and leaps and not folds and (dynamics.stop is None or falls)):
        return as_it_is
    powers = Powers(**{field.name: getattr(dynamics, field.name) for field in dataclasses.fields(dynamics)})
    return powers, f"{new.name}, by powers of a step"
