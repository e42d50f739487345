"""Workers x devices x resuming x extending: whoever computes what, when and where, the tiles have the same bytes.

A sweep of two programs is dealt as `work` deals it to 1, 2, 3 or 5 workers of 1, 2 or 4 devices each, together or one
after another; begun again after each tile, or not; of all seeds at once, or of a few first. The workers are threads of
this process, and now and then real ones, `implicit-bias work`.
"""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
import sys
import threading
import warnings
from pathlib import Path

from .common import Outcome, Tally, replaced

WIDTH = 4
SEEDS = 4
WORKERS, DEVICES = (1, 2, 3, 5), (1, 2, 4)
REAL = 100
"""One arrangement in so many is also one of real workers."""


def attack(count: int, seed: int, folder: Path) -> Outcome:
    from implicit_bias.sweep.work import deal

    from . import jaxed

    jaxed.start(devices=max(DEVICES))
    tally = Tally(seed)
    sweep = Sweep(folder)
    arrangements = list(itertools.product(WORKERS, DEVICES, (False, True), (False, True)))
    order = tally.random(0).permutation(len(arrangements))
    with replaced(deal, "WORTH_COMPILING", 0.0):  # even a small program runs on all devices
        while tally.tried < count:
            number = tally.tried
            workers, devices, resumed, extended = arrangements[order[number % len(arrangements)]]
            together = bool(tally.random(1, number).random() < 0.7)
            said = f"{workers} workers of {devices} devices, {resumed=}, {extended=}, {together=}"
            with tally.one(said):
                sweep.run(folder / str(number), workers, devices, resumed, extended, together)
                wrong = sweep.differs(folder / str(number))
                tally.check(not wrong, f"{said}: {wrong}")
            tally.tidy(folder / str(number))
    for number in range(1 + count // REAL):
        with tally.one("real workers"):
            wrong = _real(folder / f"real-{number}", jaxed.study(folder), WORKERS[1 + number % 3])
            tally.check(not wrong, f"real workers: {wrong}")
    return tally.outcome()


class Sweep:
    """A study's plans, made once, and what its tiles should be."""

    def __init__(self, folder: Path):
        import implicit_bias as ib
        from tests.sweep.laboratory import study

        axes = dict(scale=[0.1, 0.5, 1.0, 2.0])
        self.study = lambda seeds: study(
            grids=ib.grid(method="gd", seed=range(seeds), **axes)
            + ib.grid(method="wn", seed=range(seeds), **axes, ratio=[0.5, 1.0])
        )
        self._whole, self._few = (self.study(n).plan(width=WIDTH) for n in (SEEDS, SEEDS // 2))
        for one, other in zip(self._whole.batches, self._few.batches):
            assert one.program.identity == other.program.identity
            other.program = one.program  # compiled once
        self.run(folder / "alone", 1, 1, False, False, False)
        self._tiles = self._read(folder / "alone")

    def _read(self, folder: Path) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in (folder / "tiles").iterdir()}

    def differs(self, folder: Path) -> str:
        found = self._read(folder)
        if set(found) != set(self._tiles):
            return (
                f"{len(set(self._tiles) - set(found))} tiles are missing, {len(set(found) - set(self._tiles))} are new"
            )
        changed = [name for name in found if found[name] != self._tiles[name]]
        return f"{len(changed)} tiles have other bytes: {changed[:2]}" if changed else ""

    def run(self, folder: Path, workers: int, devices: int, resumed: bool, extended: bool, together: bool) -> None:
        from implicit_bias.sweep.keep.store import Store

        store = Store(folder)
        store.prepare()
        for plan in [self._few, self._whole] if extended else [self._whole]:
            while (looked_up := _looked_up(plan, store)).missing:
                errors: list[BaseException] = []
                threads = [
                    threading.Thread(target=_work, args=[looked_up, store, k, workers, devices, resumed, errors])
                    for k in range(workers)
                ]
                for thread in threads:
                    thread.start()
                    if not together:
                        thread.join()
                for thread in threads:
                    thread.join()
                if errors:
                    raise errors[0]


def _looked_up(plan, store):
    """The plan against what the store holds now."""
    from implicit_bias.sweep.ask import plan as planning

    fresh = dataclasses.replace(plan, batches=[dataclasses.replace(b, found={}) for b in plan.batches])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no tile may be damaged
        planning._look_up(fresh, store)
    return fresh


def _work(plan, store, number: int, workers: int, devices: int, resumed: bool, errors: list) -> None:
    """As `worker.work` does: its share, then what is left in an order of its own. It may stop after a tile."""
    import jax

    from implicit_bias.cluster.worker import shares, shuffled
    from implicit_bias.sweep.work.execute import Stop, execute

    try:
        parts = shares(plan, workers)
        others = [t for k, part in enumerate(parts) if k != number for t in part]
        for tiles in (parts[number], shuffled(plan, others, number)):
            stop = Stop()
            tell = (lambda progress: progress.tiles_done and stop.ask()) if resumed else (lambda progress: None)
            mine = jax.local_devices()[:devices]
            if tiles := [t for t in tiles if not store.has(plan.tile_id(*t))]:
                outcome = execute(plan, store, tiles=tiles, devices=mine, tell=tell, stop=stop)
                assert not outcome.failed, outcome.failed
            if stop.asked:
                return
    except BaseException as error:
        errors.append(error)


def _real(folder: Path, study: Path, workers: int) -> str:
    """The same of processes: begun together on one plan, against one `run`."""
    words = ["seed=0..39", "scale=1e-1..1:40:log", "step=1e-2,2e-2"]

    def command(*rest: object) -> subprocess.Popen:
        said = [sys.executable, "-m", "implicit_bias", *map(str, rest)]
        return subprocess.Popen(said, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    one = command("run", study, *words, "--out", folder / "one")
    _, said = one.communicate()
    if one.returncode:
        return f"the run ended with {one.returncode}: {said[-300:]}"
    (plan,) = folder.glob("one/*/plans/*.json")
    many = folder / "many" / plan.parent.parent.name / "plans" / plan.name
    many.parent.mkdir(parents=True)
    many.write_bytes(plan.read_bytes())
    started = [command("work", many, "--worker", k, "--of", workers) for k in range(workers)]
    ended = [(p.communicate()[1], p.returncode) for p in started]
    if any(code for _, code in ended):
        return str([(code, said[-200:]) for said, code in ended])
    tiles = [{p.name: p.read_bytes() for p in folder.glob(f"{which}/*/tiles/*")} for which in ("one", "many")]
    return "" if tiles[0] == tiles[1] and len(tiles[0]) > 1 else f"{len(tiles[1])} tiles differ from {len(tiles[0])}"
