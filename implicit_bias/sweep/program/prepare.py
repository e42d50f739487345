r"""Prepare: what a cell builds, traced once, and cut where the seed's work ends.

A cell is a pure function of named scalars. It is traced to one flat program; then

    axes on which the problem depends        *shared*: one value a block (a seed, a spectrum)
    equations that see only shared axes      run once per shared value (one SVD a seed, not one a run)
    everything else                          runs in the block, once per lane, from the results of the first part

Dependence is read from the traced program, so nothing has to be declared.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend import core
from jaxtyping import Array, Key

from ..._errors import Mistake
from ..._keys import SeedKey
from ..._types import Requirements, Scalar, Theta
from ...dynamics import schedules
from ...dynamics.base import AbstractDynamics, AbstractPenalty, Moment, scale_by_label
from ...observables.base import AbstractFold, Measure, Prepared, Snapshot, applies_to, joined, named
from ...parameterizations.base import AbstractParameterization
from ...problems.base import AbstractProblem
from ...symmetry import rewrite
from . import cut
from .cost import Cost, cost_of
from .powers import by_powers
from ..ask.records import Records


class Run(eqx.Module):
    """One point of a grid: what a cell returns."""

    problem: AbstractProblem
    parameterization: AbstractParameterization
    dynamics: AbstractDynamics
    penalty: Callable[[Theta], Scalar] | None = None
    """A term of the objective beside the loss: `ib.weight_decay(rate)`, or any function of the weights."""


Fact = Callable[[Snapshot], Array]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a study asks of each run."""

    cell: Callable[..., Run]
    facts: Mapping[str, Fact]
    observe: Mapping[str, Any]
    records: Records


class Built(eqx.Module):
    """Everything that is known of a run before its first step."""

    prepared: Prepared
    clock: Array
    facts: dict[str, Array]
    holds: Array
    """Whether each requirement holds, in the order of `Traced.requirements`."""


@dataclasses.dataclass(frozen=True)
class Traced:
    """A cell at one choice of its static axes."""

    jaxpr: core.ClosedJaxpr
    axes: tuple[str, ...]
    shared: tuple[str, ...]
    rebuild: Callable[[Sequence[Any]], Built]
    requirements: tuple[tuple[str, str, str], ...]
    requirement_output: int
    rewriting: str
    dynamics_name: str
    unit: str
    depends: Mapping[str, tuple[str, ...]]
    """For each fact and for `clock`: the axes it depends on."""
    observe: Mapping[str, Any]
    """The observables that apply."""
    step: Cost
    """Of what a step computes, for one run."""
    most_steps: int

    @property
    def lanes(self) -> tuple[str, ...]:
        return tuple(a for a in self.axes if a not in self.shared)


def make_key(values: dict[str, Array]) -> SeedKey:
    overrides = {name.removeprefix("seed."): values.pop(name) for name in list(values) if name.startswith("seed.")}
    return SeedKey(values.pop("seed", jnp.zeros((), dtype=int)), overrides)


def _leaves_start(prepared: Prepared) -> Requirements:
    """A run that starts where its gradient is exactly zero, with loss left, never moves: a saddle, not a result."""
    loss, gradient = prepared.objective.value_and_gradient(prepared.theta)
    largest = {
        label: jnp.stack([jnp.asarray(r) for r in schedules.values(rate)] or [jnp.ones(())]).max()
        for label, rate in prepared.dynamics.rate_of.items()
    }
    gradient = scale_by_label(prepared.parameterization, largest, gradient)
    moves = jnp.stack([jnp.any(leaf != 0) for leaf in jax.tree.leaves(gradient)]).any()
    return {
        (
            "scale",
            "starts the run on a stationary point that it cannot leave",
            "give a scale other than 0 (or a ratio above 0, so that g can move)",
        ): moves | (loss == 0) | ~jnp.isfinite(loss)
    }


class _Noted(SeedKey):
    """A key that tells when a stream of it is asked for."""

    tell: Callable[[str], None] = eqx.field(static=True, kw_only=True)

    def stream(self, name: str) -> Key[Array, ""]:
        self.tell(name)
        return super().stream(name)


def _draws(prepared: Prepared, key: SeedKey, loss: Scalar, observe: Mapping[str, Any]) -> bool:
    """Whether an observable asks for a stream of the run: only then the seed is an input of the loops."""
    asked: list[str] = []
    noted = dataclasses.replace(prepared, key=_Noted(key.seed, key.overrides, tell=asked.append))

    def measured() -> list[Any]:
        held = prepared.dynamics.hold(prepared.objective, prepared.theta)
        memory = prepared.dynamics.first_memory(prepared.objective, held)
        start = noted.snapshot(Moment(prepared.theta, loss, jnp.zeros((), jnp.int32), jnp.zeros(()), memory))
        own = [o for o in observe.values() if not isinstance(o, Measure)]  # those of the package do not draw
        return [_looked(o, start) for o in own]

    jax.eval_shape(measured)
    return bool(asked)


def _looked(observable: Any, snapshot: Snapshot) -> Any:
    if not isinstance(observable, AbstractFold):
        return observable(snapshot)
    return observable.update(observable.init(snapshot), snapshot, snapshot)


