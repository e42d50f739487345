"""A batch: the runs of one program, and how they lie in blocks, launches and tiles.

    block    as many lanes as the program's width, of one shared value (one seed, say) unless lanes mix them
    launch   one call of the program: a block, or several where they are short
    tile     one file: some launches

>>> coordinate(0.5), is_traced("seed", [1, 2]), is_traced("width", [64])
(0.5, True, False)
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..._errors import Mistake
from ..program.engine import Program
from .grid import Labelled

TILE_BLOCKS = 16
"""Blocks of a tile, where a launch does not do more."""
TILE_SECONDS = 10.0
"""What the runs of several shared values may take, by their bounds, to lie in one tile."""
MANY_TILES = 1024
"""As many as any cluster has workers: where there would be more, they are larger."""


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


def show(value: Any) -> str:
    """A value as a user would type it."""
    if isinstance(value, Labelled):
        return value.label
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclasses.dataclass(frozen=True)
class Launch:
    """The runs of one call of a program, as it takes them."""

    lanes: np.ndarray
    """Which run each lane is, block after block; lanes without one repeat another."""
    used: np.ndarray
    """The lanes that have a run of their own, in the order of the runs."""
    firsts: list[int]
    """A run of each shared value."""
    shape: tuple[int, ...]
    """Of an array of lanes: (width,), or (places, width)."""
    which: np.ndarray
    """Which of `firsts` is read: by each place, or -1 if it has no block; where they are mixed, by each lane."""

    def of(self, outputs: np.ndarray) -> np.ndarray:
        """The rows of its runs, from an array over its lanes."""
        return outputs.reshape((math.prod(self.shape), *outputs.shape[len(self.shape) :]))[self.used]


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
    apart: bool = False
    """A tile has one shared value: the user has said how wide a block is."""
    data: dict[str, str] = dataclasses.field(default_factory=dict)
    """Name and digest of the examples that its cell loads."""
    missing: list[int] = dataclasses.field(default_factory=list)
    found: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    """Tile id -> the runs of this batch that it holds."""

    @property
    def tile_runs(self) -> int:
        """Runs that a tile may hold: 16 blocks; of lanes so heavy that a block holds less than it could, one."""
        layout = self.program.layout
        return layout.width * (1 if layout.narrow else max(TILE_BLOCKS, layout.places))

    @property
    def traced_axes(self) -> tuple[str, ...]:
        return self.program.traced.axes

    @functools.cached_property
    def value_of(self) -> np.ndarray:
        """Of each run: which shared value it has, counted from 0."""
        shared = self.coordinates[:, [self.traced_axes.index(a) for a in self.program.traced.shared]].copy().view(np.int64)
        return np.cumsum(np.append([False], (shared[1:] != shared[:-1]).any(1)))[: len(shared)]

    @property
    def _together(self) -> np.ndarray:
        """Of each run: which value all runs of its block have. One, where lanes mix them."""
        return np.zeros_like(self.value_of) if self.program.layout.mixed else self.value_of

    def _starts(self, runs: np.ndarray) -> np.ndarray:
        """Where a block begins: at another value, and after each `width` of one."""
        value, at = self._together[runs], np.arange(len(runs))
        first = np.maximum.accumulate(np.where(np.diff(value, prepend=-1) != 0, at, 0))
        return np.flatnonzero((at - first) % self.program.layout.width == 0)

    def blocks(self, runs: Sequence[int]) -> list[list[int]]:
        """Runs by blocks."""
        return [part.tolist() for part in np.split(np.asarray(runs), self._starts(np.asarray(runs))[1:])]

    def launches(self, runs: Sequence[int]) -> list[list[int]]:
        """A tile's runs by launches."""
        starts = self._starts(np.asarray(runs))[:: self.program.layout.places]
        return [part.tolist() for part in np.split(np.asarray(runs), starts[1:])]

    def arranged(self, runs: Sequence[int]) -> Launch:
        """The runs of one launch in their lanes."""
        layout, runs = self.program.layout, np.asarray(runs)
        starts = self._starts(runs)
        ends, at = np.append(starts[1:], len(runs)), np.arange(layout.width)
        lanes = runs[np.minimum(starts[:, None] + at, ends[:, None] - 1)]
        used = np.flatnonzero(at < (ends - starts)[:, None])
        lanes = np.concatenate([lanes, np.repeat(lanes[-1:], layout.places - len(starts), axis=0)])
        readers = lanes[0] if layout.mixed else lanes[:, 0]
        _, first, which = np.unique(self.value_of[readers], return_index=True, return_inverse=True)
        if not layout.mixed:
            which = np.where(np.arange(layout.places) < len(starts), which, -1)
        shape = lanes.shape if layout.places > 1 else (layout.width,)
        return Launch(lanes.ravel(), used, readers[first].tolist(), shape, which.astype(np.int32))

    def values(self, axes: Sequence[str], runs: Sequence[int] | np.ndarray, shape: tuple[int, ...]) -> list[np.ndarray]:
        """The values of some axes, a run each; numbers straight from the table of coordinates, which holds them exactly."""

        def column(j: int, axis: str) -> np.ndarray:
            one = as_array(axis, self.points[runs[0]][j])
            if one.ndim:
                return np.stack([as_array(axis, self.points[i][j]) for i in runs])
            return self.coordinates[runs, j].astype(one.dtype)

        found = [column(self.traced_axes.index(axis), axis) for axis in axes]
        return [values.reshape((*shape, *values.shape[1:])) for values in found]

    def lane_values(self, launch: Launch) -> list[np.ndarray]:
        return self.values(self.program.traced.lanes, launch.lanes, launch.shape)

    def shared_values(self, runs: Sequence[int]) -> list[np.ndarray]:
        """What `first` takes, for the shared value of each of these runs; where there are no places, of one."""
        places, shared = self.program.layout.places, self.program.traced.shared
        if places == 1:
            return self.values(shared, runs[:1], ())
        padded = [*runs, *runs[-1:] * (places - len(runs))]
        which = np.where(np.arange(places) < len(runs), np.arange(places), -1).astype(np.int32)
        return [*self.values(shared, padded, (places,)), which]

    def tiles(self) -> Iterator[list[int]]:
        """The missing runs, cut into tiles by their place in the grid: workers that miss different ones cut alike.

        A tile holds runs of one shared value, or all runs of several: as many as last `TILE_SECONDS` at the very most
        (a second, as a rule), and, where there would be more tiles than any cluster has workers, as bring them down
        to `MANY_TILES`.
        """
        value, width, places = self._together, self.program.layout.width, self.program.layout.places
        if not len(value):
            return
        sizes = np.bincount(value)
        blocks = -(-int(sizes.max()) // width)
        lane = np.arange(len(value)) - np.searchsorted(value, value)
        short = int(TILE_SECONDS * places / (blocks * self.program.most_seconds))
        wanted = 1 if self.apart else max(short, places // blocks, -(-len(sizes) * blocks // MANY_TILES))
        together = max(1, min(self.tile_runs // (blocks * width), wanted))
        place = np.stack([value // together, lane // self.tile_runs])[:, self.missing]
        cuts = np.flatnonzero((place[:, 1:] != place[:, :-1]).any(0)) + 1
        for part in np.split(np.asarray(self.missing, int), cuts):
            if len(part):
                yield part.tolist()


def check_holds(batch: Batch, runs: Sequence[int], holds: np.ndarray) -> None:
    """One line for the first run of `holds` [runs, requirements] that does not meet one."""
    if holds.all():
        return
    lane, which = np.argwhere(~holds)[0]
    field, what, remedy = batch.program.traced.requirements[which]
    point = dict(zip(batch.traced_axes, batch.points[runs[lane]]))
    where = ", ".join(f"{k}={show(v)}" for k, v in {**batch.statics, **point}.items())
    raise Mistake(field, f"{what} (at {where})", remedy)
