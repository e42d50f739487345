"""Tiles that were changed on the disk: bits flipped, cut, zeroed, swapped, foreign, appended to, emptied, garbage.

Reading notices every one of them. Of a sample, planning sets the tile aside and counts its runs as missing, and a run
computes the same bytes again.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from implicit_bias.sweep.keep import store as stores
from implicit_bias.sweep.keep.store import Store, Tile, decode, encode

from .common import Outcome, Tally, replaced, tile_of

WIDTH = 8
SAMPLE = 2000
"""One in so many is also put into a store that is planned and run."""


@contextlib.contextmanager
def _unverified() -> Iterator[None]:
    with replaced(stores, "_checksum", lambda header, arrays: "0" * 64):
        yield


SABOTAGE = {"tiles have no checksum": _unverified}


def corrupted(data: bytes, others: list[bytes], rng: np.random.Generator) -> tuple[str, bytes]:
    """A file's bytes, changed in some way."""
    size, changed = len(data), bytearray(data)
    header = 8 + int.from_bytes(data[:8], "little")
    at = int(rng.integers(header) if rng.random() < 0.5 else rng.integers(size))  # half of them hit the header
    ways = [
        "flip",
        "flip",
        "flip",
        "cut",
        "zeros",
        "block",
        "append",
        "swap",
        "empty",
        "garbage",
        "bytes",
        "insert",
        "drop",
    ]
    way = str(rng.choice(ways))
    if way == "flip":
        changed[at] ^= 1 << int(rng.integers(8))
    elif way == "cut":
        del changed[at:]
    elif way == "zeros":
        block = at - at % 512
        changed[block : block + 512] = bytes(len(changed[block : block + 512]))
    elif way == "block":
        other = others[rng.integers(len(others))]
        changed[at : at + 64] = other[at : at + 64]
    elif way == "append":
        changed += rng.bytes(int(rng.integers(1, 600)))
    elif way == "swap":
        changed = bytearray(others[rng.integers(len(others))])
    elif way == "empty":
        changed = bytearray()
    elif way == "garbage":
        changed = bytearray(rng.bytes(int(rng.integers(1, 4000))))
    elif way == "bytes":
        for place in rng.integers(size, size=int(rng.integers(2, 9))):
            changed[place] = rng.integers(256)
    elif way == "insert":
        changed.insert(at, int(rng.integers(256)))
    elif way == "drop":
        del changed[at]
    return f"{way} at {at} of {size}", bytes(changed)


def _pool() -> list[bytes]:
    """Tiles of many forms: long and short, with words and without, with numbers of every kind; the last is foreign."""
    plain = [tile_of(k, size) for k, size in enumerate([50, 500, 5_000])]
    rng = np.random.default_rng(0)
    arrays = {
        "status": np.array([1, 2], np.int8),
        "steps": np.array([3, 4], np.int64),
        "fact.a": np.array([np.nan, np.inf]),
        "clock": rng.normal(size=(2, 5)).astype(np.float32),
        "flag": np.array([True, False]),
    }
    marks = {"jax": "0.10", "cpu": "x86-64", "compiler": "a=1 b=True"}
    rich = Tile("program", marks, {"method": "wn", "rows": "20"}, ("seed", "scale"), rng.normal(size=(2, 2)), arrays)
    foreign = Tile("another", marks, {}, ("seed", "scale"), rich.coordinates, arrays)
    return [encode(t) for t in (*plain, rich, foreign)]


def attack(count: int, seed: int, folder: Path) -> Outcome:
    tally = Tally(seed)
    pool = _pool()
    names = [_name(data) for data in pool]
    while tally.tried < count:
        rng = tally.random(tally.tried)
        k = int(rng.integers(len(pool) - 1))
        with tally.one("a corruption"):
            what, bad = corrupted(pool[k], pool[:k] + pool[k + 1 :], rng)
            if bad != pool[k]:
                _noticed(tally, bad, names[k], f"tile {k}, {what}")
    if sample := count // SAMPLE:
        _planned(tally, sample, folder)
    return tally.outcome()


def _name(data: bytes) -> str:
    said = json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["implicit_bias"])
    arrays = stores.load(data)
    return stores.tile_id(said["program"], said["fingerprint"], tuple(said["axes"]), arrays["coordinates"])


def _noticed(tally: Tally, bad: bytes, name: str, what: str) -> None:
    try:
        decode(bad, name)
    except ValueError:
        return
    tally.lose(f"{what}: not noticed")


def _planned(tally: Tally, count: int, folder: Path) -> None:
    """Corrupted tiles in a study's store."""
    from tests.sweep.laboratory import study

    from . import jaxed

    jaxed.start()
    store = Store(folder / "study")
    study().run(out=store.folder, width=WIDTH)
    whole = {name: store.path(name).read_bytes() for name in store.names()}
    for number in range(count):
        with tally.one("corrupted tiles in a store"):
            _set_aside(tally, store, whole, tally.random(10**9, number), study)


def _set_aside(tally: Tally, store: Store, whole: dict[str, bytes], rng: np.random.Generator, study) -> None:
    names = [str(n) for n in rng.choice(sorted(whole), size=int(rng.integers(1, 1 + len(whole))), replace=False)]
    bad, what = {}, {}
    for name in names:
        others = [data for other, data in whole.items() if other != name]
        while (changed := corrupted(whole[name], others, rng))[1] == whole[name]:
            pass
        what[name], bad[name] = changed
        store.path(name).write_bytes(bad[name])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        missing = study().plan(store=store, width=WIDTH).missing
    tally.check(missing == WIDTH * len(names), f"{what}: {missing} runs count as missing")
    for name in names:
        tally.check(any(name in str(w.message) for w in said), f"{what[name]}: no warning names it")
        aside = store.folder / "damaged" / store.path(name).name
        tally.check(aside.read_bytes() == bad[name], f"{what[name]}: it is not set aside")
    study().run(out=store.folder, width=WIDTH)
    for name in names:
        tally.check(store.path(name).read_bytes() == whole[name], f"{what[name]}: it is not computed again as it was")
