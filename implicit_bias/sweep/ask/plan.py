"""A plan: which runs a study asks for, which are done, and the tiles that hold the rest.

A run is known by its program and its place on the traced axes, bit for bit. Whatever the pool of tiles already holds
is used, so a grid can grow in any direction and only what is new is computed: from 16 to 200 seeds, 184.
"""

from __future__ import annotations

import dataclasses
import hashlib
import html
import itertools
import math
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ..._errors import Mistake, written_bytes
from ..._lanes import on_cpu
from ...data.base import noted
from ..program.cost import lanes_of
from ..program.engine import SMALL, Program
from ..program.fingerprint import difference, fingerprint
from ..program.layout import Layout
from ..program.memory import free_memory
from .batch import TILE_BLOCKS, Batch, as_array, check_holds, coordinate, is_traced, show
from .grid import MOST_RUNS, Grid, Grids, Labelled
from .keywords import defaults, encoded
from ..program.prepare import Recipe, Traced, trace
from ..keep.store import OtherFormat, Store, Tile, canonical, tile_id

ROOM = {"cpu": 1e5}
"""Operations of a step that a block of dense lanes may have: what keeps a core busy."""
ROOM_OF_OTHERS = 1e9


class OlderTiles(UserWarning):
    """A folder holds tiles that another version wrote; they stay there and are not read."""


@dataclasses.dataclass(repr=False)
class Plan:
    """A study's runs against a store. In a notebook, a table of what it asks for."""

    name: str
    grids: Grids
    batches: list[Batch]
    fingerprint: dict[str, str]
    description: dict[str, Any]

    @property
    def runs(self) -> int:
        return sum(len(b.points) for b in self.batches)

    @property
    def missing(self) -> int:
        return sum(len(b.missing) for b in self.batches)

    def facts(self) -> list[tuple[str, str]]:
        """What is asked for, what of it is done, and how the rest would be computed."""
        programs = {b.program.identity: b for b in self.batches}
        pending = list(self.pending())
        widths = sorted({b.program.layout.width for b in self.batches})
        compiled = len({b.program.identity for b, _ in pending})
        return [
            ("runs", f"{self.runs:,} asked for, {self.runs - self.missing:,} done, {self.missing:,} to compute"),
            *(
                (f"grid {g.title}", ", ".join(f"{a}: {_values(values)}" for a, values in g.axes.items()) or "one run")
                for g in self.grids
            ),
            ("programs", f"{len(programs):,}, of which {compiled:,} to compile"),
            ("tiles", f"{len(pending):,} to write"),
            ("width", f"{' or '.join(map(str, widths))} runs a block"),
            *(_of_program(b) for b in programs.values()),
        ]

    def __repr__(self) -> str:
        facts = self.facts()
        wide = max(len(name) for name, _ in facts)
        return "\n".join([f"plan of {self.name}", *(f"  {name:<{wide}}  {said}" for name, said in facts)])

    def _repr_html_(self) -> str:
        cell = 'style="text-align: left; vertical-align: top; font-weight: normal; white-space: normal"'
        said = ((html.escape(name), html.escape(what)) for name, what in self.facts())
        rows = (f'<tr><th scope="row" {cell}>{name}</th><td {cell}>{what}</td></tr>' for name, what in said)
        head = f'<caption style="text-align: left">plan of {html.escape(self.name)}</caption>'
        return f"<table>{head}<tbody>{''.join(rows)}</tbody></table>"

    def pending(self) -> Iterator[tuple[Batch, list[int]]]:
        for batch in self.batches:
            for runs in batch.tiles():
                yield batch, runs

    def look_up(self, store: Store) -> None:
        """Find the plan's runs in the pool of tiles: what is there now, verified."""
        _look_up(self, store)

    def tile_id(self, batch: Batch, runs: Sequence[int]) -> str:
        return tile_id(batch.program.identity, self.fingerprint, batch.traced_axes, batch.coordinates[list(runs)])

    def document(self) -> tuple[str, dict[str, Any]]:
        """(digest, content) of the plan file. The digest names the request; the content adds where its tiles are."""
        digest = hashlib.sha256(canonical(self.description).encode()).hexdigest()[:16]
        tiles = []
        for batch in self.batches:
            ids = [*batch.found, *(self.tile_id(batch, runs) for runs in batch.tiles())]
            tiles.append(sorted(ids))
        return digest, {**self.description, "tiles": tiles}


