r"""Cells that are split where their borders disagree, and edges that are halved where they are crossed.

On the border of a cell lie its corners and whatever else is known: corners of finer neighbours, places where an edge
was halved. Two neighbours there of different sides are a *bracket*: the boundary passes between them. A cell is split

    while it is wider than 8 x `to` and has a bracket,
    where it has more than two, or knows a place inside it on the wrong side of the chord between its two,
    where the chords bend so much that one of them may be off by more than `to` / 2,

and each bracket is halved until it is at most `to` wide. So the boundary is known to `to` where it crosses an edge, and
between two edges by its chord; cells of width `to` all along it would take several times as many points. A cell without
a bracket is *believed* to be of one side, and one with two to change side at its chord.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from .axes import Axis

Place = tuple[float, ...]
TIMES = 8
"""Cells with a bracket are split to this many times the width that is asked for."""


@runtime_checkable
class Known(Protocol):
    """Points with their sides. `ask` adds places; sides of older points may change with what is known."""

    places: np.ndarray
    sides: np.ndarray

    def ask(self, places: Sequence[Place]) -> None: ...


class Bracket(NamedTuple):
    """Two neighbours on an edge, of different sides: `low` before `high` along an axis."""

    along: int
    low: Place
    high: Place

    @property
    def width(self) -> float:
        return self.high[self.along] - self.low[self.along]

    def between(self, share: float = 0.5) -> Place:
        return tuple(a + share * (b - a) for a, b in zip(self.low, self.high))


Cell = tuple[Place, Place]
"""Least and greatest corner."""


@dataclasses.dataclass(frozen=True)
class Look:
    """What is known of a cell: its border as a ring of points, where it changes side, and what lies inside."""

    cell: Cell
    ring: np.ndarray
    """Indices of the points on the border, in order around it."""
    brackets: tuple[Bracket, ...]
    wrong: bool
    """Whether a place inside is of another side than is believed."""


def believed(places: np.ndarray, sides: np.ndarray, ring: np.ndarray, chord: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The side of places in a cell, by the chord [2, 2] between its two brackets."""
    across = _across(chord, places[ring])
    first = sides[ring[0]]
    own = ring[sides[ring] == first]
    far = own[abs(_across(chord, places[own])).argmax()]
    other = sides[ring[sides[ring] != first][0]]
    same = np.sign(_across(chord, at)) == np.sign(across[list(ring).index(far)])
    return np.where(same, first, other)


def _across(chord: np.ndarray, at: np.ndarray) -> np.ndarray:
    (px, py), (qx, qy) = chord
    return np.asarray((qx - px) * (at[..., 1] - py) - (qy - py) * (at[..., 0] - px))


def distance(chord: np.ndarray, at: np.ndarray) -> np.ndarray:
    """From places to a chord, in parts of an axis."""
    start, way = chord[0], chord[1] - chord[0]
    along = np.clip((at - start) @ way / max(float(way @ way), 1e-300), 0.0, 1.0)
    return np.linalg.norm(at - start - along[..., None] * way, axis=-1)


