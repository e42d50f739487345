"""Legends that cover nothing: inside a panel where there is room, else below it, or once below all where all say the same.

A place is free if no line, marker, band, map or name lies under it. The place that a panel asks for is tried first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

CORNERS = ("upper right", "upper left", "lower left", "lower right")
PLACES = (*CORNERS, "center left", "center right", "upper center", "lower center")
LARGEST = 0.5
"""Share of a panel that its legend may take."""
TALLEST = 3.5
"""Lines of text, with what lies between: a legend that speaks for all panels is no taller below one of them."""


def look_of(handle: Any) -> tuple:
    """What is seen of a handle: those that look the same may be named together."""
    if hasattr(handle, "get_marker"):
        return handle.get_color(), handle.get_marker(), handle.get_linestyle(), handle.get_markerfacecolor()
    return tuple(map(tuple, handle.get_facecolor())) if hasattr(handle, "get_facecolor") else (type(handle).__name__,)


def free(axes: Any, box: Any, write: Any, texts: Sequence[Any] | None = None) -> bool:
    """Whether a box of the screen has nothing of the panel under it, nor any of its texts (or of those that are given)."""
    from matplotlib.transforms import Bbox

    for line in axes.lines:
        if not len(line.get_xdata()) or not line.get_visible():
            continue
        path = line.get_transform().transform_path(line.get_path())
        joined = line.get_linestyle() not in ("None", "none", " ", "")
        marked = line.get_marker() not in ("None", "none", "", None)
        reach = line.get_markersize() * axes.figure.dpi / 144 if marked else 0
        wide = Bbox.from_extents(box.x0 - reach, box.y0 - reach, box.x1 + reach, box.y1 + reach)
        if joined and path.intersects_bbox(box, filled=False):
            return False
        if reach and wide.count_contains(path.vertices):
            return False
    for one in axes.collections:
        shift = one.get_transform()
        if any(len(p.vertices) and shift.transform_path(p).intersects_bbox(box, filled=True) for p in one.get_paths()):
            return False
        if hasattr(one, "get_coordinates"):  # a map
            return False
    return not any(text.get_text() and text.get_window_extent(write).overlaps(box) for text in (axes.texts if texts is None else texts))


def name_levels(sheet: Any) -> None:
    """Move the name of a level to the end, and the side, at which it covers nothing; else it stays, and can be read."""
    write = sheet.axes.figure.canvas.get_renderer()
    if any(hasattr(one, "get_coordinates") for one in sheet.axes.collections):
        return  # over a map every place is as good
    for name, vertical in sheet.levels:
        texts, along = [t for t in sheet.axes.texts if t is not name], int(vertical)
        first, shift, aligned = name.xy, name.xyann, (name.get_ha(), name.get_va())
        for far, over in ((True, True), (False, True), (True, False), (False, False)):
            end = [first[0], first[1]]
            end[along] = float(far)
            name.xy = tuple(end)
            if vertical:  # over the line is to its right
                name.set(ha="left" if over else "right", va="top" if far else "bottom")
                name.xyann = abs(shift[0]) * (1 if over else -1), abs(shift[1]) * (-1 if far else 1)
            else:
                name.set(ha="right" if far else "left", va="bottom" if over else "top")
                name.xyann = abs(shift[0]) * (-1 if far else 1), abs(shift[1]) * (1 if over else -1)
            if free(sheet.axes, name.get_window_extent(write), write, texts):
                break
        else:
            name.xy, name.xyann = first, shift
            name.set(ha=aligned[0], va=aligned[1])
            name.set_bbox(dict(facecolor="white", edgecolor="none", alpha=0.7, pad=0.5))


def inside(axes: Any, wanted: str, write: Any) -> bool:
    """Move a panel's legend to a place where it covers nothing, if it can to the one asked for; whether there is one."""
    legend = axes.get_legend()
    room = axes.get_window_extent(write)
    for place in ([] if wanted == "best" else [wanted]) + [p for p in PLACES if p != wanted]:
        legend.set_loc(place)
        box = legend.get_window_extent(write)
        fits = box.width <= room.width and box.height <= room.height
        if fits and box.width * box.height <= LARGEST * room.width * room.height and free(axes, box, write):
            return True
    return False


def _in_columns(make: Any, count: int, room: float, write: Any) -> Any:
    """The legend with as many columns as there is room for, and no more rows than it then needs."""
    for across in range(count, 0, -1):
        legend = make(across)
        if legend.get_window_extent(write).width <= room or across == 1:
            rows = math.ceil(count / across)
            even = math.ceil(count / rows)
            if even != across:
                legend.remove()
                legend = make(even)
            return legend
        legend.remove()
    raise AssertionError


