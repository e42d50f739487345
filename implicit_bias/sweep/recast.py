r"""Recast: a study's cell as a function of one vector, with the arrays of its problem given and no longer drawn.

    point = (axes, A, y, u)   |->   Run        cell(axes), then A, y for the problem's arrays and u for the direction

so that a search can move through problems as it moves through scales. Two things are read from the traced cell:

    arrays given   if the problem is linear and the cell leaves the direction to chance, or makes it from axes alone.
                   Where it makes the direction or the law of motion from what it draws (a start beside a saddle of
                   *this* problem), or from an axis that shapes the problem too (a least singular value), another A
                   would leave them behind: there the point is (axes, seed)
    silent axes    those that reach nothing but the arrays that were replaced (a target's norm, an angle). The run does
                   not depend on them, so their coordinate is nan: a claim that reads one says nothing, not something wrong

Many points run in the engine's blocks. `slopes` differentiates one run forward, through its loops, to the outputs.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax.extend import core

from .._keys import SeedKey
from .._results import Status
from .._vectors import Split
from ..dynamics.base import Moment, Objective
from ..observables.base import AbstractFold, Prepared, Watch
from ..problems.linear import Linear
from ..symmetry import RowSpace, rewrite
from . import cut
from .dataset import _Collector
from .engine import Layout, Program
from .grid import Grid, Labelled
from .keywords import defaults, encoded
from .plan import as_array, is_traced, show
from .prepare import Recipe, Run, _call, trace
from .store import Tile

WIDTH = 64
HALVINGS = 12
"""With patience, a block pauses first at end / 2^12, then at twice that, ..."""


@dataclasses.dataclass(frozen=True)
class Form:
    """How a point is laid out: the axes that are heard, then A (by rows), y and u, or else a seed."""

    axes: tuple[str, ...]
    rows: int
    columns: int
    arrays: bool

    @property
    def size(self) -> int:
        return len(self.axes) + (self.rows * self.columns + self.rows + self.columns if self.arrays else 1)

    @property
    def slices(self) -> dict[str, slice]:
        k, m, d = len(self.axes), self.rows, self.columns
        if not self.arrays:
            return {"seed": slice(k, k + 1)}
        return {
            "A": slice(k, k + m * d),
            "y": slice(k + m * d, k + m * d + m),
            "u": slice(k + m * d + m, k + m * d + m + d),
        }

    def unpack(self, point: Any) -> dict[str, Any]:
        """Numbers by axis, and `A`, `y`, `u` or `seed`; of a NumPy or a traced vector."""
        found = {name: point[i] for i, name in enumerate(self.axes)}
        found |= {name: point[part] for name, part in self.slices.items()}
        if self.arrays:
            found["A"] = found["A"].reshape(self.rows, self.columns)
        return found

    def pack(self, values: Mapping[str, Any]) -> np.ndarray:
        parts = [np.atleast_1d(values[n]).ravel() for n in (*self.axes, *self.slices)]
        return np.concatenate(parts).astype(float)


@dataclasses.dataclass(frozen=True)
class Subject:
    """One grid of a study, apart: words and whole numbers (static), numbers (moved by a search), and settings."""

    recipe: Recipe
    grid: Grid
    settings: Mapping[str, Any]

    @property
    def words(self) -> dict[str, tuple[Any, ...]]:
        return {
            n: v for n, v in self.grid.axes.items() if not is_traced(n, v) or any(isinstance(x, Labelled) for x in v)
        }

    @property
    def numbers(self) -> dict[str, tuple[float, ...]]:
        return {n: v for n, v in self.grid.axes.items() if n not in self.words and not _is_seed(n)}

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

    def tiny(self, rows: int, columns: int) -> Subject:
        return dataclasses.replace(self, settings={**self.settings, **self.sizes(rows, columns)})

    def only(self, combination: Mapping[str, Any]) -> Subject:
        axes = {n: (combination[n],) if n in combination else v for n, v in self.grid.axes.items()}
        return dataclasses.replace(self, grid=Grid(axes, self.grid.title))

    def run(self, combination: Mapping[str, Any], numbers: Mapping[str, Any], seed: Any = 0) -> Run:
        return _call(self.recipe.cell, {**self.arguments(combination), **numbers, "key": SeedKey(jnp.asarray(seed))})


def _is_seed(name: str) -> bool:
    return name == "seed" or name.startswith("seed.")


def _replace(run: Run, A: Any, y: Any, u: Any) -> Run:
    # type by type: a loss whose targets are float32 stays so
    problem = dataclasses.replace(
        run.problem,
        operator=jnp.asarray(A, run.problem.operator.dtype),
        target=jnp.asarray(y, run.problem.target.dtype),
    )
    weights = dataclasses.replace(run.parameterization, direction=jnp.asarray(u, float))
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
            swapped = run
            linear = isinstance(run.problem, Linear) and hasattr(run.parameterization, "direction")
            if linear:
                swapped = _replace(run, jnp.zeros((rows, columns)), jnp.zeros(rows), jnp.zeros(columns))
            parts = [[x for x in jax.tree.leaves(t) if isinstance(x, jax.Array)] for t in (own, swapped, run.problem)]
            found.update(linear=linear, parts=np.cumsum([len(p) for p in parts]).tolist(), problem=run.problem)
            return [x for part in parts for x in part]

        example = [jnp.asarray(v[0], float) for v in subject.numbers.values()]
        traced = jax.make_jaxpr(build)(*example, jnp.asarray(0))
        depends = cut.dependence(traced, names)
        if not found["linear"]:
            reason = f"{type(found['problem']).__name__} holds no A and y that could be given"
            return Form(tuple(subject.numbers), *_drawn_size(found["problem"]), arrays=False), reason
        own, swapped, data = (set().union(*d) for d in _cut(depends, found["parts"]))
        both = sorted(swapped & data - {"seed"})
        if "seed" in own or both:
            reason = "the cell makes its start or its law of motion from what it draws"
            if both:
                reason = f"{', '.join(both)} shapes the problem and the rest of the run"
            return Form(tuple(subject.numbers), *_drawn_size(found["problem"]), arrays=False), reason
        heard |= swapped
    return Form(
        tuple(n for n in subject.numbers if n in heard), rows, columns, arrays=True
    ), "A, y and the start are free"


def _cut(items: Sequence[Any], ends: Sequence[int]) -> list[Sequence[Any]]:
    return [items[begin:end] for begin, end in zip([0, *ends], ends)]


def _drawn_size(problem: Any) -> tuple[int, int]:
    operator = getattr(problem, "operator", None)
    return operator.shape if operator is not None else (0, problem.dimension)


class Runs:
    """Runs of one subject at points of one form."""

    def __init__(self, subject: Subject, form: Form, patience: int | None = None):
        self.subject, self.form, self.patience = subject, form, patience
        self.count = 0
        silent = {n: float(v[0]) for n, v in subject.numbers.items() if n not in form.axes}
        shape = {"point": jax.ShapeDtypeStruct((form.size,), jnp.float64)}
        self._programs: list[Program] = []
        self._derivatives: dict[int, Callable] = {}
        self._holds: list[Callable] = []
        self._cells: list[Callable[..., Run]] = []
        for combination in subject.combinations:

            def cell(*, point, combination=combination):
                given = form.unpack(point)
                numbers = silent | {n: given[n] for n in form.axes}
                if not form.arrays:
                    return subject.run(combination, numbers, given["seed"][0].astype(int))
                return _replace(subject.run(combination, numbers), given["A"], given["y"], given["u"])

            traced = trace(dataclasses.replace(subject.recipe, cell=cell), {}, shape)
            self._cells.append(cell)
            self._programs.append(Program(traced, Layout(WIDTH, mixed=True), shape))
            first, second = cut.split(traced.jaxpr, [True], [traced.requirement_output])
            self._holds.append(jax.jit(lambda point, first=first, second=second: second(first(point), [])[0]))

    def __call__(self, points: np.ndarray) -> tuple[xr.Dataset, np.ndarray]:
        """The results, with the words' dimensions and `point`; and whether each point opens the door of every cell."""
        points = np.atleast_2d(points)
        self.count += len(points) * len(self._programs)
        opens = np.ones(len(points), bool)
        found = []
        for program, holds in zip(self._programs, self._holds):
            opens &= np.array([np.asarray(holds(p)).all() for p in points])
            found.append(self._block(program, points))
        return self.dataset(points, found), opens

    def _block(self, program: Program, points: np.ndarray) -> dict[str, np.ndarray]:
        device, parts = jax.local_devices()[0], []
        for start in range(0, len(points), WIDTH):
            block = points[start : start + WIDTH]
            each = [program.first([p], device) for p in block]
            each += [each[-1]] * (WIDTH - len(block))
            first = [np.stack([r[k] for r in each]) for k in range(len(each[0]))]
            outputs = self._launch(program, first, device)
            parts.append({n: np.asarray(a)[: len(block)] for n, a in outputs.items()})
        return {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}

    def _launch(self, program: Program, first: list[np.ndarray], device: Any) -> Mapping[str, Any]:
        """A block, as `Program.launch`; with `patience`, runs still under way after so many steps are left running.

        A stiff run beside a saddle would else keep the block waiting until its last time.
        """
        if self.patience is None:
            return program.launch(first, [], device)[0]
        advance = program.compiled("advance", device)
        state, outputs, _ = advance(first, [], program._no_state(device), np.bool_(True), np.float64(0))
        end = float(np.asarray(outputs["clock"]).max())
        until = end * 0.5**HALVINGS
        while True:
            state, outputs, _ = advance(first, [], state, np.bool_(False), np.float64(until))
            going = np.asarray(outputs["status"]) == Status.RUNNING
            steps = int(np.asarray(outputs["steps"])[going].max(initial=0))
            if not going.any() or steps >= self.patience:
                break
            until *= min(2.0, 1.01 * self.patience / max(steps, 1))
        return outputs

    def dataset(self, points: np.ndarray, outputs: Sequence[Mapping[str, np.ndarray]]) -> xr.Dataset:
        """Outputs of each combination as a study's results would hold them."""
        words = self.subject.words
        labels = {n: [show(v) for v in values] for n, values in words.items()}
        axes = {
            n: {
                "traced": False,
                "labels": t,
                "values": t,
                "words": any(isinstance(v, (str, Labelled)) for v in words[n]),
            }
            for n, t in labels.items()
        }
        index = [float(i) for i in range(len(points))]
        axes["point"] = {"traced": True, "labels": index, "values": [i.hex() for i in index], "words": False}
        observed = self.subject.recipe.observe
        grid = {"name": self.subject.grid.title, "order": [*words, "point"], "axes": axes}
        document = {
            "study": "", "fingerprint": {}, "folds": [n for n, o in observed.items() if isinstance(o, AbstractFold)],
            "keywords": encoded(self._keywords()),
        }  # fmt: skip
        collector = _Collector(grid, document)
        coordinates = np.array(index)[:, None]
        for combination, program, arrays in zip(self.subject.combinations, self._programs, outputs):
            batch = {
                "statics": {n: show(v) for n, v in combination.items()},
                "unit": program.traced.unit,
                "depends": program.traced.depends,
            }
            collector.add(batch, Tile("", {}, {}, ("point",), coordinates, arrays))
        data = collector.dataset(document)
        return data.assign_coords({n: ("point", v) for n, v in self._coordinates(points).items()})

    def _keywords(self) -> dict[str, Any]:
        """Every keyword of the cell that is no axis, as these runs were given it."""
        return {**defaults(self.subject.recipe.cell), **self.subject.settings}

    def _coordinates(self, points: np.ndarray) -> dict[str, np.ndarray]:
        known = {n: points[:, i] for i, n in enumerate(self.form.axes)}
        seeds = np.full(len(points), np.nan) if self.form.arrays else points[:, -1]
        return {
            n: known.get(n, seeds if _is_seed(n) else np.full(len(points), np.nan))
            for n in self.subject.grid.axes
            if n not in self.subject.words
        }

    def slopes(self, point: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, xr.Dataset]:
        """Results at point +- steps_j e_j to first order, by forward differentiation of the run: 2 x size points.

        One tangent at a time: each repeats the run, which is small.
        """
        self.count += len(self._programs)
        moved = np.concatenate([point + np.diag(steps), point - np.diag(steps)])
        found = []
        for i, program in enumerate(self._programs):
            base = {n: a[:1] for n, a in self._block(program, point[None]).items()}
            rates = [self._derivative(i)(point, e) for e in np.eye(len(point))]
            outputs = {n: np.repeat(a, len(moved), axis=0) for n, a in base.items()}
            for n in rates[0]:
                change = np.stack([h * np.asarray(rate[n]) for h, rate in zip(steps, rates)])
                outputs[n] = outputs[n] + np.concatenate([change, -change])
            found.append(outputs)
        return moved, self.dataset(moved, found)

    def _derivative(self, index: int) -> Callable:
        if index not in self._derivatives:
            traced = self._programs[index].traced
            whole = core.jaxpr_as_fun(traced.jaxpr)

            def outputs(point):
                built = traced.rebuild(whole(point))
                run = built.prepared
                watch = Watch(run=run, clock=jnp.asarray(built.clock), observe=traced.observe)
                objective = Objective(run.problem, run.parameterization)
                law = _forward(run.dynamics)
                state = law.advance(objective, law.start(objective, run.theta, watch), jnp.inf, watch)
                known = state.records | watch.read(state.folds) | {f"fact.{n}": v for n, v in built.facts.items()}
                known |= {"time": state.time}
                return {n: v for n, v in known.items() if jnp.issubdtype(v.dtype, jnp.floating)}

            self._derivatives[index] = jax.jit(lambda p, v: jax.jvp(outputs, (p,), (v,))[1])
        return self._derivatives[index]

    # -- one run of the first combination, for another integrator -------------------------------------------------

    def run(self, point: np.ndarray) -> Run:
        """The run itself, with its numbers."""
        return self._cells[0](point=jnp.asarray(point))

    def first_weights(self, run: Run, seed: int = 0) -> Any:
        return run.parameterization.init(run.problem, SeedKey(jnp.asarray(seed)))

    def measured(
        self, point: np.ndarray, moments: Sequence[tuple[Any, Any, int, float, float]], status: int
    ) -> xr.Dataset:
        """Another integrator's run, as the study's observables see it.

        `moments` are (weights, (sign, log) of the orthogonal amplitude, steps, time, loss), one for each record.
        Folds, which see every step, are nan.
        """
        program, run = self._programs[0], self.run(point)
        theta = self.first_weights(run, 0 if self.form.arrays else int(point[-1]))
        new = rewrite(run.problem, run.parameterization, run.dynamics, theta)
        prepared = Prepared(new.problem, run.parameterization, run.dynamics, new.theta, new.lift)
        clock = self.subject.recipe.records(run.dynamics)
        watch = Watch(run=prepared, clock=clock, observe=program.traced.observe)
        values = []
        for weights, (sign, log), steps, time, loss in moments:

            def carried(name, w, sign=sign, log=log):
                if not isinstance(new.lift, RowSpace) or np.ndim(w) == 0:
                    return jnp.asarray(w)
                return Split(new.lift.basis.T @ jnp.asarray(w), jnp.asarray(float(sign)), jnp.asarray(float(log)))

            now = type(theta)(**{n: carried(n, w) for n, w in weights.items()})
            moment = Moment(now, jnp.asarray(loss), jnp.asarray(steps, jnp.int32), jnp.asarray(time))
            values.append(watch.record(moment))
        outputs = self._block(program, point[None])  # facts, which no step enters
        for n in values[0]:
            outputs[n] = np.stack([np.asarray(v[n]) for v in values])[None]
        for n in watch._folds:
            outputs[n] = np.full_like(outputs[n], np.nan, dtype=float)
        outputs["status"] = np.array([status], dtype=outputs["status"].dtype)
        outputs["steps"] = np.array([moments[-1][2]], dtype=outputs["steps"].dtype)
        outputs["time"] = np.array([moments[-1][3]])
        return self.dataset(point[None], [outputs])


def _forward(dynamics: Any) -> Any:
    """The same law, differentiable forward: diffrax's own loop over the stages of a step has a reverse rule only."""
    solver = getattr(dynamics, "solver", None)
    if not hasattr(solver, "scan_kind"):
        return dynamics
    return dataclasses.replace(dynamics, solver=dataclasses.replace(solver, scan_kind="lax"))