class Tree:
    """A search over two axes; `settle` asks until nothing is left to split or to halve."""

    def __init__(self, axes: Sequence[Axis], known: Known, to: float, coarse: int):
        self.axes, self.known, self.to = axes, known, to
        xs, ys = (axis.places(coarse) for axis in axes)
        self.cells: list[Cell] = [((a, c), (b, d)) for a, b in zip(xs, xs[1:]) for c, d in zip(ys, ys[1:])]
        known.ask([(x, y) for x in xs for y in ys])

    def settle(self) -> None:
        while self._step():
            pass

    def _step(self) -> bool:
        looks = self.looks()
        if self._split([one.cell for one in looks if one.brackets], TIMES):
            return True
        if self._split([one.cell for one in looks if one.wrong or len(one.brackets) > 2], 1):
            return True
        if halves := {h for one in looks for h in halves_of(one.brackets, self.axes, self.to)}:
            self.known.ask(sorted(halves))
            return True
        return self._split(self._bent(looks), 1)

    def _split(self, cells: Sequence[Cell], times: float) -> bool:
        """Split cells along each axis on which they are wider than `times` the width asked for; whether one was."""
        new, gone = [], set()
        for cell in cells:
            cuts = [self._cuts(axis, a, b, times) for axis, a, b in zip(self.axes, *cell)]
            if any(len(c) > 2 for c in cuts):
                gone.add(cell)
                xs, ys = cuts
                new += [((a, c), (b, d)) for a, b in zip(xs, xs[1:]) for c, d in zip(ys, ys[1:])]
        if not gone:
            return False
        self.cells = [c for c in self.cells if c not in gone] + new
        self.known.ask(sorted({(x, y) for low, high in new for x in (low[0], high[0]) for y in (low[1], high[1])}))
        return True

    def _cuts(self, axis: Axis, low: float, high: float, times: float) -> list[float]:
        middle = axis.middle(low, high) if high - low > times * self.to * (1 + 1e-9) else None
        return [low, high] if middle is None else [low, middle, high]

    # -- what is known of the cells ---------------------------------------------------------------------------------

    def looks(self) -> list[Look]:
        return [self._look(cell) for cell in self.cells]

    def _look(self, cell: Cell) -> Look:
        places, sides = self.known.places, self.known.sides
        (x0, y0), (x1, y1) = cell
        x, y = places[:, 0], places[:, 1]
        within = np.flatnonzero((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1))
        x, y = x[within], y[within]
        # once around: up on the left, along the top, down on the right, back along the bottom
        edges = [
            within[order]
            for on, by in ((x == x0, y), (y == y1, x), (x == x1, -y), (y == y0, -x))
            for order in [np.flatnonzero(on)[np.argsort(by[on])]]
        ]
        ring = np.concatenate([edge[:-1] for edge in edges])
        found = []
        for along, edge in zip((1, 0, 1, 0), edges):
            for i, j in zip(edge, edge[1:]):
                if sides[i] != sides[j]:
                    low, high = sorted((tuple(places[i].tolist()), tuple(places[j].tolist())))
                    found.append(Bracket(along, low, high))
        brackets = tuple(found)
        inside = np.setdiff1d(within, ring)
        return Look(cell, ring, brackets, bool(len(inside)) and self._is_wrong(ring, brackets, inside))

    def _is_wrong(self, ring: np.ndarray, brackets: Sequence[Bracket], inside: np.ndarray) -> bool:
        places, sides = self.known.places, self.known.sides
        if not brackets:
            return bool((sides[inside] != sides[ring[0]]).any())
        if len(brackets) != 2:
            return False
        chord = chord_of(brackets)
        off = believed(places, sides, ring, chord, places[inside]) != sides[inside]
        return bool((off & (distance(chord, places[inside]) > self.to)).any())

    # -- bends ------------------------------------------------------------------------------------------------------

    def _bent(self, looks: Sequence[Look]) -> list[Cell]:
        """Cells whose chord may be off by more than half of what is asked for.

        Of a circle through A, P and Q the point P is a distance d from the chord A Q, and half way between P and Q the
        circle is d |PQ| / 4 |AP| from their chord. A is taken along the boundary at least as far from P as Q is, so
        that what the brackets leave open hardly bends it.
        """
        chords = {look.cell: look.brackets for look in looks if len(look.brackets) == 2}
        met: dict[Bracket, list[Cell]] = {}
        for cell, pair in chords.items():
            for bracket in pair:
                met.setdefault(bracket, []).append(cell)

        def before(start: Cell, bracket: Bracket, least: float) -> np.ndarray | None:
            """The first crossing along the boundary from a bracket of a cell on that is far enough away."""
            origin, cell, now = np.array(bracket.between()), start, bracket
            for _ in range(4 * TIMES):
                (cell,) = [c for c in met[now] if c != cell] or [None]
                if cell is None:
                    return None
                (now,) = [b for b in chords[cell] if b != now] or [None]
                if now is None:
                    return None
                if np.linalg.norm(at := np.array(now.between()) - origin) >= least:
                    return at + origin
            return None

        def may_be_off(cell: Cell, bracket: Bracket, other: Bracket) -> float:
            p, q = np.array(bracket.between()), np.array(other.between())
            length = float(np.linalg.norm(q - p))
            a = before(cell, bracket, max(length, 2 * self.to))
            if a is None or not length:
                return 0.0
            depth = abs(float(_across(np.array([a, q]), p))) / max(float(np.linalg.norm(q - a)), 1e-300)
            return depth * length / (4 * float(np.linalg.norm(p - a)))

        return [
            cell
            for cell, (one, other) in chords.items()
            if max(may_be_off(cell, one, other), may_be_off(cell, other, one)) > self.to / 2
        ]

    # -- what is believed -------------------------------------------------------------------------------------------

    def beliefs(self, at: np.ndarray) -> np.ndarray:
        """The side that each place is believed to be of; nan within `to` of the boundary, and where none is believed."""
        found = np.full(len(at), np.nan)
        for look in self.looks():
            low, high = np.array(look.cell)
            here = np.flatnonzero(((at >= low) & (at <= high)).all(1))
            if not len(here) or look.wrong or len(look.brackets) not in (0, 2):
                continue
            if not look.brackets:
                found[here] = self.known.sides[look.ring[0]]
                continue
            chord = chord_of(look.brackets)
            by_chord = believed(self.known.places, self.known.sides, look.ring, chord, at[here])
            found[here] = np.where(distance(chord, at[here]) > self.to, by_chord, np.nan)
        return found

    def brackets(self) -> list[Bracket]:
        return sorted({b for look in self.looks() for b in look.brackets})

    def chords(self) -> Iterator[tuple[Bracket, Bracket]]:
        for look in self.looks():
            if len(look.brackets) == 2:
                yield look.brackets


