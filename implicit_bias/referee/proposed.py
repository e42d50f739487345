"""What a study may be asked for in the place of its own: one change each, two together, fewer values of an axis.

>>> str(Setting({"scale": (0.5, 1.0)})), Setting({"scale": (0.5,)}).moves_only, Setting({"width": (8,)}).moves_only
('scale=0.5,1', True, False)
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..sweep.ask.batch import is_traced, show
from ..sweep.ask.grid import Grid, Labelled
from .recast import ACCURACY, is_seed

ALONG, ACROSS = 6, 3
"""Values of an axis that are looked at: of the one along which a kind sees a trend, and of another."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is asked for in the place of the study's own values."""

    values: Mapping[str, tuple[Any, ...]]

    @property
    def moves_only(self) -> bool:
        """Whether only numbers vary that a program may take."""
        return all(is_traced(n, v) for n, v in self.values.items())

    def __str__(self) -> str:
        words = [f"{n}={','.join(map(show, given))}" for n, given in self.values.items()]
        return " ".join(words) or "the study's own values"


def _moved(values: Sequence[Any], factor: float) -> tuple[Any, ...] | None:
    """Values times a factor. Numbers between 0 and 1 stay there (their odds are multiplied), whole ones whole.

    >>> _moved((2, 4), 0.5), _moved((0.5,), 3.0), _moved((0.0,), 2.0)
    ((1, 2), (0.75,), None)
    """
    whole = all(isinstance(v, int) for v in values)
    share = not whole and all(0 <= v < 1 for v in values) and factor * max(values) >= 1
    if whole:
        new = [max(1, round(v * factor)) if v > 0 else v for v in values]
    elif share:
        new = [factor * v / (1 - v + factor * v) for v in values]
    else:
        new = [v * factor for v in values]
    new = tuple(dict.fromkeys(new))
    return None if new == tuple(values) else new


def _is_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(v, (int, float)) and not isinstance(v, (bool, Labelled)) for v in values)


def singles(axes: Mapping[str, Sequence[Any]], keywords: Mapping[str, Any], along: str | None) -> Iterator[Setting]:
    """One change each: near ones of every name first, and of them those that need no other program."""
    given = {n: tuple(v) for n, v in axes.items() if not is_seed(n) and _is_numbers(v)}
    given |= {n: (v,) for n, v in keywords.items() if _is_numbers([v]) and np.isfinite(v)}
    rounds: list[list[Setting]] = [[], [], [], []]
    for name, values in given.items():
        for stage, factors in enumerate(((0.5, 2.0), (0.1, 10.0), (0.25, 4.0))):
            whole = all(isinstance(v, int) for v in values)
            if whole and stage == 1:
                continue  # a network of ten times the width is another study
            factors = factors[: 1 if name in ACCURACY else 2]
            rounds[stage] += [Setting({name: new}) for f in factors if (new := _moved(values, f))]
        if len(values) >= 6 and name == along:
            ordered = sorted(values)
            lower, upper = ordered[: -(-len(values) // 2)], ordered[len(values) // 2 :]
            rounds[1] += [Setting({name: tuple(half)}) for half in (lower, upper)]
        if name in axes and name != along and len(values) > 1:
            rounds[3] += [Setting({name: (v,)}) for v in (min(values), max(values))]
        if name not in axes and name not in ACCURACY:
            kind = type(values[0])
            rounds[3] += [Setting({name: (kind(v),)}) for v in (0, 1) if values != (kind(v),)]
    rounds[2] += [Setting({n: (not v,)}) for n, v in keywords.items() if isinstance(v, bool)]
    for first, second in itertools.permutations(given, 2):
        if len(given[second]) == 1 and all(isinstance(v, int) for v in (*given[first], *given[second])):
            (value,) = given[second]  # one size at another, or just below it
            rounds[1] += [Setting({first: (v,)}) for v in (value - 1, value) if v > 0 and given[first] != (v,)]
    seen: set[str] = set()
    for stage in rounds:
        for setting in sorted(stage, key=lambda s: not s.moves_only):
            if str(setting) not in seen:
                seen.add(str(setting))
                yield setting


def together(first: Setting, second: Setting) -> Setting | None:
    if set(first.values) & set(second.values):
        return None
    return Setting({**first.values, **second.values})


def thinned(grid: Grid, along: str | None, kept: Container[str]) -> Grid:
    """Fewer values of each axis of numbers, with its ends: some for a trend, and ends and middle of another."""

    def fewer(name: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if name in kept or is_seed(name) or not _is_numbers(values):
            return values
        most = ALONG if name == along else ACROSS
        places = np.unique(np.round(np.linspace(0, len(values) - 1, min(most, len(values)))).astype(int))
        return tuple(values[i] for i in places)

    return Grid({n: fewer(n, v) for n, v in grid.axes.items()}, grid.title)


def between(narrow: Grid, whole: Grid, along: str | None) -> Grid:
    """With every value of the trend's axis between those that are left, as far as they are not many."""
    if along not in narrow.axes or not _is_numbers(narrow.axes[along]):
        return narrow
    low, high = min(narrow.axes[along]), max(narrow.axes[along])
    values = tuple(v for v in whole.axes[along] if low <= v <= high)
    return thinned(Grid({**narrow.axes, along: values}, narrow.title), along, ())
