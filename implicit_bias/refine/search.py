"""The search: settle the tree, look at random places, and go on where one is on another side than was believed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import xarray as xr

from .._errors import Mistake
from .._results import Status
from ..evidence.intervals import share
from ..sweep.ask.grid import Grid
from ..sweep.ask.keywords import defaults
from ..sweep.keep.store import Store
from .axes import Axis, axis_of, names_of
from .boundary import Found, dataset, shares
from .points import Points, joined
from .sides import NONE, POINT, Question, Rule, question, said_of
from .tree import Line, Place, Tree

COARSE = 8
CHECKS = {1: 16, 2: 64}
"""Places drawn at random, by the number of axes."""
ROUNDS = 8
"""Of random checks at most: each that finds an island is followed by another."""
FINEST = 1e-4
MOST_SAID = 6
"""Crossings of one axis that a summary lists."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """How a search is done."""

    over: Sequence[str]
    to: float = 0.01
    coarse: int = COARSE
    check: int | None = None
    check_seed: int = 0
    how: str | None = None
    theory: str | None = None
    accepts: str | Sequence[Status] | None = None

    def __post_init__(self):
        if not FINEST <= self.to <= 0.5:
            raise Mistake("to", f"must be from {FINEST:.2%} to 50% of the axis, got {self.to:.3%}", "write to=1%")
        if self.coarse < 2 or self.coarse & (self.coarse - 1) or self.coarse > 1024:
            what = f"must be a power of two from 2 to 1024, got {self.coarse}"
            raise Mistake("coarse", what, "write 8 or 16: a finer search then meets every point of a coarser one")
        if self.check is not None and self.check < 0:
            raise Mistake("check", f"must be at least 0, got {self.check}", "write 64, or 0 for none")
        if self.check_seed < 0:
            raise Mistake("seed", f"of the random check must be at least 0, got {self.check_seed}", "write 0")


def percentage(text: str) -> float:
    """
    >>> percentage("1%"), percentage("0.5%")
    (0.01, 0.005)
    """
    try:
        if not text.endswith("%"):
            raise ValueError
        return float(text.removesuffix("%")) / 100
    except ValueError:
        raise Mistake("to", f"{text!r} is no percentage of an axis", "write to=1%") from None


@runtime_checkable
class Source(Protocol):
    """What results come from: `points.Points`, or anything that is asked as it is."""

    study: Any
    axes: Sequence[Axis]
    fixed: Mapping[str, Any]
    others: Mapping[str, Sequence[Any]]
    runs_each: int
    computed: int

    def __call__(self, places: Sequence[Place]) -> xr.Dataset: ...


class _Asked:
    """The points of one search, with what is asked of them: what `tree` knows."""

    def __init__(self, points: Source, asked: Question, rule: Rule, theory: str | None, tell: Callable[[str], None]):
        self.points, self.asked, self.rule, self.theory, self.tell = points, asked, rule, theory, tell
        self.places = np.empty((0, len(points.axes)))
        self.sides = np.empty(0, np.int8)
        self.differences = np.empty((points.runs_each, 0))
        self.lost: Mapping[str, np.ndarray] = {}
        self.data: xr.Dataset | None = None
        self.drawn: set[Place] = set()

    def ask(self, places: Sequence[Place]) -> None:
        known = {tuple(p) for p in self.places}
        new = [p for p in dict.fromkeys(places) if p not in known]
        if not new:
            return
        first = self.data is None
        self.data = joined(self.data, self.points(new))
        if first:
            self._refuse()
        self.places = np.concatenate([self.places, np.array(new, dtype=float)])
        # all of them again: what a claim says of a point may hang on the extremes of the rest
        self.differences, self.lost = self.asked.differences(self.data)
        self.sides = self.rule.sides(self.differences, self.asked.closed)
        self.tell(f"{len(self.places):,} points, {self.points.computed:,} runs computed")

    def _refuse(self) -> None:
        """What can be told only of results: no such variable, or not one number a run, or not of one run."""
        self.asked.alone(self.data)
        if self.theory is not None:
            self.asked.number(self.data, self.theory)

    @property
    def of_theory(self) -> np.ndarray | None:
        if self.theory is None:
            return None
        value = self.asked.number(self.data, self.theory).broadcast_like(xr.ones_like(self.data["status"]))
        others = [d for d in self.data["status"].dims if d != POINT]
        return value.transpose(*others, POINT).values.reshape(-1, len(self.places))


def search(
    points: Source, asked: Question, rule: Rule, wanted: Wanted, tell: Callable[[str], None] = lambda text: None
) -> xr.Dataset:
    """The boundary, as `boundary.dataset` has it; what was spent and what may be missed is in its attributes."""
    known = _Asked(points, asked, rule, wanted.theory, tell)
    axes = points.axes
    tree = (Line if len(axes) == 1 else Tree)(axes, known, wanted.to, wanted.coarse)
    if not known.sides.any():
        why = said_of({reason: int(lost.sum()) for reason, lost in known.lost.items()})
        what = f"{asked.said} has no number at any of {len(known.sides):,} points ({why or 'nothing is known'})"
        raise Mistake("WHAT", what, "accept other ends with --accepts, widen the range, or ask for another variable")
    tree.settle()
    draw, rounds, islands, bound = np.random.default_rng(wanted.check_seed), 0, 0, 1.0
    count = CHECKS[len(axes)] if wanted.check is None else wanted.check
    drawn = missed = 0
    while count and rounds < ROUNDS:
        rounds += 1
        at, beliefs = _drawn(tree, known, axes, draw, count)
        known.drawn |= {tuple(p) for p in at}
        known.ask([tuple(p) for p in at])
        index = {tuple(p): i for i, p in enumerate(known.places)}
        off = [p for p, b in zip(at, beliefs) if known.sides[index[tuple(p)]] != b]
        drawn, missed = len(at), len(off)
        bound = share(missed, drawn).high if drawn else 0.0
        if not off:
            break
        islands += len(off)
        tell(f"{len(off)} of {drawn} random places are of another side than was believed: split there")
        tree.settle()
    found = Found(
        axes, tree, known.differences, known.places, known.sides,
        np.array([tuple(p) in known.drawn for p in known.places], bool), known.of_theory,
    )  # fmt: skip
    ds = dataset(found, asked, rule, wanted.to)
    runs, each = len(known.places) * points.runs_each, points.runs_each
    dense = int(np.prod([axis.dense(wanted.to) for axis in axes])) * each
    covered = shares(ds, axes)
    nowhere = {reason: int(lost.sum()) for reason, lost in known.lost.items()}
    ds.attrs.update(
        study=points.study.name, what=asked.said, yes=asked.yes, no=asked.no, how=str(rule), to=wanted.to,
        over=json.dumps([axis.name for axis in axes]), log=json.dumps([axis.log for axis in axes]),
        ranges=json.dumps([[axis.low, axis.high] for axis in axes]), described=", ".join(map(str, axes)),
        fixed=json.dumps(_fixed(points)), seeds=each, theory=wanted.theory or "",
        points=len(known.places), runs=runs, computed=points.computed, dense=dense, ratio=dense / runs,
        share_yes=covered["yes"], share_no=covered["no"],
        share_unknown=covered["no number"], share_edge=covered["edge"],
        unknown=int((known.sides == NONE).sum()), lost=said_of(nowhere),
        interval="95 %, over seeds" if rule.decides(each) else rule.why_not(each),
        checked=drawn, missed=missed, rounds=rounds, islands=islands, chance=bound,
    )  # fmt: skip
    return ds


def _drawn(
    tree: Tree | Line, known: _Asked, axes: Sequence[Axis], draw: np.random.Generator, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Places at random, evenly where something is believed and nothing is known, and what is believed there."""
    seen = {tuple(p) for p in known.places}
    at, beliefs = [], []
    for _ in range(64):
        some = draw.random((count, len(axes)))
        some = np.array([[axis.snapped(u) for axis, u in zip(axes, place)] for place in some])
        for place, belief in zip(some, tree.beliefs(some)):
            if np.isfinite(belief) and tuple(place) not in seen and len(at) < count:
                seen.add(tuple(place))
                at.append(place)
                beliefs.append(belief)
        if len(at) >= count:
            break
    return np.array(at).reshape(-1, len(axes)), np.array(beliefs)


