"""Figures for a paper: the size of what is printed, bytes that come back, numbers that are those of the drawing."""

import csv
import dataclasses
import io
import re
from types import SimpleNamespace

import numpy as np
import pytest

import implicit_bias as ib
from implicit_bias.evidence.figures import VENUES, Figure, drawn, house_style, numbers, rendered, style_of
from implicit_bias.evidence.figures.grey import grey_of
from implicit_bias.evidence.figures.looks import COLOURS, CYCLE
from implicit_bias.picture import figure_of, mark
from tests import figure_rules
from tests.evidence.test_figures import SCALES, results

SERIES = ib.curves_of("x", x="scale", by="method", theory="law", theory_label="exact")
ERROR = Figure(
    id="error",
    panels=[
        ib.panel(SERIES, ib.level(0.1, "tolerance"), ib.guide(2.0), x="size of the start", y="error", log="xy"),
        ib.panel(ib.curves_of("x", x="scale"), ib.across(0.5, "here"), title="all of them in one series", log="x"),
        ib.panel(SERIES, title="again", log="x", legend="right"),
    ],
    caption="{panels.count:word} panels, {series.count} series, {seed.count} seeds.",
)
PLAIN = Figure(id="error", caption="c", panels=[ib.panel(ib.curves_of("x", x="scale"), log="x")])
STUDY = SimpleNamespace(name="me/mine", figures=[PLAIN])


@pytest.fixture(scope="module")
def icml():
    """The figure at a column of ICML, drawn twice in every format."""
    return [rendered(ERROR, results(), "pdf", "svg", "png", style="icml", width="column") for _ in range(2)]


def test_the_same_results_give_the_same_bytes(icml):
    first, second = icml
    assert first.pictures == second.pictures and first.numbers == second.numbers
    for picture in first.pictures:
        assert not re.search(rb"20\d\d-\d\d-\d\d|/CreationDate|/ModDate", picture)