def _values(values: Sequence[Any]) -> str:
    words = [show(v) for v in values]
    return ", ".join(words) if len(words) <= 4 else f"{len(words):,} values from {words[0]} to {words[-1]}"


def _of_program(batch: Batch) -> tuple[str, str]:
    which = ", ".join(f"{k}={v}" for k, v in batch.statics.items()) or "one program"
    return which, f"{batch.program.traced.rewriting}; {batch.program.traced.dynamics_name}"


def block_width() -> int:
    """Lanes of a block: small on CPU, where its code stays in XLA's inline path and its data in cache."""
    if jax.process_count() > 1:  # hosts work together on a cell for its size, not for its number of runs
        return 8
    return 64 if jax.devices()[0].platform == "cpu" else 4096


def check_size(batch: Batch) -> None:
    """Refuse what cannot fit into memory before anything of that size is drawn: the host's killer leaves no message."""
    program, free = batch.program, free_memory(jax.local_devices()[0])
    if free is not None and program.constant_bytes > free * jax.process_count():
        have = f"take {written_bytes(program.constant_bytes)} of memory, {written_bytes(free)} are free"
        raise Mistake("constants", f"of the cell {have}", "give it fewer data, or run where there is more memory")
    needs = program.estimated_bytes
    if free is not None and needs > free * jax.process_count():  # several hosts share it: see `cluster.span`
        raise Mistake(
            "size",
            f"needs about {written_bytes(needs)} of memory for one block, {written_bytes(free)} are free",
            "ask for fewer rows, columns or records",
        )


ASKING = 10.0
"""Seconds that asking the requirements of all runs may take, and it ends where what has been drawn for it is not kept for
the runs; but one block of each program is always asked. What is not asked by then is asked of each block as it runs."""


def check_requirements(batch: Batch, until: float = math.inf) -> None:
    """Evaluate the requirements of the runs before the first step; one line for the first that fails."""
    program, device = batch.program, jax.local_devices()[0]
    for number, runs in enumerate(_asked(batch)):
        if number > 0 and (time.perf_counter() > until or not program.keeps):
            return
        launch = batch.arranged(runs)
        first = program.first(batch.shared_values(launch.firsts), device)
        holds = program.meets(first, batch.lane_values(launch), device, launch.which)
        check_holds(batch, runs, launch.of(holds))


def _asked(batch: Batch) -> Iterator[list[int]]:
    """The runs, as they are asked together: launches, but of one shared value also where lanes mix them."""
    if not batch.program.layout.mixed:
        yield from batch.launches(range(len(batch.points)))
        return
    for _, group in itertools.groupby(range(len(batch.points)), key=batch.value_of.__getitem__):
        yield from batch.launches(list(group))


