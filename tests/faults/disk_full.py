"""A disk that is full, a limit on the size of files, a folder that may not be written: for real, at many fill levels.

    a small tmpfs (where this process may mount one), with room for so many bytes or so many files
    RLIMIT_FSIZE, as `ulimit -f` sets it
    a folder of another user, or a read-only mount
    the command `run`, whole, on that tmpfs

The error is `CannotWrite` (exit code 74), it names the path and what there was to write; what was written before is
whole; nothing temporary stays behind; and where there is room again, all of it is written.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from implicit_bias._files import CANNOT_WRITE, CannotWrite
from implicit_bias.sweep.keep.store import Store

from .common import Outcome, Tally, fork, holds, tile_of

LEVELS = 20
TILES, SIZE = 24, 20_000
ROOM = TILES * (SIZE + 4096)
RUNS = 10
"""One in so many tries is a whole run."""


@contextlib.contextmanager
def tmpfs(at: Path, size: int) -> Iterator[str]:
    """A small file system; yields why there is none, if so."""
    at.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(at)]
    try:
        done = subprocess.run(words, capture_output=True, text=True)
        why = done.stderr.strip() if done.returncode else ""
    except OSError as error:
        why = str(error)
    try:
        yield f"no tmpfs can be mounted ({why})" if why else ""
    finally:
        if not why:
            subprocess.run(["umount", str(at)], check=True)


def attack(count: int, seed: int, folder: Path) -> Outcome:
    tally = Tally(seed)
    with tmpfs(folder / "small", 4 * ROOM) as why:
        if why:
            tally.notes.append(why)
        for number in range(count):
            level = number // 2 % LEVELS
            with tally.one(f"fill level {level} of {LEVELS}"):
                if why or number % 2:
                    _limited(tally, folder / f"limited-{number}", level)
                    tally.tidy(folder / f"limited-{number}")
                else:
                    _full(tally, folder / "small", level, number)
        for kind in (_of_another_user, _read_only):
            with tally.one(kind.__name__):
                kind(tally, folder / kind.__name__)
        for number in range(0 if why else max(3, count // RUNS)):  # last: nothing forks once JAX is there
            with tally.one("a whole run"):
                _run(tally, folder / "small", folder, number)
    return tally.outcome()


def _fill(folder: Path, room: int) -> Path:
    """A file that leaves so much room."""
    free = shutil.disk_usage(folder).free
    filler = folder / "filler"
    with open(filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free - room))
    return filler


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _until_full(tally: Tally, store: Store, before: int = 0) -> int:
    """Write tiles until it cannot be done; the number of those that are on the disk."""
    for k in range(before, TILES):
        try:
            if k == before:
                store.prepare()
            store.write(tile_of(k, SIZE))
        except CannotWrite as error:
            said = str(error)
            fine = error.exit_code == CANNOT_WRITE and f"cannot write {store.folder}" in said
            needs = "to write" in said or ".safetensors" not in said
            tally.check(fine and needs and "finished tiles are kept" in said, f"tile {k} is met by: {said}")
            return k
    return TILES


def _whole(tally: Tally, store: Store, count: int, when: str) -> None:
    tally.check(all(holds(store, tile_of(k, SIZE)) for k in range(count)), f"one of {count} tiles is not whole {when}")
    left = [p.name for p in store.folder.rglob(".*")]
    tally.check(not left, f"{left[:3]} stay behind {when}")


def _full(tally: Tally, small: Path, level: int, number: int) -> None:
    _empty(small)
    store = Store(small / "study")
    store.prepare()
    filler = _fill(small, level * ROOM // LEVELS)
    if number % 3 == 0:  # the folder is there, and then not even a name has room
        filler.unlink()
        _until_full(tally, Store(small / "other"))
        filler = _fill(small, level * ROOM // LEVELS)
    done = _until_full(tally, store)
    tally.check(done < TILES, "the disk was not full")
    _whole(tally, store, done, "on a full disk")
    filler.unlink()
    tally.check(_until_full(tally, store, done) == TILES, "there is room again, and a tile cannot be written")
    _whole(tally, store, TILES, "where there is room again")


def _limited(tally: Tally, folder: Path, level: int) -> None:
    """In a child: what a process has limited for itself it cannot raise again everywhere."""
    store = Store(folder / "study")
    store.prepare()
    big = tile_of(TILES, 40 * SIZE)

    def act(say) -> None:
        inner = Tally(tally.seed)
        resource.setrlimit(resource.RLIMIT_FSIZE, (max(1, level * 40 * SIZE // LEVELS),) * 2)
        _until_full(inner, store)
        try:
            store.write(big)
            inner.lose("a file above the limit was written")
        except CannotWrite as error:
            inner.check("ulimit" in str(error) and str(store.path(big.id)) in str(error), f"it is met by: {error}")
        say(inner.outcome().what.encode())

    code, said = fork(act).end()
    tally.check(code == 0 and not said, f"under a limit of the size of files: code {code}, {said.decode()}")
    small_ones = [tile_of(k, SIZE) for k in range(TILES) if store.has(tile_of(k, SIZE).id)]
    tally.check(all(holds(store, tile) for tile in small_ones) and not store.has(big.id), "a tile is not whole")
    store.write(big)
    tally.check(_until_full(tally, store) == TILES and holds(store, big), "without the limit a tile cannot be written")
    _whole(tally, store, TILES, "without the limit")


def _as_nobody(act: Callable[[], None]) -> tuple[int, bytes]:
    def drop_and_act(say) -> None:
        if os.getuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        try:
            act()
        except CannotWrite as error:
            say(str(error).encode())

    return fork(drop_and_act).end()


def _of_another_user(tally: Tally, folder: Path) -> None:
    store = Store(folder / "study")
    store.prepare()
    store.write(tile_of(0, SIZE))
    for path in (store.folder, store.tiles, store.plans):
        path.chmod(0o555)
    for above in (folder, *folder.parents[:2]):
        above.chmod(above.stat().st_mode | 0o055)
    for what in (lambda: store.write(tile_of(1, SIZE)), store.prepare):
        code, said = _as_nobody(what)
        tally.check(code == 0 and b"cannot write" in said and b"permissions" in said, f"code {code}: {said.decode()}")
    for path in (store.folder, store.tiles, store.plans):
        path.chmod(0o755)
    _whole(tally, store, 1, "in a folder of another user")


def _read_only(tally: Tally, folder: Path) -> None:
    with tmpfs(folder / "small", ROOM) as why:
        if why:
            tally.notes.append(why)
            return
        store = Store(folder / "small" / "study")
        store.prepare()
        store.write(tile_of(0, SIZE))
        for option in ("ro", "rw"):
            subprocess.run(["mount", "-o", f"remount,{option}", str(folder / "small")], check=True)
            try:
                store.write(tile_of(1, SIZE))
                tally.check(option == "rw", "a read-only file system was written")
            except CannotWrite as error:
                tally.check(option == "ro" and "read-only" in str(error), f"it is met by: {error}")
        _whole(tally, store, 2, "on a file system that was read-only")


# -- the command `run` -------------------------------------------------------------------------------------------------


def _command(*words: str) -> tuple[int, str]:
    """(exit code, what it said on stderr)."""
    from implicit_bias.cli import main

    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        code = main(list(words))
    return code, said.getvalue()


def _run(tally: Tally, small: Path, folder: Path, number: int) -> None:
    from . import jaxed

    _empty(small)
    study, words = jaxed.study(folder), ["seed=0..1", "scale=0.2,1"]
    whole = folder / "whole" / "results"
    if not whole.exists():
        tally.check(_command("run", str(study), *words, "--out", str(whole))[0] == 0, "the run itself fails")
    room = int(tally.random(number).integers(1, 16)) * 4096
    filler = _fill(small, room)
    out = ["--out", str(small / "results")]
    code, said = _command("run", str(study), *words, *out)
    last = said.strip().splitlines()[-1]
    if code == CANNOT_WRITE:
        tally.check(last.startswith(f"error: out: cannot write {small}"), f"with {room} bytes: {last}")
    elif code == 2:
        tally.check(last.startswith("error: size: needs about") and "are free" in last, f"with {room} bytes: {last}")
    else:
        tally.check(code == 0, f"with {room} bytes: code {code}, {last}")
    filler.unlink()
    code, said = _command("run", str(study), *words, *out)
    tally.check(code == 0, f"where there is room again: code {code}, {said}")
    tiles = lambda results: {p.name: p.read_bytes() for p in results.glob("*/tiles/*")}
    tally.check(tiles(small / "results") == tiles(whole), "the tiles have other bytes than those of a run with room")
    left = [str(p) for p in small.rglob(".*")]
    tally.check(not left, f"{left[:3]} stay behind")
