"""Figures of a study: `ib.Figure(panels=[ib.panel(ib.curves_of(...))], caption=...)`, and the words they are made of."""

from .base import Figure, Rendered, house_style, numbers, render, rendered
from .guides import across, drawn, guide, level
from .looks import COLOURS, LOOKS, SINGLE, WIDTH, Look
from .maps import edges, map_of
from .panels import panel
from .series import curves_of, runs_of, theory_of
from .styles import FORMATS, STYLES, VENUES, WIDTHS, Style, style_of
from .table import COLUMNS, Numbers

__all__ = [
    "COLOURS", "COLUMNS", "FORMATS", "LOOKS", "SINGLE", "STYLES", "VENUES", "WIDTH", "WIDTHS", "Figure", "Look", "Numbers",
    "Rendered", "Style", "across", "curves_of", "drawn", "edges", "guide", "house_style", "level", "map_of", "numbers",
    "panel", "render", "rendered", "runs_of", "style_of", "theory_of",
]  # fmt: skip
