"""What has become slower since the last time?  Today's rows beside the last ones of the same machine.

The file has a line for each table: the machine, the table, and for each row the median of its time. A row has moved if its
time has, by more than `MOVED`, and has against the median of the other rows', too: a busy machine moves them all.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

MOVED = 0.15
Rows = dict[str, float]
"""Name -> median nanoseconds (or what the table counts), the framework's first."""

_told: list[tuple[str, Rows]] = []


def remember(title: str, rows: Rows) -> None:
    """What blocks or lanes a peer was tuned to is no part of its name."""
    _told.append((title, {name.partition(", blocks")[0].partition(", lanes")[0]: value for name, value in rows.items()}))


def against(path: Path, machine: str) -> str:
    """Compare the tables of this process with the file, add them to it, and say what has moved."""
    try:
        known = [json.loads(line) for line in path.read_text().splitlines()]
    except FileNotFoundError:
        known = []
    last: dict[str, dict[str, Any]] = {line["title"]: line for line in known if line["machine"] == machine}
    said = []
    for title, rows in _told:
        if title in last:
            found = moved(last[title]["rows"], rows)
            what = "".join(f"\n    {line}" for line in found) or " no row has moved by more than 15 %"
            said.append(f"{title}, against {last[title]['date']}:{what}")
        else:
            said.append(f"{title}: the first of this machine in {path}")
    lines = [{"date": time.strftime("%Y-%m-%d"), "machine": machine, "title": title, "rows": rows} for title, rows in _told]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return "\n".join(said)


def moved(old: Rows, new: Rows) -> list[str]:
    """Rows of both whose time moved by more than the others' did.

    >>> before = {"framework": 10.0, "numpy": 50.0, "loop": 1000.0}
    >>> moved(before, {"framework": 20.0, "numpy": 100.0, "loop": 2000.0})  # a busy machine
    []
    >>> moved(before, {"framework": 14.0, "numpy": 50.0, "loop": 1010.0})
    ['framework: 10 -> 14, 1.4 times as long, beside the others']
    """
    both = [name for name in new if name in old]
    pace = {name: new[name] / old[name] for name in both}
    found = []
    for name in both:
        others = [pace[other] for other in both if other != name]
        beside = pace[name] / (statistics.median(others) if others else 1.0)
        if abs(beside - 1) > MOVED and abs(pace[name] - 1) > MOVED:
            said = f"{old[name]:.4g} -> {new[name]:.4g}, {beside:.2g} times as long"
            found.append(f"{name}: {said}{', beside the others' * bool(others)}")
    return found
