r"""A cell that spans hosts: several processes compute every block together, each on its part of a large problem.

Workers are independent as long as a problem fits on one host. Where it does not, processes that have joined
(`cluster.distributed`) run one program over all their devices: see `block`. Process 0 alone decides which tiles
are missing and alone writes; before each tile all agree to go on.

Their sums are rounded in another order than those of one host, so the tiles have a fingerprint of their own.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from ..._errors import Mistake
from ..._results import Status
from .agreement import RESTART, adopt_missing, caught, check_same, go_on
from ...sweep.program.engine import Program
from ...sweep.work.execute import Progress
from ...sweep.ask.plan import Plan
from .block import AXIS, Split
from ...sweep.keep.store import Store, Tile


def execute_spanning(
    plan: Plan,
    store: Store,
    *,
    tell: Callable[[Progress], None] = lambda progress: None,
    found: Mapping[str, Any] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Compute every missing tile together with the other processes, each of which calls this; how many were written.

    The plans are made after joining, of one request; only that of process 0 needs the store. `tell` and `found` (kept
    with the plan) matter in process 0 only. If `stop()` holds in any process, all end before the next tile.
    """
    if jax.process_count() == 1:
        remedy = "start several, with --process I --processes N or with srun, or leave --span out"
        raise Mistake("span", "one process alone has nothing to span", remedy)

    def act() -> int:
        with jax.enable_x64(plan.fingerprint["x64"] == "True"):
            return _execute(plan, store, tell, found or {}, stop)

    try:
        return _interruptible(act)
    except Mistake:
        raise
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        if re.search("gloo|nccl|coordination", str(error), re.IGNORECASE):
            what = f"another process has ended or is out of reach ({' '.join(str(error).split())[:160]})"
            raise Mistake("peer", what, f"see the line of the one that ended first; then {RESTART}") from error
        raise


def _interruptible(act: Callable[[], int]) -> int:
    """A computation is deaf to signals: do it in a thread, and listen here."""
    result: Future[int] = Future()

    def run() -> None:
        try:
            result.set_result(act())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=run, name="span", daemon=True).start()
    return result.result()


def _execute(
    plan: Plan, store: Store, tell: Callable[[Progress], None], found: Mapping[str, Any], stop: Callable[[], bool]
) -> int:
    check_same(plan)
    adopt_missing(plan)
    writes = jax.process_index() == 0
    mesh = Mesh(np.array(jax.devices()), (AXIS,))
    statics = {id(b): d["statics"] for b, d in zip(plan.batches, plan.description["batches"])}
    progress = _Progress(plan.missing, tell if writes else lambda progress: None)
    ready: dict[Program, Split] = {}

    def prepare() -> None:
        store.prepare()
        store.write_plan(*plan.document(), **found)

    error = caught(prepare) if writes else None
    for batch, runs in plan.pending():
        program = batch.program
        if program not in ready:
            ready[program] = Split(program, mesh)
            error = error or caught(ready[program].check_memory)
        if not go_on(error, stop()):
            return progress.tiles
        arrays = ready[program].tile(batch, runs, progress.add)
        marks, axes, places = plan.fingerprint, batch.traced_axes, batch.coordinates[runs]
        tile = Tile(program.identity, marks, statics[id(batch)], axes, places, arrays)
        error = caught(lambda tile=tile: store.write(tile)) if writes else None
        progress.tiles += 1
    go_on(error, False)  # none ends before the last tile is on the disk
    return progress.tiles


class _Progress:
    """Adds up finished blocks."""

    def __init__(self, total: int, tell: Callable[[Progress], None]):
        self._total, self._tell, self._begun = total, tell, time.perf_counter()
        self._by_status: Counter[str] = Counter()
        self.tiles = 0

    def add(self, status: np.ndarray) -> None:
        self._by_status.update(Status(int(code)).label for code in status)
        counts, seconds = dict(self._by_status), time.perf_counter() - self._begun
        self._tell(Progress(sum(counts.values()), self._total, seconds, counts, self.tiles))
