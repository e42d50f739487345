"""Carry out a plan: deal its missing pieces to the devices, and write each tile as its last piece is done."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

import jax
import numpy as np

from ..._errors import Mistake, written_bytes
from ..._results import Status
from .checkpoint import Checkpoint, Left, Segments
from .deal import Piece, Crowd, Queue, Tiles
from ..program.engine import Program
from ..program.memory import free_memory
from ..ask.batch import Batch, check_holds
from ..ask.plan import Plan
from ..keep.store import Store


LONG_PIECE = 60.0
"""Seconds that a piece may take at most, by its bounds, without checkpoints."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """What happened so far: told after every finished piece."""

    runs_done: int
    runs_total: int
    seconds: float
    by_status: dict[str, int]
    tiles_done: int
    passed_over: int = 0
    """Of the runs done: those that another worker has written, or that are given up."""


class _Results:
    """First-part results, computed once per shared value and program; the last few are kept."""

    def __init__(self, keep: int):
        self._keep = keep
        self._known: dict[tuple, Future] = {}
        self._lock = threading.Lock()

    def get(self, batch: Batch, runs: list[int], home, device) -> list:
        """On `device`, of the shared value of each run; computed on `home`, because bits belong to one executable."""
        values = batch.shared_values(runs)
        key = (batch.program.identity, device, *(v.tobytes() for v in values))
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
                mine.set_result(batch.program.first(values, home))
            else:
                # through the host: copying between CPU devices from two threads left arrays where they were
                there = self.get(batch, runs, home, home)
                mine.set_result(jax.device_put([np.asarray(r) for r in there], device))
        except BaseException as error:
            with self._lock:  # the next try computes it again
                self._known.pop(key, None)
            mine.set_exception(error)
        return mine.result()


def workers_of(device: Any, devices: Sequence[Any]) -> int:
    """Pieces at a time on one device: one computes while another is drawn, copied or written to disk.

    A CPU device runs them on as many cores as there are, so it gets its share of the cores and one more.
    """
    return 2 if device.platform != "cpu" else -(-_cores() // len(devices)) + 1


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Stop:
    """A request to end early, made from anywhere (a signal's handler): tiles that are begun are finished, no other is."""

    def __init__(self) -> None:
        self.asked = False
        self._queue: Queue | None = None

    def ask(self) -> None:
        self.asked = True
        if self._queue is not None:
            self._queue.close(but_finish=True)

    def watch(self, queue: Queue) -> None:
        self._queue = queue
        if self.asked:
            queue.close(but_finish=True)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of the tiles asked for. All is well if there is no failure."""

    written: int
    failed: Mapping[str, str]
    """Tile -> why, for those that raised three times."""


def execute(
    plan: Plan,
    store: Store,
    *,
    tiles: Sequence[tuple[Batch, list[int]]] | None = None,
    devices: list | None = None,
    tell: Callable[[Progress], None] = lambda progress: None,
    segment: float | None = None,
    stop: Stop | None = None,
) -> Outcome:
    """Compute every missing tile, or those given, in about their order; what another worker has written is passed over.

    An interrupt keeps the finished tiles: `KeyboardInterrupt` passes through. A tile that raises is tried again; after
    the third time it is recorded and the others go on.
    """
    crew = _Crew(plan, store, list(plan.pending()) if tiles is None else tiles, devices or jax.local_devices(), segment)
    if stop is not None:
        stop.watch(crew.queue)
    progress = _Count(crew.tiles.runs, tell)
    workers = [
        threading.Thread(target=crew.work, args=[i], name=f"device-{i}.{k}")
        for i, device in enumerate(crew.devices)
        for k in range(workers_of(device, crew.devices) if crew.tiles.pieces else 0)
    ]
    ahead = _CompileAhead(crew.queue)
    for worker in workers:
        worker.start()
    errors = []
    try:
        for _ in workers:
            while (new := crew.news.get()) is not None:
                errors.append(new) if isinstance(new, BaseException) else progress.add(new)
    finally:  # after a failure or an interrupt, too, what is under way is finished and kept
        crew.queue.close()
        crew.ends = True
        ahead.stop()
        for worker in workers:
            worker.join()
        while not crew.news.empty():
            if isinstance(new := crew.news.get(), _Finished):
                progress.add(new)
        crew.tiles.journal.flush()
    if errors:
        raise errors[0]
    return Outcome(crew.tiles.written, crew.tiles.failed)


class _Crew:
    """What the worker threads share. Each takes a piece from its first draw to its tile on the disk."""

    def __init__(
        self, plan: Plan, store: Store, tiles: Sequence[tuple[Batch, list[int]]], devices: list, segment: float | None
    ):
        self.devices, self.news = devices, SimpleQueue[_Finished | BaseException | None]()
        self.tiles = Tiles(plan, store, list(tiles))
        self.queue = Queue(self.tiles, devices, pass_over=lambda runs: self.news.put(_Finished(passed_over=runs)))
        layouts, at_once = [b.program.layout for b in plan.batches], sum(workers_of(d, devices) for d in devices)
        self._results = _Results(keep=4 * max([at_once, *(layout.width for layout in layouts if layout.mixed)]))
        _check_segment(plan, segment)
        self._segment, self._store = segment, store
        self.ends = False
        """What takes long is not finished: it is left at its next checkpoint."""
        self._crowds = [Crowd() for _ in devices]
        self._x64 = jax.config.jax_enable_x64
        self._fits: set[tuple[Program, int]] = set()
        self._asking = threading.Lock()
        self._broken: dict[Program, Exception] = {}

    def work(self, device: int) -> None:
        """A thread's life: pieces until there are no more. Its news end with None."""
        try:
            with jax.enable_x64(self._x64):  # thread-local: a worker would fall back to the process default
                while (number := self.queue.take(device)) is not None:
                    try:
                        outputs, spent = self._run(number, device)
                    except Mistake:
                        raise
                    except Left:
                        return
                    except Exception as error:  # what fails beyond it, in `tiles.add`, is no matter of this tile
                        if (lost := self.tiles.fail(number, error)) is None:
                            self.queue.again(number)
                        else:
                            self.news.put(_Finished(passed_over=lost))
                        continue
                    self.queue.took(self.tiles.pieces[number].batch.program, spent)
                    self.news.put(_Finished(outputs["status"], self.tiles.add(number, outputs, spent)))
        except BaseException as error:
            self.queue.close()
            self.news.put(error)
        finally:
            self.news.put(None)

    def _run(self, number: int, index: int) -> tuple[dict[str, np.ndarray], float]:
        """(outputs, seconds) of one piece."""
        piece, device = self.tiles.pieces[number], self.devices[index]
        self._make_ready(piece.batch.program, index)
        with self._crowds[index].entered(alone=self.tiles.tried(number) > 0):  # what found no room is alone next time
            begun = time.perf_counter()
            home = self.queue.home(piece.batch.program)
            outputs = _run_piece(piece, self._results, home, device, self._segments(number))
            return outputs, time.perf_counter() - begun

    def _segments(self, number: int) -> Segments | None:
        """In segments where the user asks for it, or where it may take long."""
        program = self.tiles.pieces[number].batch.program
        if program.most_seconds <= LONG_PIECE:
            return None if self._segment is None else Segments(self._segment)
        checkpoint = Checkpoint(self._store, *self.tiles.place(number), program.identity)
        return Segments(self._segment, checkpoint, lambda: self.ends)

    def _make_ready(self, program: Program, index: int) -> None:
        if program in self._broken:
            raise self._broken[program]
        device = self.devices[index]
        try:
            program.compile([device])
        except Exception as error:  # compiling it again would take as long and fail as surely
            self._broken[program] = error
            raise
        with self._asking:  # once
            if (program, index) not in self._fits:
                _check_memory(program, device, workers_of(device, self.devices))
                self._fits.add((program, index))


@dataclasses.dataclass(frozen=True)
class _Finished:
    """News of a piece, or of runs that need no more doing."""

    status: Sequence[int] | np.ndarray = ()
    tiles: int = 0
    passed_over: int = 0


class _Count:
    """Adds up the news."""

    def __init__(self, total: int, tell: Callable[[Progress], None]):
        self._total, self._tell, self._started = total, tell, time.perf_counter()
        self._by_status: Counter[str] = Counter()
        self._tiles = self._passed_over = 0

    def add(self, finished: _Finished) -> None:
        for code, count in zip(*np.unique(finished.status, return_counts=True)):
            self._by_status[Status(int(code)).label] += int(count)
        self._tiles += finished.tiles
        self._passed_over += finished.passed_over
        seconds, counts = time.perf_counter() - self._started, dict(self._by_status)
        done = sum(counts.values()) + self._passed_over
        self._tell(Progress(done, self._total, seconds, counts, self._tiles, self._passed_over))


def _check_memory(program: Program, device: Any, at_once: int) -> None:
    """Refuse pieces that would not fit, before the first tile: the host's killer leaves no message."""
    free = free_memory(device)
    needs = at_once * program.needed_bytes(device)
    if free is not None and needs > free:
        raise Mistake(
            "memory",
            f"{at_once} times {program.layout.width * program.layout.places} runs need {written_bytes(needs)}, "
            f"{written_bytes(free)} are free",
            "ask for fewer rows, columns or records",
        )


def _check_segment(plan: Plan, segment: float | None) -> None:
    """A clock of steps has no parts of steps: a segment of 0.2 would be five launches for each."""
    for batch in plan.batches:
        unit = batch.program.traced.unit
        if segment is not None and not (segment >= 1 if unit == "steps" else segment > 0):
            remedy = "give at least one step" if unit == "steps" else "give a time above 0"
            raise Mistake("segment", f"is {segment:g} on a clock of {unit}", f"{remedy}, or leave it out")


def _run_piece(piece: Piece, results: _Results, home, device, segments: Segments | None) -> dict[str, np.ndarray]:
    batch, runs = piece.batch, piece.runs
    program, launch = batch.program, batch.arranged(runs)
    if program.layout.mixed:
        each = [results.get(batch, [i], home, home) for i in launch.firsts]
        first = [np.stack([each[i][k] for i in launch.which]) for k in range(len(each[0]))]
    else:
        first = results.get(batch, launch.firsts, home, device)
    outputs, holds = program.launch(first, batch.lane_values(launch), device, segments, launch.which)
    check_holds(batch, runs, launch.of(np.asarray(holds)))  # a large plan does not ask all of its runs before the first step
    return {name: launch.of(np.asarray(array)) for name, array in outputs.items()}


class _CompileAhead:
    """Compile the programs in the order they will be needed, while earlier ones run."""

    def __init__(self, queue: Queue):
        self._stopped = False
        arguments = (queue.homes(), jax.config.jax_enable_x64)
        self._thread = threading.Thread(target=self._compile, args=arguments, name="compile-ahead")
        self._thread.start()

    def _compile(self, homes: list[tuple[Program, Any]], x64: bool) -> None:
        with jax.enable_x64(x64):
            for program, device in homes:
                if not self._stopped:
                    with contextlib.suppress(Exception):  # its first piece meets it again, and reports it
                        program.compile([device])

    def stop(self) -> None:
        self._stopped = True
        self._thread.join()
