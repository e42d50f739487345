"""Files written whole or not at all, in a local folder or in an object store.

    local    a temporary name, fsync, rename, fsync of the folder: after any crash the old file or the new one
    remote   one put of a URL that fsspec knows (s3://, gs://): an object is replaced whole, or not at all

>>> str(place("results") / "mine"), is_local(place("results"))
('results/mine', True)
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import socket
import stat
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ._errors import Mistake, written_bytes

FilePath = Any
"""A `pathlib.Path`, or a `upath.UPath` of a remote store: the same methods."""

CANNOT_WRITE = 74
"""Exit code, EX_IOERR of sysexits.h."""

_TEMPORARY = re.compile(r"\..+\.(?P<host>[^.]+)\.(?P<pid>\d+)\.\d+\.tmp")
STALE_HERE, STALE_ELSEWHERE = 60.0, 3600.0
"""Seconds after which a temporary file of a dead process is removed: of this host, of another."""

RESULTS = "results"
"""The folder of results unless another is named."""

PACKAGE = Path(__file__).resolve().parent
STUDIES = PACKAGE / "experiments"
"""Of a wheel: studies lie inside the package, and are no part of it."""


class CannotWrite(Mistake):
    """Results cannot be written: what is on the disk already is whole."""

    exit_code = CANNOT_WRITE


def place(where: Any) -> FilePath:
    """Where a user's words point: a folder or file of this machine, or a URL."""
    if not isinstance(where, str) or "://" not in where:
        return where if hasattr(where, "read_bytes") else Path(where)
    if where.startswith("file://"):
        return Path(where.removeprefix("file://"))
    try:
        from upath import UPath

        # a listing that is remembered would hide what other workers have written
        return UPath(where, use_listings_cache=False)
    except ImportError as error:
        missing = error.name or str(error)
        raise Mistake("out", f"{where} needs {missing}", "install the extra: implicit-bias[remote]") from None
    except ValueError as error:
        raise Mistake("out", f"{where} is no URL of a known store ({error})", "write s3://BUCKET/FOLDER") from None


def is_local(path: FilePath) -> bool:
    return isinstance(path, Path) and not hasattr(path, "storage_options")


@functools.cache
def _installed_folders() -> tuple[str, ...]:
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= {p for p in sys.path if os.path.basename(p) in ("site-packages", "dist-packages")}
    return tuple(os.path.join(os.path.realpath(p), "") for p in paths if p) + ("/proc/", "/sys/", "/dev/")


def is_users(path: str) -> bool:
    """Whether a file is no part of this package, of Python, or of what is installed."""
    path = os.path.realpath(path)
    if path.startswith(os.path.join(str(STUDIES), "")):
        return True
    return not path.startswith((*_installed_folders(), os.path.join(str(PACKAGE), "")))