def _fixed(points: Source) -> dict[str, str]:
    told = {n: v[0] for n, v in points.others.items() if not n.startswith("seed") and len(v) == 1}
    return {n: f"{getattr(v, 'label', v)}" for n, v in {**told, **points.fixed}.items()}


def summary(ds: xr.Dataset) -> str:
    """What a user is told."""
    a = ds.attrs
    over = json.loads(a["over"])
    at = "".join(f", {n}={v}" for n, v in json.loads(a["fixed"]).items())
    seeds = f"; {a['how']} of {a['seeds']} seeds" if a["seeds"] > 1 else ""
    lines = [f"{a['study']}{at}: {a['yes']} over {a['described']}, to {100 * a['to']:g} % of each axis{seeds}"]
    dense = f"a dense grid needs {a['dense']:,}, {a['ratio']:.1f} times as many"
    spent = f"{a['runs']:,} at {a['points']:,} points, {a['computed']:,} of them computed now"
    lines.append(f"  runs      {spent}; {dense}")
    sides = ds["between"].values == "sides"
    count = int(sides.sum())
    if not count:
        seen = {*ds["side"].values.tolist()} & {"yes", "no"}
        only = " or ".join(a[side] for side in sorted(seen, reverse=True)) or "nothing is known"
        both = "; points without a number lie between the two" if len(seen) == 2 else ""
        lines.append(f"  boundary  none: {only} at every point that has a number{both}")
    elif len(over) == 1:
        places = zip(*(ds[n].values[sides][:MOST_SAID] for n in (*over, "low", "high")))
        found = ", ".join(f"{at:.6g} ({low:.6g} .. {high:.6g})" for at, low, high in places) + ", ..." * (count > MOST_SAID)
        lines.append(f"  boundary  {count} crossing{'s' * (count > 1)}: {over[0]} = {found}")
    else:
        reach = ", ".join(f"{n} {float(ds[n][sides].min()):.4g} .. {float(ds[n][sides].max()):.4g}" for n in over)
        lines.append(f"  boundary  {count} crossings: {reach}")
    if count:
        wide = 100 * ds["width"].values[sides]
        width = f"{np.median(wide):.3g} % of an axis wide in the middle, {wide.max():.3g} % at most"
        lines.append(f"  interval  {width} ({a['interval']})")
    area = f"{a['yes']} on {a['share_yes']:.1%}, {a['no']} on {a['share_no']:.1%}, along an edge {a['share_edge']:.1%}"
    lines.append(f"  area      {area}" + f", no number {a['share_unknown']:.1%}" * bool(a["unknown"]))
    if a["unknown"] or a["lost"]:
        lines.append(f"  no number {a['unknown']:,} of {a['points']:,} points (runs: {a['lost'] or 'none'})")
    lines.append(f"  islands   {_chance(a)}")
    if "theory" in ds and sides.any():
        off = ds["off_theory"].values[sides]
        seen = np.isfinite(off)
        near = ""
        if seen.any():
            near = f"; {100 * np.median(off[seen]):.2g} % of an axis away in the middle, {100 * off[seen].max():.2g} % at most"
        inside = int(ds["theory_inside"].values[sides].sum())
        lines.append(f"  theory    {a['theory']} = 0 in {inside} of {count} intervals{near}")
    return "\n".join(lines)


