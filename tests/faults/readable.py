"""A small folder of results, made by hand: six runs in three tiles, a plan, a log, a failed tile, a worker."""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from implicit_bias.sweep.keep.store import Store, Tile, canonical

MARKS = {"jax": "0.10", "platform": "cpu"}
SCALES = [0.5, 1.0, 2.0]


def tile(word: str, scales: list[float], arrays: dict[str, np.ndarray] | None = None) -> Tile:
    """The runs of one word at some scales, with some arrays in the place of others or besides."""
    n = len(scales)
    held = {
        "status": np.ones(n, np.int32),
        "steps": np.full(n, 7, np.int32),
        "time": np.full(n, 0.7),
        "clock": np.tile([0.0, 1.0, 7.0], (n, 1)),
        "loss": np.tile([1.0, 0.5, 0.1], (n, 1)),
        "x": np.zeros((n, 3, 2)),
        "fact.g_star": np.full(n, 2.0),
    }
    place = np.array([[0.0, s] for s in scales])
    return Tile(f"program of {word}", MARKS, {"method": word}, ("seed", "scale"), place, {**held, **(arrays or {})})


def _axis(values: list, traced: bool) -> dict[str, Any]:
    spelled = [float(v).hex() for v in values] if traced else list(values)
    return {"traced": traced, "labels": [str(v) for v in values], "values": spelled, "words": not traced}


def document() -> dict[str, Any]:
    """The plan of these results."""
    axes = {"seed": _axis([0], True), "method": _axis(["gd", "wn"], False), "scale": _axis(SCALES, True)}
    batch = dict(
        grid=0, axes=["seed", "scale"], rewriting="none", dynamics="gd", unit="steps", depends={"g_star": ["seed"]}
    )
    tiles = {"gd": [tile("gd", SCALES[:2]), tile("gd", SCALES[2:])], "wn": [tile("wn", SCALES)]}
    plan = {
        "study": "mine",
        "fingerprint": MARKS,
        "settings": {"rows": "3"},
        "keywords": {"rows": ["int", "3"]},
        "statement": "What is asked.",
        "definitions": {"x": "the predictor"},
        "folds": [],
        "grids": [{"name": "runs", "order": ["seed", "method", "scale"], "axes": axes}],
        "batches": [{**batch, "statics": {"method": w}, "program": f"program of {w}"} for w in tiles],
        "tiles": [[t.id for t in of] for of in tiles.values()],
        "file": "mine.py",
        "request": {"settings": {"rows": "3"}, "size": "laptop"},
    }
    return copy.deepcopy(plan)  # no part of it is a part of anything else


def make(folder: Path) -> Store:
    """Everything that a study's folder may hold, in good order."""
    store = Store(folder)
    for t in (tile("gd", SCALES[:2]), tile("gd", SCALES[2:]), tile("wn", SCALES)):
        write(store.path(t.id), b"")
        store.write(t)
    write(store.plans / "0123456789abcdef.json", json.dumps(document()).encode())
    stamp = {"at": time.time(), "host": "here", "pid": 1}
    event = {"event": "tile", "tile": "0" * 32, "runs": 3, "steps": 21, "seconds": 0.1, **stamp}
    write(folder / "log.jsonl", f"{canonical(event)}\n".encode() * 3)
    write(
        folder / "failed" / f"{'a' * 32}.json",
        canonical({"tile": "a" * 32, "why": "E: e", "runs": 2, **stamp}).encode(),
    )
    write(folder / "workers" / "here-1.json", canonical({"worker": 0, "of": 1, **stamp}).encode())
    job = {"id": "7", "cluster": None, "plan": "p", "tasks": 2, "submitted": "2026-01-01", "again": "submit mine.py"}
    write(folder / "jobs" / "7.json", canonical(job).encode())
    return store


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
