"""A worker: the tiles of its share of a plan, then any tile still missing. No lock, no queue, no master.

Worker I of N begins with the I-th N-th of the plan's runs, in their order, so that it compiles few programs. Then it
takes what is missing of the others' shares, in an order of its own (by a hash of I and the tile, one program after
another), so that two workers seldom meet. Before a tile it looks whether the file is there; where two compute one
tile all the same, they write the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence

from .._errors import Mistake
from .._files import FilePath
from ..progress import progress
from ..request import Request, planned
from ..session import guarded, make_plan, say_failed, start
from ..sweep.ask.document import Document
from ..sweep.work.execute import Outcome, Stop
from ..sweep.program.fingerprint import difference
from ..sweep.work.journal import Journal
from ..sweep.ask.batch import Batch
from ..sweep.ask.plan import Plan
from ..sweep.keep.store import Store
from . import STOPPED

GRACE = {signal.SIGUSR1: 100.0, signal.SIGTERM: 20.0}
"""Seconds to finish the tile under way: schedulers kill 120 s after USR1 (as `submit` asks) and 30 s after TERM."""

RESTARTS = 2
"""How often a scheduler may requeue a worker that finishes no tile."""

Work = tuple[Batch, list[int]]


def shares(plan: Plan, of: int) -> list[list[Work]]:
    """The missing tiles of each worker. A tile's share hangs on its first run alone, not on what else is missing."""
    total, begin = plan.runs, {}
    for batch in plan.batches:
        begin[id(batch)] = sum(len(b.points) for b in plan.batches[: len(begin)])
    found: list[list[Work]] = [[] for _ in range(of)]
    for batch, runs in plan.pending():
        found[(begin[id(batch)] + runs[0]) * of // total].append((batch, runs))
    return found


def shuffled(plan: Plan, tiles: Sequence[Work], worker: int) -> list[Work]:
    """Tiles in an order of this worker's own, those of one program together."""

    def rank(*words: str) -> bytes:
        return hashlib.sha256("/".join([str(worker), *words]).encode()).digest()

    return sorted(tiles, key=lambda t: (rank(t[0].program.identity), rank(plan.tile_id(*t))))


def work(path: FilePath, worker: int, of: int) -> int:
    """Do a worker's part of a plan; the exit code."""
    request, document = planned(path)
    store, outcome = request.store, Outcome(0, {})
    with _stopping() as stop:  # from here on: a signal may come while the plan is made
        start()
        study, plan = make_plan(request, store)
        _same_sweep(path, document, plan, request)
        while not stop.asked and plan.missing and not outcome.failed:
            with Journal(store).alive(worker=worker, of=of, plan=path.stem):
                outcome = _do(study, plan, store, request, worker, of, stop)
            plan.look_up(store)  # what others wrote is whole, or set aside and done now
        if not stop.asked and not plan.missing:
            print(f"{request.entry.name}: all {plan.runs:,} runs are done", file=sys.stderr)
    return _exit_code(request, outcome, stop)


def work_together(path: FilePath, coordinator: str | None, process: int | None, processes: int | None) -> int:
    """Do a plan whose cell is too large for one host, as one of several processes that compute each block together."""
    from .span.execute import execute_spanning
    from .distributed import joined

    request, document = planned(path)
    start()
    with joined(coordinator, os.environ, process=process, processes=processes), _stopping() as stop:
        import jax

        first = jax.process_index() == 0  # it alone looks at what is there, writes, and tells
        store = request.store
        _, plan = make_plan(request, store if first else None)
        _same_sweep(path, document, plan, request if first else None)
        told = progress(request.entry.name, plan.runs, plan.missing) if first else contextlib.nullcontext(_silent)
        with told as tell:
            execute_spanning(plan, store, tell=tell, found=request.found, stop=lambda: stop.asked)
        if first:
            plan.look_up(store)
            if not plan.missing:
                print(f"{request.entry.name}: all {plan.runs:,} runs are done", file=sys.stderr)
        return _exit_code(request, Outcome(0, {}), stop)


def _silent(progress: object) -> None:
    del progress


def _do(study, plan: Plan, store: Store, request: Request, worker: int, of: int, stop: Stop) -> Outcome:
    """This worker's share, then everyone's."""
    written, failed = 0, {}
    mine, *others = (parts := shares(plan, of))[worker : worker + 1] + parts[:worker] + parts[worker + 1 :]
    for what, tiles in (("its share", mine), ("what others left", [t for part in others for t in part])):
        if what != "its share":
            tiles = shuffled(plan, tiles, worker)
        tiles = [t for t in tiles if not store.has(plan.tile_id(*t))]
        runs = sum(len(runs) for _, runs in tiles)
        if stop.asked or not tiles:
            continue
        name = f"{request.entry.name} (worker {worker} of {of}, {what})"
        with progress(name, runs, runs) as tell:
            options = dict(tiles=tiles, tell=tell, stop=stop, found=request.found)
            outcome = guarded(request.entry, lambda o=options: study.execute(plan, store, **o))
        written, failed = written + outcome.written, {**failed, **outcome.failed}
    return Outcome(written, failed)


def _same_sweep(path: FilePath, document: Document, plan: Plan, request: Request | None) -> None:
    """Refuse a plan that today's study would not make; another kind of machine makes a plan of its own, with its name."""
    digest, mine = plan.document()
    if digest == path.stem:
        return
    marks = difference(document["fingerprint"], plan.fingerprint)
    if not marks or document["grids"] != mine["grids"]:
        what = "asks for what the study does no longer: it was edited since"
        raise Mistake("PLAN", f"{path} {what}", "submit it again")
    print(f"another machine than the plan's ({marks}): its tiles have names of their own", file=sys.stderr)
    if request is not None:
        request.store.prepare()
        request.give_name(request.store.write_plan(digest, mine, **request.found))


def _exit_code(request: Request, outcome: Outcome, stop: Stop) -> int:
    if outcome.failed:
        say_failed(request.store, outcome.failed)
        return 1
    if stop.asked:
        print(f"stopped: finished tiles are kept; go on with: {request.command()}", file=sys.stderr)
        return 1 if _in_vain(outcome) else STOPPED
    return 0


def _in_vain(outcome: Outcome) -> bool:
    """Whether this worker was requeued again and again and finished nothing: it would go on so for ever."""
    restarts = os.environ.get("SLURM_RESTART_COUNT", "")
    if outcome.written or not restarts.isdecimal() or int(restarts) < RESTARTS:
        return False
    print(
        f"no tile was finished in start {int(restarts) + 1} either: give more time, or ask for fewer runs",
        file=sys.stderr,
    )
    return True


@contextlib.contextmanager
def _stopping() -> Iterator[Stop]:
    """USR1 and TERM end the work early: begun tiles are finished if there is time, and dropped if not."""
    stop = Stop()
    timers: dict[int, threading.Timer] = {}

    def handle(number: int, frame: object) -> None:
        del frame
        if number in timers:
            return
        # a handler may itself be interrupted by a signal, and in the middle of somebody's print
        timers[number] = timer = threading.Timer(GRACE[signal.Signals(number)], _drop)
        timer.daemon = True
        timer.start()
        os.write(2, f"{signal.Signals(number).name}: finishing what is under way\n".encode())
        stop.ask()

    before = {number: signal.signal(number, handle) for number in GRACE}
    try:
        yield stop
    finally:
        for timer in timers.values():
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _drop() -> None:
    os.write(2, b"out of time: what is under way is dropped\n")
    os._exit(STOPPED)  # a tile is whole or not there: nothing needs tidying