def _chance(a: Mapping[str, Any]) -> str:
    if not a["rounds"]:
        return "not looked for (--check 0): a cell whose corners agree was believed"
    said = f"at most {a['chance']:.1%} of the area away from the boundary is of another side (95 %): "
    said += f"{a['missed']} of {a['checked']} places drawn there were"
    if a["islands"]:
        said += f"; {a['islands']} found by {a['rounds'] - (not a['missed'])} earlier draws were followed"
    return said if a["checked"] else "none can be missed: every place has been looked at"


# -- from a study ------------------------------------------------------------------------------------------------------


def prepared(
    study: Any, what: str, wanted: Wanted, settings: Mapping[str, Any], size: str, store: Store, **options: Any
) -> tuple[Points, Question, Rule]:
    """What a search needs, from the words of a user; every mistake that can be told before a run is told here."""
    names = names_of(wanted.over)
    asked = question(study, what, wanted.accepts)
    rule = Rule.of(wanted.how) if wanted.how else asked.rule
    if wanted.theory is not None:
        question(study, wanted.theory)
    grids, fixed = study.resolve({n: v for n, v in settings.items() if n not in names}, size)
    grid = only(grids, asked.claim.on if asked.claim is not None else None, what)
    known = {**defaults(study.cell), **fixed}
    axes = [axis_of(n, grid, known, settings.get(n)) for n in names]
    several = {n: v for n, v in grid.axes.items() if n not in names and len(v) > 1 and not n.startswith("seed")}
    for name, values in several.items():
        words = ", ".join(str(getattr(v, "label", v)) for v in values[:4]) + ", ..." * (len(values) > 4)
        what = f"has {len(values)} values ({words}), and a boundary is of one"
        number = len(names) == 1 and isinstance(values[0], (int, float)) and not isinstance(values[0], bool)
        how = f"write {name}={getattr(values[0], 'label', values[0])}" + f", or over={names[0]},{name}" * number
        raise Mistake(name, what, how)
    fixed = {n: v for n, v in fixed.items() if n not in names}
    return Points(study, grid, fixed, axes, wanted.coarse, store, **options), asked, rule


