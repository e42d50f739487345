"""One run again, looked at as often as is asked, with its weights and with observables that were written since.

    implicit-bias replay wu2020/path scale=0.3 seed=7 --every 1 --keep theta --observe mine.py:sparsity

The program is the study's own with more records, in blocks of the same width, so its numbers should be the result's own to
the last bit. They are held against it at every record of the original, and what differs is said with the likely reason.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from ._errors import Mistake, nearest
from ._files import FilePath, place
from .observables.base import Snapshot
from .parameterizations.network import name_at
from .sweep.ask import names
from .sweep.ask.document import Document, read_plan
from .sweep.ask.grid import Grid, Grids, Labelled, parse
from .sweep.ask.records import Records
from .sweep.keep.dataset import open_results
from .sweep.keep.store import Store
from .sweep.program.fingerprint import difference, fingerprint

Study = Any
"""An `ib.Study`, which has `replay` as a method and so stands above this file."""


def _leaves(tree: Any) -> Any:
    """A pytree as an observable's value: one array, or arrays by their ways in it."""
    found = {name_at(way).replace("/", "."): leaf for way, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}
    return found if list(found) != [""] else found[""]


KEEP: Mapping[str, Callable[[Snapshot], Any]] = {
    "theta": lambda snapshot: _leaves(snapshot.theta),
    "memory": lambda snapshot: _leaves(snapshot.memory),
    "predictor": lambda snapshot: _leaves(snapshot.pred),
}
"""What `--keep` knows: weights, what the law keeps, and what they are the predictor of."""


def kept(words: Sequence[str]) -> dict[str, Callable[[Snapshot], Any]]:
    """The observables of some words of `KEEP`."""
    if unknown := [word for word in words if word not in KEEP]:
        raise Mistake("keep", f"{unknown[0]!r} is nothing that a run has", nearest(unknown[0], KEEP))
    return {word: KEEP[word] for word in words}


def denser(records: Records, every: float) -> Records:
    """The same records, and one at every so many steps, or so much time."""

    def clock(dynamics):
        if not isinstance(dynamics.end, int | float):
            what = "cannot be counted: the end of this run is a number that the program computes"
            raise Mistake("every", what, "leave --every out, or give max_steps or max_time as a setting of the study")
        step = max(1, round(every)) if dynamics.unit == "steps" else every
        more = np.arange(0, dynamics.end, step)
        try:
            with jax.ensure_compile_time_eval():
                given = np.asarray(records(dynamics))
        except jax.errors.TracerArrayConversionError:  # moments that hang on an axis, as times of steps of its length do
            given = records(dynamics)
            return jnp.sort(jnp.concatenate([given, jnp.asarray(more, given.dtype)]))
        return jnp.asarray(np.unique(np.concatenate([given, more])).astype(given.dtype))

    return clock


@dataclasses.dataclass(frozen=True)
class Place:
    """One run of a study: the axes and settings that make it, and whether the grid that was asked for has it."""

    axes: Mapping[str, Any]
    fixed: Mapping[str, Any]
    inside: bool

    @property
    def words(self) -> dict[str, Any]:
        return {name: getattr(value, "label", value) for name, value in self.axes.items()}


def _placed(study: Study, settings: Mapping[str, Any], size: str, where: Mapping[str, Any]) -> Place:
    grids, fixed = study.resolve(settings, size)
    wanted = {}
    for name, given in where.items():
        values = [*study._coerce(name, given)] if study._accepts(name) else []
        if len(values) == 1:
            wanted[name] = values[0]
    for grid in grids:
        found = {n: [v for v in vs if n not in wanted or _same(v, wanted[n])] for n, vs in grid.axes.items()}
        if all(len(vs) == 1 for vs in found.values()) and {*wanted} <= {*found}:
            return Place({n: vs[0] for n, vs in found.items()}, fixed, True)
    grids, fixed = study.resolve({**settings, **where}, size)
    for grid in grids:
        if grid.size == 1:
            return Place({n: vs[0] for n, vs in grid.axes.items()}, fixed, False)
    name, values = next((n, vs) for n, vs in grids[0].axes.items() if len(vs) > 1)
    words = ", ".join(str(getattr(v, "label", v)) for v in values[:4]) + ", ..." * (len(values) > 4)
    raise Mistake(name, f"has {len(values)} values ({words}), and a replay is of one run", f"write {name}={getattr(values[0], 'label', values[0])}")


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(value, Labelled) or isinstance(value, str):
        return getattr(value, "label", value) == getattr(wanted, "label", wanted)
    return value == wanted


