"""What a study's code is made of: every file that loading, tracing, judging or drawing it has read, by content.

    taken(folder)   what has been read until now, or None where that cannot be told
    holds(written)  whether all of it is still the same

What was concluded from files (which tiles a request needs, what a claim's verdict is) is kept beside this list, and is
concluded again when any of them has changed. The list errs on that side:

    this package, whole       by content; what is installed beside it, by name and version
    modules of the study      its folder's and its helpers'; and what would be imported in their place, as absent
    other files               whatever Python opened meanwhile, also if it was not there

Nothing can be told where a file was changed after it was loaded, nor where a study's own code asks the world for more
than files by name (a variable, a clock, a folder's content): such a study is traced and judged each time.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.machinery
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ._files import PACKAGE, STUDIES, is_users

_BEGUN = time.time()
_COARSE = 0.02
"""Seconds by which a file system's clock may lag."""

_BEFORE = frozenset(sys.modules)
"""What the launcher had loaded: no study asked for it."""

_LAUNCHER = ("__main__", "__mp_main__")
"""The script that was started, under both its names: what loads multiprocessing (xarray does) adds the second."""

_loaded: dict[str, float] = {}
"""Folder of a study -> when its first module was imported."""
_opened: dict[str, float] = {}
"""File -> when it was first opened for reading."""
_listeners = 0

_ASKS = frozenset(
    "os sys time datetime random secrets uuid platform socket subprocess multiprocessing urllib requests http httpx ctypes "
    "cffi sqlite3 fsspec upath h5py netCDF4 safetensors glob importlib runpy tempfile shutil getpass locale".split()
)
"""Modules whose answers are no content of a file that Python opens."""
_ASKS_BY = frozenset(
    "environ getenv iterdir glob rglob walk exists is_file is_dir stat lstat open_dataset open_mfdataset "
    "load_dataset open_zarr __import__ exec eval input".split()
)


def begin(folder: Path) -> None:
    """A study's folder is about to be imported from."""
    _loaded.setdefault(str(folder), time.time())


def _hear(event: str, arguments: tuple) -> None:
    if event != "open" or not _listeners:
        return
    path, mode, flags = arguments
    reads = flags & os.O_ACCMODE != os.O_WRONLY if mode is None else not {"w", "a", "x"} & {*mode}
    if reads and isinstance(path, (str, bytes)):
        _opened.setdefault(os.path.abspath(os.fsdecode(path)), time.time())


@functools.cache
def _hook() -> None:
    sys.addaudithook(_hear)


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Note every file that Python opens for reading."""
    global _listeners
    _hook()
    _listeners += 1
    try:
        yield
    finally:
        _listeners -= 1


# -- digests -----------------------------------------------------------------------------------------------------------

_known: dict[str, tuple[tuple, str]] = {}


def digest(path: str) -> str | None:
    """Of a file's content; None if there is none that can be read."""
    try:
        status = os.stat(path)
        mark = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
        if path not in _known or _known[path][0] != mark:
            if not os.path.isfile(path):
                return None
            with open(path, "rb") as file:
                _known[path] = mark, hashlib.file_digest(file, "sha256").hexdigest()
        return _known[path][1]
    except OSError:
        return None


def together(parts: Iterable[Any]) -> str:
    """One digest of several words."""
    return hashlib.sha256("\0".join(map(str, parts)).encode(errors="surrogateescape")).hexdigest()


@functools.cache
def _ours() -> list[str]:
    return sorted(str(p) for end in ("*.py", "*.js") for p in PACKAGE.rglob(end) if STUDIES not in p.parents)


@functools.cache
def surroundings() -> str:
    """This package, what is installed beside it, and Python itself."""
    ours = _ours()
    installed: set[str] = set()
    for folder in sys.path:
        with contextlib.suppress(OSError):
            installed |= {name for name in os.listdir(folder or ".") if name.endswith((".dist-info", ".egg-info"))}
    return together([sys.version, sys.flags, *((os.path.relpath(p, PACKAGE), digest(p)) for p in ours), *sorted(installed)])


# -- what a study has read ---------------------------------------------------------------------------------------------


