"""A drawing's panels in their places: as many in a row as its width has room for, and no text over another.

The order of the last steps is forced: texts are broken where they are too long for their panel, then legends are placed
(`legends`), then names of ticks that still meet are taken away. Each needs the places that the one before has settled.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from .maps import Map
from .panels import Panel
from .styles import Style

NARROWEST, NARROWEST_MAP = 1.7, 2.2
"""Inches of a panel with its labels, in text of 8 pt; a map has its scale of colours beside it."""
FLATTEST, STEEPEST = 0.62, 0.88
"""Height of a panel with its labels over its width, at a venue."""
LOWEST, HIGHEST = 1.75, 2.6
CAPTION = 1.2
"""Inches of a page that are left for a caption."""


class Place(NamedTuple):
    """A panel with what it shows, where it stands, and the row and column that it was written in."""

    panel: Panel
    of: dict[str, Any]
    row: int
    column: int
    written: tuple[int, int]


def arrange(rows: Sequence[Sequence[tuple[Panel, dict]]], inches: float, style: Style, fixed: bool) -> list[Place]:
    """Rows that are too long for the width are broken into several of one length, as even as can be.

    Columns stay columns: where two rows are broken, their first parts stand together, then their second parts.
    """
    across = max(len(row) for row in rows)
    if not fixed:
        maps = any(isinstance(layer, Map) for row in rows for panel, _ in row for layer in panel.layers)
        narrowest = NARROWEST_MAP if maps else NARROWEST
        narrowest *= style.text / 8
        fits = [n for n in range(1, across + 1) if n == 1 or inches / n >= narrowest - 1e-9]
        if len(rows) * math.ceil(across / fits[-1]) * LOWEST > style.tall - CAPTION:  # narrow rather than flat
            fits = [n for n in range(1, across + 1) if n == 1 or inches / n >= 0.85 * narrowest]
        across = math.ceil(across / math.ceil(across / fits[-1]))
    parts = math.ceil(max(len(row) for row in rows) / across)
    places, down = [], 0
    for part in range(parts):
        for number, row in enumerate(rows):
            shown = list(enumerate(row))[part * across : (part + 1) * across]
            places += [Place(panel, of, down, at % across, (number, at)) for at, (panel, of) in shown]
            down += bool(shown)
    return places


def height(rows: int, across: int, inches: float, own: float, beside: float, style: Style) -> float:
    """Inches of a row: in the proportions of the laboratory's own page (`own` over `beside`), within what a page has."""
    if style.own:
        return own
    ratio = min(max(own / beside, FLATTEST), STEEPEST)
    return min(max(LOWEST, inches / across * ratio), HIGHEST, (style.tall - CAPTION) / rows)


def subplots(plt: Any, places: Sequence[Place], size: tuple[float, float], share: str) -> tuple[Any, list[Any]]:
    """(the drawing, axes of each place), with the axes in common that the figure asks for."""
    down, across = 1 + max(p.row for p in places), 1 + max(p.column for p in places)
    drawing = plt.figure(figsize=size)
    grid = drawing.add_gridspec(down, across)
    rows: dict[int, Any] = {}
    columns: dict[int, Any] = {}
    made = []
    for p in places:
        y = rows.get(p.written[0]) if "y" in share else None
        x = columns.get(p.written[1]) if "x" in share else None
        axes = drawing.add_subplot(grid[p.row, p.column], sharex=x, sharey=y)
        rows.setdefault(p.written[0], axes)
        columns.setdefault(p.written[1], axes)
        made.append(axes)
    return drawing, made


def name_once(places: Sequence[Place], axes: Sequence[Any], share: str) -> None:
    """What panels have in common is named at the first of a row and the last of a column."""
    last = {p.written[1]: p.row for p in places}
    for p, one in zip(places, axes):
        if "y" in share and p.column:
            one.set_ylabel("")
            one.tick_params(labelleft=False, which="both")
        if "x" in share and p.row != last[p.written[1]]:
            one.set_xlabel("")
            one.tick_params(labelbottom=False, which="both")


# -- texts ---------------------------------------------------------------------------------------------------------------

_WORD = re.compile(r"(?:\$[^$]*\$|[^\s$])+")


def broken(words: Sequence[str], wide: Sequence[float], space: float, room: float, most: int = 3) -> str:
    """Words, of which each is so wide, in as few lines as fit the room, at most three, and those as even as can be.

    >>> broken(["size", "of", "$a b$", "here"], [4, 2, 3, 4], space=1, room=12)
    'size of\\n$a b$ here'
    """
    lines = _lines(wide, space, room)
    while len(lines) > most:
        room *= 1.1
        lines = _lines(wide, space, room)
    while room > max(wide) and len(tighter := _lines(wide, space, 0.95 * room)) == len(lines):
        room, lines = 0.95 * room, tighter
    return "\n".join(" ".join(words[first:last]) for first, last in lines)


def _lines(wide: Sequence[float], space: float, room: float) -> list[tuple[int, int]]:
    """(first word, one after the last) of each line, filled one after the other."""
    lines, start, long = [], 0, wide[0]
    for at in range(1, len(wide)):
        if long + space + wide[at] > room:
            lines.append((start, at))
            start, long = at, wide[at]
        else:
            long += space + wide[at]
    return [*lines, (start, len(wide))]


BESIDE, ABOVE = 0.5, 0.35
"""Inches of a place that names of ticks and axes take from its width and its height."""


def break_texts(drawing: Any, across: int, down: int) -> None:
    """Break titles and names of axes that are longer than their panel will be: before a layout, which they would bend."""
    write = drawing.canvas.get_renderer()
    wide, tall = (whole / parts * drawing.dpi for whole, parts in zip(drawing.get_size_inches(), (across, down)))
    room = {"width": wide - BESIDE * drawing.dpi, "height": tall - ABOVE * drawing.dpi}
    for axes in drawing.axes:
        for text, side in ((axes.title, "width"), (axes.xaxis.label, "width"), (axes.yaxis.label, "height")):
            whole = text.get_text()
            words = _WORD.findall(whole)

            def wide(line: str, text: Any = text, side: str = side) -> float:
                text.set_text(line)
                return getattr(text.get_window_extent(write), side)

            if len(words) > 1 and "\n" not in whole and wide(whole) > room[side]:
                space = wide("a a") - wide("aa")
                text.set_linespacing(1.0)
                text.set_text(broken(words, [wide(word) for word in words], space, room[side]))
            else:
                text.set_text(whole)


def thin(drawing: Any) -> None:
    """Take away names of ticks that lie over another, until none does; the layout is then settled."""
    drawing.set_layout_engine("none")  # it is solved once, and not again for each format
    write = drawing.canvas.get_renderer()
    for axes in drawing.axes:
        for axis, low, high, gap in ((axes.xaxis, "x0", "x1", 2), (axes.yaxis, "y0", "y1", 0)):
            kept: list[Any] = []
            for ticks in (axis.get_major_ticks(), axis.get_minor_ticks()):  # the major ones first
                named = [t for t in ticks if t.label1.get_visible() and t.label1.get_text()]
                boxes = [t.label1.get_window_extent(write) for t in named]
                ends = [(getattr(box, low), getattr(box, high)) for box in boxes]
                for tick, (first, last) in sorted(zip(named, ends), key=lambda pair: pair[1][0]):
                    if any(first < b + gap and a < last + gap for a, b in kept):
                        tick.label1.set_visible(False)
                    else:
                        kept.append((first, last))
