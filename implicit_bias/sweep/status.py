"""What of a plan is done, read from tiles alone: no JAX, no scheduler."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np

from .._errors import Mistake
from .._results import Status
from .store import Store


def describe(name: str, path: Path) -> str:
    """A few lines: runs done of asked for, how they ended, what is damaged, and how to go on."""
    store = Store(path.parent.parent if path.is_file() else path)
    plan = path if path.is_file() else store.latest_plan()
    if plan is None:
        raise Mistake("RESULT", f"{path} holds no results", f"`implicit-bias run {name}` makes them")
    document = json.loads(plan.read_text())
    total = _runs_asked_for(document)
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
    lines = [f"{name}: {len(runs):,} of {total:,} runs done ({plan.stem})"]
    lines += [f"  {label:<10} {count:>9,}  {Status[label.upper()].advice}" for label, count in sorted(ended.items())]
    if damaged:
        lines.append(
            f"  {damaged} damaged tile{'s' if damaged > 1 else ''}: `run` sets them aside and computes them again"
        )
    if len(runs) < total:
        lines.append(f"  go on with: implicit-bias run {name}")
    return "\n".join(lines)


def _runs_asked_for(document: dict) -> int:
    return sum(
        math.prod(len(document["grids"][b["grid"]]["axes"][a]["values"]) for a in b["axes"])
        for b in document["batches"]
    )


def _places(grid: dict, axes: list[str]) -> dict[str, set[str]]:
    return {a: set(grid["axes"][a]["values"]) for a in axes}


def rate(store: Store) -> float | None:
    """Run-steps a second of the latest tiles in the log; None without a history."""
    try:
        lines = (store.folder / "log.jsonl").read_text().splitlines()[-200:]
    except OSError:
        return None
    events = [json.loads(line) for line in lines]
    speeds = [e["steps"] / e["seconds"] for e in events if e.get("event") == "tile" and e.get("seconds")]
    return float(np.median(speeds)) if speeds else None
