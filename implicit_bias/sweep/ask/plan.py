"""A plan: which runs a study asks for, which are done, and the tiles that hold the rest.

A run is known by its program and its place on the traced axes, bit for bit. Whatever the pool of tiles already holds
is used, so a grid can grow in any direction and only what is new is computed: from 16 to 200 seeds, 184.
"""

from __future__ import annotations

import dataclasses
import functools
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
from ...data.base import noted
from ..program.cost import lanes_of
from ..program.engine import SMALL, Layout, Program, free_memory
from ..program.fingerprint import difference, fingerprint
from .grid import MOST_RUNS, Grid, Grids, Labelled
from .keywords import defaults, encoded
from ..program.prepare import Recipe, Traced, trace
from ..keep.store import OtherFormat, Store, Tile, canonical, tile_id

TILE_BLOCKS = 16
TILE_SECONDS = 60.0
MANY_TILES = 1024
ROOM = {"cpu": 1e5}
"""Operations of a step that a block of dense lanes may have: what keeps a core busy."""
ROOM_OF_OTHERS = 1e9


class OlderTiles(UserWarning):
    """A folder holds tiles that another version wrote; they stay there and are not read."""


def is_traced(name: str, values: Sequence[Any]) -> bool:
    """Floats, labelled arrays and seeds vary without recompiling; words, flags and whole numbers do not."""
    if name == "seed" or name.startswith("seed."):
        return True
    return all(isinstance(v, (float, Labelled)) and not isinstance(v, bool) for v in values)


def coordinate(value: Any) -> float:
    """A value's place on its axis as one float64: itself, or 48 bits of a hash of a labelled array."""
    if isinstance(value, Labelled):
        array = np.ascontiguousarray(value.array)
        data = f"{array.dtype.str} {array.shape} ".encode() + array.tobytes()
        return float(int.from_bytes(hashlib.sha256(data).digest()[:6], "big"))
    return float(value)


def as_array(name: str, value: Any) -> np.ndarray:
    """What the program receives for a value."""
    if isinstance(value, Labelled):
        return np.asarray(value.array)
    if name == "seed" or name.startswith("seed."):
        return np.asarray(value, dtype=np.int64)
    return np.asarray(value, dtype=np.float64)


