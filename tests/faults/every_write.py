"""Death and errors at every single call that a write makes of the operating system.

A write is a handful of calls: open, write, fsync, close, rename, and the same of the folder. At each of them, one after
another, the process dies (before it, or half-way through a write), or the call fails (once, or from then on). Then:

    what was there before is whole; what was being written is there and whole, or not there; an error is `CannotWrite`
    with exit code 74 and names the path; no file is left open; the next write, and the same again, succeed
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from implicit_bias._files import CANNOT_WRITE, CannotWrite
from implicit_bias.evidence.page.markup import write_page
from implicit_bias.sweep.keep.store import Store

from .common import Outcome, Tally, fork, holds, leftovers, tile_of, written_in_place

SABOTAGE = {"files are written in place": written_in_place}
CALLS = ("open", "write", "fsync", "close", "replace", "unlink", "mkdir", "utime")
ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
FAULTS = [
    *("die before", "die half-way", "write half"),
    *(f"{errno.errorcode[e]} once" for e in ERRORS),
    *(f"{errno.errorcode[e]} from then on" for e in ERRORS[:2]),
]


class Calls:
    """Stands between Python and the operating system: counts calls, and makes one of them fail."""

    def __init__(self, at: int = -1, fault: str = ""):
        self._at, self._fault, self.seen = at, fault, list[str]()
        self._real = {name: getattr(os, name) for name in CALLS}

    @contextlib.contextmanager
    def between(self) -> Iterator[None]:
        for name in CALLS:
            setattr(os, name, lambda *a, _name=name, **k: self._call(_name, *a, **k))
        try:
            yield
        finally:
            for name, real in self._real.items():
                setattr(os, name, real)

    def _call(self, name: str, *arguments, **more):
        number, real = len(self.seen), self._real[name]
        self.seen.append(name)
        first, _, rest = self._fault.partition(" ")
        if number != self._at and not (number > self._at >= 0 and rest == "from then on"):
            return real(*arguments, **more)
        if first in errno.errorcode.values():
            if name == "close":  # the file is closed all the same, as on Linux
                real(*arguments)
            code = getattr(errno, first)
            raise OSError(code, os.strerror(code), *[a for a in arguments[:1] if isinstance(a, (str, Path))])
        if name == "write" and rest in ("half-way", "half"):
            file, data = arguments
            done = real(file, data[: max(1, len(data) // 2)])
            if rest == "half":
                return done
        elif rest != "before":
            return real(*arguments, **more)
        os.kill(os.getpid(), signal.SIGKILL)


class Write:
    """Something to write, and how to see what became of it."""

    def __init__(self, name: str, path: Path, act: Callable[[], object], is_done: Callable[[], bool]):
        self.name, self.path, self.act, self.is_done = name, path, act, is_done
        self.root = next(p for p in path.parents if p.name == "study")
        self.before = path.read_bytes() if path.exists() else None

    def is_as_before(self) -> bool:
        return (self.path.read_bytes() if self.path.exists() else None) == self.before

    def calls(self) -> list[str]:
        """Those that an undisturbed write makes, in a child that is thrown away."""
        counted = Calls()

        def act(say) -> None:
            with counted.between():
                self.act()
            say(json.dumps(counted.seen).encode())

        return json.loads(fork(act).end()[1])


def _writes(store: Store, number: int, size: int) -> list[Callable[[int], Write]]:
    """Makers of writes; each makes a new one for each try."""

    def tile(k: int) -> Write:
        new = tile_of(number + k, size)
        return Write("a tile", store.path(new.id), lambda: store.write(new), lambda: holds(store, new))

    def first(k: int) -> Write:
        new, fresh = tile_of(number, size), Store(store.folder.parent / "new" / f"{number + k}" / "study")
        act = lambda: (fresh.prepare(), fresh.write(new))
        return Write("a first tile", fresh.path(new.id), act, lambda: holds(fresh, new))

    def plan(k: int) -> Write:
        content = {"tiles": [f"{number + k:032x}"] * (1 + size // 40)}
        path = store.plans / f"{number + k:016x}.json"
        act = lambda: store.write_plan(path.stem, content)
        return Write("a plan", path, act, lambda: path.exists() and json.loads(path.read_bytes()) == content)

    def plan_again(k: int) -> Write:
        content = {"tiles": ["1" * 32] * (1 + size // 40)}
        path = store.write_plan("again", content)
        return Write("a plan again", path, lambda: store.write_plan("again", content), lambda: True)

    def page(k: int) -> Write:
        path, text = store.folder / "report.html", f"{number + k} " * (1 + size // 8)
        return Write("a page", path, lambda: write_page(path, text), lambda: path.read_text() == text)

    return [tile, first, plan, plan_again, page]


def attack(count: int, seed: int, folder: Path) -> Outcome:
    """All positions; once more with larger files where `count` asks for more tries than there are positions."""
    tally = Tally(seed)
    while tally.tried < count:
        size = int(tally.random(tally.tried).choice([300, 3_000, 30_000]))
        store = Store(folder / f"from-{tally.tried}" / "study")
        store.prepare()
        earlier = [tile_of(k, size) for k in range(3)]
        for tile in earlier:
            store.write(tile)
        number = 10 + tally.tried
        for make in _writes(store, number, size):
            for at, name in enumerate(make(0).calls()):
                for fault in FAULTS:
                    if name == "write" or "half" not in fault:
                        with tally.one(f"{fault} at call {at} ({name})"):
                            _one(tally, store, make(1 + tally.tried), at, fault)
                        tally.check(all(holds(store, tile) for tile in earlier), f"{fault}: an earlier tile is lost")
        left = leftovers(store)
        tally.check(not left, f"{left} stay behind")
        tally.tidy(store.folder.parent)
    return tally.outcome()


def _one(tally: Tally, store: Store, write: Write, at: int, fault: str) -> None:
    calls, following = Calls(at, fault), tile_of(10**6 + tally.tried)

    def act(say) -> None:
        files = len(os.listdir("/proc/self/fd"))
        error = None
        with calls.between():
            try:
                write.act()
            except Exception as raised:
                error = raised
        code, named = getattr(error, "exit_code", None), f"cannot write {write.root}" in str(error)
        opened = len(os.listdir("/proc/self/fd")) - files
        store.write(following)
        said = dict(kind=type(error).__name__, code=code, named=named, opened=opened, text=str(error))
        say(json.dumps(said).encode())

    what = f"{write.name}, {fault} at call {at} ({write.path.name})"
    code, said = fork(act).end()
    if code == -signal.SIGKILL:
        tally.check(fault.startswith("die"), f"{what}: the writer died")
    else:
        tally.check(code == 0, f"{what}: the write after it failed")
        told = json.loads(said or b"{}")
        if told.get("kind") != "NoneType":
            fine = told.get("kind") == CannotWrite.__name__ and told["code"] == CANNOT_WRITE and told["named"]
            tally.check(fine, f"{what}: it is met by {told.get('kind')}: {told.get('text')}")
        else:
            tally.check(write.is_done(), f"{what}: it was acknowledged and is not there")
        tally.check(not told.get("opened"), f"{what}: {told.get('opened')} files stay open")
        tally.check(holds(store, following), f"{what}: the write after it is not there")
    tally.check(write.is_done() or write.is_as_before(), f"{what}: it is torn")
    write.act()
    tally.check(write.is_done(), f"{what}: written again, it is not there")
