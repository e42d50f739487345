"""Grids: named axes whose product is a set of runs, and sums of them.

>>> grids = grid(method="gd", scale=[0.1, 1.0]) + grid(method=["wn", "rpgd"], scale=[0.1, 1.0], ratio=1.0)
>>> [(g.title, g.size) for g in grids.titled()]
[('gd', 2), ('wn+rpgd', 4)]
>>> override(grids, {"scale": parse("scale", "1e-2..1:3:log")})[0].axes["scale"]
(0.01, 0.1, 1.0)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any

import numpy as np

from ..._errors import Mistake, nearest

Value = float | int | str | bool | tuple[float, ...]

MOST_RUNS = 2**24
"""Of one plan: a table of them must fit into memory, and their tiles into one plan file."""


@dataclasses.dataclass(frozen=True)
class Labelled:
    """An array as a value of an axis, with a name: `spectrum={"flat": ones, "power": 1 / k}`."""

    label: str
    array: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Grid:
    """The product of its axes, the last one fastest."""

    axes: Mapping[str, tuple[Any, ...]]
    title: str = ""
    """What it is called in the study, which an override does not change."""

    @property
    def size(self) -> int:
        return math.prod(len(values) for values in self.axes.values())


class Grids(Sequence):
    """A sum of grids."""

    def __init__(self, grids: Iterable[Grid]):
        self._grids = tuple(grids)

    def __add__(self, other: Grids) -> Grids:
        return Grids((*self._grids, *other))

    def __getitem__(self, index):
        return self._grids[index]

    def __len__(self) -> int:
        return len(self._grids)

    def __iter__(self) -> Iterator[Grid]:
        return iter(self._grids)

    def titled(self) -> Grids:
        """Each grid called by what tells it from the others: its words on the axes where they differ, joined."""
        words = [{n: "+".join(v) for n, v in g.axes.items() if all(isinstance(x, str) for x in v)} for g in self]
        # a grid's name is the name of a node of a tree, where a slash would be a level
        words = [{n: text.replace("/", "-") for n, text in own.items()} for own in words]
        plain = [
            " ".join(text for name, text in own.items() if any(other.get(name) != text for other in words)) or "runs"
            for own in words
        ]
        names = [n if plain.count(n) == 1 else f"{n} {i}" for i, n in enumerate(plain)]
        return Grids(Grid(g.axes, name) for g, name in zip(self, names))


def _values(name: str, given: Any) -> tuple[Any, ...]:
    if isinstance(given, Mapping):
        return tuple(Labelled(str(k), tuple(float(x) for x in np.ravel(v))) for k, v in given.items())
    if isinstance(given, (str, bytes, int, float, np.generic)) or not isinstance(given, Iterable):
        given = [given]
    if isinstance(given, Sized):
        check_count(name, len(given))
    values = tuple(v.item() if isinstance(v, (np.generic, np.ndarray)) and np.ndim(v) == 0 else v for v in given)
    if not values:
        raise Mistake(name, "has no values", "give at least one")
    for value in values:
        if not isinstance(value, (bool, int, float, str, Labelled)):
            raise Mistake(name, f"cannot take {value!r}", "give numbers, words, or a mapping from labels to arrays")
    if len(set(values)) != len(values):
        raise Mistake(name, "has the same value twice", "give each value once")
    return values


def check_count(name: str, count: int) -> None:
    """Refuse what is far too many before it fills the memory."""
    if count > MOST_RUNS:
        raise Mistake(name, f"asks for {count:.3g} values", f"at most {MOST_RUNS:,} at a time")


def grid(**axes: Any) -> Grids:
    """One grid; add grids with `+`. `**{"seed.data": 0}` sets one stream's seed."""
    return Grids([Grid({name: _values(name, given) for name, given in axes.items()})])


