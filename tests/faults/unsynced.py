"""A crash of the machine: what was not synced is dropped or torn.

Writers run on a real folder, and every call that they make of the operating system is recorded. A `Disk` plays a record
up to a random call and then loses what POSIX lets a machine lose when its power fails:

    data of a file since its last fsync     dropped, cut at any byte, or zeros in the place of some blocks
    names in a folder since its last fsync  each may be forgotten, with all later changes of that name

What is left is laid out in a new folder, as after a reboot. Every tile and plan that was acknowledged before is there
and whole; whatever else has the name of a tile is whole or noticed; and the writers can begin again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from implicit_bias.sweep.keep.store import Store

from .common import Outcome, Tally, holds, replaced, tile_of, written_in_place

CRASHES = 100
"""Of one record."""
BLOCK = 512

Call = tuple
"""(name, arguments ...), in the order in which they took effect; or ("acknowledged", the number of what was written)."""


class Recorder:
    """Stands between Python and the operating system and writes down what changes files."""

    def __init__(self, root: Path):
        self.calls: list[Call] = []
        self._root = str(root)
        self._files: dict[int, str] = {}
        self._lock = threading.Lock()

    def _inside(self, path: object) -> bool:
        return isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(self._root)

    @contextlib.contextmanager
    def between(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for name in ("open", "write", "fsync", "replace", "unlink", "mkdir", "close"):
                stack.enter_context(replaced(os, name, self._standing_before(getattr(os, name), name)))
            yield

    def _standing_before(self, real, name: str):
        def call(first, *rest, **more):
            mine = first in self._files if isinstance(first, int) else self._inside(first)
            if not mine:
                return real(first, *rest, **more)
            with self._lock:
                found = real(first, *rest, **more)
                if name == "open":
                    self._files[found] = os.fspath(first)
                    self.calls.append(("open", os.fspath(first), rest[0]))
                elif name == "write":
                    self.calls.append(("write", self._files[first], bytes(rest[0][:found])))
                elif name == "close":
                    del self._files[first]
                elif name == "fsync":
                    self.calls.append(("fsync", self._files[first]))
                else:
                    self.calls.append((name, *map(os.fspath, (first, *rest[: name == "replace"]))))
                return found

        return call

    def acknowledged(self, number: int) -> None:
        with self._lock:
            self.calls.append(("acknowledged", number))


@dataclasses.dataclass
class File:
    """A file's content on the disk, and what was written since it was synced."""

    durable: bytes = b""
    since: bytes | None = None

    def write(self, data: bytes) -> None:
        self.since = (self.durable if self.since is None else self.since) + data

    def sync(self) -> None:
        self.durable, self.since = self.content, None

    @property
    def content(self) -> bytes:
        return self.durable if self.since is None else self.since

    def after_a_crash(self, rng: np.random.Generator) -> bytes:
        if self.since is None:
            return self.durable
        kind = rng.integers(4)
        if kind == 0:
            return self.durable
        if kind == 1:
            return self.since
        kept = bytearray(self.since[: rng.integers(len(self.since) + 1)])
        if kind == 2:
            for start in range(0, len(kept), BLOCK):
                if rng.random() < 0.3:
                    kept[start : start + BLOCK] = bytes(len(kept[start : start + BLOCK]))
        return bytes(kept)


@dataclasses.dataclass
class Folder:
    """Names on the disk, and the changes since it was synced: each gives names to files, or to None."""

    durable: dict[str, File | Folder] = dataclasses.field(default_factory=dict)
    since: list[dict[str, File | Folder | None]] = dataclasses.field(default_factory=list)

    @property
    def content(self) -> dict[str, File | Folder]:
        return self._with(self.since)

    def _with(self, changes: list) -> dict[str, File | Folder]:
        names = dict(self.durable)
        for change in changes:
            names.update(change)
        return {name: what for name, what in names.items() if what is not None}

    def sync(self) -> None:
        self.durable, self.since = self.content, []

    def after_a_crash(self, rng: np.random.Generator) -> dict[str, File | Folder]:
        """A rename is one change of two names. A forgotten change takes later ones of its names with it."""
        kept, forgotten = [], set()
        fate = rng.choice([0.1, 0.5, 0.9])
        for change in self.since:
            if forgotten.isdisjoint(change) and rng.random() < fate:
                kept.append(change)
            else:
                forgotten |= set(change)
        return self._with(kept)