@dataclasses.dataclass
class Batch:
    """The runs of one grid at one choice of its static axes: one program."""

    grid: int
    statics: dict[str, Any]
    axes: dict[str, tuple[Any, ...]]
    program: Program
    points: list[tuple[Any, ...]]
    """Every run's values, in block order: shared axes outermost."""
    coordinates: np.ndarray
    data: dict[str, str] = dataclasses.field(default_factory=dict)
    """Name and digest of the examples that its cell loads."""
    missing: list[int] = dataclasses.field(default_factory=list)
    found: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    """Tile id -> the runs of this batch that it holds."""

    @property
    def tile_runs(self) -> int:
        """Runs that a tile may hold: 16 blocks; of lanes so heavy that a block holds less than it could, one."""
        layout = self.program.layout
        return layout.width * (1 if layout.narrow else TILE_BLOCKS)

    @property
    def traced_axes(self) -> tuple[str, ...]:
        return self.program.traced.axes

    @functools.cached_property
    def _value_of(self) -> np.ndarray:
        """Of each run: which shared value it has, counted from 0. Where lanes mix them, blocks see one."""
        if self.program.layout.mixed or not self.points:
            return np.zeros(len(self.points), int)
        shared = self.coordinates[:, [self.traced_axes.index(a) for a in self.program.traced.shared]]
        return np.concatenate([[0], np.cumsum((shared[1:] != shared[:-1]).any(1))])

    def blocks(self, runs: Sequence[int]) -> Iterator[list[int]]:
        """A tile's runs in blocks, each of one shared value (unless lanes mix them)."""
        for _, group in itertools.groupby(runs, key=self._value_of.__getitem__):
            one, width = list(group), self.program.layout.width
            yield from (one[start : start + width] for start in range(0, len(one), width))

    def tiles(self) -> Iterator[list[int]]:
        """The missing runs, cut into tiles by their place in the grid: workers that miss different ones cut alike.

        A tile holds runs of one shared value, or all runs of several: as many as last a minute at the very most,
        and, where there would be more tiles than any cluster has workers, as bring them down to `MANY_TILES`.
        """
        value, width = self._value_of, self.program.layout.width
        sizes = np.bincount(value, minlength=1)
        blocks = -(-int(sizes.max()) // width)
        lane = np.arange(len(value)) - np.searchsorted(value, value)
        short = int(TILE_SECONDS / (blocks * self.program.most_seconds))
        together = max(1, min(self.tile_runs // (blocks * width), max(short, -(-len(sizes) * blocks // MANY_TILES))))
        place = np.stack([value // together, lane // self.tile_runs])
        for _, group in itertools.groupby(self.missing, key=lambda i: tuple(place[:, i])):
            yield list(group)


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
"""Seconds that asking the requirements of all runs may take, but that one block of each program is always asked; what is
not asked by then is asked of each block as it runs."""


def check_requirements(batch: Batch, until: float = math.inf) -> None:
    """Evaluate the requirements of the runs before the first step; one line for the first that fails."""
    program, names = batch.program, batch.traced_axes
    shared = [names.index(a) for a in program.traced.shared]
    lanes = [names.index(a) for a in program.traced.lanes]
    width, device, asked = program.layout.width, jax.local_devices()[0], False
    for value, group in itertools.groupby(range(len(batch.points)), key=lambda i: tuple(batch.coordinates[i, shared])):
        del value
        group, first = list(group), None
        for start in range(0, len(group), width):
            if asked and time.perf_counter() > until:
                return
            asked = True
            runs = group[start : start + width]
            if first is None:
                first = program.first([as_array(names[j], batch.points[runs[0]][j]) for j in shared], device)
            padded = [*runs, *[runs[-1]] * (width - len(runs))]
            values = [np.stack([as_array(names[j], batch.points[i][j]) for i in padded]) for j in lanes]
            check_holds(batch, padded, program.meets(first, values, device))


def check_holds(batch: Batch, runs: Sequence[int], holds: np.ndarray) -> None:
    """One line for the first run of `holds` [runs, requirements] that does not meet one."""
    if holds.all():
        return
    lane, which = np.argwhere(~holds)[0]
    field, what, remedy = batch.program.traced.requirements[which]
    point = dict(zip(batch.traced_axes, batch.points[runs[lane]]))
    where = ", ".join(f"{k}={show(v)}" for k, v in {**batch.statics, **point}.items())
    raise Mistake(field, f"{what} (at {where})", remedy)


def show(value: Any) -> str:
    """A value as a user would type it."""
    if isinstance(value, Labelled):
        return value.label
    return f"{value:g}" if isinstance(value, float) else str(value)


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
    layout = _layout(traced, width)
    program = Program(traced, layout, shapes)
    if traced.shared and 2 * lanes_each < layout.width and program.shared_bytes <= SMALL:
        program = Program(traced, dataclasses.replace(layout, mixed=True), shapes)
    points, coordinates = _points(program, axes)
    return Batch(index, statics, axes, program, points, coordinates, data)


def _points(program: Program, axes: Mapping[str, tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], np.ndarray]:
    outer = [n for n in axes if n in program.traced.shared]
    inner = [n for n in axes if n not in program.traced.shared]
    points = [
        tuple(dict(zip([*outer, *inner], point))[n] for n in axes)
        for point in itertools.product(*(axes[n] for n in [*outer, *inner]))
    ]
    coordinates = np.array([[coordinate(v) for v in p] for p in points], dtype=np.float64)
    return points, coordinates.reshape(len(points), len(axes))


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
