"""Carry out a plan: deal its missing blocks to the devices, and write each tile as its last block arrives."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import jax
import numpy as np

from .._errors import Mistake
from .._results import Status
from .engine import Program
from .plan import Batch, Plan, as_array
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


WRITERS = 4
"""Tiles being written at a time: a write waits for the disk, and the devices must not wait with it."""
WORTH_COMPILING = 1.0
"""A device takes over blocks of another's program where they would last this many times as long as compiling it."""


def execute(
    plan: Plan,
    store: Store,
    *,
    devices: list | None = None,
    tell: Callable[[Progress], None] = lambda progress: None,
    segment: float | None = None,
) -> None:
    """Compute every missing tile. An interrupt keeps the finished ones: `KeyboardInterrupt` passes through."""
    if not plan.missing:
        return
    tiles = list(plan.pending())
    blocks = [_Block(t, batch, cut) for t, (batch, runs) in enumerate(tiles) for cut in _cuts(batch, runs)]
    devices = devices or jax.local_devices()
    queue = _Queue(blocks, devices)
    awaited = Counter(block.tile for block in blocks)
    parts: dict[int, list[tuple[int, dict[str, np.ndarray]]]] = {t: [] for t in range(len(tiles))}
    results = _Results(keep=4 * plan.width)
    started = time.perf_counter()
    counts: Counter[str] = Counter()
    runs_done = tiles_done = 0
    x64 = jax.config.jax_enable_x64
    fits: set[tuple[Program, int]] = set()

    def work(block: _Block, device: int) -> tuple[dict[str, np.ndarray], float]:
        with jax.enable_x64(x64):  # thread-local: a worker would fall back to the process default
            program = block.batch.program
            program.compile([devices[device]])
            if (program, device) not in fits:  # asking costs as much as a short block
                _check_memory(program, devices[device])
                fits.add((program, device))
            begun = time.perf_counter()
            outputs = _run_block(block, results, queue.home(program), devices[device], segment)
            return outputs, time.perf_counter() - begun

    # One thread a device: a block's dispatch waits for its inputs, and JAX releases the lock while it computes.
    threads = [ThreadPoolExecutor(1, thread_name_prefix=f"device-{i}") for i in range(len(devices))]
    writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="tiles")
    writing: set[Future] = set()
    ahead = _CompileAhead(queue)
    running: dict[Future, tuple[int, int]] = {}

    def feed() -> None:
        """Keep two blocks on every device: one that runs, one that waits."""
        for device in range(len(devices)):
            while sum(d == device for d, _ in running.values()) < 2 and (number := queue.take(device)) is not None:
                running[threads[device].submit(work, blocks[number], device)] = device, number

    try:
        feed()
        while running or writing:
            finished, _ = wait([*running, *writing], return_when=FIRST_COMPLETED)
            for future in finished & writing:
                writing.remove(future)
                future.result()
                tiles_done += 1
                tell(Progress(runs_done, plan.missing, time.perf_counter() - started, dict(counts), tiles_done))
            # a failure is raised after what finished beside it has been kept
            for future in sorted(finished & running.keys(), key=lambda future: future.exception() is not None):
                device, number = running.pop(future)
                outputs, seconds = future.result()
                block = blocks[number]
                queue.took(block.batch.program, seconds)
                feed()
                parts[block.tile].append((number, outputs))
                runs_done += len(block.runs)
                for code, count in zip(*np.unique(outputs["status"], return_counts=True)):
                    counts[Status(int(code)).label] += int(count)
                if len(parts[block.tile]) == awaited[block.tile]:
                    ordered = [outputs for _, outputs in sorted(parts.pop(block.tile), key=lambda part: part[0])]
                    writing.add(writers.submit(_write_tile, plan, store, *tiles[block.tile], ordered, seconds))
                tell(Progress(runs_done, plan.missing, time.perf_counter() - started, dict(counts), tiles_done))
    finally:
        ahead.stop()
        for thread in (*threads, writers):
            thread.shutdown(wait=True, cancel_futures=thread is not writers)


