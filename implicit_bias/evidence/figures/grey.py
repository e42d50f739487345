"""A drawing without its colours, each in its lightness: how it prints in grey."""

from __future__ import annotations

from typing import Any

import numpy as np

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
"""Of red, green and blue (Rec. 709), for light; colours are turned into light before it and back after."""


def grey_of(colours: Any) -> np.ndarray:
    """Rows of RGBA without their colours.

    >>> grey_of([[0.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 0.5]]).round(6).tolist()
    [[0.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 0.5]]
    """
    given = np.atleast_2d(np.asarray(colours, float))
    light = np.where(given[:, :3] <= 0.04045, given[:, :3] / 12.92, ((given[:, :3] + 0.055) / 1.055) ** 2.4) @ LUMINANCE
    value = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.column_stack([value, value, value, given[:, 3]])


def to_grey(drawing: Any) -> None:
    """Every line, face, text and map of a drawing, in place."""
    from matplotlib.collections import Collection
    from matplotlib.colors import ListedColormap, to_rgba
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.text import Text

    def one(colour: Any) -> tuple:
        return colour if isinstance(colour, str) and colour == "none" else tuple(grey_of([to_rgba(colour)])[0])

    for artist in drawing.findobj():
        if isinstance(artist, Collection):
            if artist.get_array() is not None:
                artist.set_cmap(ListedColormap(grey_of(artist.get_cmap()(np.linspace(0, 1, 256)))))
                continue
            faces, sides = artist.get_facecolor(), artist.get_edgecolor()
            artist.set_facecolor(grey_of(faces) if len(faces) else "none")
            artist.set_edgecolor(grey_of(sides) if len(sides) else "none")
        elif isinstance(artist, Line2D):
            artist.set_markerfacecolor(one(artist.get_markerfacecolor()))
            artist.set_markeredgecolor(one(artist.get_markeredgecolor()))
            artist.set_color(one(artist.get_color()))
        elif isinstance(artist, Patch):
            face, side = artist.get_facecolor(), artist.get_edgecolor()
            artist.set(facecolor=one(face), edgecolor=one(side))
        elif isinstance(artist, Text):
            artist.set_color(one(artist.get_color()))