def _modules(folder: Path) -> dict[str, str]:
    """The user's modules that are loaded: name -> file. Of the papers' folders, that of this study alone."""
    folder = folder.resolve()
    others = {
        name
        for name, module in list(sys.modules.items())
        if name.startswith("_studies_")
        and getattr(module, "__spec__", None) is None
        and not {str(folder), str(folder.parent)} & {*getattr(module, "__path__", ())}
    }
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and name not in _LAUNCHER and name.rpartition(".")[0] not in others and is_users(file):
            found[name] = os.path.abspath(file)
    return found


def _in_its_place(name: str, file: str) -> Iterator[str]:
    """Files that do not exist, and would be imported instead of a module if they did."""
    stem, _ = os.path.splitext(file)
    rivals = [os.path.join("", "__init__.py"), *importlib.machinery.EXTENSION_SUFFIXES]
    yield from (stem + (os.sep + r if r == "__init__.py" else r) for r in rivals)
    if "." not in name:
        for entry in sys.path:
            if os.path.abspath(entry or ".") == os.path.dirname(file):
                return
            yield os.path.join(os.path.abspath(entry or "."), f"{name}.py")


def _asks_the_world(file: str) -> bool:
    """Whether a module's code may read what is no file opened by name."""
    try:
        with open(file, "rb") as source:
            tree = ast.parse(source.read())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and any(a.name.partition(".")[0] in _ASKS for a in node.names):
            return True
        if isinstance(node, ast.ImportFrom) and not node.level and str(node.module).partition(".")[0] in _ASKS:
            return True
        if (isinstance(node, ast.Attribute) and node.attr in _ASKS_BY) or (
            isinstance(node, ast.Name) and node.id in _ASKS_BY
        ):
            return True
    return False


def _changed_after(path: str, moment: float) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return False
    return max(status.st_mtime, status.st_ctime) > moment - _COARSE


def taken(folder: Path, but: Iterable[Any] = ()) -> dict[str, Any] | None:
    """What loading a study of this folder has read until now, to be asked again by `holds`; None if it cannot be told.

    Files under `but` (results, compiled programs) are no sources.
    """
    folder = folder.resolve()
    since = _loaded.get(str(folder))
    if since is None or any(_changed_after(path, _BEGUN) for path in _ours()):
        return None
    modules = _modules(folder)
    left_out = tuple(os.path.join(os.path.realpath(str(p)), "") for p in but)
    read = {p: at for p, at in _opened.items() if not p.endswith(".pyc") and is_users(p)}
    read = {p: at for p, at in read.items() if not os.path.realpath(p).startswith(left_out or ("\0",))}
    for name, path in modules.items():
        inside = folder in Path(path).resolve().parents
        if _changed_after(path, since if inside else _BEGUN) or (name not in _BEFORE and _asks_the_world(path)):
            return None
    if any(_changed_after(path, at) for path, at in read.items() if path not in modules.values()):
        return None
    files = {path: digest(path) for path in sorted({*modules.values(), *read})}
    if any(files[path] is None for path in modules.values()):
        return None
    absent = {rival for name, path in modules.items() for rival in _in_its_place(name, path) if not os.path.exists(rival)}
    files |= dict.fromkeys(absent - {*files})
    return {
        "surroundings": surroundings(),
        "files": {os.path.relpath(p, folder) if _near(p, folder) else p: files[p] for p in sorted(files)},
    }


def _near(path: str, folder: Path) -> bool:
    """In the study's folder or beside it: told by the way from there, so that a checkout may be moved."""
    return os.path.realpath(path).startswith(os.path.join(str(folder.parent), ""))


def holds(written: Any, folder: Path) -> bool:
    """Whether what `taken` wrote, maybe elsewhere, is true of this folder now. What it never wrote is not."""
    folder = folder.resolve()
    if not isinstance(written, Mapping) or not isinstance(written.get("files"), Mapping) or not written["files"]:
        return False
    if written.get("surroundings") != surroundings():
        return False
    return all(isinstance(p, str) and digest(os.path.join(folder, p)) == d for p, d in written["files"].items())
