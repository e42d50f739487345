r"""The seam: an observable is a function of a snapshot; a fold is (init, update, read) over every step.

    observable : Snapshot                  -> array
    fold       : init (Snapshot)           -> carry
                 update (carry, Snapshot before, Snapshot after) -> carry
                 read (carry)              -> array

An observable is measured at the records; only its numbers leave the device. Any function of a snapshot will do:

>>> def overshoot(snapshot):
...     return snapshot.theta.g - 1.0

A `Measure` is one that also says what it applies to and what it is called in the dataset.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from .._types import Count, Pred, Scalar, Theta
from ..dynamics.base import AbstractDynamics, AbstractWatch, Moment
from ..parameterizations.base import AbstractParameterization
from ..problems.base import AbstractProblem
from ..symmetry import AbstractLift


class Prepared(eqx.Module):
    """A run, ready to start: what the cell built, rewritten, with its first weights."""

    problem: AbstractProblem
    parameterization: AbstractParameterization
    dynamics: AbstractDynamics
    theta: Theta
    lift: AbstractLift

    def snapshot(self, moment: Moment) -> Snapshot:
        return Snapshot(self, moment.theta, moment.loss, moment.steps, moment.time)


class Snapshot(eqx.Module):
    """One moment of one run. `pred` is in the coordinates of `problem`; `x` is in the coordinates the user knows."""

    run: Prepared
    theta: Theta
    loss: Scalar
    steps: Count
    time: Scalar

    @property
    def problem(self) -> AbstractProblem:
        return self.run.problem

    @property
    def parameterization(self) -> AbstractParameterization:
        return self.run.parameterization

    @property
    def dynamics(self) -> AbstractDynamics:
        return self.run.dynamics

    @property
    def pred(self) -> Pred:
        return self.parameterization(self.theta)

    @property
    def x(self) -> Pred:
        return self.run.lift(self.pred)


class Measure(eqx.Module):
    """An observable with a definition for the codebook and a word on where it applies."""

    measure: Callable[[Snapshot], Array] = eqx.field(static=True)
    definition: str = eqx.field(static=True)
    needs: tuple[str, ...] = eqx.field(static=True, default=())
    """Fields of theta without which there is nothing to measure."""

    def __call__(self, snapshot: Snapshot) -> Array:
        return self.measure(snapshot)

    def applies_to(self, theta: Theta) -> bool:
        return all(hasattr(theta, name) for name in self.needs)


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