def logspace(low: float, high: float, count: int) -> tuple[float, ...]:
    """`count` numbers from `low` to `high`, equally spaced in the logarithm; both ends exact."""
    if not (low > 0 and high > 0):
        raise Mistake("logspace", f"needs ends above 0, got {low:g} and {high:g}", "use linspace, or positive ends")
    return _spaced(np.geomspace(low, high, count), low, high)


def linspace(low: float, high: float, count: int) -> tuple[float, ...]:
    """`count` equally spaced numbers from `low` to `high`; both ends exact."""
    return _spaced(np.linspace(low, high, count), low, high)


def _spaced(values: np.ndarray, low: float, high: float) -> tuple[float, ...]:
    # numpy's geomspace and exp may differ in the last bit between machines; 15 digits name the same number on each.
    inner = [float(f"{v:.15g}") for v in values]
    return tuple([float(low), *inner[1:-1], float(high)][: len(inner)])


def parse(name: str, text: str) -> Any:
    """The values of `name=text` on a command line: 3 / a,b,c / lo..hi:n:log / lo..hi:n / 0..31."""
    if ".." in text:
        return _parse_range(name, text)
    if not text:
        raise Mistake(name, "has no value", f"write {name}=3, {name}=a,b,c, {name}=1e-2..1:24:log or {name}=0..31")
    values = [_parse_one(part.strip()) for part in text.split(",")]
    if any(v == "" for v in values):
        raise Mistake(name, f"has an empty value in {text!r}", "remove the extra comma")
    return values if len(values) > 1 else values[0]


def _parse_range(name: str, text: str) -> Any:
    remedy = f"write {name}=lo..hi:n:log, {name}=lo..hi:n or {name}=0..31"
    ends, *rest = text.split(":")
    try:
        low, high = (float(x) for x in ends.split(".."))
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError
        if not rest:
            if not (low.is_integer() and high.is_integer() and low <= high):
                raise ValueError
            check_count(name, int(high) - int(low) + 1)
            return list(range(int(low), int(high) + 1))
        count = int(rest[0])
        if (
            count < 1
            or (count == 1 and low != high)
            or len(rest) > 2
            or (len(rest) == 2 and rest[1] not in ("log", "lin"))
        ):
            raise ValueError
    except Mistake:
        raise
    except ValueError:
        raise Mistake(name, f"malformed range {text!r}", remedy) from None
    check_count(name, count)
    return list((logspace if rest[1:] == ["log"] else linspace)(low, high, count))


def _parse_one(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)


def override(grids: Grids, settings: Mapping[str, Any]) -> Grids:
    """The grids with some axes replaced.

    A number replaces the axis in the grids that have it. Words choose: each grid keeps those it has, and a grid left
    with none is dropped. An axis that no grid has is given to all.
    """
    result = [(g.title, dict(g.axes)) for g in grids]
    for name, given in settings.items():
        values = _values(name, given)
        holders = [axes for _, axes in result if name in axes]
        if not holders:
            for _, axes in result:
                axes[name] = values
        elif all(isinstance(v, (str, Labelled)) for axes in holders for v in axes[name]):
            result = _choose(result, name, values)
        else:
            for axes in holders:
                axes[name] = values
    return Grids(Grid(axes, title) for title, axes in result)


def _choose(grids: list[tuple[str, dict]], name: str, values: tuple) -> list[tuple[str, dict]]:
    """Keep the chosen words of an axis; drop the grids that have none of them."""

    def label(v):
        return v.label if isinstance(v, Labelled) else v

    have = {label(v) for _, axes in grids for v in axes.get(name, ())}
    for value in values:
        if label(value) not in have:
            raise Mistake(name, f"has no value {label(value)!r}", nearest(str(label(value)), map(str, have)))
    wanted = [label(v) for v in values]
    kept = []
    for title, axes in grids:
        if name in axes:
            axes = {**axes, name: tuple(v for v in axes[name] if label(v) in wanted)}
        if axes.get(name, True):
            kept.append((title, axes))
    return kept
