"""Dealing: tiles cut into pieces, which piece a device does next, and what becomes of a tile whose piece raises.

A piece is what one launch of a program does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..._errors import message_of
from .checkpoint import Checkpoint
from ..program.engine import Program
from .journal import Journal
from ..ask.batch import Batch, show
from ..ask.plan import Plan
from ..keep.store import Store, Tile

TRIES = 3
"""How often a tile is computed before it counts as failed."""


@dataclasses.dataclass(frozen=True)
class Piece:
    tile: int
    batch: Batch
    runs: list[int]
    """In the order of the grid."""


class Tiles:
    """Tiles in pieces, each written as its last piece arrives."""

    def __init__(self, plan: Plan, store: Store, tiles: list[tuple[Batch, list[int]]]):
        self._plan, self._store, self._tiles = plan, store, tiles
        self.pieces = [Piece(t, batch, cut) for t, (batch, runs) in enumerate(tiles) for cut in batch.launches(runs)]
        self._pieces_of = Counter(piece.tile for piece in self.pieces)
        self._first = {piece.tile: n for n, piece in reversed([*enumerate(self.pieces)])}
        self.runs = sum(len(runs) for _, runs in tiles)
        self.written = 0
        self.failed: dict[str, str] = {}
        self.journal = Journal(store)
        self._parts: dict[int, dict[int, dict[str, np.ndarray]]] = {t: {} for t in self._pieces_of}
        self._tries = Counter[int]()
        self._seconds: dict[int, float] = dict.fromkeys(self._pieces_of, 0.0)
        self._statics = {id(b): d["statics"] for b, d in zip(plan.batches, plan.description["batches"])}
        self._lock = threading.Lock()

    def name(self, tile: int) -> str:
        return self._plan.tile_id(*self._tiles[tile])

    def place(self, number: int) -> tuple[str, int]:
        """(tile, which of its pieces) of a piece."""
        tile = self.pieces[number].tile
        return self.name(tile), number - self._first[tile]

    def wanted(self, tile: int, begun: bool) -> bool:
        """Whether a tile is still to be done: it has not failed, and no other worker has written it."""
        with self._lock:
            open_ = tile in self._parts
        return open_ and (begun or not self._store.has(self.name(tile)))

    def tried(self, number: int) -> int:
        """How often the tile of a piece has failed."""
        return self._tries[self.pieces[number].tile]

    def add(self, number: int, outputs: dict[str, np.ndarray], seconds: float) -> int:
        """A piece's results; the number of tiles that they complete and that are on the disk now."""
        tile = self.pieces[number].tile
        with self._lock:
            if tile not in self._parts:  # another piece of it has failed for the last time
                return 0
            self._parts[tile][number] = outputs
            self._seconds[tile] += seconds
            if len(self._parts[tile]) < self._pieces_of[tile]:
                return 0
            parts = [part for _, part in sorted(self._parts.pop(tile).items())]
        self._write(tile, parts, self._seconds[tile])
        return 1

    def _write(self, number: int, parts: list[dict[str, np.ndarray]], seconds: float) -> None:
        batch, runs = self._tiles[number]
        arrays = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
        identity, marks = batch.program.identity, self._plan.fingerprint
        statics = self._statics[id(batch)]
        tile = Tile(identity, marks, statics, batch.traced_axes, batch.coordinates[runs], arrays)
        name = self._store.write(tile)
        steps = int(arrays["steps"].sum())
        with self._lock:
            self.written += 1
            self.journal.log(event="tile", tile=name, runs=len(runs), steps=steps, seconds=round(seconds, 4))
        self.journal.clear_failure(name)
        for piece in range(self._pieces_of[number]):
            Checkpoint(self._store, name, piece, identity).clear()

    def fail(self, number: int, error: Exception) -> int | None:
        """A piece has raised: None if it is to be done again, or the number of runs that are given up and recorded."""
        tile = self.pieces[number].tile
        batch, runs = self._tiles[tile]
        with self._lock:
            self._tries[tile] += 1
            if self._tries[tile] < TRIES:
                return None
            if self._parts.pop(tile, None) is None:  # another piece of it was given up before
                return 0
            name, why = self.name(tile), explain(error)
            self.failed[name] = why
        first, last = (dict(zip(batch.traced_axes, map(show, batch.points[i]))) for i in (runs[0], runs[-1]))
        self.journal.record_failure(
            name, why=why, runs=len(runs), statics=self._statics[id(batch)], first=first, last=last,
            traceback="".join(traceback.format_exception(error)),
        )  # fmt: skip
        return len(runs)


