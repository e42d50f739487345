r"""Recast: a study's cell as a function of one vector, with the arrays of its problem given and no longer drawn.

    point = (axes, A, y, u)   |->   Run        cell(axes), then A, y for the problem's arrays and u for the direction
    point = (axes, parts, seed)  |->  Run      cell(axes, seed), then other directions of its arrays: `given`

so that a search can move through problems as it moves through scales. Three things are read from the traced cell:

    arrays given   if the problem is linear and the cell leaves the direction to chance, or makes it from axes alone.
                   Where it makes the direction or the law of motion from what it draws (a start beside a saddle of
                   *this* problem), or from an axis that shapes the problem too (a least singular value), another A
                   would leave them behind: there the point is (axes, seed)
    silent axes    those that reach nothing but the arrays that were replaced (a target's norm, an angle). The run does
                   not depend on them, so their coordinate is nan: a claim that reads one says nothing, not something wrong
    silent words   keywords of the cell that are no axis and that the rest of the run does not hear: nan, likewise
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import math
import re
from collections.abc import Container, Mapping, Sequence
from functools import singledispatch
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import Mistake
from .._keys import SeedKey
from ..parameterizations.base import AbstractParameterization
from ..parameterizations.polar import Euclidean, Polar, Sphere
from ..problems.base import AbstractProblem
from ..problems.linear import Linear
from ..sweep.program import cut
from ..sweep.ask.grid import Grid, Labelled
from ..sweep.ask.keywords import defaults
from ..sweep.ask.batch import as_array, is_traced
from ..sweep.program.prepare import Recipe, Run, build_run

LARGE = 512
"""A whole number beyond which it counts steps, and no size."""
ACCURACY = ("rtol", "atol")
"""Of an integrator, as `Flow` calls them: a claim about a flow is about its solution, so they are only made finer."""


@dataclasses.dataclass(frozen=True)
class Form:
    """How a point is laid out: the axes that are heard, then A (by rows), y and u, or else a seed."""

    axes: tuple[str, ...]
    rows: int
    columns: int
    arrays: bool
    silent: frozenset[str] = frozenset()
    """Keywords that are no axis, of which only the replaced arrays were made."""
    parts: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Where A, y and u are not: directions that are given, by name and shape (see `given`)."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        if self.arrays:
            return {"A": (self.rows, self.columns), "y": (self.rows,), "u": (self.columns,)}
        return {**dict(self.parts), "seed": (1,)}

    @property
    def size(self) -> int:
        return len(self.axes) + sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def slices(self) -> dict[str, slice]:
        found, begin = {}, len(self.axes)
        for name, shape in self.shapes.items():
            found[name] = slice(begin, begin + math.prod(shape))
            begin = found[name].stop
        return found

    def unpack(self, point: Any) -> dict[str, Any]:
        """Numbers by axis, and `A`, `y`, `u`, or parts and `seed`; of a NumPy or a traced vector."""
        found = {name: point[i] for i, name in enumerate(self.axes)}
        return found | {name: point[part].reshape(self.shapes[name]) for name, part in self.slices.items()}

    def pack(self, values: Mapping[str, Any]) -> np.ndarray:
        parts = [np.atleast_1d(values[n]).ravel() for n in (*self.axes, *self.slices)]
        return np.concatenate(parts).astype(float)


@dataclasses.dataclass(frozen=True)
class Subject:
    """One grid of a study, apart: words and whole numbers (static), numbers (moved by a search), and settings."""

    recipe: Recipe
    grid: Grid
    settings: Mapping[str, Any]
    predict: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def words(self) -> dict[str, tuple[Any, ...]]:
        return {
            n: v for n, v in self.grid.axes.items() if not is_traced(n, v) or any(isinstance(x, Labelled) for x in v)
        }

    @property
    def numbers(self) -> dict[str, tuple[float, ...]]:
        return {n: v for n, v in self.grid.axes.items() if n not in self.words and not is_seed(n)}

    @property
    def combinations(self) -> list[dict[str, Any]]:
        words = self.words
        return [dict(zip(words, chosen)) for chosen in itertools.product(*words.values())]

    def arguments(self, combination: Mapping[str, Any]) -> dict[str, Any]:
        given = {n: np.asarray(as_array(n, v)) if isinstance(v, Labelled) else v for n, v in combination.items()}
        return {**self.settings, **given}

    def sizes(self, rows: int, columns: int) -> Mapping[str, int]:
        """The cell's own words for the size of its problem, where it has them."""
        known = inspect.signature(self.recipe.cell).parameters
        return {n: v for n, v in (("rows", rows), ("columns", columns)) if n in known and n not in self.words}

    @property
    def keywords(self) -> dict[str, Any]:
        """Every keyword of the cell that is no axis, as these runs are given it."""
        return {n: v for n, v in {**defaults(self.recipe.cell), **self.settings}.items() if n not in self.grid.axes}

    def tiny(self, rows: int, columns: int) -> Subject | None:
        """The study at another size of its problem; None where its cell has no such size.

        What counts entries of the problem (`nonzeros`, a rank) is lowered with it, by halves, until the cell agrees.
        """
        smaller = dataclasses.replace(self, settings={**self.settings, **self.sizes(rows, columns)})
        while True:
            try:
                for combination in smaller.combinations:
                    numbers = {n: float(v[0]) for n, v in self.numbers.items()}
                    jax.make_jaxpr(lambda c=combination, n=numbers: _arrays(smaller.run(c, n)))()
                return smaller
            except Mistake as mistake:
                count = smaller.keywords.get(mistake.field)
                lowers = isinstance(count, int) and count > 1 and mistake.field not in self.sizes(rows, columns)
                if not lowers:
                    return None
                settings = {**smaller.settings, mistake.field: count // 2}
                smaller = dataclasses.replace(smaller, settings=settings)

    def small(self, asked: Container[str]) -> Subject | None:
        """With its sizes at three, or at half where the cell takes no three; None where nothing is lowered."""
        found = self
        for name, value in self.keywords.items():
            if name in asked or isinstance(value, bool) or not isinstance(value, int) or not 3 < value <= LARGE:
                continue
            for less in dict.fromkeys((3, value // 2)):
                other = dataclasses.replace(found, settings={**found.settings, name: less})
                try:
                    other.traces()
                except Exception:  # it takes no such size beside the others
                    continue
                found = other
                break
        return None if found is self else found

    def moving(self, asked: Container[str]) -> Subject:
        """With the floats of the cell as axes, from half of each to twice, where the cell lets them vary; no accuracy is less.

        One that the user asked for by name stays as it is.
        """
        axes, settings = dict(self.grid.axes), dict(self.settings)
        for name, value in self.keywords.items():
            if not isinstance(value, float) or not math.isfinite(value) or value == 0 or name in asked:
                continue
            values = around(value)[: 2 if name in ACCURACY else 3]
            grid = Grid({name: values, **axes}, self.grid.title)
            other = dataclasses.replace(self, grid=grid, settings={n: v for n, v in settings.items() if n != name})
            try:
                other.traces()
            except Exception:  # it is asked for its size, or compared: part of the program
                continue
            axes, settings = dict(other.grid.axes), dict(other.settings)
        return dataclasses.replace(self, grid=Grid(axes, self.grid.title), settings=settings)

    def traces(self) -> None:
        """Raises where the numbers of the cell cannot vary within a program."""
        names = tuple(self.numbers)
        example = [jnp.asarray(v[0], float) for v in self.numbers.values()]
        for combination in self.combinations[:1]:
            jax.make_jaxpr(lambda *v, c=combination: _arrays(self.run(c, dict(zip(names, v)))))(*example)

    def only(self, combination: Mapping[str, Any]) -> Subject:
        axes = {n: (combination[n],) if n in combination else v for n, v in self.grid.axes.items()}
        return dataclasses.replace(self, grid=Grid(axes, self.grid.title))

    def run(self, combination: Mapping[str, Any], numbers: Mapping[str, Any], seed: Any = 0) -> Run:
        return self.run_with(combination, numbers, SeedKey(jnp.asarray(seed)))

    def run_with(self, combination: Mapping[str, Any], numbers: Mapping[str, Any], key: SeedKey) -> Run:
        return build_run(self.recipe.cell, {**self.arguments(combination), **numbers, "key": key})


def around(value: float) -> tuple[float, float, float]:
    """Half and twice; a number between 0 and 1 stays there.

    >>> around(2.0), around(0.9), around(-1.0)
    ((1.0, 2.0, 4.0), (0.45, 0.9, 0.95), (-2.0, -1.0, -0.5))
    """
    high = (1 + value) / 2 if 0.5 < value < 1 else 2 * value
    return tuple(sorted((value / 2, value, high)))


def is_seed(name: str) -> bool:
    return name == "seed" or name.startswith("seed.")


def _arrays(tree: Any) -> list[jax.Array]:
    return [x for x in jax.tree.leaves(tree) if isinstance(x, jax.Array)]


class NotGiven(Exception):
    """Why a part of a run takes no arrays."""


@singledispatch
def with_data(problem: AbstractProblem, A: Any, y: Any) -> AbstractProblem:
    """The problem with these arrays."""
    raise NotGiven(f"{type(problem).__name__} holds no A and y that could be given")


@with_data.register
def _(problem: Linear, A: Any, y: Any) -> Linear:
    if problem.made_from is not None:
        raise NotGiven("y is made from a predictor that the study may ask for")
    # type by type: a loss whose targets are float32 stays so
    A, y = jnp.asarray(A, problem.operator.dtype), jnp.asarray(y, problem.target.dtype)
    return dataclasses.replace(problem, operator=A, target=y)


@singledispatch
def with_direction(parameterization: AbstractParameterization, u: Any) -> AbstractParameterization:
    """The parameterization with this direction of its first weights."""
    raise NotGiven(f"{type(parameterization).__name__} takes no direction")


@with_direction.register(Euclidean)
@with_direction.register(Polar)
@with_direction.register(Sphere)
def _(parameterization: Euclidean | Polar | Sphere, u: Any) -> AbstractParameterization:
    return dataclasses.replace(parameterization, direction=jnp.asarray(u, float))


def with_arrays(run: Run, A: Any, y: Any, u: Any) -> Run:
    """The run with these data and this direction of its first weights."""
    problem, weights = with_data(run.problem, A, y), with_direction(run.parameterization, u)
    return dataclasses.replace(run, problem=problem, parameterization=weights)


def form_of(subject: Subject, rows: int, columns: int) -> tuple[Form, str]:
    """The form of this study's points at one size, and in words why the arrays are given or not."""
    heard: set[str] = set()
    for combination in subject.combinations:
        found: dict[str, Any] = {}
        names = (*subject.numbers, "seed")

        def build(*values, combination=combination, found=found, names=names):
            run = subject.run(combination, dict(zip(names[:-1], values)), values[-1])
            own = [run.parameterization, run.dynamics]
            swapped, refusal = run, None
            try:
                swapped = with_arrays(run, jnp.zeros((rows, columns)), jnp.zeros(rows), jnp.zeros(columns))
            except NotGiven as reason:
                refusal = str(reason)
            parts = [_arrays(t) for t in (own, swapped, run.problem)]
            found.update(refusal=refusal, parts=np.cumsum([len(p) for p in parts]).tolist(), problem=run.problem)
            return [x for part in parts for x in part]

        example = [jnp.asarray(v[0], float) for v in subject.numbers.values()]
        traced = jax.make_jaxpr(build)(*example, jnp.asarray(0))
        depends = cut.dependence(traced, names)
        if found["refusal"]:
            return Form(tuple(subject.numbers), *_drawn_size(found["problem"]), arrays=False), found["refusal"]
        own, swapped, data = (set().union(*d) for d in _cut(depends, found["parts"]))
        both = sorted(swapped & data - {"seed"})
        if "seed" in own or both:
            reason = "the cell makes its start or its law of motion from what it draws"
            if both:
                reason = f"{', '.join(both)} shapes the problem and the rest of the run"
            return Form(tuple(subject.numbers), *_drawn_size(found["problem"]), arrays=False), reason
        heard |= swapped
    silent = frozenset(n for n in subject.keywords if n not in subject.sizes(rows, columns) and not _hears(subject, n))
    axes = tuple(n for n in subject.numbers if n in heard)
    return Form(axes, rows, columns, arrays=True, silent=silent), "A, y and the start are free"


def _hears(subject: Subject, name: str) -> bool:
    """Whether the run, its arrays apart, depends on a number that is no axis: whether another one traces otherwise."""
    value = subject.keywords[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return True
    others = (value + 1, value - 1) if isinstance(value, int) else (1.5 * value, value / 2, value + 1.0)
    for combination in subject.combinations:
        own = _rest(subject, combination, {})
        for other in others:
            try:
                if _rest(subject, combination, {name: other}) != own:
                    return True
            except Mistake:  # the cell takes no such number
                continue
    return False


def _rest(subject: Subject, combination: Mapping[str, Any], changed: Mapping[str, Any]) -> str:
    """The program that builds a run but for its arrays, as text, with everything that is not traced."""
    changed = dataclasses.replace(subject, settings={**subject.settings, **changed})
    kept: list[Any] = []

    def build(*values):
        run = changed.run(combination, dict(zip(changed.numbers, values)))
        weights = with_direction(run.parameterization, jnp.zeros(0))
        leaves, tree = jax.tree.flatten((weights, run.dynamics))
        still = [x for x in leaves if not isinstance(x, jax.Array)]
        kept[:] = [str(tree), repr(still), type(run.problem).__name__]
        return _arrays(leaves)

    traced = jax.make_jaxpr(build)(*(jnp.asarray(v[0], float) for v in changed.numbers.values()))
    rest = cut.split(traced, [False] * len(changed.numbers))[1].part  # only what the rest needs
    literal = [getattr(v, "val", None) for v in rest.jaxpr.outvars]
    data = [np.asarray(c).tolist() for c in rest.consts]
    return re.sub(r" at 0x[0-9a-f]+", "", "\n".join([*kept, str(rest.jaxpr), repr(literal), repr(data)]))


def _cut(items: Sequence[Any], ends: Sequence[int]) -> list[Sequence[Any]]:
    return [items[begin:end] for begin, end in zip([0, *ends], ends)]


def _drawn_size(problem: Any) -> tuple[int, int]:
    operator = getattr(problem, "operator", None)
    return operator.shape if operator is not None else (0, problem.dimension)
