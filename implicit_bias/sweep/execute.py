"""Carry out a plan: deal its missing blocks to the devices, and write each tile as its last block is done."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

import jax
import numpy as np

from .._errors import Mistake, written_bytes
from .._results import Status
from .engine import Program, free_memory
from .plan import Batch, Plan, as_array, check_holds
from .store import Store, Tile


@dataclasses.dataclass(frozen=True)
class Progress:
    """What happened so far: told after every finished block."""

    runs_done: int
    runs_total: int
    seconds: float
    by_status: dict[str, int]
    tiles_done: int


@dataclasses.dataclass(frozen=True)
class _Block:
    tile: int
    batch: Batch
    runs: list[int]
    """Which runs its first lanes are; the rest of the lanes repeat the last one."""


def _cuts(batch: Batch, runs: list[int]) -> list[list[int]]:
    """A tile's runs in blocks. Unmixed blocks hold one shared value (a tile then does, too)."""
    width = batch.program.layout.width
    return [runs[i : i + width] for i in range(0, len(runs), width)]


class _Results:
    """First-part results, computed once per shared value and program; the last few are kept."""

    def __init__(self, keep: int):
        self._keep = keep
        self._known: dict[tuple, Future] = {}
        self._lock = threading.Lock()

    def get(self, batch: Batch, run: int, home, device) -> list:
        """On `device`; computed on `home`, because bits belong to one executable."""
        columns = [batch.traced_axes.index(a) for a in batch.program.traced.shared]
        key = (batch.program.identity, device, *batch.coordinates[run, columns])
        with self._lock:
            found = self._known.get(key)
            if found is None:
                mine = self._known[key] = Future()
                if len(self._known) > self._keep:
                    self._known.pop(next(iter(self._known)))
        if found is not None:
            return found.result()
        try:  # outside the lock: another device computes another value meanwhile
            if device is home:
                values = [as_array(batch.traced_axes[j], batch.points[run][j]) for j in columns]
                mine.set_result(batch.program.first(values, home))
            else:
                # through the host: copying between CPU devices from two threads left arrays where they were
                there = self.get(batch, run, home, home)
                mine.set_result(jax.device_put([np.asarray(r) for r in there], device))
        except BaseException as error:
            mine.set_exception(error)
        return mine.result()


WORTH_COMPILING = 1.0
"""A device takes over blocks of another's program where they would last this many times as long as compiling it."""