def test_a_pdf_is_as_wide_as_the_column_and_embeds_truetype(icml):
    pdf, svg, png = icml[0].pictures
    width = float(re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", pdf)[1])
    assert width == pytest.approx(72 * 3.25, abs=0.01)
    assert b"/Type3" not in pdf and b"/FontFile2" in pdf
    assert re.search(rb"/Subtype /(TrueType|Type0)", pdf)
    assert b"<text" not in svg and b"font-family" not in svg  # outlines: any program shows them
    assert png.startswith(b"\x89PNG")


@pytest.mark.parametrize(("style", "width"), [("neurips", None), ("icml", "page"), ("lab", None)])
def test_rules_of_the_house_at_every_width(style, width):
    assert not figure_rules.broken(ERROR, results(), style, width)


@pytest.mark.parametrize(("name", "across"), [("neurips", 3), ("icml", 1), ("siam", 3)])
def test_panels_are_as_many_in_a_row_as_fit_and_stay_on_the_paper(name, across):
    style = style_of(name)
    with house_style(name) as plt:
        drawing = ERROR.drawing(results(), name)
        places = [axes.get_subplotspec() for axes in drawing.axes]
        assert max(spec.colspan.stop for spec in places) == across
        wide, tall = drawing.get_size_inches()
        assert wide == style.column and tall < style.tall
        write = drawing.canvas.get_renderer()
        inside = drawing.get_tightbbox(write)
        assert inside.x0 > -0.02 and inside.y0 > -0.02 and inside.x1 < wide + 0.02 and inside.y1 < tall + 0.02
        plt.close(drawing)


def test_no_legend_and_no_name_lies_over_the_data():
    """In a panel that the data fill, the legend goes below; a level's name moves to its free end."""
    ds = results()
    full = ib.panel(ib.runs_of(lambda d: d.x.isel(record=-1) * 0 + d.seed, x="scale", accepts=None), log="x")
    ends = ib.panel(ib.curves_of("x", x="scale", of={"method": "gd"}), ib.level(2.9, "limit"), log="x", legend=None)
    with house_style() as plt:
        named = dataclasses.replace(full.layers[0], label="a run")
        drawing = Figure(id="a", caption="c", panels=[ib.panel(named, log="x", ylim=(0, 2)), ends]).drawing(ds)
        write = drawing.canvas.get_renderer()
        (first, second) = drawing.axes
        box = (first.get_legend() or drawing.legends[0]).get_window_extent(write)
        covered = first.transData.transform([line.get_xydata() for line in first.lines][0])
        assert not box.count_contains(covered)
        (name,) = second.texts
        spot = name.get_window_extent(write)
        last = second.transData.transform([(1.0, 3.0)])
        assert not spot.count_contains(last) and spot.x1 < last[0, 0]
        plt.close(drawing)


def test_logarithmic_axes_name_powers_of_ten():
    with house_style("neurips") as plt:
        axes = Figure(id="a", caption="c", panels=[ib.panel(ib.curves_of("x", x="scale"), log="xy")]).drawing(results()).axes[0]
        names = [t.get_text() for t in axes.get_xticklabels()]
        assert names == [f"$10^{{{p}}}$" for p in range(-3, 1)]
        assert not any(t.get_text() for t in axes.get_xticklabels(minor=True) + axes.get_yticklabels(minor=True))
        plt.close("all")


# -- numbers -----------------------------------------------------------------------------------------------------------


def test_the_table_has_the_points_of_the_lines():
    """Every measured point and theory's line is found in the drawing, and no other series is."""
    with house_style() as plt:
        drawing, table = ERROR.drawn(results())
        for panel, axes in enumerate(drawing.axes, 1):
            of_panel = [row for row in table.rows if row.panel == panel]
            seen = {tuple(point) for line in axes.lines for point in np.asarray(line.get_xydata(), float).tolist()}
            for row in of_panel:
                if row.kind in ("measured", "theory", "guide") and row.y is not None:
                    assert (row.x, row.y) in seen, row
            noted = {(row.x, row.y) for row in of_panel}
            for line in axes.lines:
                if line.get_marker() not in ("None", "") and len(line.get_xdata()):
                    assert {tuple(point) for point in np.asarray(line.get_xydata(), float).tolist()} <= noted
        plt.close(drawing)
    (level,) = [row for row in table.rows if row.kind == "level" and row.panel == 1]
    assert (level.series, level.x, level.y) == ("tolerance", None, 0.1)
    lost = [row for row in table.rows if row.missing and row.panel == 1]
    assert [(row.series, row.x, row.missing) for row in lost] == [("GD", 1.0, 1)]


def test_bands_and_maps_are_in_the_table():
    ds = results()
    row = next(r for r in numbers(ERROR, ds).rows if r.series == "GD" and r.x == SCALES[0])
    x = ds.x.isel(record=-1, scale=0).sel({"method": "gd"})
    assert (row.low, row.high, row.band) == (float(x.min()), float(x.max()), "range over seeds")
    shown = ib.map_of("x", x="scale", y="seed", of={"method": "wn"}, label="size")
    cells = numbers(Figure(id="map", caption="c", panels=[ib.panel(shown)]), ds).rows
    assert len(cells) == 12 and {c.kind for c in cells} == {"map"} and {c.series for c in cells} == {"size"}
    wn = ds.x.isel(record=-1).sel({"method": "wn"})
    assert all(c.value == float(wn.sel(scale=c.x, seed=c.y)) for c in cells)


def test_what_a_function_draws_is_read_from_the_drawing():
    def function(axes, ds):
        del ds
        axes.plot([1.0, 2.0], [3.0, 4.0], label="a line")
        axes.scatter([5.0, 6.0], [7.0, 8.0], label="points")
        axes.axhline(0.25)
        axes.axline((0, 0), slope=1)

    def alone(data):
        import matplotlib.pyplot as plt

        drawing, axes = plt.subplots()
        function(axes, data)
        return drawing

    for figure in (Figure(id="a", caption="c", panels=[ib.panel(drawn(function))]), Figure(id="a", caption="c", draw=alone)):
        rows = numbers(figure, results()).rows
        assert [(r.kind, r.series, r.x, r.y) for r in rows if r.kind == "drawn"] == [
            ("drawn", "a line", 1.0, 3.0), ("drawn", "a line", 2.0, 4.0),
            ("drawn", "points", 5.0, 7.0), ("drawn", "points", 6.0, 8.0),
        ]  # fmt: skip
        assert [r.y for r in rows if r.kind == "level"] == [0.25]


def test_a_series_without_a_name_has_one_where_a_legend_needs_it():
    assert numbers(PLAIN, results()).series() == ["median"]
    plain = Figure(id="a", caption="c", panels=[ib.panel(ib.curves_of("x", x="scale", of={"method": "gd", "seed": 0}))])
    assert numbers(plain, results()).series() == [""]


# -- captions, grey ----------------------------------------------------------------------------------------------------


def test_a_caption_counts_what_is_drawn():
    assert ERROR.caption_for(results(), []).startswith("three panels, 3 series, 3 seeds.")
    table = numbers(ERROR, results())
    assert figure_rules.miscounted("Three panels and two methods.", table) == []
    (found,) = figure_rules.miscounted("Four flows of the plane.", table)
    assert found.startswith("the caption says Four flow, and the drawing has")


def test_series_are_told_apart_without_colours():
    from matplotlib.colors import to_rgba

    light = [grey_of([to_rgba(COLOURS[colour])])[0, 0] for colour, _, _ in CYCLE]
    assert len({marker for _, marker, _ in CYCLE}) == len(CYCLE)
    for i, (_, _, line) in enumerate(CYCLE):
        assert all(line != other or abs(light[i] - light[j]) > 0.1 for j, (_, _, other) in enumerate(CYCLE[:i]))


def test_grey_has_no_colours():
    from matplotlib.image import imread

    (png,) = rendered(PLAIN, results(), "png", style="neurips", grey=True).pictures
    image = imread(io.BytesIO(png))
    assert np.ptp(image[..., :3], axis=-1).max() <= 1.5 / 255 and np.ptp(image[..., 0]) > 0.9


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_picture_is_saved_with_its_csv_and_over_no_other_file(tmp_path):
    picture = figure_of(STUDY, "error", results(), style="icml")
    pdf, table = picture.save(tmp_path / "mine.pdf")
    assert [pdf.name, table.name] == ["mine.pdf", "mine.csv"] and mark("me/mine", "error").encode() in pdf.read_bytes()
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert {row["study"] for row in rows} == {"me/mine"} and len(rows) == len(picture.numbers.rows)
    before = pdf.read_bytes()
    svg, png, _ = picture.save(tmp_path / "mine", "svg", "png")
    assert mark("me/mine", "error") in svg.read_text() and mark("me/mine", "error").encode() in png.read_bytes()
    assert picture.save(tmp_path / "mine.pdf") == [pdf, table] and pdf.read_bytes() == before
    other = figure_of(SimpleNamespace(name="me/other", figures=[PLAIN]), "error", results())
    for name in ("mine.pdf", "mine.svg", "mine.png"):
        with pytest.raises(ib.Mistake, match=f"{name} is there and is no drawing of error of me/other"):
            other.save(tmp_path / name)
    (tmp_path / "notes.csv").write_text("kept")
    with pytest.raises(ib.Mistake, match="notes.csv is there"):
        picture.save(tmp_path / "notes.pdf")
    assert (tmp_path / "notes.csv").read_text() == "kept" and not (tmp_path / "notes.pdf").exists()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (dict(name="eror"), "figure: me/mine has no figure 'eror'; did you mean 'error'"),
        (dict(style="nips"), "style: there is no 'nips'; did you mean 'neurips'"),
        (dict(width="colum"), "width: there is no 'colum'; did you mean 'column'"),
    ],
)
def test_a_word_that_does_not_exist_names_the_nearest(asked, said):
    with pytest.raises(ib.Mistake, match=re.escape(said)):
        figure_of(STUDY, **{"name": "error", "data": results(), **asked})


def test_a_format_that_does_not_exist_names_the_nearest(tmp_path):
    picture = figure_of(STUDY, "error", results())
    with pytest.raises(ib.Mistake, match="there is no 'pfd'; did you mean 'pdf'"):
        picture.save(tmp_path / "mine", "pfd")
    with pytest.raises(ib.Mistake, match="format: .*mine names none; give an ending"):
        picture.save(tmp_path / "mine")


def test_every_venue_is_at_8_points():
    assert {style_of(name).text for name in VENUES} == {8.0} and len(VENUES) == 5
