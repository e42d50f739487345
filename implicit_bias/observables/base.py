r"""The seam: an observable is a function of a snapshot; a fold is (init, update, read) over every step.

    observable : Snapshot                  -> array, or a tree of arrays
    fold       : init (Snapshot)           -> carry
                 update (carry, Snapshot before, Snapshot after) -> carry
                 read (carry)              -> array

An observable is measured at the records; only its numbers leave the device. One that costs much is asked for rarely:
`every(8, observable)` at each eighth record, `at_end(observable)` once. Any function of a snapshot will do:

>>> def overshoot(snapshot):
...     return snapshot.theta.g - 1.0

A `Measure` is one that also says what it applies to and what it is called in the dataset.

A snapshot is in the coordinates the user knows, whatever carries the weights. Observables of this package that gain by
it read `snapshot.carried`: norms and distances are the same in the m + 2 numbers of a rewritten run as in all d.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PyTree

from .._charts import AbstractChart, Flat
from .._errors import Mistake
from .._keys import SeedKey
from .._types import Count, Pred, Scalar, Theta
from ..dynamics.base import AbstractDynamics, AbstractWatch, Landscape, Moment, Objective, State
from ..parameterizations.base import AbstractParameterization
from ..problems.base import AbstractProblem


class Prepared(eqx.Module):
    """A run, ready to start: what the cell built, rewritten, with its first weights."""

    problem: AbstractProblem
    parameterization: AbstractParameterization
    dynamics: AbstractDynamics
    theta: Theta
    chart: AbstractChart
    original: AbstractProblem
    """The problem in the coordinates the user knows."""
    penalty: Callable[[Theta], Scalar] | None = None
    key: SeedKey | None = None
    """What the cell received, where an observable draws from it."""

    @property
    def objective(self) -> Objective:
        return Objective(self.problem, self.parameterization, self.chart, self.penalty)

    def snapshot(self, moment: Moment) -> Snapshot:
        return Snapshot(self, moment.theta, moment.loss, moment.steps, moment.time, moment.memory)


class Carried(eqx.Module):
    """One moment in the coordinates of the run's chart. The functions of `_vectors` read vectors of any chart."""

    run: Prepared
    theta: Theta

    @property
    def problem(self) -> AbstractProblem:
        return self.run.problem

    @property
    def pred(self) -> Pred:
        return self.run.parameterization(self.theta)

    @property
    def first(self) -> Theta:
        """The first weights of the run."""
        return self.run.theta


class Snapshot(eqx.Module):
    """One moment of one run, in the coordinates the user knows: weights, predictor, problem."""

    run: Prepared
    held: Theta
    """The weights as the run's chart has them."""
    loss: Scalar
    steps: Count
    time: Scalar
    remembered: PyTree = None
    """The law's memory as the run's chart has it."""

    @property
    def carried(self) -> Carried:
        return Carried(self.run, self.held)

    @property
    def theta(self) -> Theta:
        return self.run.chart.lift(self.held)

    @property
    def first(self) -> Theta:
        """The first weights of the run."""
        return self.run.chart.lift(self.run.theta)

    @property
    def problem(self) -> AbstractProblem:
        return self.run.original

    @property
    def objective(self) -> Scalar:
        """loss + penalty"""
        return self.run.objective.total(self.held)

    @property
    def in_users_coordinates(self) -> Objective:
        """The objective as a function of weights such as `theta`, whatever carries them."""
        return Objective(self.problem, self.parameterization, Flat(), self.run.penalty)

    @property
    def memory(self) -> PyTree:
        """What the law keeps (momentum, the averages of Adam, a field's memory), in the user's coordinates."""
        return self.run.chart.lift_memory(self.remembered)

    def key(self, name: str) -> Key[Array, ""]:
        """A stream of the run's own, the same at every record: fold `steps` into it for a new draw at each."""
        if self.run.key is None:
            raise Mistake("snapshot.key", "is asked for in a run that has no seed", "run the study, which gives it one")
        return self.run.key.stream(f"observable {name}")

    @property
    def velocity(self) -> Theta:
        """d theta/dt along gradient flow at the rates of this moment."""
        landscape, theta = Landscape(self.in_users_coordinates, self.dynamics.rates_at(self.time)), self.theta
        return landscape.tangent(theta, landscape.downhill(theta)[1])

    @property
    def parameterization(self) -> AbstractParameterization:
        return self.run.parameterization

    @property
    def dynamics(self) -> AbstractDynamics:
        return self.run.dynamics

    @property
    def pred(self) -> Pred:
        """The predictor; `x` is another word for it."""
        return self.run.chart.lift(self.carried.pred)

    @property
    def x(self) -> Pred:
        return self.pred