def host() -> str:
    """This machine's name, fit for a file's name."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())


def read(path: FilePath, most: int) -> bytes:
    """A file's bytes; `ValueError` if it is longer, or no file but a pipe, a device or a folder.

    Whoever made it: reading waits for nobody and ends. `FileNotFoundError` if there is nothing, another `OSError` if it
    may not be read. Of an object that is replaced meanwhile it is the old or the new, because it is one request.
    """
    if is_local(path):
        check_length(size_of_file(path), most)
    data = path.read_bytes() if is_local(path) else path.fs.cat_file(path.path)
    check_length(len(data), most)
    return data


def check_length(length: int, most: int) -> None:
    if length > most:
        raise ValueError(f"it is {written_bytes(length)} long")


def size_of_file(path: Path) -> int:
    try:
        status = os.stat(path)
    except NotADirectoryError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError("it is a link to itself") from None
        raise
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is no regular file")
    return status.st_size


def read_end(path: FilePath, most: int) -> bytes:
    """The last bytes of a file, as `read`."""
    if not is_local(path):
        return path.fs.cat_file(path.path)[-most:]
    size = size_of_file(path)
    with open(path, "rb") as file:
        file.seek(max(0, size - most))
        return file.read(most)


def append(path: Path, data: bytes) -> None:
    """Add to the end of a file at once, so that the lines of several writers do not mix."""
    # a pipe without a reader would be waited for
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o666)
    try:
        os.write(file, data)
    finally:
        os.close(file)


def put(path: FilePath, data: bytes) -> None:
    """Write a file whole or not at all, and keep it over a crash of the machine; `CannotWrite` if it cannot be done."""
    try:
        if is_local(path):
            _replace_durably(path, data)
        else:
            path.fs.pipe_file(path.path, bytes(data))
    except OSError as error:
        raise cannot_write(path, error, len(data)) from None
    except Exception as error:  # each store has its own words for "no credentials", "no such bucket", "no network"
        if is_local(path):
            raise
        raise cannot_write(path, error, len(data)) from None


def _temporary(path: Path) -> Path:
    """A name beside a path that no other writer uses, and that tells whose it is."""
    return path.with_name(f".{path.name}.{host()}.{os.getpid()}.{threading.get_ident()}.tmp")


def _replace_durably(path: Path, data: bytes) -> None:
    temporary = _temporary(path)
    try:
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
        finally:
            os.close(file)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """For a writer that wants a name: one of the same ending, which becomes `path` when it is whole."""
    written = path.with_name(f".{host()}.{os.getpid()}.{path.name}")
    try:
        yield written
        os.replace(written, path)
    finally:
        written.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Keep what was renamed into a folder over a crash of the machine."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems sync no folders
            raise
    finally:
        os.close(file)


def make_folder(folder: FilePath) -> None:
    """Make a folder, and find out now whether it can be written. Remove what dead writers left."""
    try:
        if not is_local(folder):
            return  # folders of object stores are made by what is put into them
        _make_durably(folder)
        probe = _temporary(folder / "probe")
        probe.touch()
        now = probe.stat().st_mtime  # by the clock of the file system's host
        probe.unlink()
        for path in folder.glob(".*.tmp"):
            if _is_stale(path, now):
                path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None


def _make_durably(folder: Path) -> None:
    """Make a folder and those above it: what is put into them outlives a crash only if their names do."""
    if not folder.is_dir():
        _make_durably(folder.parent)
        folder.mkdir(exist_ok=True)
        with contextlib.suppress(PermissionError):  # a folder that may be written and not read cannot be synced
            sync_folder(folder.parent)


def _is_stale(path: Path, now: float) -> bool:
    """Whether its writer is dead. Of one on another host only age can tell."""
    found = _TEMPORARY.fullmatch(path.name)
    try:
        age = now - path.stat().st_mtime
    except FileNotFoundError:
        return False
    if found is None or found["host"] != host():
        return age > STALE_ELSEWHERE
    return age > STALE_HERE and not is_alive(int(found["pid"]))


def is_alive(pid: int) -> bool:
    """Whether a process of this host lives."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def move(path: FilePath, to: FilePath) -> None:
    """Rename a file within its store; another process may have done so before."""
    try:
        if is_local(path):
            to.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, to)
        else:
            path.fs.mv(path.path, to.path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise cannot_write(to, error) from None


def listed(folder: FilePath, suffix: str) -> list[FilePath]:
    """The files of a folder that end so, temporary ones left out; none where there is no folder."""
    return [p for p in folder.glob(f"*{suffix}") if not p.name.startswith(".")]


def touch(path: FilePath, data: bytes) -> None:
    """Make a file with this content the newest."""
    if is_local(path):
        with contextlib.suppress(OSError, ValueError):
            if read(path, len(data)) == data:
                with contextlib.suppress(OSError):
                    os.utime(path)
                return
    put(path, data)


def modified(path: FilePath) -> float:
    """When a file was written last; the dawn of time if it is gone."""
    try:
        status = path.stat()
    except OSError:
        return 0.0
    return getattr(status, "st_mtime_ns", 0) / 1e9 or status.st_mtime


_WHY = {
    errno.ENOSPC: ("the disk is full", "make room and run again"),
    errno.EDQUOT: ("the quota is used up", "make room, or choose another folder with --out, and run again"),
    errno.EFBIG: ("the file is larger than the limit", "raise the limit (`ulimit -f`) and run again"),
    errno.EROFS: ("the file system is read-only", "choose another folder with --out"),
    errno.EIO: ("the disk failed", "see to the disk, or choose another folder with --out, and run again"),
}


def cannot_write(path: FilePath, error: BaseException, needed: int | None = None) -> CannotWrite:
    """One line: which path, what is in the way, how much there was to write, and what to do."""
    words = getattr(error, "strerror", None) or " ".join(f"{type(error).__name__}: {error}".split())[:200]
    remedy = "choose another folder with --out, or mend its permissions"
    if not is_local(path):
        remedy = "check the bucket, the credentials and the network, and run again"
    elif getattr(error, "errno", None) in _WHY:
        words, remedy = _WHY[error.errno]
    need = "" if needed is None else f"; {written_bytes(needed)} to write{_free(path)}"
    return CannotWrite("out", f"cannot write {path} ({words}{need})", f"{remedy}: finished tiles are kept")


def _free(path: FilePath) -> str:
    if not is_local(path):
        return ""
    try:
        status = os.statvfs(next(p for p in path.parents if p.is_dir()))
    except (OSError, StopIteration):
        return ""
    return f", {written_bytes(status.f_bavail * status.f_frsize)} free"


def age(path: FilePath) -> float:
    """Seconds since a file was written, by this machine's clock."""
    return time.time() - modified(path)
