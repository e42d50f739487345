"""What of a plan is done, read from tiles alone: no JAX, no scheduler."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter

import numpy as np

from ..._errors import Mistake, one_line
from ..._files import FilePath, modified
from ..._results import Status
from ..ask.document import read_plan, runs_asked_for
from ..ask.names import again, asked, explorations, label, named, plan_of
from ..work.journal import SILENT, Journal
from .store import Store


def describe(name: str, path: FilePath, capped_by_design: bool = False) -> str:
    """A few lines: runs done of asked for, how they ended, what is damaged, and how to go on."""
    store, plan = plan_of(path, name)
    document = read_plan(plan)
    total = runs_asked_for(document)
    ended: Counter[str] = Counter()
    damaged, runs = 0, set()
    for batch, tiles in zip(document["batches"], document["tiles"]):
        wanted = _places(document["grids"][batch["grid"]], batch["axes"])
        for tile_name in tiles:
            try:
                tile = store.read(tile_name)
            except FileNotFoundError:
                continue
            except ValueError:
                damaged += 1
                continue
            for point, status in zip(tile.coordinates, tile.arrays["status"]):
                key = (batch["grid"], json.dumps(batch["statics"], sort_keys=True), point.tobytes())
                inside = all(float(v).hex() in wanted[a] for a, v in zip(batch["axes"], point))
                if inside and key not in runs:
                    runs.add(key)
                    ended[Status(int(status)).label] += 1
    lines = [one_line(f"{name}: {len(runs):,} of {total:,} runs done ({label(store, plan)})")]
    advice = {status.label: status.advice for status in Status}
    if capped_by_design:
        advice[Status.CAPPED.label] = "took as many steps as the study asks for: its claims are about such runs"
    lines += [f"  {label:<10} {count:>9,}  {advice[label]}" for label, count in sorted(ended.items())]
    if damaged:
        lines.append(
            f"  {damaged} damaged tile{'s' if damaged > 1 else ''}: `run` sets them aside and computes them again"
        )
    lines += [*_failed(store), *_working(store)]
    if len(runs) < total and (command := again(store, plan, document)):
        lines.append(f"  go on with: {one_line(command)}")
    return "\n".join(lines)


def others(path: FilePath, most: int = 5) -> list[str]:
    """What else is kept in a study's folder: results of other names, and explorations, dated and newest first."""
    store, shown = plan_of(path)
    kept = [(name, plan) for name, plan in named(store).items() if plan.name != shown.name]
    rest = [(plan.stem[:9], plan) for plan in explorations(store) if plan.name != shown.name]
    lines = [f"  @{one_line(name):<9} {said(plan)}" for name, plan in [*kept, *rest[:most]]]
    return [*lines, *[f"  and {len(rest) - most} explorations before"] * (len(rest) > most)]


def said(plan: FilePath) -> str:
    """A plan in a line: when it was asked for, how many runs, with which words."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(modified(plan)))
    try:
        document = read_plan(plan)
    except Mistake as mistake:
        return one_line(f"{when} {mistake}", most=200)
    return one_line(f"{when} {runs_asked_for(document):,} runs {asked(document)}", most=200).rstrip()


def _failed(store: Store) -> list[str]:
    failures = Journal(store).failures()
    if not failures:
        return []
    runs = sum(n for f in failures if isinstance(n := f.get("runs"), int) and 0 <= n < 2**53)
    first = one_line(f"{failures[0].get('tile')}: {failures[0].get('why')}", most=500)
    return [
        f"  {len(failures)} tile{'s' * (len(failures) > 1)} ({runs:,} runs) raised three times, for instance {first}",
        f"  the traceback is in {store.folder / 'failed'}; `run` tries again",
    ]


def _working(store: Store) -> list[str]:
    """Workers that gave a sign of life lately, and those that ended without a word."""
    seen = Journal(store).workers()
    alive = [w for w, age in seen if age <= SILENT]
    lines = [f"  {len(alive)} worker{'s' * (len(alive) > 1)} at work"] if alive else []
    if silent := [(w, age) for w, age in seen if age > SILENT]:
        worker, age = min(silent, key=lambda one: one[1])
        where, others = one_line(worker.get("host"), most=100), len(silent) - 1
        also = f", and {others} before" * (others > 0)
        lines.append(f"  a worker on {where} fell silent {age / 60:.0f} min ago{also}: its tiles are done by others")
    return lines


def _places(grid: dict, axes: list[str]) -> dict[str, set[str]]:
    return {a: set(grid["axes"][a]["values"]) for a in axes}


def by_the_log(store: Store, of: str, over: str) -> float | None:
    """One number of the latest tiles over another: `steps` over `seconds`, `seconds` over `runs`; None without a history."""
    found = []
    for event in Journal(store).latest():
        with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError):
            found += [float(event[of]) / float(event[over])] if event["event"] == "tile" else []
    return float(np.median(found)) if found else None