def blocks(theta: Theta) -> set[str]:
    """The names of the uppermost blocks: fields of a NamedTuple or a module, keys of a dict."""
    paths = (path for path, _ in jax.tree_util.tree_flatten_with_path(theta)[0])
    return {str(getattr(path[0], "name", getattr(path[0], "key", ""))) for path in paths if path}


class Measure(eqx.Module):
    """An observable with a definition for the codebook and a word on where it applies."""

    measure: Callable[[Snapshot], PyTree] = eqx.field(static=True)
    definition: str = eqx.field(static=True)
    needs: tuple[str, ...] = eqx.field(static=True, default=())
    """Blocks of theta without which there is nothing to measure: names of fields, or keys."""
    kinds: tuple[type, ...] = eqx.field(static=True, default=())
    """The types of theta that there is something to measure of; any, where none is named."""

    def __call__(self, snapshot: Snapshot) -> PyTree:
        return self.measure(snapshot)

    def applies_to(self, theta: Theta) -> bool:
        return blocks(theta).issuperset(self.needs) and (not self.kinds or isinstance(theta, self.kinds))


class AbstractFold(eqx.Module):
    """Sees every step of descent, and every accepted step of a flow."""

    @abc.abstractmethod
    def init(self, first: Snapshot) -> PyTree: ...

    @abc.abstractmethod
    def update(self, carry: PyTree, before: Snapshot, after: Snapshot) -> PyTree: ...

    @abc.abstractmethod
    def read(self, carry: PyTree) -> Array: ...

    @property
    @abc.abstractmethod
    def definition(self) -> str: ...

    def applies_to(self, theta: Theta) -> bool:
        del theta
        return True


class AtEnd(eqx.Module):
    of: Callable[[Snapshot], PyTree] = eqx.field(static=True)

    def __call__(self, snapshot: Snapshot) -> PyTree:
        return self.of(snapshot)

    @property
    def definition(self) -> str:
        return f"{definition(self.of)}, at the end of the run"

    def applies_to(self, theta: Theta) -> bool:
        return applies_to(self.of, theta)


class Every(eqx.Module):
    stride: int = eqx.field(static=True)
    of: Callable[[Snapshot], PyTree] = eqx.field(static=True)

    def __call__(self, snapshot: Snapshot) -> PyTree:
        return jax.tree.map(lambda x: jnp.asarray(x, dtype=float), self.of(snapshot))

    @property
    def definition(self) -> str:
        when = f"at records 0, {self.stride}, {2 * self.stride}, ... and the last (nan at others)"
        return f"{definition(self.of)}, {when}"

    def applies_to(self, theta: Theta) -> bool:
        return applies_to(self.of, theta)


def at_end(of: Callable[[Snapshot], PyTree]) -> AtEnd:
    """An observable measured once, where the run ends: it has no axis `record`, and costs nothing on the way."""
    _not_a_fold("at_end", of)
    return AtEnd(of)


def every(stride: int, of: Callable[[Snapshot], PyTree]) -> Every:
    """An observable measured at each `stride`-th record and the last, and nan at others, which cost nothing."""
    _not_a_fold("every", of)
    if not isinstance(stride, int) or stride < 1:
        raise Mistake("every", f"needs a whole number of records, got {stride}", "write ib.every(8, observable)")
    return Every(stride, of)


def _not_a_fold(name: str, of: Any) -> None:
    if isinstance(of, (AbstractFold, AtEnd, Every)):
        raise Mistake(name, "is given what says already when it is measured", "give it a function of a snapshot")


Observable = Callable[[Snapshot], PyTree] | Measure | AbstractFold | AtEnd | Every


