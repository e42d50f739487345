"""kill -9 at random of whole runs: two workers on one plan, killed together or alone and begun again until all is done.

At the end every tile has the bytes that an uninterrupted `run` gives it, nothing was set aside as damaged, and nothing
temporary stays behind. Sweeps follow one another until enough workers were killed.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from pathlib import Path

from implicit_bias.sweep.keep.store import Store

from . import jaxed
from .common import Child, Outcome, Tally, fork, leftovers, written_in_place

SABOTAGE = {"files are written in place": written_in_place}
WORKERS = 2
SETTINGS = ("seed=0..11", "scale=1e-1..1:40:log")
STUDY = '''"""Two programs; a tile for each word and seed."""

import implicit_bias as ib


def cell(*, scale, key, method="wn", most=2000):
    weights = {"gd": ib.Euclidean(scale), "wn": ib.Polar(scale)}[method]
    return ib.Run(ib.linear.gaussian(5, 12, target_norm=2.0)(key), weights, ib.Descent(1e-2, max_steps=most))


axes = dict(seed=range(2), scale=ib.logspace(0.1, 1, 40))
study = ib.Study(
    cell=cell, grids=ib.grid(method="gd", **axes) + ib.grid(method="wn", **axes), observe={"x": ib.predictor()}
)
'''
PATIENCE = 120
"""Seconds after which a worker hangs."""


def attack(count: int, seed: int, folder: Path) -> Outcome:
    tally = Tally(seed)
    study = folder / "mine.py"
    study.write_text(STUDY)
    os.environ["XDG_CACHE_HOME"] = str(jaxed.cache())
    _import()
    code = _command(folder / "run.txt", "run", study, *SETTINGS, "--out", folder / "whole").end()[0]
    (plan,) = folder.glob("whole/mine/plans/*.json")
    whole = _tiles(Store(folder / "whole" / "mine"))
    if code or len(whole) < 20:
        raise AssertionError(f"the run ended with {code}, {len(whole)} tiles: {(folder / 'run.txt').read_text()}")
    while tally.tried < count:
        store = Store(folder / f"from-{tally.tried}" / "mine")
        store.prepare()
        copy = store.plans / plan.name
        copy.write_bytes(plan.read_bytes())
        _sweep(tally, store, copy, whole, count)
    return tally.outcome()


def _import() -> None:
    """What workers import, once; no device is made, and so no thread: a fork is as good as a start."""
    warnings.filterwarnings("ignore", message=".*os.fork")
    import jax  # noqa: F401

    from implicit_bias import cli, session, study  # noqa: F401
    from implicit_bias.cluster import worker  # noqa: F401
    from implicit_bias.evidence import console, page  # noqa: F401
    from implicit_bias.sweep.ask import batch, plan

    batch.TILE_SECONDS = plan.LAUNCH_SECONDS = 0.0  # a tile a seed, so that there are many


def _command(said: Path, *words: object) -> Child:
    """The command in a child, with its words in a file."""
    from implicit_bias.cli import main

    def act(say) -> None:
        file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.stderr = open(2, "w", buffering=1, closefd=False)
        signal.alarm(int(PATIENCE))
        code = main([*map(str, words)])
        say(bytes([code]))

    return fork(act)


def _tiles(store: Store) -> dict[str, bytes]:
    return {name: store.path(name).read_bytes() for name in store.names()}


def _sweep(tally: Tally, store: Store, plan: Path, whole: dict[str, bytes], count: int) -> None:
    """Begin workers and kill them, until one ends by itself; none is killed once that was done so often."""
    first, said = tally.tried, store.folder / "said.txt"
    for begun in range(1000):
        rng = tally.random(first, begun)
        workers = [_command(said, "work", plan, "--worker", k, "--of", WORKERS) for k in range(WORKERS)]
        codes = [w.end()[0] for w in workers] if tally.tried >= count else _killed(workers, store, rng)
        tally.tried += codes.count(-signal.SIGKILL)
        if not set(codes) <= {0, -signal.SIGKILL}:
            tally.lose(f"workers ended with {codes}: {said.read_text()[-300:]}")
            return
        if 0 in codes:
            break
    found = _tiles(store)
    changed = [name for name in whole if found.get(name) != whole[name]]
    tally.check(not changed, f"{len(changed)} of {len(whole)} tiles are missing or have other bytes")
    tally.check(set(found) <= set(whole), "there are tiles that a run does not write")
    tally.check(not (store.folder / "damaged").exists(), "a tile was set aside")
    left = leftovers(store)
    tally.check(not left, f"{left[:3]} stay behind")
    tally.tidy(store.folder.parent)


def _killed(workers: list[Child], store: Store, rng) -> list[int]:
    """Kill both workers, or one, and the other later or never; how they ended."""
    victims = [w for w in workers if rng.random() < 0.9] or workers[:1]
    others = [w for w in workers if w not in victims]
    _wait(store, rng)
    for worker in victims:
        worker.kill()
    codes = [w.end()[0] for w in victims]
    if others and rng.random() < 0.5:  # or the other goes on alone, and does it all
        for worker in others:
            worker.kill()
    return codes + [w.end()[0] for w in others]


def _wait(store: Store, rng) -> None:
    """Some time after the start, or after a few more tiles, or a part of one, have come."""
    if rng.random() < 0.15:
        time.sleep(rng.uniform(0, 2))
        return
    wanted = len(os.listdir(store.tiles)) + int(rng.integers(1, 6))
    ends = time.monotonic() + PATIENCE / 4
    while len(os.listdir(store.tiles)) < wanted and time.monotonic() < ends:
        time.sleep(0.001)
        if len(store.names()) >= 24:
            return
    time.sleep(rng.exponential(0.005))