def below_all(drawing: Any, known: dict[str, Any], write: Any) -> float:
    """One legend below all panels; its height in inches."""

    def make(across: int) -> Any:
        return drawing.legend(known.values(), known, loc="outside lower center", ncols=across, frameon=False)

    legend = _in_columns(make, len(known), drawing.bbox.width, write)
    return legend.get_window_extent(write).height / drawing.dpi


def below(panels: Sequence[Named], known: dict[str, Any], write: Any) -> float:
    """One legend below panels that stand side by side, as wide as their columns are; its height in inches."""
    from matplotlib.transforms import Bbox, ScaledTranslation, blended_transform_factory

    axes, drawing = panels[0].axes, panels[0].axes.figure
    boxes = [p.axes.xaxis.get_tightbbox(write) for p in panels]
    gap = max((axes.bbox.y0 - box.y0 for box in boxes if box is not None), default=0) / drawing.dpi + 0.03
    upright = axes.transAxes + ScaledTranslation(0, -gap, drawing.dpi_scale_trans)
    left, right = min(p.left for p in panels), max(p.right for p in panels)

    def make(across: int) -> Any:
        return axes.legend(
            known.values(), known, loc="upper center", bbox_to_anchor=((left + right) / 2, 0), borderaxespad=0,
            bbox_transform=blended_transform_factory(drawing.transFigure, upright), ncols=across, frameon=False,
        )  # fmt: skip

    legend = _in_columns(make, len(known), (right - left) * drawing.bbox.width, write)

    def seen(write: Any = None) -> Bbox:
        """To the layout it is as wide as its panel, which else would shrink until its legend stood within its column."""
        box, panel = legend.get_window_extent(write), axes.bbox
        return Bbox.from_extents(panel.x0, box.y0, panel.x1, box.y1)

    legend.get_tightbbox = seen
    return legend.get_window_extent(write).height / drawing.dpi


def known_in(panels: Sequence[Any]) -> dict[str, Any] | None:
    """Name -> handle over all panels; None where one name is drawn in two ways, or one way has two names."""
    known: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels()):
            if look_of(known.setdefault(label, handle)) != look_of(handle):
                return None
    lines = [look_of(handle) for handle in known.values()]
    return known if len(set(lines)) == len(lines) else None


class Named(NamedTuple):
    """A panel with a legend: the place it asks for, its family (panels that differ in what they show alone), its row, and the
    edges of its column as shares of the width."""

    axes: Any
    asked: str
    family: int
    row: int
    left: float
    right: float


def place(drawing: Any, panels: Sequence[Named]) -> float:
    """Place the legends of panels; inches by which the drawing has to grow."""
    from matplotlib import rcParams

    write = drawing.canvas.get_renderer()
    named = [p for p in panels if p.axes.get_legend() is not None]
    homeless = [p for p in named if p.asked == "right" or not inside(p.axes, p.asked, write)]
    if not homeless:
        return 0.0
    known = known_in([p.axes for p in named])
    if known is not None and len(named) > 1 and len(known) <= _most(homeless) + 2:
        _unname(named)
        return below_all(drawing, known, write)
    taller: dict[int, float] = {}
    groups = _groups(named, homeless)
    for group, known in groups:
        _unname(group)
        last = [p for p in group if p.row == max(p.row for p in group)]
        tall = below(last, known, write)
        if len(group) == len(named) and tall > TALLEST * rcParams["font.size"] / 72:
            _unname(last)
            return below_all(drawing, known, write)  # the only one there is may be as wide as all panels
        taller[last[0].row] = max(taller.get(last[0].row, 0.0), tall)
    return sum(taller.values())


def _most(panels: Sequence[Named]) -> int:
    return max(len(p.axes.get_legend_handles_labels()[1]) for p in panels)


def _unname(panels: Sequence[Named]) -> None:
    for p in panels:
        if p.axes.get_legend() is not None:
            p.axes.get_legend().remove()


def _groups(named: Sequence[Named], homeless: Sequence[Named]) -> list[tuple[list[Named], dict[str, Any]]]:
    """The panels whose legends go below, with what they say: a family together, or a row, where one speaks for all."""
    groups, done = [], set()
    for p in homeless:
        if p in done:
            continue
        family = [q for q in named if q.family == p.family and q not in done]
        row = [q for q in named if q.row == p.row and q not in done]
        for members in (family if len(family) > 1 else [], row, [p]):
            known = known_in([q.axes for q in members])
            if members and known is not None and (len(members) == 1 or len(known) <= _most(members) + 1):
                break
        groups.append((members, known or dict(zip(*p.axes.get_legend_handles_labels()[::-1]))))
        done |= set(members)
    return groups