def has_records(observable: Observable) -> bool:
    """Whether its variables have the axis `record`."""
    return not isinstance(observable, (AbstractFold, AtEnd))


def named(name: str, value: PyTree) -> dict[str, Array]:
    """What was measured, by variable: an array (or a list) as `name`, each array of a tree as `name.key`."""
    leaves = jax.tree_util.tree_flatten_with_path(value, is_leaf=lambda x: type(x) in (list, tuple))[0]
    if not leaves:
        raise Mistake(name, "measures nothing", "return an array, or a tree of arrays")
    return {".".join([name, *map(_word, path)]): jnp.asarray(leaf) for path, leaf in leaves}


def _word(entry: Any) -> str:
    return str(next(v for v in (getattr(entry, a, None) for a in ("name", "key", "idx")) if v is not None))


def joined(parts: Iterable[dict[str, Array]]) -> dict[str, Array]:
    """All of them; a mistake where two have one name."""
    found: dict[str, Array] = {}
    for part in parts:
        if both := sorted(found.keys() & part.keys()):
            raise Mistake("observe, facts", f"have two of the name {both[0]!r}", "rename one of them")
        found |= part
    return found


def applies_to(observable: Observable, theta: Theta) -> bool:
    asked = getattr(observable, "applies_to", None)
    return asked is None or asked(theta)


def definition(observable: Observable) -> str:
    """The line of the codebook."""
    known = getattr(observable, "definition", None)
    return known or (getattr(observable, "__doc__", None) or getattr(observable, "__name__", "")).strip().split("\n")[0]


class Watch(AbstractWatch):
    """The observables of a study, split into records and folds."""

    run: Prepared
    clock: Array
    observe: Mapping[str, Any] = eqx.field(static=True)

    @property
    def _measures(self) -> dict[str, Observable]:
        return {n: o for n, o in self.observe.items() if not isinstance(o, (AbstractFold, AtEnd, Every))}

    @property
    def _folds(self) -> dict[str, AbstractFold]:
        return {n: o for n, o in self.observe.items() if isinstance(o, AbstractFold)}

    def record(self, moment: Moment) -> dict[str, Array]:
        snapshot = self.run.snapshot(moment)
        return joined(named(name, measure(snapshot)) for name, measure in self._measures.items())

    @property
    def seldom(self) -> dict[int, Callable[[Moment], dict[str, Array]]]:
        rare = {n: o for n, o in self.observe.items() if isinstance(o, Every)}

        def at(stride: int) -> Callable[[Moment], dict[str, Array]]:
            def measure(moment: Moment) -> dict[str, Array]:
                snapshot = self.run.snapshot(moment)
                return joined(named(n, o(snapshot)) for n, o in rare.items() if o.stride == stride)

            return measure

        return {stride: at(stride) for stride in sorted({o.stride for o in rare.values()})}

    def at_end(self, moment: Moment) -> dict[str, Array]:
        snapshot = self.run.snapshot(moment)
        return joined(named(n, o(snapshot)) for n, o in self.observe.items() if isinstance(o, AtEnd))

    def results(self, state: State) -> dict[str, Array]:
        """Everything that was asked for, of the state that a run is in."""
        last = {}
        if any(isinstance(o, AtEnd) for o in self.observe.values()):
            theta, memory = self.run.chart.settle(state.theta), self.run.dynamics.remembered(state.carry)
            last = self.at_end(Moment(theta, self.run.objective(theta), state.steps, state.time, memory))
        return joined([state.records, self.read(state.folds), last])

    def begin(self, moment: Moment) -> dict[str, PyTree] | None:
        snapshot = self.run.snapshot(moment)
        return {name: fold.init(snapshot) for name, fold in self._folds.items()} or None

    def update(self, folds: dict[str, PyTree], before: Moment, after: Moment) -> dict[str, PyTree]:
        old, new = self.run.snapshot(before), self.run.snapshot(after)
        return {name: fold.update(folds[name], old, new) for name, fold in self._folds.items()}

    def read(self, folds: dict[str, PyTree] | None) -> dict[str, Array]:
        return joined(named(name, fold.read(folds[name])) for name, fold in self._folds.items())
