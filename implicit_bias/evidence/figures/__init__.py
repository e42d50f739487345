"""Figures of a study: `ib.Figure(panels=[ib.panel(ib.curves_of(...))], caption=...)`, and the words they are made of."""

from .base import Figure, house_style, render
from .guides import across, drawn, guide, level
from .looks import COLOURS, LOOKS, SINGLE, WIDTH, Look
from .maps import edges, map_of
from .panels import panel
from .series import curves_of, runs_of, theory_of

__all__ = [
    "COLOURS", "LOOKS", "SINGLE", "WIDTH", "Figure", "Look", "across", "curves_of", "drawn", "edges", "guide",
    "house_style", "level", "map_of", "panel", "render", "runs_of", "theory_of",
]  # fmt: skip
