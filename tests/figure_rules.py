"""The rules of the house for a drawing, and what a caption counts: each function returns what is against them."""

import re

from implicit_bias.evidence.figures import STYLES, house_style
from implicit_bias.evidence.figures.grey import grey_of

NUMBERS = {word: n for n, word in enumerate("two three four five six seven eight nine ten eleven twelve".split(), 2)}
PANELS = ("panel", "map")
SERIES = ("curve", "series", "line", "course", "method", "flow", "law", "rule", "loss", "start", "depth")
_COUNT = re.compile(
    rf"\b({'|'.join(NUMBERS)})\s+(?:[\w-]+\s+)?({'|'.join((*PANELS, *SERIES))})(?:e?s)?\b", re.IGNORECASE
)


def names(drawing):
    """All that legends say."""
    legends = [*drawing.legends, *(axes.get_legend() for axes in drawing.axes)]
    return {text.get_text() for legend in legends if legend is not None for text in legend.get_texts()}


def broken(figure, data, style=None, width=None):
    """Bands and series without a name in a legend; series of a panel that grey print does not tell apart."""
    with house_style(style) as plt:
        drawing, numbers = figure.drawn(data, style, width)
        said = names(drawing)
        bands = dict.fromkeys(row.band for row in numbers.rows if row.band)
        found = [f"no legend says {band!r}" for band in bands if band not in said]
        for panel in range(1, numbers.panels + 1):
            series = numbers.series(panel)
            if len(series) > 1:
                found += [f"panel {panel}: no legend says {one!r}" for one in series if one not in said]
        for axes in drawing.axes:
            found += alike(*axes.get_legend_handles_labels())
        found += [f"text of {size:g} pt" for size in sizes(drawing) - {STYLES[style or "lab"].text}]
        plt.close(drawing)
    return found


def sizes(drawing):
    """Sizes of all text that is shown, in points."""
    from matplotlib.text import Text

    return {text.get_fontsize() for text in drawing.findobj(Text) if text.get_visible() and text.get_text()}


def alike(handles, labels):
    """Lines of a legend that look the same in grey: one marker, one dash, and nearly one lightness."""
    looks = []
    for handle, label in zip(handles, labels):
        if hasattr(handle, "get_marker"):
            from matplotlib.colors import to_rgba

            light = grey_of([to_rgba(handle.get_color())])[0, 0]
            face = grey_of([to_rgba(handle.get_markerfacecolor())])[0, 0]
            looks.append((label, handle.get_marker(), handle.get_linestyle(), light, face))
    return [
        f"{a[0]!r} and {b[0]!r} look the same in grey"
        for i, a in enumerate(looks)
        for b in looks[:i]
        if a[1:3] == b[1:3] and abs(a[3] - b[3]) < 0.1 and abs(a[4] - b[4]) < 0.1 and a[0] != b[0]
    ]


def miscounted(caption, numbers):
    """Number words before panels and series that are not what is drawn."""
    found = []
    for word, noun in _COUNT.findall(caption):
        count = NUMBERS[word.lower()]
        if noun.lower() in PANELS:
            drawn = {numbers.panels}
        else:
            drawn = {len(numbers.series(panel)) for panel in (None, *range(1, numbers.panels + 1))} | {numbers.panels}
        if count not in drawn:
            found.append(f"the caption says {word} {noun}, and the drawing has {' or '.join(map(str, sorted(drawn)))}")
    return found