def workers_of(device: Any, devices: Sequence[Any]) -> int:
    """Blocks at a time on one device: one computes while another is drawn, copied or written to disk.

    A CPU device runs them on as many cores as there are, so it gets its share of the cores and one more.
    """
    return 2 if device.platform != "cpu" else -(-_cores() // len(devices)) + 1


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def execute(
    plan: Plan,
    store: Store,
    *,
    devices: list | None = None,
    tell: Callable[[Progress], None] = lambda progress: None,
    segment: float | None = None,
) -> None:
    """Compute every missing tile. An interrupt keeps the finished ones: `KeyboardInterrupt` passes through.

    Each worker takes a block from its first draw to its tile on the disk, so that nothing is handed over on the way.
    """
    if not plan.missing:
        return
    devices = devices or jax.local_devices()
    tiles = _Tiles(plan, store)
    queue = _Queue(tiles.blocks, devices)
    results = _Results(keep=4 * plan.width)
    x64 = jax.config.jax_enable_x64
    fits: set[tuple[Program, int]] = set()
    news: SimpleQueue[_Finished | BaseException | None] = SimpleQueue()

    def work(device: int) -> None:
        try:
            with jax.enable_x64(x64):  # thread-local: a worker would fall back to the process default
                while (number := queue.take(device)) is not None:
                    block = tiles.blocks[number]
                    program = block.batch.program
                    program.compile([devices[device]])
                    if (program, device) not in fits:  # asking costs as much as a short block
                        _check_memory(program, devices[device], workers_of(devices[device], devices))
                        fits.add((program, device))
                    begun = time.perf_counter()
                    outputs = _run_block(block, results, queue.home(program), devices[device], segment)
                    spent = time.perf_counter() - begun
                    queue.took(program, spent)
                    news.put(_Finished(outputs["status"], tiles.add(number, outputs, spent)))
        except BaseException as error:
            queue.close()
            news.put(error)
        finally:
            news.put(None)

    workers = [
        threading.Thread(target=work, args=[i], name=f"device-{i}.{k}")
        for i, device in enumerate(devices)
        for k in range(workers_of(device, devices))
    ]
    ahead = _CompileAhead(queue)
    progress = _Count(plan.missing, tell)
    for worker in workers:
        worker.start()
    errors = []
    try:
        for _ in workers:
            while (new := news.get()) is not None:
                errors.append(new) if isinstance(new, BaseException) else progress.add(new)
    finally:  # after a failure or an interrupt, too, what is under way is finished and kept
        queue.close()
        ahead.stop()
        for worker in workers:
            worker.join()
        while not news.empty():
            if isinstance(new := news.get(), _Finished):
                progress.add(new)
    if errors:
        raise errors[0]


@dataclasses.dataclass(frozen=True)
class _Finished:
    """News of a block."""

    status: np.ndarray
    tiles: int


class _Count:
    """Adds up the news."""

    def __init__(self, total: int, tell: Callable[[Progress], None]):
        self._total, self._tell, self._started = total, tell, time.perf_counter()
        self._by_status: Counter[str] = Counter()
        self._tiles = 0

    def add(self, finished: _Finished) -> None:
        for code, count in zip(*np.unique(finished.status, return_counts=True)):
            self._by_status[Status(int(code)).label] += int(count)
        self._tiles += finished.tiles
        seconds, counts = time.perf_counter() - self._started, dict(self._by_status)
        self._tell(Progress(sum(counts.values()), self._total, seconds, counts, self._tiles))


class _Tiles:
    """The missing tiles in blocks, written as their last block arrives."""

    def __init__(self, plan: Plan, store: Store):
        self._plan, self._store = plan, store
        self._tiles = list(plan.pending())
        self.blocks = [
            _Block(t, batch, cut) for t, (batch, runs) in enumerate(self._tiles) for cut in _cuts(batch, runs)
        ]
        self._awaited = Counter(block.tile for block in self.blocks)
        self._parts: dict[int, dict[int, dict[str, np.ndarray]]] = {t: {} for t in range(len(self._tiles))}
        self._statics = {id(b): d["statics"] for b, d in zip(plan.batches, plan.description["batches"])}
        self._lock = threading.Lock()

    def add(self, number: int, outputs: dict[str, np.ndarray], seconds: float) -> int:
        """A block's results; the number of tiles that they complete and that are on the disk now."""
        tile = self.blocks[number].tile
        with self._lock:
            self._parts[tile][number] = outputs
            if len(self._parts[tile]) < self._awaited[tile]:
                return 0
            parts = [part for _, part in sorted(self._parts.pop(tile).items())]
        self._write(*self._tiles[tile], parts, seconds)
        return 1

    def _write(self, batch: Batch, runs: list[int], parts: list[dict[str, np.ndarray]], seconds: float) -> None:
        arrays = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
        identity, marks = batch.program.identity, self._plan.fingerprint
        statics = self._statics[id(batch)]
        tile = Tile(identity, marks, statics, batch.traced_axes, batch.coordinates[runs], arrays)
        name = self._store.write(tile)
        steps = int(arrays["steps"].sum())
        self._store.log(event="tile", tile=name, runs=len(runs), steps=steps, seconds=round(seconds, 4))


class _Queue:
    """Which block a device does next.

    Compiling a program costs as much as many blocks, so each has one device at first, and a device with nothing of
    its own left takes over from another only where that saves time: the program is compiled there already, or what
    is left of it would last longer than compiling it.
    """

    def __init__(self, blocks: list[_Block], devices: list):
        self._waiting: dict[Program, deque[int]] = {}
        for number, block in enumerate(blocks):
            self._waiting.setdefault(block.batch.program, deque()).append(number)
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
        """A block of the program lasted so long."""
        with self._changed:
            self._seconds[program] = seconds
            self._changed.notify_all()

    def close(self) -> None:
        """Hand out no more."""
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()

    def take(self, device: int) -> int | None:
        """The next block for a device; waits while it is not known whether one is worth taking over."""
        with self._changed:
            while any(self._waiting.values()):
                for takes in (self._owns, self._worth_taking):
                    for program, numbers in self._waiting.items():
                        if numbers and takes(program, device):
                            return numbers.popleft()
                self._changed.wait()
            self._changed.notify_all()
            return None

    def _owns(self, program: Program, device: int) -> bool:
        return self._home[program] == device

    def _worth_taking(self, program: Program, device: int) -> bool:
        compiling = program.compile_seconds(self._devices[device])
        if compiling == 0:
            return True
        left = len(self._waiting[program]) * self._seconds.get(program, 0.0)
        return compiling is not None and left > WORTH_COMPILING * compiling


def _check_memory(program: Program, device: Any, at_once: int) -> None:
    """Refuse blocks that would not fit, before the first tile: the host's killer leaves no message."""
    free = free_memory(device)
    needs = at_once * program.needed_bytes(device)
    if free is not None and needs > free:
        raise Mistake(
            "memory",
            f"{at_once} blocks of {program.layout.width} runs need {written_bytes(needs)}, {written_bytes(free)} are free",
            "ask for fewer rows, columns or records",
        )


def _run_block(block: _Block, results: _Results, home, device, segment: float | None) -> dict[str, np.ndarray]:
    batch, runs = block.batch, block.runs
    program = batch.program
    lanes = [*runs, *[runs[-1]] * (program.layout.width - len(runs))]
    if program.layout.mixed:
        each = [results.get(batch, i, home, home) for i in lanes]
        first = [np.stack([r[k] for r in each]) for k in range(len(each[0]))]
    else:
        first = results.get(batch, runs[0], home, device)
    values = [_column(batch, axis, lanes) for axis in program.traced.lanes]
    outputs, holds = program.launch(first, values, device, segment)
    check_holds(batch, lanes, np.asarray(holds))  # the door does not wait for every run of a large plan
    return {name: np.asarray(array)[: len(runs)] for name, array in outputs.items()}


def _column(batch: Batch, axis: str, runs: list[int]) -> np.ndarray:
    """The values of one axis, a lane each; numbers straight from the table of coordinates, which holds them exactly."""
    j = batch.traced_axes.index(axis)
    one = as_array(axis, batch.points[runs[0]][j])
    if one.ndim:
        return np.stack([as_array(axis, batch.points[i][j]) for i in runs])
    return batch.coordinates[runs, j].astype(one.dtype)


class _CompileAhead:
    """Compile the programs in the order they will be needed, while earlier ones run."""

    def __init__(self, queue: _Queue):
        self._stopped = False
        arguments = (queue.homes(), jax.config.jax_enable_x64)
        self._thread = threading.Thread(target=self._compile, args=arguments, name="compile-ahead")
        self._thread.start()

    def _compile(self, homes: list[tuple[Program, Any]], x64: bool) -> None:
        with jax.enable_x64(x64):
            for program, device in homes:
                if not self._stopped:
                    program.compile([device])

    def stop(self) -> None:
        self._stopped = True
        self._thread.join()