def build_run(cell: Callable[..., Run], arguments: dict[str, Any]) -> Run:
    """What a cell returns; it is given a key only if it takes one."""
    if "key" not in inspect.signature(cell).parameters:
        arguments = {name: value for name, value in arguments.items() if name != "key"}
    run = cell(**arguments)
    if not isinstance(run, Run):
        raise Mistake("cell", f"returned {type(run).__name__}", "return ib.Run(problem, parameterization, dynamics)")
    return run


NOT_OF_AN_AXIS = (
    jax.errors.TracerArrayConversionError, jax.errors.TracerIntegerConversionError, jax.errors.ConcretizationTypeError,
)  # fmt: skip


def _not_of_an_axis(error: Exception, cell: Callable[..., Run], axes: Sequence[str]) -> Mistake:
    """What a cell does with an axis that can be done with a number alone, with the line of it."""
    source = inspect.unwrap(cell).__code__.co_filename
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == source]
    place = f"{Path(source).name}:{lines[-1]}: " if lines else ""
    blamed = {axes[int(k)] for k in re.findall(r"values\[(\d+)\]", str(error))}
    names = ", ".join(name for name in axes if name in blamed or not blamed)
    return Mistake(
        "cell",
        f"{place}NumPy, float(), `if` or an index by {names}, which is an axis here",
        "use jax.numpy and jnp.where, which take numbers and axes",
    )


def trace(recipe: Recipe, statics: Mapping[str, Any], axes: Mapping[str, jax.ShapeDtypeStruct]) -> Traced:
    """Trace a cell: `axes` are its traced axes by name, with the shape and dtype of one value."""
    found: dict[str, Any] = {}

    def build(*values: Array) -> list[Array]:
        given = dict(zip(axes, values))
        key = make_key(given)
        try:
            run = build_run(recipe.cell, {**statics, **given, "key": key})
        except NOT_OF_AN_AXIS as error:
            raise _not_of_an_axis(error, recipe.cell, tuple(axes)) from error
        theta = run.parameterization.init(run.problem, key)
        new = rewrite(run.problem, run.parameterization, run.dynamics, theta, run.penalty)
        clock, folds = recipe.records(run.dynamics), any(isinstance(o, AbstractFold) for o in recipe.observe.values())
        dynamics, name = by_powers(run, new, clock.shape[0], folds)
        prepared = Prepared(new.problem, run.parameterization, dynamics, new.theta, new.chart, new.original, run.penalty)
        loss = prepared.objective(new.theta)
        keyed = dataclasses.replace(prepared, key=key)
        start = keyed.snapshot(Moment(new.theta, loss, jnp.zeros((), jnp.int32), jnp.zeros(())))
        if _draws(prepared, key, loss, {n: o for n, o in recipe.observe.items() if applies_to(o, new.theta)}):
            prepared = keyed
        asked = (
            run.problem.requirements()
            | run.parameterization.requirements()
            | run.dynamics.requirements(run.parameterization, theta)
            | (run.penalty.requirements() if isinstance(run.penalty, AbstractPenalty) else {})
            | _leaves_start(prepared)
        )
        built = Built(
            prepared=prepared,
            clock=clock,
            facts=joined(named(name, fact(start)) for name, fact in recipe.facts.items()),
            holds=jnp.stack([jnp.asarray(flag) for flag in asked.values()]),
        )
        arrays, static = eqx.partition(built, eqx.is_array)
        leaves, treedef = jax.tree.flatten(arrays)
        objective = prepared.objective
        step = jax.make_jaxpr(lambda theta: dynamics.once(objective, dynamics.hold(objective, theta)))(new.theta)
        found.update(treedef=treedef, static=static, asked=tuple(asked), rewriting=name, theta=new.theta, run=run)
        found.update(step=cost_of(step.jaxpr), most_steps=dynamics.rounds(clock.shape[0]))
        return [jnp.asarray(leaf) for leaf in leaves]  # a number of NumPy's counts as an array

    jaxpr = jax.make_jaxpr(build)(*axes.values())
    treedef, static = found["treedef"], found["static"]

    def rebuild(leaves: Sequence[Any]) -> Built:
        return eqx.combine(jax.tree.unflatten(treedef, leaves), static)

    depends = cut.dependence(jaxpr, tuple(axes))
    of = rebuild([_Axes(d) for d in depends])
    shared = {a for leaf in jax.tree.leaves(of.prepared.problem) if isinstance(leaf, _Axes) for a in leaf.axes}
    run = found["run"]
    return Traced(
        jaxpr=jaxpr,
        axes=tuple(axes),
        shared=tuple(a for a in axes if a in shared),
        rebuild=rebuild,
        requirements=found["asked"],
        requirement_output=rebuild(list(range(len(depends)))).holds,
        rewriting=found["rewriting"],
        dynamics_name=run.dynamics.name,
        unit=run.dynamics.unit,
        depends={name: fact.axes for name, fact in of.facts.items()} | {"clock": of.clock.axes},
        observe={name: o for name, o in recipe.observe.items() if applies_to(o, found["theta"])},
        step=found["step"],
        most_steps=found["most_steps"],
    )


@dataclasses.dataclass(frozen=True)
class _Axes:
    """In the place of an array: the axes it depends on."""

    axes: tuple[str, ...]