def replay(
    study: Study, place: Place, every: float | None, observe: Mapping[str, Any], width: int | None
) -> xr.Dataset:
    """The run alone, with its records; what is added is looked at in a run of its own.

    Beside other observables the compiler arranges those of the study anew, and their last bits change.
    """
    one = dataclasses.replace(
        study, grids=Grids([Grid({n: (v,) for n, v in place.axes.items()})]), claims=(), figures=(), predict={},
        records=study.records if every is None else denser(study.records, every),
    )  # fmt: skip
    alone = dict(width=width, tell=lambda progress: None)
    found = one.run(dict(place.fixed), **alone)
    if observe:
        added = dataclasses.replace(one, observe=observe, facts={}).run(dict(place.fixed), **alone)
        found = found.assign({n: v for n, v in added.data_vars.items() if n not in found})
    return found.squeeze([n for n in place.axes if n in found.dims])


# -- beside the original ---------------------------------------------------------------------------------------------------


def original_of(plan: FilePath, place: Place) -> xr.Dataset | None:
    """The run as a result has it; None where it has not."""
    data = open_results(plan)
    nodes = [n.to_dataset() for n in data.children.values()] if isinstance(data, xr.DataTree) else [data]
    for ds in nodes:
        try:
            run = ds.sel({n: v for n, v in place.words.items() if n in ds.dims})
        except KeyError:
            continue
        if {*place.words} <= {*ds.coords} and int(run["status"]) >= 0:
            return run
    return None


def compared(again: xr.Dataset, original: xr.Dataset | None, document: Document | None) -> str:
    """Whether a replay has the bits of its original, at its records; else by how much it differs, and why."""
    if original is None or document is None:
        return "no run to hold it against: no result has it"
    at = [int(abs(again.clock.values - moment).argmin()) for moment in original.clock.values]
    named = [str(v) for v in original.data_vars if "record" in original[v].dims and v != "clock" and v in again]
    worst, where, differ = 0.0, "", []
    for name in named:
        seen = again[name].isel(record=at).transpose(*original[name].dims).values.astype(float)
        kept = original[name].values.astype(float)
        if not np.array_equal(seen, kept, equal_nan=True):
            differ.append(name)
            off = float(np.nanmax(abs(seen - kept)) / (np.nanmax(abs(kept)) or 1.0))
            worst, where = max((worst, where), (off, name))
    if not differ and int(again.steps) == int(original.steps) and int(again.status) == int(original.status):
        return f"the bits of the original, at its {len(at)} records: {', '.join(named)}"
    mine = difference(document["fingerprint"], fingerprint())
    why = f"computed by {mine}" if mine else "a program with other records, which the compiler arranges anew: rounding alone"
    if not mine and (worst > 1e-6 or int(again.steps) != int(original.steps)):
        why = "the study has changed since, or its run is chaotic and grows what rounding began"
    flows = original.clock.attrs.get("units", "steps") != "steps"
    if not mine and flows and again.sizes["record"] != original.sizes["record"] and worst < 1e-3:
        why = "a flow ends a step at each record: it went in other steps, to the same tolerance"
    steps = f"; it took {int(again.steps):,} steps for {int(original.steps):,}" * (int(again.steps) != int(original.steps))
    return f"NOT the bits of the original: {', '.join(differ)} differ, by {worst:.1g} of {where or 'nothing'} at most{steps} ({why})"


def _width(document: Document | None, place: Place) -> int | None:
    """Lanes of the blocks that a run was computed in; None where a result does not tell."""
    words = {name: str(value) for name, value in place.words.items()}
    batches = document["batches"] if document else []
    widths = {b["width"] for b in batches if all(words.get(a, v) == v for a, v in b["statics"].items())}
    return widths.pop() if len(widths) == 1 else None


# -- all of it -------------------------------------------------------------------------------------------------------------


def replayed(
    study: Study, plan: FilePath | None, where: Mapping[str, Any], every: float | None, observe: Mapping[str, Any]
) -> tuple[xr.Dataset, xr.Dataset | None, Place, str]:
    if clash := [name for name in observe if name in study.observe]:
        raise Mistake("observe", f"{clash[0]!r} is what the study observes already", "give it another name")
    document = None if plan is None else read_plan(plan)
    request = (document or {}).get("request") or {"settings": {}, "size": names.LAPTOP}
    settings = {name: parse(name, text) for name, text in request["settings"].items()}
    run = _placed(study, settings, request["size"], where)
    ds = replay(study, run, every, observe, _width(document, run))
    original = original_of(plan, run) if plan is not None and run.inside else None
    said = compared(ds, original, document)
    return ds.assign_attrs(replay=said), original, run, said


def in_python(
    study: Study, where: Mapping[str, Any], out: str | Path | None, every: float | None, keep: Sequence[str],
    observe: Mapping[str, Any],
) -> xr.Dataset:  # fmt: skip
    """`study.replay(...)`: held against the result in `out`, its study's folder, where one is given."""
    plan = None if out is None else names.meant(Store(place(out)))
    return replayed(study, plan, where, every, kept(keep) | dict(observe))[0]
