"""kill -9 at a random moment of a process that writes tiles.

The child gives a sign of each tile after `Store.write` has returned. Whatever it has acknowledged is there and whole;
what it was about to is there and whole, or not there.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from implicit_bias.sweep.keep.store import Store

from .common import Outcome, Tally, fork, holds, is_whole_or_absent, leftovers, reads, tile_of, written_in_place

SABOTAGE = {"files are written in place": written_in_place}
MOST = 64
"""Tiles that a child writes before it is killed anyway."""
SHARED = 25
"""Kills that hit one folder, one after another."""


def attack(count: int, seed: int, folder: Path) -> Outcome:
    tally = Tally(seed)
    for first in range(0, count, SHARED):
        store = Store(folder / str(first))
        for number in range(first, min(first + SHARED, count)):
            with tally.one("a kill"):
                _one(tally, store, number)
        torn = [name for name in store.names() if not reads(store, name)]
        tally.check(not torn, f"{len(torn)} files with the names of tiles are none: {torn[:3]}")
        left = leftovers(store)
        tally.check(not left, f"{left} stay behind")
        tally.tidy(store.folder)
    return tally.outcome()


def _one(tally: Tally, store: Store, number: int) -> None:
    rng = tally.random(number)
    sizes = rng.choice([300, 3_000, 30_000, 200_000], size=MOST)
    patience = float(rng.exponential(0.012))

    def write(say) -> None:
        store.prepare()
        say(b"r")
        for k in range(MOST):
            store.write(tile_of(number * MOST + k, int(sizes[k])))
            say(b".")

    child = fork(write)
    os.read(child.pipe, 1)
    time.sleep(patience)
    child.kill()
    _, said = child.end()
    tiles = [tile_of(number * MOST + k, int(sizes[k])) for k in range(min(len(said) + 2, MOST))]
    for k, tile in enumerate(tiles):
        if k < len(said):
            tally.check(holds(store, tile), f"tile {k} of {len(said)} that were acknowledged is not whole")
        else:
            tally.check(is_whole_or_absent(store, tile), f"tile {k}, under way when the writer was killed, is torn")
