"""What helps people and decides nothing: a log of tiles, tiles that failed, and signs of life of workers.

    <folder>/log.jsonl            wall times, host, pid (in an object store: log/<worker>.jsonl, one a process)
    <folder>/failed/<tile>.json   a tile that raised three times: its runs, the error, where and when
    <folder>/workers/<worker>.json   written every few seconds while a worker lives

All of it may be deleted at any time. Only `failed/` is noticed: a tile is removed from it when it is computed.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

from ..._files import FilePath, append, host, is_local, listed, make_folder, modified, put, read, read_end
from ..keep.store import Store, canonical

LONG = 2**20
"""Bytes of a failure or a worker's sign of life at most, and of the log that are looked at."""
BEAT = 10.0
SILENT = 6 * BEAT
"""Seconds without a sign of life after which a worker counts as silent."""


def worker_name() -> str:
    return f"{host()}-{os.getpid()}"


def _stamped(event: Mapping[str, Any]) -> str:
    return canonical({**event, "at": round(time.time(), 3), "host": host(), "pid": os.getpid()})


class Journal:
    """The journal of one study's store."""

    def __init__(self, store: Store):
        self.folder = store.folder
        self._local = is_local(store.folder)
        self._lines: list[str] = []
        self._own = f"{worker_name()}-{time.time_ns()}"

    # -- log --------------------------------------------------------------------------------------------------

    def log(self, **event: Any) -> None:
        if not self._local:  # objects cannot be appended to: `flush` writes this process's own
            self._lines.append(_stamped(event))
            return
        with contextlib.suppress(OSError):  # a tile that is on the disk is done, whatever the log says
            append(self.folder / "log.jsonl", f"{_stamped(event)}\n".encode())

    def flush(self) -> None:
        if self._lines:
            text = "".join(f"{line}\n" for line in list(self._lines))
            put(self.folder / "log" / f"{self._own}.jsonl", text.encode())

    def latest(self, count: int = 200) -> list[Mapping[str, Any]]:
        """The last events of the log."""
        files = (
            [self.folder / "log.jsonl"] if self._local else sorted(listed(self.folder / "log", ".jsonl"), key=modified)
        )
        events = []
        for file in files:
            with contextlib.suppress(OSError, ValueError):
                lines = read_end(file, LONG).splitlines()[-count:]
                events += [e for e in map(_table, lines) if e is not None]
        return events[-count:]

    # -- tiles that failed ------------------------------------------------------------------------------------

    def _failure(self, tile: str) -> FilePath:
        return self.folder / "failed" / f"{tile}.json"

    def record_failure(self, tile: str, **what: Any) -> None:
        path = self._failure(tile)
        make_folder(path.parent)
        put(path, _stamped({"tile": tile, **what}).encode())

    def clear_failure(self, tile: str) -> None:
        with contextlib.suppress(OSError):
            self._failure(tile).unlink()

    def failures(self) -> list[Mapping[str, Any]]:
        return _tables(self.folder / "failed")

    # -- workers ----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def alive(self, **about: Any):
        """Give a sign of life every few seconds; `about` may be changed meanwhile (it is yielded)."""
        path = self.folder / "workers" / f"{worker_name()}.json"
        over = threading.Event()

        def beat() -> None:
            with contextlib.suppress(Exception):
                make_folder(path.parent)
            while True:
                with contextlib.suppress(Exception):  # a sign of life is worth no failure
                    put(path, _stamped(dict(about)).encode())
                if over.wait(BEAT):
                    return

        thread = threading.Thread(target=beat, name="alive", daemon=True)
        thread.start()
        try:
            yield about
        finally:
            over.set()
            thread.join()
            with contextlib.suppress(Exception):
                path.unlink()

    def workers(self) -> list[tuple[Mapping[str, Any], float]]:
        """(what a worker said last, seconds since then)."""
        now = time.time()
        stamped = [(w, w.get("at")) for w in _tables(self.folder / "workers")]
        return [(w, now - at) for w, at in stamped if isinstance(at, int | float) and 0 <= at < 2**40]


def _tables(folder: FilePath) -> list[Mapping[str, Any]]:
    """The JSON tables of a folder; what is none is passed over."""
    tables = []
    for path in sorted(listed(folder, ".json"), key=lambda p: p.name):
        with contextlib.suppress(OSError, ValueError):
            table = _table(read(path, LONG))
            tables += [] if table is None else [table]
    return tables


def _table(data: bytes) -> Mapping[str, Any] | None:
    """A JSON table; None if it is none."""
    try:
        table = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return table if isinstance(table, dict) else None