def explain(error: BaseException) -> str:
    """An error of a computation in one line, with the remedy where it is known."""
    text = " ".join(f"{type(error).__name__}: {message_of(error)}".split())[:300]
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text or "out of memory" in text.lower():
        text += "; ask for fewer rows, columns or records, or for more memory"
    return text


WORTH_COMPILING = 1.0
"""A device takes over pieces of another's program where they would last this many times as long as compiling it."""


class Queue:
    """Which piece a device does next.

    Compiling a program costs as much as many pieces, so each has one device at first, and a device with nothing of
    its own left takes over from another only where that saves time: the program is compiled there already, or what
    is left of it would last longer than compiling it.
    """

    def __init__(self, tiles: Tiles, devices: list, pass_over: Callable[[int], None]):
        self._tiles, self._pass_over = tiles, pass_over
        self._waiting: dict[Program, deque[int]] = {}
        for number, piece in enumerate(tiles.pieces):
            self._waiting.setdefault(piece.batch.program, deque()).append(number)
        self._begun: set[int] = set()
        self._closed = False
        self._devices = devices
        self._home: dict[Program, int] = {}
        load = [0] * len(devices)
        for program, numbers in self._waiting.items():
            self._home[program] = load.index(min(load))
            load[self._home[program]] += len(numbers)
        self._seconds: dict[Program, float] = {}
        self._changed = threading.Condition()

    def home(self, program: Program):
        return self._devices[self._home[program]]

    def homes(self) -> list[tuple[Program, Any]]:
        return [(program, self.home(program)) for program in self._home]

    def took(self, program: Program, seconds: float) -> None:
        """A piece of the program lasted so long."""
        with self._changed:
            self._seconds[program] = seconds
            self._changed.notify_all()

    def close(self, but_finish: bool = False) -> None:
        """Hand out no more, or only what is left of tiles that are begun."""
        with self._changed:
            self._closed = self._closed or not but_finish
            for numbers in self._waiting.values():
                kept = [n for n in numbers if but_finish and self._tiles.pieces[n].tile in self._begun]
                numbers.clear()
                numbers.extend(kept)
            self._changed.notify_all()

    def take(self, device: int) -> int | None:
        """The next piece for a device; waits while it is not known whether one is worth taking over."""
        with self._changed:
            while any(self._waiting.values()):
                for takes in (self._owns, self._worth_taking):
                    for program, numbers in self._waiting.items():
                        if numbers and takes(program, device) and (number := self._next(numbers)) is not None:
                            return number
                if any(self._waiting.values()):
                    self._changed.wait()
            self._changed.notify_all()
            return None

    def _next(self, numbers: deque[int]) -> int | None:
        """The first piece whose tile is still to be done."""
        while numbers:
            number = numbers.popleft()
            piece = self._tiles.pieces[number]
            if self._tiles.wanted(piece.tile, piece.tile in self._begun):
                self._begun.add(piece.tile)
                return number
            if piece.tile not in self._begun:
                self._pass_over(len(piece.runs))
        return None

    def again(self, number: int) -> None:
        """A piece is to be done again, last of its program's."""
        with self._changed:
            if not self._closed:
                self._waiting[self._tiles.pieces[number].batch.program].append(number)
                self._changed.notify_all()

    def _owns(self, program: Program, device: int) -> bool:
        return self._home[program] == device

    def _worth_taking(self, program: Program, device: int) -> bool:
        compiling = program.compile_seconds(self._devices[device])
        if compiling == 0:
            return True
        left = len(self._waiting[program]) * self._seconds.get(program, 0.0)
        return compiling is not None and left > WORTH_COMPILING * compiling


class Crowd:
    """Pieces on one device: any number together, or one alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0

    @contextlib.contextmanager
    def entered(self, alone: bool) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._inside == 0 if alone else self._inside >= 0)
            self._inside = -1 if alone else self._inside + 1
        try:
            yield
        finally:
            with self._changed:
                self._inside = 0 if alone else self._inside - 1
                self._changed.notify_all()
