"""Runs of a recast study at given points: in the engine's blocks, differentiated forward, or as another integrator ran.

`slopes` differentiates one run forward, through its loops, to the outputs.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax.extend import core

from .._keys import SeedKey
from .._results import Status, owner
from ..dynamics.base import Moment
from ..evidence.predictions import with_predictions
from ..observables.base import AbstractFold, Prepared, Watch, has_records
from ..sweep.program import cut
from ..sweep.keep.dataset import Collector
from ..sweep.program.engine import Program
from ..sweep.program.layout import Layout
from ..sweep.ask.grid import Labelled
from ..sweep.ask.keywords import encoded
from ..sweep.ask.batch import show
from ..sweep.ask.plan import ROOM
from ..sweep.program.cost import lanes_of
from ..sweep.program.prepare import Run, trace
from ..sweep.keep.store import Tile
from ..symmetry import RowSpace, Split, rewrite
from . import recheck
from .motion import weights_of
from .clock import Clock
from .given import with_given
from .recast import Form, Subject, is_seed, with_arrays

WIDTH = 64
HALVINGS = 12
"""With patience, a block pauses first at end / 2^12, then at twice that, ..."""


class Runs:
    """Runs of one subject at points of one form."""

    def __init__(self, subject: Subject, form: Form, patience: int | None = None, clock: Clock | None = None):
        self.subject, self.form, self.patience, self.clock = subject, form, patience, clock
        self.count = 0
        self.complete: Callable[[xr.Dataset], xr.Dataset] = lambda data: with_predictions(data, subject.predict)
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
                    run = subject.run(combination, numbers, given["seed"][0].astype(int))
                    return with_given(run, {n: given[n] for n, _ in form.parts}) if form.parts else run
                return with_arrays(subject.run(combination, numbers), given["A"], given["y"], given["u"])

            traced = trace(dataclasses.replace(subject.recipe, cell=cell), {}, shape)
            self._cells.append(cell)
            width = lanes_of(traced.step, WIDTH, ROOM["cpu"])
            self._programs.append(Program(traced, Layout(width, mixed=True), shape))
            first, second = cut.split(traced.jaxpr, [True], [traced.requirement_output])
            self._holds.append(jax.jit(lambda point, first=first, second=second: second(first(point), [])[0]))

    @property
    def said(self) -> str:
        """Its words and sizes."""
        words = [f"{n}={show(v)}" for n, (v, *_) in self.subject.words.items()]
        size = [f"{self.form.rows} x {self.form.columns}"] if self.form.rows else []
        given = ["with given arrays"] if self.form.parts else []
        return ", ".join([*size, *words, *given]) or "the study"

    def __call__(self, points: np.ndarray) -> tuple[xr.Dataset, np.ndarray]:
        """The results, with the words' dimensions and `point`; and whether each point meets the requirements of every cell."""
        points = np.atleast_2d(points)
        self.count += len(points) * len(self._programs)
        opens = np.ones(len(points), bool)
        found = []
        for program, holds in zip(self._programs, self._holds):
            opens &= np.array([np.asarray(holds(p)).all() for p in points])
            found.append(self._block(program, points))
        return self.dataset(points, found), opens

    def _block(self, program: Program, points: np.ndarray) -> dict[str, np.ndarray]:
        device, parts, width = jax.local_devices()[0], [], program.layout.width
        for start in range(0, len(points), width):
            block = points[start : start + width]
            padded = np.concatenate([block, np.repeat(block[-1:], width - len(block), axis=0)])
            shared = bool(program.traced.shared)  # a problem that no number shapes is built without the point
            each = [program.first([p] if shared else [], device) for p in block]
            each += [each[-1]] * (width - len(block))
            first = [np.stack([r[k] for r in each]) for k in range(len(each[0]))]
            outputs = self._launch(program, first, [] if shared else [padded], device)
            parts.append({n: np.asarray(a)[: len(block)] for n, a in outputs.items()})
        return {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}

    def _launch(self, program: Program, first: list[np.ndarray], lanes: list[np.ndarray], device: Any) -> Mapping[str, Any]:
        """A block, as `Program.launch`, but in pieces; what is still under way after `patience` steps, or when the time
        is over, is left running, and is then no run that a claim accepts.

        A stiff run beside a saddle would else keep the block waiting until its last time.
        """
        if self.patience is None and self.clock is None:
            return program.launch(first, lanes, device)[0]
        advance, begun = program.compiled("advance", device), time.perf_counter()
        state, outputs, _ = advance(first, lanes, program.blank_state(device), np.bool_(True), np.float64(0))
        end = float(np.nanmax(np.asarray(outputs["clock"])))
        until = end * 0.5**HALVINGS
        while True:
            state, outputs, _ = advance(first, lanes, state, np.bool_(False), np.float64(until))
            going = np.asarray(outputs["status"]) == Status.RUNNING
            steps = int(np.asarray(outputs["steps"])[going].max(initial=0))
            if not going.any() or self.patience is not None and steps >= self.patience:
                break
            more = 2.0 if self.patience is None else min(2.0, 1.01 * self.patience / max(steps, 1))
            if self.clock is not None:
                spent = time.perf_counter() - begun
                if self.clock.left < 0.05 * spent:
                    break
                more = min(more, 1 + max(self.clock.left, 0.0) / max(spent, 1e-3))
            until *= more
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
            "study": "", "fingerprint": {}, "folds": [n for n, o in observed.items() if not has_records(o)],
            "keywords": encoded({n: None if n in self.form.silent else v for n, v in self.subject.keywords.items()}),
        }  # fmt: skip
        collector = Collector(grid, document)
        coordinates = np.array(index)[:, None]
        for combination, program, arrays in zip(self.subject.combinations, self._programs, outputs):
            batch = {
                "statics": {n: show(v) for n, v in combination.items()},
                "unit": program.traced.unit,
                "depends": program.traced.depends,
            }
            collector.add(batch, Tile("", {}, {}, ("point",), coordinates, arrays))
        data = collector.dataset(document)
        data = data.assign_coords({n: ("point", v) for n, v in self._coordinates(points).items()})
        return self.complete(data)

    def _coordinates(self, points: np.ndarray) -> dict[str, np.ndarray]:
        known = {n: points[:, i] for i, n in enumerate(self.form.axes)}
        seeds = np.full(len(points), np.nan) if self.form.arrays else points[:, -1]
        return {
            n: known.get(n, seeds if is_seed(n) else np.full(len(points), np.nan))
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
                objective = run.objective
                law = _forward(run.dynamics)
                state = law.advance(objective, law.start(objective, run.theta, watch), jnp.inf, watch)
                known = watch.results(state) | {f"fact.{n}": v for n, v in built.facts.items()}
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
        self, point: np.ndarray, moments: Sequence[recheck.Moment], status: int
    ) -> xr.Dataset:
        """Another integrator's run, as the study's observables see it: a moment for each record.

        Folds, which see every step, are nan.
        """
        program, run = self._programs[0], self.run(point)
        theta = self.first_weights(run, 0 if self.form.arrays else int(point[-1]))
        new = rewrite(run.problem, run.parameterization, run.dynamics, theta, run.penalty)
        prepared = Prepared(
            new.problem, run.parameterization, run.dynamics, new.theta, new.chart, new.original, run.penalty
        )
        clock = self.subject.recipe.records(run.dynamics)
        watch = Watch(run=prepared, clock=clock, observe=program.traced.observe)
        values = []
        for seen in moments:

            def carried(w, seen=seen):
                if not isinstance(new.chart, RowSpace):
                    return jnp.asarray(w)
                sign, log = seen.perp
                return Split(new.chart.basis.T @ jnp.asarray(w), jnp.asarray(float(sign)), jnp.asarray(float(log)))

            now = weights_of(run.parameterization, seen, carried)
            steps, time = jnp.asarray(seen.steps, jnp.int32), jnp.asarray(float(seen.time))
            moment = Moment(now, jnp.asarray(float(seen.loss)), steps, time)
            values.append(watch.record(moment) | {n: v for f in watch.seldom.values() for n, v in f(moment).items()})
        outputs = self._block(program, point[None])  # facts, which no step enters
        for n in values[0]:
            outputs[n] = np.stack([np.asarray(v[n]) for v in values])[None]
        outputs |= {n: np.asarray(v)[None] for n, v in watch.at_end(moment).items()}
        folds = {n for n, o in watch.observe.items() if isinstance(o, AbstractFold)}
        for n in (n for n in outputs if owner(n, folds) in folds):
            outputs[n] = np.full_like(outputs[n], np.nan, dtype=float)
        outputs["status"] = np.array([status], dtype=outputs["status"].dtype)
        outputs["steps"] = np.array([moments[-1].steps], dtype=outputs["steps"].dtype)
        outputs["time"] = np.array([float(moments[-1].time)])
        return self.dataset(point[None], [outputs])


def _forward(dynamics: Any) -> Any:
    """The same law, differentiable forward: diffrax's own loop over the stages of a step has a reverse rule only."""
    solver = getattr(dynamics, "solver", None)
    if not hasattr(solver, "scan_kind"):
        return dynamics
    return dataclasses.replace(dynamics, solver=dataclasses.replace(solver, scan_kind="lax"))
