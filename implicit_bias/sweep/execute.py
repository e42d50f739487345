"""Carry out a plan: deal its missing blocks to the devices, and write each tile as its last block arrives."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import jax
import numpy as np

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
    batch: Batch
    runs: list[int]
    """Which runs its first lanes are; the rest of the lanes repeat the last one."""


def _blocks(batch: Batch, runs: list[int]) -> list[_Block]:
    """A tile's runs in blocks. Unmixed blocks hold one shared value (a tile then does, too)."""
    width = batch.program.layout.width
    return [_Block(batch, runs[i : i + width]) for i in range(0, len(runs), width)]


class _Results:
    """First-part results, computed once per shared value and program; the last few are kept."""

    def __init__(self, keep: int):
        self._keep = keep
        self._known: dict[tuple, list] = {}
        self._lock = threading.Lock()

    def get(self, batch: Batch, run: int, device) -> list:
        columns = [batch.traced_axes.index(a) for a in batch.program.traced.shared]
        key = (batch.program.identity, *batch.coordinates[run, columns])
        with self._lock:
            if key not in self._known:
                values = [as_array(batch.traced_axes[j], batch.points[run][j]) for j in columns]
                if len(self._known) >= self._keep:
                    self._known.pop(next(iter(self._known)))
                self._known[key] = batch.program.first(values, device)
            return self._known[key]


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
    blocks = [(t, b) for t, (batch, runs) in enumerate(tiles) for b in _blocks(batch, runs)]
    devices = (devices or jax.local_devices())[: len(blocks)]
    started = time.perf_counter()
    results = _Results(keep=4 * plan.width)
    awaited = {t: 0 for t in range(len(tiles))}
    parts: dict[int, dict[int, dict[str, np.ndarray]]] = {t: {} for t in range(len(tiles))}
    for t, _ in blocks:
        awaited[t] += 1
    counts: dict[str, int] = {}
    runs_done = tiles_done = 0
    x64 = jax.config.jax_enable_x64

    def work(number: int, block: _Block, device) -> tuple[int, dict[str, np.ndarray], float]:
        with jax.enable_x64(x64):  # thread-local: a worker would fall back to the process default
            begun = time.perf_counter()
            outputs = _run_block(block, results, devices[0], device, segment)
            return number, outputs, time.perf_counter() - begun

    pools = [ThreadPoolExecutor(1, thread_name_prefix=f"device-{i}") for i in range(len(devices))]
    programs = list(dict.fromkeys(batch.program for batch, _ in tiles))
    ahead = _CompileAhead(programs, devices)
    queue = iter(enumerate(blocks))
    running: dict[Future, int] = {}

    def feed(device: int) -> None:
        for number, (_, block) in itertools.islice(queue, 1):
            running[pools[device].submit(work, number, block, devices[device])] = device

    try:
        for device in list(range(len(devices))) * 2:
            feed(device)
        while running:
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                device = running.pop(future)
                feed(device)
                number, outputs, seconds = future.result()
                t, block = blocks[number]
                parts[t][number] = outputs
                runs_done += len(block.runs)
                for code, n in zip(*np.unique(outputs["status"], return_counts=True)):
                    label = Status(int(code)).label
                    counts[label] = counts.get(label, 0) + int(n)
                if len(parts[t]) == awaited[t]:
                    _write_tile(plan, store, *tiles[t], [parts[t][n] for n in sorted(parts[t])], seconds)
                    parts[t] = {}
                    tiles_done += 1
                elapsed = time.perf_counter() - started
                tell(Progress(runs_done, plan.missing, elapsed, dict(counts), tiles_done))
    finally:
        for pool in pools:
            pool.shutdown(wait=True, cancel_futures=True)
        ahead.stop()


def _run_block(block: _Block, results: _Results, home, device, segment: float | None) -> dict[str, np.ndarray]:
    batch, runs = block.batch, block.runs
    program, names = batch.program, batch.traced_axes
    lanes = [*runs, *[runs[-1]] * (program.layout.width - len(runs))]
    if program.layout.mixed:
        each = [results.get(batch, i, home) for i in lanes]
        first = [np.stack([np.asarray(r[k]) for r in each]) for k in range(len(each[0]))]
    else:
        first = results.get(batch, runs[0], home)
    values = [np.stack([as_array(a, batch.points[i][names.index(a)]) for i in lanes]) for a in program.traced.lanes]
    outputs = program.launch(first, values, device, segment)
    return {name: np.asarray(array)[: len(runs)] for name, array in outputs.items()}


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

    def __init__(self, programs: list[Program], devices: list):
        self._stopped = False
        self._thread = threading.Thread(target=self._compile, args=(programs, devices, jax.config.jax_enable_x64), name="compile-ahead")
        self._thread.start()

    def _compile(self, programs: list[Program], devices: list, x64: bool) -> None:
        with jax.enable_x64(x64):
            for program in programs:
                if not self._stopped:
                    program.compile(devices)

    def stop(self) -> None:
        self._stopped = True
        self._thread.join()
