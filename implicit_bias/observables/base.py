r"""The seam: an observable is a function of a snapshot; a fold is (init, update, read) over every step.

    observable : Snapshot                  -> array
    fold       : init (Snapshot)           -> carry
                 update (carry, Snapshot before, Snapshot after) -> carry
                 read (carry)              -> array

An observable is measured at the records; only its numbers leave the device. Any function of a snapshot will do:

>>> def overshoot(snapshot):
...     return snapshot.theta.g - 1.0

A `Measure` is one that also says what it applies to and what it is called in the dataset.

A snapshot is in the coordinates the user knows, whatever carries the weights. Observables of this package that gain by
it read `snapshot.carried`: norms and distances are the same in the m + 2 numbers of a rewritten run as in all d.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from .._charts import AbstractChart
from .._types import Count, Pred, Scalar, Theta
from ..dynamics.base import AbstractDynamics, AbstractWatch, Moment, Objective
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

    @property
    def objective(self) -> Objective:
        return Objective(self.problem, self.parameterization, self.chart, self.penalty)

    def snapshot(self, moment: Moment) -> Snapshot:
        return Snapshot(self, moment.theta, moment.loss, moment.steps, moment.time)


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

    measure: Callable[[Snapshot], Array] = eqx.field(static=True)
    definition: str = eqx.field(static=True)
    needs: tuple[str, ...] = eqx.field(static=True, default=())
    """Blocks of theta without which there is nothing to measure: names of fields, or keys."""
    kinds: tuple[type, ...] = eqx.field(static=True, default=())
    """The types of theta that there is something to measure of; any, where none is named."""

    def __call__(self, snapshot: Snapshot) -> Array:
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


Observable = Callable[[Snapshot], Array] | Measure | AbstractFold


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
        return {n: o for n, o in self.observe.items() if not isinstance(o, AbstractFold)}

    @property
    def _folds(self) -> dict[str, AbstractFold]:
        return {n: o for n, o in self.observe.items() if isinstance(o, AbstractFold)}

    def record(self, moment: Moment) -> dict[str, Array]:
        snapshot = self.run.snapshot(moment)
        return {name: jnp.asarray(measure(snapshot)) for name, measure in self._measures.items()}

    def begin(self, moment: Moment) -> dict[str, PyTree] | None:
        snapshot = self.run.snapshot(moment)
        return {name: fold.init(snapshot) for name, fold in self._folds.items()} or None

    def update(self, folds: dict[str, PyTree], before: Moment, after: Moment) -> dict[str, PyTree]:
        old, new = self.run.snapshot(before), self.run.snapshot(after)
        return {name: fold.update(folds[name], old, new) for name, fold in self._folds.items()}

    def read(self, folds: dict[str, PyTree] | None) -> dict[str, Array]:
        return {name: fold.read(folds[name]) for name, fold in self._folds.items()}