def chord_of(brackets: Sequence[Bracket]) -> np.ndarray:
    return np.array([b.between() for b in brackets])


def halves_of(brackets: Sequence[Bracket], axes: Sequence[Axis], to: float) -> Iterator[Place]:
    """Half way along those that are wider than asked for and have a value between their ends."""
    for along, low, high in brackets:
        middle = axes[along].middle(low[along], high[along]) if high[along] - low[along] > to * (1 + 1e-9) else None
        if middle is not None:
            yield (*low[:along], middle, *low[along + 1 :])


class Line:
    """The same over one axis: cells are the gaps between neighbours, and nothing has to be split."""

    def __init__(self, axes: Sequence[Axis], known: Known, to: float, coarse: int):
        self.axes, self.known, self.to = axes, known, to
        known.ask([(u,) for u in axes[0].places(coarse)])

    def settle(self) -> None:
        while halves := sorted(halves_of(self.brackets(), self.axes, self.to)):
            self.known.ask(halves)

    def brackets(self) -> list[Bracket]:
        order = np.argsort(self.known.places[:, 0])
        at, sides = self.known.places[order, 0].tolist(), self.known.sides[order]
        return [Bracket(0, (at[i],), (at[i + 1],)) for i in np.flatnonzero(sides[1:] != sides[:-1])]

    @property
    def cells(self) -> list[Cell]:
        at = np.sort(self.known.places[:, 0]).tolist()
        return [((a,), (b,)) for a, b in zip(at, at[1:])]

    def beliefs(self, at: np.ndarray) -> np.ndarray:
        order = np.argsort(self.known.places[:, 0])
        places, sides = self.known.places[order, 0], self.known.sides[order]
        left = np.clip(np.searchsorted(places, at[:, 0], side="right") - 1, 0, len(places) - 2)
        return np.where(sides[left] == sides[left + 1], sides[left].astype(float), np.nan)

    def chords(self) -> Iterator[tuple[Bracket, Bracket]]:
        return iter(())