def only(grids: Sequence[Grid], on: str | None, what: str) -> Grid:
    """The grid that is meant: the one that a claim speaks of, or the only one that is left."""
    chosen = [g for g in grids if on in (None, g.title)]
    if not chosen:
        raise Mistake("settings", f"leave out the grid {on!r}, of which {what} speaks", "leave its words as they are")
    if len(chosen) > 1:
        words = {n: v for n, v in chosen[0].axes.items() if isinstance(v[0], str)}
        name = next((n for n in words if any(g.axes.get(n) != words[n] for g in chosen)), None)
        how = f"write {name}={words[name][0]}" if name else "ask for one with a study of one grid"
        raise Mistake("settings", f"ask for {len(chosen)} grids ({', '.join(g.title for g in chosen)})", how)
    return chosen[0]


OPTIONS = {f.name for f in dataclasses.fields(Wanted)} - {"over", "to"}


def from_python(
    study: Any, what: str, over: str | Sequence[str], to: float | str,
    settings: Mapping[str, Any], options: Mapping[str, Any],
) -> xr.Dataset:  # fmt: skip
    """`study.refine(...)`: what is no option of the search is a setting of the study."""
    given = {**options}
    out, size = given.pop("out", None), given.pop("size", "laptop")
    run = {n: given.pop(n) for n in ("width", "devices") if n in given}
    tell = given.pop("tell", lambda text: None)
    more = {n: given.pop(n) for n in OPTIONS & {*given}}
    wanted = Wanted(names_of(over), percentage(to) if isinstance(to, str) else float(to), **more)
    with contextlib.ExitStack() as stack:
        store = Store(out if out is not None else stack.enter_context(tempfile.TemporaryDirectory()))
        points, asked, rule = prepared(study, what, wanted, {**settings, **given}, size, store, **run)
        return search(points, asked, rule, wanted, tell)
