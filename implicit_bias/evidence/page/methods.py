"""How the runs of a page were made, in a paragraph that is written from the plan and the results alone; facts; survivors.

Nothing here is typed by hand, so it says no more than is known: axes and values, seeds, fixed keywords (a stop rule is one of
them), laws of motion, rewritings, precision, versions, how the runs ended.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..._lazy import lazy
from ..._results import Status
from ...sweep.ask.keywords import decoded
from ..claims import SHARE, Data, Judgement
from ..intervals import CONFIDENCE
from .markup import Markup, described, details, element, join, table

xr = lazy("xarray")

_MOST_VALUES = 24
"""Values of an axis that the table of survivors has a row for each of."""


def nodes(data: Data, document: Mapping[str, Any]) -> dict[str, xr.Dataset]:
    """Grid -> its dataset."""
    if isinstance(data, xr.DataTree):
        return {str(name): node.to_dataset() for name, node in data.children.items()}
    return {document["grids"][0]["name"]: data}


def _listed(parts: Sequence[str]) -> str:
    """
    >>> _listed(["a", "b", "c"]), _listed(["a"])
    ('a, b and c', 'a')
    """
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def values(axis: Mapping[str, Any]) -> str:
    """An axis's values in a few words.

    >>> values({"labels": ["0.01", "0.1", "1", "2", "4"]}), values({"labels": ["gd", "wn"]})
    ('5 values from 0.01 to 4', 'gd, wn')
    """
    labels = [str(label) for label in axis["labels"]]
    if len(labels) <= 4:
        return ", ".join(labels)
    try:
        ordered = sorted(labels, key=float)
    except ValueError:
        return f"{len(labels)} values: {', '.join(labels[:3])}, ..., {labels[-1]}"
    return f"{len(labels)} values from {ordered[0]} to {ordered[-1]}"


def _grid(grid: Mapping[str, Any]) -> str:
    """The axes of a grid in a sentence, and how many runs they make."""
    axes = grid["axes"]
    runs = math.prod(len(axes[a]["labels"]) for a in grid["order"])
    seeds = [a for a in grid["order"] if a == "seed" or a.startswith("seed.")]
    said = [f"{a} = {values(axes[a])}" for a in grid["order"] if a not in seeds]
    for a in seeds:
        labels = axes[a]["labels"]
        said.append(f"{len(labels)} seed{'s' * (len(labels) != 1)}{a.removeprefix('seed')} ({values(axes[a])})")
    return f"{runs:,} runs: {_listed(said)}" if said else f"{runs:,} run"


def _keyword(name: str, written: Any) -> str:
    """
    >>> _keyword("step", ["float", "0x1.999999999999ap-4"]), _keyword("shape", ["numbers", "12.0 10.0"])
    ('step = 0.1', 'shape = 12, 10')
    """
    value = decoded(name, written)
    told = np.ravel(value[1]).tolist() if isinstance(value, tuple) else [value]
    return f"{name} = {', '.join(f'{v:g}' if isinstance(v, float) else str(v) for v in told)}"


def _ends(statuses: Mapping[str, Counter[Status]]) -> str:
    total: Counter[Status] = sum(statuses.values(), Counter())
    said = [f"{n:,} {s.label}" for s, n in sorted(total.items(), key=lambda one: -one[1])]
    return _listed(said)


def paragraph(document: Mapping[str, Any], statuses: Mapping[str, Counter[Status]], claims: int) -> Markup:
    """What was run, for a section on methods."""
    grids, batches, marks = document["grids"], document["batches"], document["fingerprint"]
    grid_said = [_grid(g) for g in grids]
    each = [f"grid \u201c{g['name']}\u201d, {said}" for g, said in zip(grids, grid_said)]
    told = grid_said[0] if len(grids) == 1 else "; ".join(each)
    varied = {a for g in grids for a in g["order"]}
    fixed = [_keyword(n, w) for n, w in document.get("keywords", {}).items() if n not in varied]
    laws = list(dict.fromkeys(b["dynamics"] for b in batches))
    ways = list(dict.fromkeys(b["rewriting"] for b in batches))
    data = {name: digest for b in batches for name, digest in b.get("data", {}).items()}
    double = str(marks.get("x64", "")) == "True"
    versions = [f"{name} {marks[name]}" for name in ("jax", "jaxlib", "diffrax", "optax", "scipy") if marks.get(name)]
    sentences = [
        f"The study {document['study']} has {told}.",
        f"Fixed: {', '.join(fixed)}." if fixed else "",
        f"Law of motion: {_listed(laws)}." if laws else "",
        f"Rewriting: {'; '.join(ways)}." if ways else "",
        f"Data: {_listed([f'{name} (sha256 {digest[:12]})' for name, digest in data.items()])}." if data else "",
        f"Runs are computed in {'64' if double else '32'}-bit floating point" * ("x64" in marks)
        + f" on {marks.get('platform', marks.get('device', ''))}" * bool(marks.get("platform") or marks.get("device"))
        + (f" with {', '.join(versions)}." if versions else "." * ("x64" in marks)),
        f"They ended as follows: {_ends(statuses)}.",
    ]
    if claims:
        sentences.append(
            f"{claims} claim{' is' if claims == 1 else 's are'} judged on them. A run is tested if it is inside the "
            f"hypotheses and ended as the claim accepts; a claim of which less than {SHARE:.0%} of the runs inside are tested "
            f"is unresolved, unless one run refutes it or it names another share; intervals are over seeds where there are several, "
            f"at {CONFIDENCE:.0%}."
        )
    return element("p", " ".join(s for s in sentences if s), class_="methods")


# -- facts of the data ---------------------------------------------------------------------------------------------------


def _range(values: np.ndarray) -> str:
    if values.dtype.kind not in "fiub":
        return "-"
    seen = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if not seen.size:
        return "no number"
    low, high = (f"{float(v):.4g}" for v in (seen.min(), seen.max()))
    return low if low == high else f"{low} to {high}"


def facts(data: Data, document: Mapping[str, Any]) -> Markup:
    """What is known of the data before a run begins: of each fact its form, on what it depends, and its range."""
    known = {name for b in document["batches"] for name in b.get("depends", {})} - {"clock"}
    rows: dict[tuple, list[str]] = {}  # what grids have in common is said once
    for grid, ds in nodes(data, document).items():
        for name in sorted(known & {*map(str, ds.data_vars)}):
            variable = ds[name]
            own = [d for d in variable.dims if d not in ds["status"].dims]
            form = " x ".join(str(variable.sizes[d]) for d in own) or "a number"
            per = ", ".join(str(d) for d in variable.dims if d in ds["status"].dims and variable.sizes[d] > 1)
            meaning = str(variable.attrs.get("definition", "")).removesuffix("A fact.").strip().rstrip(".")
            row = (element("code", name), meaning, form, per or "nothing", _range(variable.values))
            rows.setdefault(row, []).append(grid)
    if not rows:
        return Markup()
    head, told = ["Fact", "What it is", "Form", "Depends on", "Range"], sorted(rows)
    if any(rows[row] != rows[told[0]] for row in told):
        return table("Facts of the data", [*head, "Grids"], [(*row, ", ".join(rows[row])) for row in told], (4,))
    return table("Facts of the data", head, told, (4,))


# -- how runs ended ------------------------------------------------------------------------------------------------------


def statuses(data: Data, document: Mapping[str, Any]) -> dict[str, Counter[Status]]:
    """How the runs of each grid ended."""
    counted = {name: np.unique(ds["status"].values, return_counts=True) for name, ds in nodes(data, document).items()}
    return {name: Counter({Status(int(s)): int(n) for s, n in zip(*found)}) for name, found in counted.items()}


def _seen(found: Sequence[Mapping[Status, int]]) -> list[Status]:
    return [s for s in sorted(Status, key=lambda s: (s < Status.CONVERGED, s)) if any(c[s] for c in found)]


def endings(found: Mapping[str, Counter[Status]]) -> Markup:
    seen = _seen([*found.values()])
    rows = [(name, f"{count.total():,}", *(f"{count[s]:,}" for s in seen)) for name, count in found.items()]
    counts = table("How the runs ended", ["Grid", "Runs", *(s.label for s in seen)], rows, range(1, len(seen) + 2))
    return join(counts, described((s.label, s.advice) for s in seen if s != Status.CONVERGED))


def _by_value(ds: xr.Dataset) -> Iterator[tuple[str, str, Counter[Status]]]:
    status = ds["status"]
    for axis in status.dims:
        if axis == "seed" or not 1 < status.sizes[axis] <= _MOST_VALUES:
            continue
        for value in status[axis].values if axis in status.coords else range(status.sizes[axis]):
            there = status.sel({axis: value}) if axis in status.coords else status.isel({axis: value})
            said = f"{value:.4g}" if isinstance(value, float) else f"{value}"
            yield str(axis), said, Counter({Status(int(s)): int(n) for s, n in zip(*np.unique(there.values, return_counts=True))})


def survivors(data: Data, document: Mapping[str, Any]) -> Markup:
    """By the values of each axis, how runs ended, of grids where they did not all end alike: who is left, and where."""
    parts = []
    for name, ds in nodes(data, document).items():
        if len(np.unique(ds["status"].values)) < 2:
            continue
        lines = [*_by_value(ds)]
        seen = _seen([count for *_, count in lines])
        rows = [(axis, value, *(f"{count[s]:,}" for s in seen)) for axis, value, count in lines]
        if rows:
            label = f"Survivors of grid {name}"
            counts = table(label, ["Axis", "Value", *(s.label for s in seen)], rows, range(2, len(seen) + 2))
            parts.append(details(f"{label}, by the values of its axes", counts))
    return join(*parts)
