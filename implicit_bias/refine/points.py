"""Points of a study's axes that make no product: through its store, with the programs of the grid they are points of.

A point has one run for each seed of the request, the same seeds at each: what is drawn depends on (seed, stream) alone.
Its program is that of the coarse grid, traced once for each choice of whole numbers, and so are its blocks: a run has
the bits that it has in a dense grid, unless the coarse grid is so small that its blocks mix seeds and those of the dense
grid hold one each. Tiles go to the pool of the study: what any request has computed is found there, and any may use these.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import xarray as xr

from .._errors import Mistake
from ..evidence.predictions import with_predictions
from ..sweep.ask.grid import Grid, Grids
from ..sweep.ask.batch import Batch, coordinate, show
from ..sweep.ask.plan import Plan
from ..sweep.keep.dataset import Collector, read_tile
from ..sweep.keep.store import OtherFormat, Store, Tile
from ..sweep.work.execute import Progress, execute
from .axes import Axis
from .tree import Place
from .sides import POINT


Tell = Callable[[int, int], AbstractContextManager[Callable[[Progress], None]]]
"""(runs, of which missing) -> what is told while they are computed."""


def _told(tell: Callable[[Progress], None], before: int, of: int, begun: float, progress: Progress) -> None:
    """Progress of one program, as that of the step it belongs to."""
    seconds = time.perf_counter() - begun
    tell(dataclasses.replace(progress, runs_done=before + progress.runs_done, runs_total=of, seconds=seconds))


@dataclasses.dataclass(frozen=True)
class _Template:
    """The plan of the coarse grid at one choice of whole numbers, whose batch lends its program."""

    plan: Plan

    @property
    def batch(self) -> Batch:
        return self.plan.batches[0]

    def at(self, rows: Sequence[Mapping[str, Any]]) -> Plan:
        """The same plan of other runs, those of one shared value together."""
        shared = self.batch.program.traced.shared
        rows = sorted(rows, key=lambda row: [coordinate(row[a]) for a in shared])
        points = [tuple(row[a] for a in self.batch.axes) for row in rows]
        coordinates = np.array([[coordinate(v) for v in p] for p in points], dtype=np.float64)
        batch = dataclasses.replace(self.batch, points=points, coordinates=coordinates, found={}, missing=[])
        return dataclasses.replace(self.plan, batches=[batch])


class Points:
    """Results at places of some axes, all other axes of a grid having one value but for its seeds."""

    def __init__(
        self, study: Any, grid: Grid, fixed: Mapping[str, Any], axes: Sequence[Axis], coarse: int, store: Store,
        *, width: int | None = None, devices: list | None = None,
        tell: Tell = lambda runs, missing: contextlib.nullcontext(lambda progress: None),
    ):  # fmt: skip
        self.study, self.grid, self.fixed, self.axes, self.coarse, self.store = study, grid, fixed, axes, coarse, store
        self._width, self._devices, self._tell = width, devices, tell
        self.computed = 0
        self._templates: dict[tuple, _Template] = {}
        self._where: dict[tuple[str, tuple[str, ...]], dict[bytes, str]] | None = None

    @property
    def others(self) -> dict[str, tuple[Any, ...]]:
        return {n: v for n, v in self.grid.axes.items() if n not in {axis.name for axis in self.axes}}

    @property
    def runs_each(self) -> int:
        """Of a point: its seeds."""
        return int(np.prod([len(v) for v in self.others.values()]))

    def __call__(self, places: Sequence[Place]) -> xr.Dataset:
        """The results at some places, with a `point` for the axes; computed where the store has not got them."""
        values = [{axis.name: axis.value(u) for axis, u in zip(self.axes, place)} for place in places]
        whole = [axis.name for axis in self.axes if axis.whole]
        groups: dict[tuple, list[int]] = {}
        for i, value in enumerate(values):
            groups.setdefault(tuple(value[n] for n in whole), []).append(i)
        # all of a step are planned before the first is computed: a mistake in one is told at once
        plans = {key: self._plan(dict(zip(whole, key)), [values[i] for i in at]) for key, at in groups.items()}
        missing = sum(plan.missing for plan in plans.values())
        if missing:
            with self._tell(len(places) * self.runs_each, missing) as tell:
                done, begun = 0, time.perf_counter()
                for plan in (p for p in plans.values() if p.missing):
                    self._compute(plan, functools.partial(_told, tell, done, missing, begun))
                    done += plan.missing
        return self._gathered(values, plans)

    # -- planning and computing -------------------------------------------------------------------------------------

    def _template(self, statics: Mapping[str, Any]) -> _Template:
        key = tuple(statics.items())
        if key not in self._templates:
            spread = {a.name: tuple(a.value(u) for u in a.places(self.coarse)) for a in self.axes}
            axes = {**self.grid.axes, **spread, **{n: (v,) for n, v in statics.items()}}
            alone = {"claims": (), "figures": (), "predict": {}, "sizes": {}}
            one = dataclasses.replace(self.study, grids=Grids([Grid(axes)]), **alone)
            first = self.store if self._where is None else None  # refuses what another machine has left there
            self._templates[key] = _Template(one.plan(self.fixed, store=first, width=self._width))
        return self._templates[key]

    def _plan(self, statics: Mapping[str, Any], values: Sequence[Mapping[str, Any]]) -> Plan:
        template = self._template(statics)
        if self._where is None:
            self._where = self._held(template.plan.fingerprint)
        others = [dict(zip(self.others, one)) for one in itertools.product(*self.others.values())]
        rows = [{**other, **value} for other in others for value in values]
        plan = template.at(rows)
        (batch,) = plan.batches
        held = self._where.get((batch.program.identity, batch.traced_axes), {})
        for i, row in enumerate(batch.coordinates):
            tile = held.get(row.tobytes())
            if tile is None:
                batch.missing.append(i)
            else:
                batch.found.setdefault(tile, []).append(i)
        return plan

    def _held(self, marks: Mapping[str, str]) -> dict:
        """Where each run of the store is: looked up once, for every program."""
        found: dict = {}
        for name in self.store.names():
            try:
                tile = self.store.read_or_set_aside(name)
            except OtherFormat:
                continue
            if tile is not None and dict(tile.fingerprint) == dict(marks):
                held = found.setdefault((tile.program, tile.axes), {})
                held.update((row.tobytes(), name) for row in tile.coordinates)
        return found

    def _compute(self, plan: Plan, tell: Callable[[Progress], None]) -> None:
        (batch,) = plan.batches
        tiles = [(plan.tile_id(batch, runs), runs) for runs in batch.tiles()]
        self.store.prepare()
        with self.study.in_precision():
            failed = execute(plan, self.store, tell=tell, devices=self._devices).failed
        held = self._where.setdefault((batch.program.identity, batch.traced_axes), {})
        for name, runs in tiles:
            if name in failed:
                where = f"tracebacks are in {self.store.folder / 'failed'}"
                raise Mistake("cell", f"a tile raised three times: {failed[name]}", where)
            held.update((batch.coordinates[i].tobytes(), name) for i in runs)
            batch.found[name] = list(runs)
            self.computed += len(runs)

    # -- results ----------------------------------------------------------------------------------------------------

    def _gathered(self, values: Sequence[Mapping[str, Any]], plans: Mapping[tuple, Plan]) -> xr.Dataset:
        over = [axis.name for axis in self.axes]
        spot = {tuple(coordinate(v[n]) for n in over): i for i, v in enumerate(values)}
        document = next(iter(plans.values())).description
        described = dict(document["grids"][0]["axes"])
        index = [float(i) for i in range(len(values))]
        described[POINT] = {"traced": True, "labels": index, "values": [i.hex() for i in index], "words": False}
        collector = Collector({"name": self.grid.title, "order": [*self.others, POINT], "axes": described}, document)
        for plan in plans.values():
            (batch,), (said,) = plan.batches, plan.description["batches"]
            statics = {n: coordinate(v) for n, v in batch.statics.items() if n in over}
            depends = {k: [a for a in v if a not in over] for k, v in said["depends"].items()}
            for name, of in said["depends"].items():
                if statics or {*of} & {*over}:
                    depends[name].append(POINT)
            told = {
                "statics": {n: show(v) for n, v in batch.statics.items() if n not in over},
                "unit": said["unit"], "depends": depends,
            }  # fmt: skip
            for name in batch.found:
                collector.add(told, self._at_points(read_tile(self.store, name), statics, spot))
        data = collector.dataset(document)
        data = data.assign_coords({n: (POINT, [v[n] for v in values]) for n in over})
        return with_predictions(data, self.study.predict)

    def _at_points(self, tile: Tile, statics: Mapping[str, float], spot: Mapping[tuple, int]) -> Tile:
        """A tile's runs at the places that are asked for, by the number of the place."""
        over = [axis.name for axis in self.axes]
        column = {n: tile.coordinates[:, tile.axes.index(n)] for n in over if n in tile.axes}
        place = [spot.get(tuple(statics[n] if n in statics else column[n][r] for n in over)) for r in range(tile.size)]
        rows = [r for r, p in enumerate(place) if p is not None]
        rest = [j for j, n in enumerate(tile.axes) if n not in over]
        at = np.array([float(place[r]) for r in rows])
        coordinates = np.column_stack([tile.coordinates[np.ix_(rows, rest)], at])
        axes = (*(tile.axes[j] for j in rest), POINT)
        arrays = {n: a[rows] for n, a in tile.arrays.items()}
        return dataclasses.replace(tile, axes=axes, coordinates=coordinates, arrays=arrays)


def joined(old: xr.Dataset | None, new: xr.Dataset) -> xr.Dataset:
    """Results with more points; where whole numbers shape an array, both are padded to the larger of the two."""
    if old is None:
        return new
    parts = []
    for ds, other in ((old, new), (new, old)):
        short = {d: n - ds.sizes[d] for d, n in other.sizes.items() if d != POINT and d in ds.sizes and n > ds.sizes[d]}
        for dim, by in short.items():
            how = {"mode": "edge"} if dim == "record" else {"constant_values": np.nan}
            ds = ds.pad({dim: (0, by)}, **how)
        parts.append(ds.drop_indexes("clock", errors="ignore"))  # one point has one clock, and many may have their own
    same = {"compat": "override", "join": "override", "combine_attrs": "override"}
    return xr.concat(parts, POINT, data_vars="minimal", coords="minimal", **same)
