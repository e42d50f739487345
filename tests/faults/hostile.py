"""Files that somebody else made, in the place of tiles, plans, the log, failures, workers, jobs, and whole folders.

Pickles, headers that promise too much, nested and endless JSON, names that climb out of the folder, plans of wrong
types, links, pipes, devices and folders where a file is expected. Each is read in a child by what reads results. It
answers

    with at most one line of error or warning, and no control characters; with exit code 0, 1 or 2; in under a second of
    processor time and with less than 200 MB; and executes nothing
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import pandas  # noqa: F401, imported before any child is measured
import xarray

from implicit_bias import _errors, cli, request
from implicit_bias.cluster import scheduler
from implicit_bias.evidence import export  # noqa: F401
from implicit_bias.sweep.keep import dataset, status
from implicit_bias.sweep.ask.names import plan_of
from implicit_bias.sweep.work.journal import Journal
from implicit_bias.sweep.keep.store import Store

from . import hostile_files, readable
from .common import Outcome, Tally, address_space, fork

MEMORY = 200 * 2**20
SECONDS = 1.0
PATIENCE = 5
"""Seconds after which a child hangs."""

Reader = Callable[[Path], int]


def _command(*words: str) -> int:
    return cli.main([*words])


def _export(folder: Path, kind: str) -> int:
    return _command("export", str(folder), "--format", kind, "--to", str(folder.parent / f"table.{kind}"))


def _open(folder: Path) -> int:
    data = dataset.open_results(folder)
    assert isinstance(data, (xarray.Dataset, xarray.DataTree))
    return 0


def _tiles(folder: Path) -> int:
    """As planning reads them. Each damaged tile has a line of its own."""
    store = Store(folder)
    for name in store.names():
        store.read_or_set_aside(name)
    return 0


def _journal(folder: Path) -> int:
    """What `plan` and a worker read and write besides."""
    store = Store(folder)
    journal = Journal(store)
    status.by_the_log(store, "steps", over="seconds"), journal.latest(), journal.failures(), journal.workers()
    journal.log(event="tile", steps=1, seconds=1.0)
    journal.clear_failure("a" * 32)
    return 0


def _planned(folder: Path) -> int:
    """As `work PLAN` reads a plan."""
    request.planned(plan_of(folder)[1])
    return 0


READERS: dict[str, Reader] = {
    "status": lambda folder: _command("status", str(folder)),
    "csv": lambda folder: _export(folder, "csv"),
    "netcdf": lambda folder: _export(folder, "netcdf"),
    "open": _open,
    "tiles": _tiles,
    "journal": _journal,
    "planned": _planned,
    "jobs": lambda folder: 0 * len(scheduler.recorded(scheduler.jobs_folder(folder))),
}


def attack(count: int, seed: int, folder: Path) -> Outcome:
    tally = Tally(seed)
    marker = folder / "executed"
    good = readable.make(folder / "good")
    _warm(folder)
    made = hostile_files.all_of(marker)
    while tally.tried < count:
        number = tally.tried
        rng = tally.random(number)
        make = made[number % len(made)]  # each once, then with other random numbers
        copy = folder / f"{number}" / "study"
        shutil.copytree(good.folder, copy)
        with tally.one("a hostile file"):
            what = make(rng, copy)
            names = sorted(map(str, rng.permutation(list(READERS))), key="tiles".__eq__)  # which moves files: the last
            names = [name for name in names if name != "netcdf" or number % 4 == 0]
            for name, wrong in _met(copy, names).items():
                tally.lose(f"{what}, by {name}: {wrong}")
            tally.check(not marker.exists(), f"{what}: it was executed")
            marker.unlink(missing_ok=True)
        hostile_files.remove(copy.parent)
    return tally.outcome()


def _warm(folder: Path) -> None:
    """Import now what the readers import when they first run."""
    readable.make(folder / "warm")
    for name, read in READERS.items():
        if said := _in_this_process(folder / "warm", read):
            raise AssertionError(f"{name} does not read good results: {said}")


def _in_this_process(folder: Path, read: Reader) -> str:
    """What is wrong with the way a folder is met; nothing if nothing is."""
    out, err = io.StringIO(), io.StringIO()
    encoded = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # a terminal: strict
    with contextlib.redirect_stdout(encoded), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = _errors.warn
        try:
            code = read(folder)
        except (_errors.Mistake, OSError) as mistake:  # what the command would print
            print(f"error: {_errors.one_line(mistake)}", file=sys.stderr)
            code = 2
        except (Exception, SystemExit) as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            return f"{type(error).__name__}: {str(error)[:200]} ({Path(where.filename).name}:{where.lineno})"
    encoded.flush()
    out = encoded.buffer.getvalue().decode()
    said = err.getvalue()
    lines = said.splitlines()
    if code not in (0, 1, 2):
        return f"exit code {code}"
    if len(lines) > (4 if read is _tiles else 1):
        return f"{len(lines)} lines: {said[:300]}"
    if len(said) > 2000 * max(1, len(lines)) or len(out) > 20_000:
        return f"{len(said)} and {len(out)} characters"
    odd = {
        c for c in out + said if (ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000
    }
    return f"control characters {odd}" if odd else ""


def _met(folder: Path, names: list[str]) -> dict[str, str]:
    """The same of several readers, one after another, in a child with little memory and time; what is wrong."""

    def act(say) -> None:
        addresses, resident = address_space()
        resource.setrlimit(resource.RLIMIT_AS, (addresses + 4 * MEMORY,) * 2)
        for name in names:
            signal.alarm(PATIENCE)
            begun = time.process_time()
            wrong = _in_this_process(folder, READERS[name])
            spent, most = time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            if spent > SECONDS:
                wrong += f"; it takes {spent:.1f} s"
            if most - resident > MEMORY:
                wrong += f"; it takes {(most - resident) / 2**20:.0f} MB"
            say(json.dumps([name, wrong]).encode() + b"\n")

    code, said = fork(act).end()
    met = dict(map(json.loads, said.splitlines()))
    found = {name: wrong for name, wrong in met.items() if wrong}
    if code and len(met) < len(names):
        found[names[len(met)]] = "it hangs" if code == -signal.SIGALRM else f"the reader ended with {code}"
    return found