class Disk:
    """What is on a disk, and what a crash leaves of it."""

    def __init__(self, root: Path):
        self._root, self._top = str(root), Folder()

    def _find(self, path: str) -> tuple[Folder, str]:
        *above, name = [p for p in path.removeprefix(self._root).split("/") if p] or [""]
        folder = self._top
        for part in above:
            folder = folder.content[part]
        return folder, name

    def _get(self, path: str) -> File | Folder:
        folder, name = self._find(path)
        return folder.content[name] if name else folder

    def play(self, call: Call) -> None:
        kind, *rest = call
        if kind == "acknowledged":
            return
        path = rest[0]
        if kind == "fsync":
            self._get(path).sync()
        elif kind == "write":
            self._get(path).write(rest[1])
        elif kind == "open":
            folder, name = self._find(path)
            if rest[1] & os.O_CREAT and name not in folder.content:
                folder.since.append({name: File()})
            elif rest[1] & os.O_TRUNC:
                folder.content[name].since = b""
        elif kind == "mkdir":
            folder, name = self._find(path)
            folder.since.append({name: Folder()})
        elif kind == "unlink":
            folder, name = self._find(path)
            folder.since.append({name: None})
        elif kind == "replace":
            (folder, name), (other, new) = self._find(path), self._find(rest[1])
            assert folder is other, "no file is renamed from one folder to another here"
            folder.since.append({name: None, new: folder.content[name]})

    def crash(self, rng: np.random.Generator, to: Path, folder: Folder | None = None) -> None:
        """Lay out what is left."""
        to.mkdir(parents=True, exist_ok=True)
        for name, what in (folder or self._top).after_a_crash(rng).items():
            if isinstance(what, Folder):
                self.crash(rng, to / name, what)
            else:
                (to / name).write_bytes(what.after_a_crash(rng))


# -- the attack --------------------------------------------------------------------------------------------------------


def attack(count: int, seed: int, folder: Path) -> Outcome:
    tally = Tally(seed)
    while tally.tried < count:
        number = tally.tried
        root = folder / f"from-{number}"
        sizes = [int(s) for s in tally.random(number).choice([300, 3_000, 30_000], size=6)]
        calls = _record(root, sizes)
        for k in range(min(CRASHES, count - number)):
            with tally.one("a crash"):
                _one(tally, calls, root, sizes, tally.random(number, k), folder / f"after-{number}-{k}")
            tally.tidy(folder / f"after-{number}-{k}")
    return tally.outcome()


def _record(root: Path, sizes: list[int]) -> list[Call]:
    """Two writers, some tiles of which one is written twice, and a plan that grows."""
    root.mkdir()
    recorder = Recorder(root)

    def write(tiles: list[int]) -> None:
        store = Store(root / "results" / "study")
        store.prepare()
        for k in tiles:
            store.write(tile_of(k, sizes[k]))
            recorder.acknowledged(k)
            if tiles[0] == 0:
                store.write_plan("plan", {"tiles": list(range(k + 1))})
                recorder.acknowledged(-1 - k)

    with recorder.between():
        threads = [threading.Thread(target=write, args=[tiles]) for tiles in ([0, 1, 2, 3], [3, 4, 5])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return recorder.calls


def _one(tally: Tally, calls: list[Call], root: Path, sizes: list[int], rng: np.random.Generator, to: Path) -> None:
    until = int(rng.integers(len(calls) + 1))
    disk = Disk(root)
    for call in calls[:until]:
        disk.play(call)
    disk.crash(rng, to)
    store, what = Store(to / "results" / "study"), f"crash at call {until} of {len(calls)}"
    acknowledged = {call[1] for call in calls[:until] if call[0] == "acknowledged"}
    for k in (k for k in acknowledged if k >= 0):
        tally.check(holds(store, tile_of(k, sizes[k])), f"{what}: tile {k}, acknowledged, is lost or torn")
    if plans := [-k for k in acknowledged if k < 0]:
        tally.check(_planned(store) >= max(plans), f"{what}: the plan, acknowledged, is lost or torn")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a torn file that is named like a tile is noticed: that is all it must be
        for name in store.names():
            store.read_or_set_aside(name)
    store.prepare()
    for k, size in enumerate(sizes):
        tile = tile_of(k, size)
        if not holds(store, tile):
            store.write(tile)
        tally.check(holds(store, tile), f"{what}: tile {k} cannot be written again")


def _planned(store: Store) -> int:
    """How many tiles the plan on the disk knows."""
    try:
        return len(json.loads((store.plans / "plan.json").read_bytes())["tiles"])
    except (OSError, ValueError):
        return 0


# -- sabotage ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _not_played(kind: type) -> Iterator[None]:
    with replaced(kind, "sync", lambda self: None):
        yield


SABOTAGE = {
    "files are written in place": written_in_place,
    "fsync of a file does nothing": lambda: _not_played(File),
    "fsync of a folder does nothing": lambda: _not_played(Folder),
}
