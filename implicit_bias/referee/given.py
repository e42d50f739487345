r"""Given: directions in the place of what a run has drawn, of its data and of its first weights, at the sizes that it drew.

    array  |->  |array| direction / |direction|           so that an axis (a scale, a condition, a norm) keeps its meaning

Which arrays are free is found by trying: those that differ from seed to seed, whose direction no axis and no number of
the cell changes, and that share no stream of random numbers with an array of another group: what is made from another
array (a start from the data, a certificate from the truth) would be left behind. First weights that are made for each other
(balanced layers) stay as drawn, too: a claim may lean on it without a slack.

    directions       problem          -> its arrays by name                 by type: a problem of your own registers both
    with_directions  problem, given   -> the problem with these directions
    started          parameterization -> the same, with first weights of these directions; for any parameterization
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import singledispatch
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._keys import SeedKey
from ..parameterizations.base import AbstractParameterization
from ..problems.base import AbstractProblem
from ..problems.linear import Linear
from ..problems.losses import SEPARABLE
from ..problems.matrix import MatrixSensing
from ..problems.supervised import Supervised

MOST = 4096
"""Numbers of all given arrays: beyond, only what the axes and the seed say is searched."""

Given = Mapping[str, Any]


def _sized(direction: Any, like: Any) -> Any:
    """The direction, as long as another array."""
    length = jnp.sqrt(jnp.sum(direction**2))
    return direction * (jnp.sqrt(jnp.sum(like**2)) / jnp.where(length > 0, length, 1.0))


# -- data --------------------------------------------------------------------------------------------------------------


@singledispatch
def directions(problem: AbstractProblem) -> dict[str, Any]:
    """The arrays of a problem that may be given; of a kind that is not known, none."""
    del problem
    return {}


@singledispatch
def with_directions(problem: AbstractProblem, given: Given) -> AbstractProblem:
    """The problem with these directions of its arrays; one that is not given stays."""
    del given
    return problem


def _least(problem: Linear) -> Any:
    """pinv(A) y"""
    A = problem.operator
    return A.T @ jnp.linalg.solve(A @ A.T, problem.target)


@directions.register
def _(problem: Linear) -> dict[str, Any]:
    return {"A": problem.operator, "x": _least(problem) if problem.made_from is None else problem.made_from}


@with_directions.register
def _(problem: Linear, given: Given) -> Linear:
    own = directions(problem)
    A = _sized(given["A"], own["A"]) if "A" in given else own["A"]
    x = _sized(given["x"], own["x"]) if "x" in given else own["x"]
    new = dataclasses.replace(problem, operator=A)
    if problem.of_predictions in SEPARABLE:
        return dataclasses.replace(new, target=jnp.where(A @ x >= 0, 1.0, -1.0))
    if problem.made_from is not None:  # with the noise that was drawn
        noise = problem.target - problem.operator @ problem.made_from
        return dataclasses.replace(new, target=A @ x + noise, made_from=x)
    new = dataclasses.replace(new, target=A @ x)
    return dataclasses.replace(new, target=A @ _sized(_least(new), own["x"]))


@directions.register
def _(problem: MatrixSensing) -> dict[str, Any]:
    own = {} if problem.operator is None else {"A": problem.operator}
    own["left"] = problem.left
    return own if problem.weight == 0.5 else {**own, "right": problem.right}


@with_directions.register
def _(problem: MatrixSensing, given: Given) -> MatrixSensing:
    noise = problem.target - problem.predictions(problem.truth)
    left = _sized(given["left"], problem.left) if "left" in given else problem.left
    right = _sized(given["right"], problem.right) if "right" in given else problem.right
    right = left if problem.weight == 0.5 else right
    A = _sized(given["A"], problem.operator) if "A" in given else problem.operator
    new = dataclasses.replace(problem, operator=A, left=left, right=right)
    return dataclasses.replace(new, target=new.predictions(new.truth) + noise)


@directions.register
def _(problem: Supervised) -> dict[str, Any]:
    floats = jnp.issubdtype(problem.targets.dtype, jnp.floating)
    return {"inputs": problem.inputs, **({"targets": problem.targets} if floats else {})}


@with_directions.register
def _(problem: Supervised, given: Given) -> Supervised:
    inputs = _sized(given["inputs"], problem.inputs) if "inputs" in given else problem.inputs
    targets = _sized(given["targets"], problem.targets) if "targets" in given else problem.targets
    return dataclasses.replace(problem, inputs=inputs, targets=targets)


# -- first weights -----------------------------------------------------------------------------------------------------


def started(parameterization: AbstractParameterization, given: Mapping[int, Any]) -> AbstractParameterization:
    """The parameterization with these directions of some arrays of its first weights, counted as jax.tree does."""
    kind = type(parameterization)

    class Started(kind):
        given: Any = None

        def init(self, problem, key):
            leaves, tree = jax.tree.flatten(kind.init(self, problem, key))
            leaves = [_sized(self.given[i], x) if i in self.given else x for i, x in enumerate(leaves)]
            return jax.tree.unflatten(tree, leaves)

    Started.__name__ = Started.__qualname__ = kind.__name__
    new = object.__new__(Started)
    for field in dataclasses.fields(parameterization):
        object.__setattr__(new, field.name, getattr(parameterization, field.name))
    object.__setattr__(new, "given", dict(given))
    return new


def first_weights(run: Any, seed: Any) -> Any:
    return run.parameterization.init(run.problem, SeedKey(jnp.asarray(seed)))


START = "start "


def arrays_of(run: Any, key: SeedKey) -> dict[str, Any]:
    """Every array of a run that may be given, by name."""
    theta = jax.tree.leaves(run.parameterization.init(run.problem, key))
    return {**directions(run.problem), **{f"{START}{i}": leaf for i, leaf in enumerate(theta)}}


def with_given(run: Any, given: Given) -> Any:
    """The run with these directions."""
    starts = {int(n.removeprefix(START)): v for n, v in given.items() if n.startswith(START)}
    weights = started(run.parameterization, starts) if starts else run.parameterization
    return dataclasses.replace(run, problem=with_directions(run.problem, given), parameterization=weights)


# -- which are free ----------------------------------------------------------------------------------------------------


def _unit(array: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(array)
    return array / size if size > 0 else array


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(np.allclose(_unit(a), _unit(b), rtol=0, atol=1e-9, equal_nan=True))


class _Listening(SeedKey):
    tell: Callable[[str], None] = eqx.field(static=True, kw_only=True)

    def stream(self, name: str) -> Any:
        self.tell(name)
        return super().stream(name)


@dataclasses.dataclass(frozen=True)
class Free:
    """The arrays that may be given, with their shapes, and draws of them by the study itself."""

    shapes: Mapping[str, tuple[int, ...]]
    draws: Sequence[Mapping[str, np.ndarray]]
    """At the seeds 0, 1, ..."""
    why: str
    """Why some are not free, or ""."""


def free_arrays(
    make: Callable[[Mapping[str, Any], SeedKey], Any], numbers: Mapping[str, Sequence[float]], *, draws: int = 12
) -> Free:
    """What of `make(numbers, key)` may be given, as the docstring of this file says."""
    heard: list[str] = []
    base = {n: float(v[0]) for n, v in numbers.items()}
    jax.eval_shape(lambda: arrays_of(*_made(make, base, _Listening(jnp.asarray(0), tell=heard.append))))
    streams = list(dict.fromkeys(heard))

    @jax.jit
    def at(values, seed, own):
        key = SeedKey(seed, dict(zip(streams, own)))
        return arrays_of(*_made(make, values, key))

    def arrays(values: Mapping[str, float], seed: int, **other: int) -> dict[str, np.ndarray]:
        own = [jnp.asarray(other.get(s, seed)) for s in streams]
        return {n: np.asarray(a) for n, a in at(dict(values), jnp.asarray(seed), own).items()}

    drawn = [arrays(base, s) for s in range(draws)]
    first = drawn[0]
    floats = {n for n, a in first.items() if a.dtype.kind == "f" and a.size > 1}
    varies = {n for n in floats if not all(_same(d[n], first[n]) for d in drawn[1:])}
    moved = set()
    for name, values in numbers.items():
        for value in {float(v) for v in values} - {base[name]}:
            other = arrays({**base, name: value}, 0)
            moved |= {n for n in varies if not _same(other[n], first[n])}
    of = {n: set() for n in varies}
    for s in streams:
        other = arrays(base, 0, **{s: 1})
        for n in varies:
            if not _same(other[n], first[n]):
                of[n].add(s)
    shared = {a for a in varies for b in varies if _group(a) != _group(b) and of[a] & of[b]}
    sparse = {n for n in varies if not n.startswith(START) and n != "x" and np.mean(first[n] == 0) > 0.5}
    tied = {n for pair in itertools.combinations(sorted(filter(_is_start, varies)), 2) if _tied(*pair, drawn) for n in pair}
    free = sorted(varies - moved - shared - sparse - tied)
    while sum(first[n].size for n in free) > MOST:
        free.remove(max(free, key=lambda n: first[n].size))
    fixed = sorted(varies - set(free))
    why = f"as drawn: {', '.join(fixed)}" if fixed else ""
    return Free({n: first[n].shape for n in free}, [{n: d[n] for n in free} for d in drawn], why)


def _made(make: Callable, values: Mapping[str, Any], key: SeedKey) -> tuple[Any, SeedKey]:
    return make(values, key), key


def _tied(one: str, other: str, draws: Sequence[Mapping[str, np.ndarray]]) -> bool:
    """Whether the slices of two arrays have sizes in one ratio in every draw, and not all the same size: what the units of a
    layer read and what they write where it is balanced, a layer and its transpose."""

    def sizes(array: np.ndarray, axis: int) -> np.ndarray:
        return _unit(np.linalg.norm(np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1), axis=1))

    for i, j in itertools.product(range(draws[0][one].ndim), range(draws[0][other].ndim)):
        pairs = [(sizes(d[one], i), sizes(d[other], j)) for d in draws]
        if all(_same(a, b) for a, b in pairs) and any(np.ptp(a) > 1e-6 for a, _ in pairs):
            return True
    return False


def _is_start(name: str) -> bool:
    return name.startswith(START)


def _group(name: str) -> str:
    """Arrays that are given together: a linear problem's A and x, all first weights, and others each alone."""
    if _is_start(name):
        return START
    return "data" if name in ("A", "x") else name