class _Queue:
    """Which block a device does next.

    Compiling a program costs as much as many blocks, so each has one device at first, and a device with nothing of
    its own left takes over from another only where that saves time: the program is compiled there already, or what
    is left of it would last longer than compiling it.
    """

    def __init__(self, blocks: list[_Block], devices: list):
        self._waiting: dict[Program, list[int]] = {}
        for number, block in enumerate(blocks):
            self._waiting.setdefault(block.batch.program, []).append(number)
        self._devices = devices
        self._home: dict[Program, int] = {}
        load = [0] * len(devices)
        for program, numbers in self._waiting.items():
            self._home[program] = load.index(min(load))
            load[self._home[program]] += len(numbers)
        self._seconds: dict[Program, float] = {}

    def home(self, program: Program):
        return self._devices[self._home[program]]

    def homes(self) -> list[tuple[Program, Any]]:
        return [(program, self.home(program)) for program in self._home]

    def took(self, program: Program, seconds: float) -> None:
        """A block of the program lasted so long."""
        self._seconds[program] = seconds

    def take(self, device: int) -> int | None:
        """The next block for a device, if there is one that it should do."""
        for program, numbers in self._waiting.items():
            if numbers and self._home[program] == device:
                return numbers.pop(0)
        for program, numbers in self._waiting.items():
            if numbers and self._worth_taking(program, device):
                return numbers.pop(0)
        return None

    def _worth_taking(self, program: Program, device: int) -> bool:
        compiling = program.compile_seconds(self._devices[device])
        if compiling == 0:
            return True
        left = len(self._waiting[program]) * self._seconds.get(program, 0.0)
        return compiling is not None and left > WORTH_COMPILING * compiling


def _check_memory(program: Program, device) -> None:
    """Refuse a block that would not fit, before its first tile: the host's killer leaves no message."""
    stats = device.memory_stats() if device.platform != "cpu" else None
    free = stats["bytes_limit"] - stats["bytes_in_use"] if stats else _free_host_memory()
    needs = program.needed_bytes(device)
    if free is not None and needs > free:
        raise Mistake(
            "memory",
            f"a block of {program.layout.width} runs needs {needs / 1e9:.1f} GB, {free / 1e9:.1f} GB are free",
            "ask for fewer rows, columns or records",
        )


def _free_host_memory() -> int | None:
    try:
        with open("/proc/meminfo") as file:
            line = next(line for line in file if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    return int(line.split()[1]) * 1024


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
    outputs = program.launch(first, values, device, segment)
    return {name: np.asarray(array)[: len(runs)] for name, array in outputs.items()}


def _column(batch: Batch, axis: str, runs: list[int]) -> np.ndarray:
    """The values of one axis, a lane each; numbers straight from the table of coordinates, which holds them exactly."""
    j = batch.traced_axes.index(axis)
    one = as_array(axis, batch.points[runs[0]][j])
    if one.ndim:
        return np.stack([as_array(axis, batch.points[i][j]) for i in runs])
    return batch.coordinates[runs, j].astype(one.dtype)


def _lane_values(batch: Batch, axis: str, lanes: list[int]) -> np.ndarray:
    """[lanes, ...]: what each lane gets of an axis."""
    column = batch.traced_axes.index(axis)
    sample = as_array(axis, batch.points[lanes[0]][column])
    if sample.ndim == 0:  # a coordinate is its own value
        return batch.coordinates[lanes, column].astype(sample.dtype)
    return np.stack([as_array(axis, batch.points[i][column]) for i in lanes])


def _write_tile(
    plan: Plan, store: Store, batch: Batch, runs: list[int], parts: list[dict[str, np.ndarray]], seconds: float
) -> None:
    arrays = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    tile = Tile(
        batch.program.identity,
        plan.fingerprint,
        plan.description["batches"][plan.batches.index(batch)]["statics"],
        batch.traced_axes,
        batch.coordinates[runs],
        arrays,
    )
    name = store.write(tile)
    store.log(event="tile", tile=name, runs=len(runs), steps=int(arrays["steps"].sum()), seconds=round(seconds, 4))


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