def make_plan(
    name: str,
    recipe: Recipe,
    grids: Grids,
    settings: Mapping[str, Any],
    store: Store | None,
    *,
    width: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Plan:
    """Trace and lower each program, ask the requirements of the runs, and look up what the store already holds."""
    if (runs := sum(grid.size for grid in grids)) > MOST_RUNS:
        raise Mistake("settings", f"ask for {runs:.3g} runs", f"ask for at most {MOST_RUNS:,} at a time")
    batches = []
    for index, grid in enumerate(grids):
        static_names = [n for n, v in grid.axes.items() if not is_traced(n, v)]
        for combination in itertools.product(*(grid.axes[n] for n in static_names)):
            statics = dict(zip(static_names, combination))
            batches.append(_batch(recipe, grid, index, statics, settings, width))
    known: dict[tuple, Program] = {}
    until = time.perf_counter() + ASKING
    for batch in batches:
        batch.program = known.setdefault((batch.program.identity, batch.traced_axes), batch.program)
        check_size(batch)
        if jax.process_count() == 1:  # else the problem is too large for this host, and `cluster.span` asks each block
            check_requirements(batch, until)
    marks = fingerprint()
    description = {
        "study": name,
        "fingerprint": marks,
        "settings": {k: show(v) for k, v in settings.items()},
        "keywords": encoded(defaults(recipe.cell) | dict(settings)),
        "grids": [describe(grid) for grid in grids],
        "batches": [
            {
                "grid": b.grid,
                "statics": {k: show(v) for k, v in b.statics.items()},
                "axes": list(b.traced_axes),
                "program": b.program.identity,
                "width": b.program.layout.width,
                "rewriting": b.program.traced.rewriting,
                "dynamics": b.program.traced.dynamics_name,
                "unit": b.program.traced.unit,
                "data": b.data,
                "depends": {k: list(v) for k, v in b.program.traced.depends.items()},
            }
            for b in batches
        ],
        **(extra or {}),
    }
    plan = Plan(name, grids, batches, marks, description)
    for batch in batches:
        batch.missing = list(range(len(batch.points)))
    if store is not None:
        _look_up(plan, store)
    return plan


def describe(grid: Grid) -> dict[str, Any]:
    """A grid as a plan's file writes it."""
    axes = {}
    for name, values in grid.axes.items():
        traced = is_traced(name, values)
        axes[name] = {
            "traced": traced,
            "labels": [show(v) for v in values],
            # canonical: a float has one hexadecimal spelling
            "values": [coordinate(v).hex() if traced else show(v) for v in values],
            "words": not traced or any(isinstance(v, Labelled) for v in values),
        }
    return {"name": grid.title, "order": list(grid.axes), "axes": axes}


def _layout(traced: Traced, width: int | None) -> Layout:
    if width is not None:
        return Layout(width)
    widest, platform = block_width(), jax.devices()[0].platform
    lanes = lanes_of(traced.step, widest, ROOM.get(platform, ROOM_OF_OTHERS))
    return Layout(lanes, narrow=lanes < widest)


LAUNCH_SECONDS, LAUNCH_BYTES = 0.2, 2**22
"""What a launch of several blocks may take at most, and what it reads."""


TOGETHER_BYTES, TOGETHER_LANES, FEWEST = 2**25, 2**20, 1024
"""Side by side: what the lanes of a launch hold (about what a GPU's cache does), and how many there are."""


def _places(program: Program) -> int:
    """Blocks of a launch: to begin one costs a third of a millisecond, and a GPU wants many lanes."""
    if on_cpu():
        most = min(LAUNCH_SECONDS / program.most_seconds, LAUNCH_BYTES / max(program.shared_bytes, 1), TILE_BLOCKS)
    else:
        held = sum(s.size * s.dtype.itemsize for s in jax.tree.leaves((program.shapes["advance"][2], program.outputs)))
        looked_up = 96 * TOGETHER_BYTES / max(program.shared_bytes * program.layout.width, 1)  # once a lane, at worst
        most = min(TOGETHER_BYTES / held, TOGETHER_LANES / program.layout.width, looked_up)
    return 2 ** math.floor(math.log2(max(most, 1.0)))


def _program(traced: Traced, axes: dict[str, jax.ShapeDtypeStruct], lanes_each: int, width: int | None) -> Program:
    """The program in its layout, for so many lanes of a shared value."""
    program = Program(traced, layout := _layout(traced, width), axes)
    one_block = width is not None or layout.narrow or jax.process_count() > 1
    if traced.shared and not one_block and not on_cpu():
        few = Program(traced, Layout(min(64, 2 ** math.ceil(math.log2(lanes_each)))), axes)
        if (places := _places(few)) * few.layout.width >= FEWEST:
            return Program(traced, dataclasses.replace(few.layout, places=places), axes)
    if traced.shared and 2 * lanes_each < layout.width and program.shared_bytes <= SMALL:
        return Program(traced, dataclasses.replace(layout, mixed=True), axes)
    if traced.shared and not one_block and on_cpu() and (places := _places(program)) > 1:
        return Program(traced, dataclasses.replace(layout, places=places), axes)
    return program


def _batch(
    recipe: Recipe, grid: Grid, index: int, statics: dict[str, Any], settings: Mapping[str, Any], width: int | None
) -> Batch:
    axes = {n: v for n, v in grid.axes.items() if n not in statics}
    shapes = {}
    for n, values in axes.items():
        arrays = [as_array(n, v) for v in values]
        if len({a.shape for a in arrays}) > 1:
            raise Mistake(n, "has arrays of different lengths", "give arrays of one length; a length is a static axis")
        shapes[n] = jax.ShapeDtypeStruct(arrays[0].shape, jax.dtypes.canonicalize_dtype(arrays[0].dtype))
    with noted() as data:
        traced = trace(recipe, {**settings, **statics}, shapes)
    lanes_each = math.prod(len(axes[a]) for a in traced.lanes)
    program = _program(traced, shapes, lanes_each, width)
    points, coordinates = _points(program, axes)
    return Batch(index, statics, axes, program, points, coordinates, apart=width is not None, data=data)


def _points(program: Program, axes: Mapping[str, tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], np.ndarray]:
    order = sorted(axes, key=lambda n: n not in program.traced.shared)  # shared ones outermost
    at = [order.index(n) for n in axes]
    points = [tuple(point[k] for k in at) for point in itertools.product(*(axes[n] for n in order))]
    columns = np.meshgrid(*([coordinate(v) for v in axes[n]] for n in order), indexing="ij")
    return points, np.array([columns[k].ravel() for k in at], dtype=np.float64).reshape(len(axes), len(points)).T.copy()


def at_values(plan: Plan, values: Mapping[str, tuple[Any, ...]]) -> Plan:
    """The plan of one grid at other values of its traced axes: the same programs, traced once. No requirement is asked."""
    (grid,) = plan.grids
    batches = []
    for batch in plan.batches:
        axes = {n: tuple(values.get(n, v)) for n, v in batch.axes.items()}
        points, coordinates = _points(batch.program, axes)
        every = list(range(len(points)))
        new = dict(axes=axes, points=points, coordinates=coordinates, found={}, missing=every)
        batches.append(dataclasses.replace(batch, **new))
    grid = Grid({n: tuple(values.get(n, v)) for n, v in grid.axes.items()}, grid.title)
    description = {**plan.description, "grids": [describe(grid)]}
    return dataclasses.replace(plan, grids=Grids([grid]), batches=batches, description=description)


def _look_up(plan: Plan, store: Store) -> None:
    """Find the plan's runs in the pool of tiles."""
    wanted: dict[tuple[str, tuple[str, ...]], list[tuple[Batch, dict[bytes, int]]]] = {}
    for batch in plan.batches:
        batch.found = {}
        places = {row.tobytes(): i for i, row in enumerate(batch.coordinates)}
        wanted.setdefault((batch.program.identity, batch.traced_axes), []).append((batch, places))
    done: dict[int, set[int]] = {id(b): set() for b in plan.batches}
    foreign: Tile | None = None
    others: list[str] = []
    for name in store.names():
        try:
            tile = store.read_or_set_aside(name)
        except OtherFormat as reason:
            others.append(str(reason))
            continue
        if tile is None:
            continue
        if dict(tile.fingerprint) != plan.fingerprint:
            foreign = tile
            continue
        for batch, places in wanted.get((tile.program, tile.axes), ()):
            held = [places[row.tobytes()] for row in tile.coordinates if row.tobytes() in places]
            new = [i for i in held if i not in done[id(batch)]]
            if new:
                batch.found[name] = new
                done[id(batch)].update(new)
    if others:
        many = "1 tile there is" if len(others) == 1 else f"{len(others)} tiles there are"
        what = f"{many} not read ({others[0]}); the runs are computed again"
        warnings.warn(f"{store.folder}: {what}", OlderTiles, stacklevel=2)
    if foreign is not None:
        raise Mistake(
            "out",
            f"{store.folder} holds tiles of another fingerprint ({difference(foreign.fingerprint, plan.fingerprint)}), "
            "whose bits may differ",
            "write to another folder with --out, or remove this one",
        )
    for batch in plan.batches:
        batch.missing = [i for i in range(len(batch.points)) if i not in done[id(batch)]]
