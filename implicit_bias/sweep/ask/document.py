"""Plan files: what was asked for, and which tiles hold it. Read with suspicion: a file may be torn, old or forged."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from typing import Any

from ..._errors import Mistake, one_line
from ..._files import RESULTS, FilePath, read
from .grid import MOST_RUNS
from .keywords import decoded
from ..keep.store import LARGEST_PLAN, TILE_NAME

Document = Mapping[str, Any]
LAPTOP = "laptop"
"""The size that a study has unless another is named, and the name of the result of its own grid."""

MOST_IN_A_TILE = 2**18
"""Runs of a tile: 16 blocks of 4,096 lanes, and room for wider ones."""
MOST_TABLES = 2**16
"""Lists and tables of a plan file: a small file of nothing else would fill the memory."""
MOST_NAMES = 2**18
"""Names in those tables: to read more takes a second."""


def read_plan(path: FilePath) -> Document:
    """A plan file's content; `Mistake` with the remedy if it is not a plan."""
    try:
        data = read(path, LARGEST_PLAN)
        _need(data.count(b"[") + data.count(b"{") <= MOST_TABLES, "it has too many tables")
        _need(data.count(b'":') <= MOST_NAMES, "it has too many names")
        document = json.loads(data)
        _check(document)
    except FileNotFoundError:
        raise Mistake("path", f"there is no plan {path}", "`implicit-bias run STUDY` writes one") from None
    except OSError as error:
        raise Mistake("path", f"cannot read {path} ({error.strerror or error})", "mend its permissions") from None
    except Exception as error:
        what = one_line(f"{type(error).__name__}: {error}", most=120)
        raise Mistake("path", f"{path} is not a plan ({what})", "`implicit-bias run STUDY` writes it again") from None
    return document


def command(
    study: str, words: Mapping[str, str], size: str, out: str, name: str | None = None, verb: str = "run"
) -> str:
    """What a user types for a request.

    >>> command("mine.py", {"scale": "0.1,1"}, "paper", "results", "fine")
    'implicit-bias run mine.py scale=0.1,1 --size paper --as fine'
    """
    typed = ["implicit-bias", verb, study, *(f"{k}={v}" for k, v in words.items())]
    typed += ["--size", size] * (size != LAPTOP)
    typed += ["--as", name or ""] * (name is not None)
    typed += ["--out", out] * (out != RESULTS)
    return shlex.join(typed)


def runs_asked_for(document: Document) -> int:
    return sum(_product(document["grids"][b["grid"]], b["axes"]) for b in document["batches"])


def _product(grid: Mapping[str, Any], axes: list[str]) -> int:
    return math.prod(len(grid["axes"][a]["values"]) for a in axes)


def _check(document: Any) -> None:
    """Raise for what is not of a plan's form."""
    _need(isinstance(document, dict), "it is no table")
    parts = {"study": str, "fingerprint": dict, "keywords": dict, "grids": list, "batches": list, "tiles": list}
    for key, kind in parts.items():
        _need(isinstance(document.get(key), kind), f"it has no {key}")
    for name, written in document["keywords"].items():
        decoded(name, written)
    asked = document.get("request") or {"settings": {}, "size": ""}
    words = (*asked["settings"].keys(), *asked["settings"].values(), asked["size"], asked.get("study", ""))
    _need(all(isinstance(w, str) for w in words), "its request is no words")
    _need(isinstance(document.get("wording", ""), str), "its wording is no word")
    for grid in document["grids"]:
        _need(isinstance(grid["name"], str) and sorted(grid["order"]) == sorted(grid["axes"]), "a grid has no axes")
        for axis in grid["axes"].values():
            _need(len(axis["labels"]) == len(axis["values"]) > 0, "an axis has no values")
            _need(all(isinstance(v, str) for v in (*axis["labels"], *axis["values"])), "a value is no word")
            _need(isinstance(axis["traced"], bool) and isinstance(axis["words"], bool), "an axis is of no kind")
    cells = sum(_product(grid, grid["order"]) for grid in document["grids"])
    _need(cells <= MOST_RUNS, f"it asks for {cells:.1e} runs")
    names = [grid["name"] for grid in document["grids"]]
    _need(0 < len(names) == len(set(names)), "its grids have no names")
    _need(len(document["batches"]) == len(document["tiles"]), "batches and tiles differ in number")
    for batch, tiles in zip(document["batches"], document["tiles"]):
        _need(0 <= batch["grid"] < len(names), "a batch has no grid")
        axes = document["grids"][batch["grid"]]["axes"]
        _need({*batch["axes"], *batch["statics"]} == set(axes), "a batch has other axes than its grid")
        known = all(isinstance(v, str) and v in axes[a]["values"] for a, v in batch["statics"].items())
        _need(known and isinstance(batch["unit"], str) and isinstance(batch["depends"], dict), "a batch is of no kind")
        data = batch.get("data", {})
        _need(all(isinstance(word, str) for word in (*data.keys(), *data.values())), "its data are no words")
        _need(all(isinstance(t, str) and TILE_NAME.fullmatch(t) for t in tiles), "a tile's name is no hash")
        _need(len(set(tiles)) == len(tiles), "a tile is named twice")
        runs = _product(document["grids"][batch["grid"]], batch["axes"])
        _need(runs <= MOST_IN_A_TILE * len(tiles), "it has too few tiles for its runs")


def _need(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
