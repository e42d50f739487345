"""What the attacks share: a tally of what was tried and lost, tiles to write, and children that may be killed.

An attack is a function `attack(count, seed, folder) -> Outcome` of a module here. It tries at least `count` times, each
time with random numbers that follow from the seed and the number of the try alone, and never stops at the first loss.
It runs in a process of its own (`python -m tests.faults NAME`), so that it may fork, limit and kill.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from implicit_bias import _files
from implicit_bias._files import make_folder
from implicit_bias.sweep.keep.store import Store, Tile, encode


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of an attack."""

    tried: int
    lost: int
    what: str = ""
    """The first losses, and how to see them again."""
    note: str = ""
    """What could not be tried here, and why."""


class Tally:
    """Counts tries and losses."""

    SHOWN = 10

    def __init__(self, seed: int):
        self.seed, self.tried, self.lost = seed, 0, 0
        self.notes: list[str] = []
        self._what: list[str] = []

    def random(self, *number: int) -> np.random.Generator:
        """Random numbers of one try."""
        return np.random.default_rng([self.seed, *number])

    def lose(self, what: str) -> None:
        self.lost += 1
        if len(self._what) < self.SHOWN:
            self._what.append(f"seed {self.seed}, try {self.tried}: {what}"[:600])

    def check(self, holds: object, what: str) -> None:
        if not holds:
            self.lose(what)

    @contextlib.contextmanager
    def one(self, what: str) -> Iterator[None]:
        """One try, in which an exception is a loss."""
        try:
            yield
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.lose(f"{what}: {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})")
        self.tried += 1

    def tidy(self, folder: Path) -> None:
        """Remove a folder that is done with; where something was lost, it is kept to be looked at."""
        if not self.lost:
            shutil.rmtree(folder, ignore_errors=True)

    def outcome(self) -> Outcome:
        return Outcome(self.tried, self.lost, "; ".join(self._what), "; ".join(dict.fromkeys(self.notes)))


def tile_of(number: int, size: int = 1000) -> Tile:
    """A tile that is known by its number: whoever has the number has its name and its bytes."""
    values = np.random.default_rng(number).normal(size=(3, max(1, size // 24)))
    ends = {"status": np.ones(3, np.int32), "steps": np.full(3, number, np.int32), "time": np.arange(3.0)}
    place = np.array([[number], [number + 0.25], [number + 0.5]], dtype=float)
    return Tile("p", {"jax": "0"}, {"method": "wn"}, ("scale",), place, {**ends, "x": values})


def holds(store: Store, tile: Tile) -> bool:
    """Whether a tile is in the store, whole and verified."""
    try:
        return encode(store.read(tile.id)) == encode(tile)
    except (OSError, ValueError):
        return False


def reads(store: Store, name: str) -> bool:
    try:
        return store.read(name).id == name
    except (OSError, ValueError):
        return False


def is_whole_or_absent(store: Store, tile: Tile) -> bool:
    return not store.has(tile.id) or holds(store, tile)


def leftovers(store: Store) -> list[str]:
    """Temporary files that stay, once what dead writers left has grown old and was removed."""
    for path in store.folder.rglob(".*"):
        os.utime(path, (0, 0))
    for below in [store.folder, *store.folder.glob("*/")]:
        make_folder(below)
    return [p.name for p in store.folder.rglob(".*")]


# -- children ----------------------------------------------------------------------------------------------------------


def address_space() -> tuple[int, int]:
    """(bytes of addresses, bytes of memory) of this process."""
    with open("/proc/self/statm") as file:
        return tuple(int(n) * os.sysconf("SC_PAGESIZE") for n in file.read().split()[:2])


@dataclasses.dataclass(frozen=True)
class Child:
    """A forked process, and a pipe on which it speaks."""

    pid: int
    pipe: int

    def said(self) -> bytes:
        """All that it says until it ends."""
        parts = []
        while part := os.read(self.pipe, 65536):
            parts.append(part)
        return b"".join(parts)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def end(self) -> tuple[int, bytes]:
        """(exit code, or minus the signal that ended it; what it said)."""
        said = self.said()
        os.close(self.pipe)
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status), said


_write, _exit = os.write, os._exit
"""As they are before an attack interposes on them."""


def fork(act: Callable[[Callable[[bytes], None]], None]) -> Child:
    """Run `act(say)` in a child. The processes that fork here have no other threads."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return Child(pid, reading)
    code = 70
    try:
        os.close(reading)
        act(lambda what: _write(writing, what) and None)
        code = 0
    except BaseException as error:
        print("".join(traceback.format_exception_only(error))[:500], file=sys.stderr, end="", flush=True)
    finally:
        _exit(code)


# -- sabotage: an attack that finds nothing in a broken store would be no attack ---------------------------------------


@contextlib.contextmanager
def replaced(owner: object, name: str, value: object) -> Iterator[None]:
    kept = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, kept)


@contextlib.contextmanager
def written_in_place() -> Iterator[None]:
    """A store that writes files under their final name, a piece at a time."""

    def write(path: Path, data: bytes) -> None:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for start in range(0, len(data), 4096):
            os.write(file, data[start : start + 4096])
        os.close(file)

    with replaced(_files, "_replace_durably", write):
        yield
