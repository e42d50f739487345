"""Many writers on one folder, and on one tile.

Writers are processes that begin together. On a folder each has its own order of the tiles, and every tile is written by
two of them; on a tile all write the same, again and again. Afterwards every tile has the bytes that one writer alone
would have given it, whoever reads meanwhile sees a whole tile, and nothing temporary stays behind.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from implicit_bias import _files
from implicit_bias.sweep.keep.store import Store, encode

from .common import (
    Child,
    Outcome,
    Tally,
    fork,
    holds,
    is_whole_or_absent,
    leftovers,
    replaced,
    tile_of,
    written_in_place,
)

BATCH = 500
"""Tiles of one folder in the quick attack; long ones have ten times as many, and four times as many writers."""
WRITERS, MANY = 8, 32


@contextlib.contextmanager
def _one_temporary_name() -> Iterator[None]:
    with replaced(_files, "_temporary", lambda path: path.with_name(f".{path.name}.tmp")):
        yield


SABOTAGE = {"files are written in place": written_in_place, "writers share a temporary name": _one_temporary_name}


def _begin(writers: int, act) -> list[Child]:
    """Children that wait for each other: each gets its number."""
    reading, writing = os.pipe()

    def wait_and_act(number: int):
        def begin(say) -> None:
            os.close(writing)
            os.read(reading, 1)
            act(number)

        return begin

    children = [fork(wait_and_act(number)) for number in range(writers)]
    os.close(reading)
    os.close(writing)
    return children


def _end(tally: Tally, children: list[Child]) -> None:
    codes = [child.end()[0] for child in children]
    tally.check(not any(codes), f"writers ended with codes {codes}")


def of_one_folder(count: int, seed: int, folder: Path) -> Outcome:
    """`count` tiles; each is written by two writers."""
    tally = Tally(seed)
    many = count > 10 * BATCH
    batch, writers = (10 * BATCH, MANY) if many else (BATCH, WRITERS)
    while tally.tried < count:
        numbers = range(tally.tried, min(tally.tried + batch, count))
        store = Store(folder / f"from-{tally.tried}")

        def write(writer: int) -> None:
            store.prepare()
            mine = [k for k in numbers if k % writers in (writer, (writer + 1) % writers)]
            for k in tally.random(tally.tried, writer).permutation(mine):
                store.write(tile_of(int(k), 1 + 37 * int(k) % 5000))

        _end(tally, _begin(writers, write))
        for k in numbers:
            with tally.one("a tile"):
                tile = tile_of(k, 1 + 37 * k % 5000)
                tally.check(store.path(tile.id).read_bytes() == encode(tile), f"tile {k} has other bytes")
        tally.check(len(store.names()) == len(numbers), f"{len(store.names())} tiles for {len(numbers)}")
        hidden = [p.name for p in store.folder.rglob(".*")]
        tally.check(not hidden, f"{hidden[:3]} stay behind")
        tally.tidy(store.folder)
    return tally.outcome()


ROUNDS = 5
"""How often each writer writes the tile of a round."""


def of_one_tile(count: int, seed: int, folder: Path) -> Outcome:
    """`count` rounds, in each of which all writers write one new tile, while this process reads it."""
    tally = Tally(seed)
    store = Store(folder)
    store.prepare()
    while tally.tried < count:
        with tally.one("a round"):
            size = int(tally.random(tally.tried).choice([300, 3_000, 30_000]))
            tile = tile_of(tally.tried, size)
            children = _begin(WRITERS, lambda writer: [store.write(tile) for _ in range(ROUNDS)])
            for _ in range(20):
                tally.check(is_whole_or_absent(store, tile), "a reader sees a torn tile")
            _end(tally, children)
            tally.check(holds(store, tile), "the tile has other bytes")
    left = [p.name for p in store.folder.rglob(".*")] + leftovers(store)
    tally.check(not left, f"{left[:3]} stay behind")
    return tally.outcome()


attacks = {"writers_of_one_folder": of_one_folder, "writers_of_one_tile": of_one_tile}
