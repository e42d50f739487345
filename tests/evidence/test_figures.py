"""The grammar of figures: what is drawn is what the dataset says, runs that are none are seen to be missing."""

import numpy as np
import pytest
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.figures import Figure, Look, drawn, house_style, render
from implicit_bias.evidence.figures.layers import Sheet, chosen
from implicit_bias.evidence.figures.looks import looks_of
from implicit_bias.evidence.figures.panels import written
from implicit_bias.evidence.intervals import student

METHODS, SCALES = ["gd", "wn"], [1e-3, 1e-2, 0.1, 1.0]


def results():
    """x = 3 scale^2 (1 + noise) for gd, constant for wn; one gd run at the largest scale was capped."""
    scale = xr.DataArray(SCALES, dims="scale", coords={"scale": SCALES})
    noise = xr.DataArray(0.01 * np.random.default_rng(1).standard_normal((3, 4)), dims=("seed", "scale"))
    x = xr.concat([3 * scale**2 * (1 + noise), 0 * scale + 0.5 + noise], xr.DataArray(METHODS, dims="method"))
    x = x.assign_coords(method=METHODS, seed=[0, 1, 2]).transpose("method", "seed", "scale")
    status = xr.ones_like(x, dtype=int)
    status[{"method": 0, "seed": 1, "scale": 3}] = 2
    record = xr.concat([x / 2, x], "record")
    ds = xr.Dataset({"status": status, "x": record.transpose("method", "seed", "scale", "record"), "law": 3 * scale**2})
    return ds.assign(clock=("record", [0.0, 7.0])).assign_coords(ratio=0.25)


def lines(panel, of=None, data=None):
    """(axes, the sheet's measured series) of a panel."""
    with house_style() as plt:
        drawing, (axes, other) = plt.subplots(1, 2)
        panel.draw(axes, results() if data is None else data, of or {})
        sheet = Sheet(other, results() if data is None else data, of)
        for layer in panel.layers:
            layer.draw(sheet)
        plt.close(drawing)
    return axes, sheet


@pytest.mark.slow
def test_a_series_is_the_median_of_the_runs_that_count():
    panel = ib.panel(ib.curves_of("x", x="scale", by="method"), log="xy")
    axes, sheet = lines(panel)
    ds = results()
    last = ds.x.isel(record=-1).where(ds.status == 1)
    for (x, y, _), method in zip(sheet.points, METHODS, strict=True):
        np.testing.assert_array_equal(x, SCALES)
        np.testing.assert_allclose(y, last.sel({"method": method}).median("seed"))
    assert sheet.open  # the capped run's point
    said = axes.get_legend_handles_labels()[1]
    assert {"GD", "WN", "range over seeds", "some runs missing"} <= set(said)
    assert not {"some runs missing"} & set(lines(ib.panel(ib.curves_of("x", x="scale", by="method", accepts=None)))[0].get_legend_handles_labels()[1])


def test_pooled_axes_are_named():
    axes, _ = lines(ib.panel(ib.curves_of("x", x="scale")))
    assert "range over seeds and method" in axes.get_legend_handles_labels()[1]
    axes, _ = lines(ib.panel(ib.curves_of("x", x="scale")), data=results().isel(method=[0]))
    assert "range over seeds" in axes.get_legend_handles_labels()[1]  # one value is no range


def test_theory_is_a_line_in_the_colour_of_its_series():
    axes, sheet = lines(ib.panel(ib.curves_of("x", x="scale", by="method", of={"method": "gd"}, theory="law", theory_label="exact")))
    (paint,) = {colour for _, _, colour in sheet.points}
    law = [line for line in axes.lines if len(line.get_ydata()) == 4 and np.allclose(line.get_ydata(), 3 * np.square(SCALES))]
    assert len(law) >= 1 and law[0].get_color() == paint
    assert "exact" in axes.get_legend_handles_labels()[1]


@pytest.mark.parametrize("through", ["middle", "first", "last"])
def test_a_guide_has_its_slope_and_meets_the_series(through):
    layer = ib.guide(2.0, "slope {:g}", through=through)
    axes, sheet = lines(ib.panel(ib.curves_of("x", x="scale", of={"method": "gd"}, accepts=None), layer, log="xy"))
    (line,) = [one for one in axes.lines if one.get_label() == "slope 2"]
    u, v = np.log(line.get_xdata()), np.log(line.get_ydata())
    np.testing.assert_allclose((v[1] - v[0]) / (u[1] - u[0]), 2)
    x, y, _ = sheet.points[0]
    place = {"first": 0, "last": -1, "middle": slice(None)}[through]
    np.testing.assert_allclose(np.mean(np.log(y)[place] - 2 * np.log(x)[place]), v[0] - 2 * u[0], rtol=1e-9)


def test_an_axis_of_numbers_in_words_is_numbers():
    """Axes that set shapes are kept as words: 2, 4, 12 stand at their places, and not one after another."""
    ds = results().assign_coords(scale=["2", "4", "12", "30"])
    for layer in (ib.curves_of("x", x="scale", by="method"), ib.runs_of("x", x="scale", by="method")):
        axes, sheet = lines(ib.panel(layer, log="x"), data=ds)
        assert sheet.points[0][0].tolist() == [2.0, 4.0, 12.0, 30.0]
        assert [t.get_text() for t in axes.get_xticklabels()] == ["2", "4", "12", "30"]


def test_a_function_of_one_axis_is_an_axis():
    """Each series has places of its own, with its median there; a function of the seed is a number of each run."""
    ds = results().assign_coords(unit=("method", [1.0, 10.0]))
    _, sheet = lines(ib.panel(ib.curves_of("x", x=lambda d: d.scale / d.unit, by="method", accepts=None)), data=ds)
    for (x, y, _), method, unit in zip(sheet.points, METHODS, (1.0, 10.0), strict=True):
        np.testing.assert_allclose(x, np.array(SCALES) / unit)
        np.testing.assert_allclose(y, ds.x.isel(record=-1).sel({"method": method}).median("seed"))
    one = ds.isel(scale=0, method=0)
    _, sheet = lines(ib.panel(ib.curves_of("x", x=lambda d: d.seed + 1.0)), data=one)
    assert sheet.points[0][0].tolist() == [1.0, 2.0, 3.0]


def test_a_guide_of_a_grid_that_was_left_out_is_not_drawn():
    data = xr.DataTree.from_dict({"one": results()})
    measured = ib.curves_of("x", x="scale", on="one", by="method", accepts=None)
    for on, count in (("one", 1), ("other", 0)):
        axes, _ = lines(ib.panel(measured, ib.guide(2.0, "slope {:g}", on=on), log="xy"), data=data)
        assert axes.get_legend_handles_labels()[1].count("slope 2") == count


def test_a_moment_that_never_came_has_no_line():
    ds = results().assign(when=np.inf)
    axes, _ = lines(ib.panel(ib.curves_of("x", x="clock", accepts=None), ib.across("when", "then")), data=ds)
    assert np.isfinite(axes.get_xlim()).all() and not axes.texts


def test_limits_that_were_given_hold_against_ticks():
    axes, _ = lines(ib.panel(ib.curves_of("x", x="scale", accepts=None), log="x", xlim=(None, 0.2)))
    assert axes.get_xlim()[1] == 0.2


def test_over_time_a_series_goes_along_the_records():
    _, sheet = lines(ib.panel(ib.curves_of("x", x="clock", by="method", of={"scale": "least"})))
    np.testing.assert_array_equal(sheet.points[0][0], [0.0, 7.0])


def test_a_map_has_the_numbers_and_shows_no_run_as_grey():
    ds = results()
    layer = ib.map_of("x", x="scale", y="method_number", how="max")
    ds = ds.assign_coords(method_number=("method", [1.0, 2.0])).swap_dims({"method": "method_number"}).drop_vars("method")
    ds["status"] = ds.status.where(ds.scale < 0.5, -1)
    axes, _ = lines(ib.panel(layer), data=ds)
    values = np.ma.filled(axes.collections[0].get_array().astype(float), np.nan).reshape(2, 4)
    np.testing.assert_allclose(values[:, :3], ds.x.isel(record=-1).max("seed").values[..., :3])
    assert np.isnan(values[:, 3]).all()


def test_a_facet_has_a_panel_for_each_value_and_its_title():
    figure = Figure(
        id="a", caption="c", share="y",
        panels=[ib.panel(ib.curves_of("x", x="scale"), facet="method", title="{method}")],
    )  # fmt: skip
    with house_style() as plt:
        drawing = figure.drawing(results())
        assert [axes.get_title() for axes in drawing.axes] == METHODS
        plt.close(drawing)


def test_a_legend_beside_the_last_facet_names_what_each_of_them_shows():
    figure = Figure(
        id="a", caption="c",
        panels=[ib.panel(ib.curves_of("x", x="scale", label="measured"), facet="method", legend="right")],
    )  # fmt: skip
    with house_style() as plt:
        drawing = figure.drawing(results())
        first, last = drawing.axes
        assert first.get_legend() is None
        assert "some runs missing" not in last.get_legend_handles_labels()[1]  # of GD alone
        said = [text.get_text() for text in last.get_legend().get_texts()]
        assert said == ["measured", "range over seeds", "some runs missing"]
        plt.close(drawing)


@pytest.mark.parametrize(
    ("scale", "layer"),
    [
        (np.linspace(1.0, 1.5, 9), lambda: ib.curves_of("x", x="scale")),
        (np.array([0.3, 1.0, 4.0]), lambda: ib.map_of("x", x="scale", y="seed")),  # names of minor ticks, too
    ],
    ids=["curves", "maps"],
)
def test_no_two_names_of_ticks_lie_over_each_other(scale, layer):
    ds = xr.Dataset({"status": (("seed", "scale"), np.ones((2, len(scale)), int))}, {"scale": scale, "seed": [0, 1]})
    ds["x"] = ds.status * ds.scale
    with house_style() as plt:
        panels = [ib.panel(layer(), log="x") for _ in range(3)]
        drawing = Figure(id="a", caption="c", panels=panels).drawing(ds)
        write = drawing.canvas.get_renderer()
        for axes in drawing.axes[:3]:
            ticks = [*axes.xaxis.get_major_ticks(), *axes.xaxis.get_minor_ticks()]
            shown = [t.label1 for t in ticks if t.label1.get_visible() and t.label1.get_text()]
            boxes = sorted((label.get_window_extent(write) for label in shown), key=lambda box: box.x0)
            assert len(boxes) >= 2
            assert all(a.x1 <= b.x0 for a, b in zip(boxes, boxes[1:]))
        plt.close(drawing)


def test_what_a_request_left_out_is_not_drawn():
    axes, sheet = lines(ib.panel(ib.curves_of("x", x="scale", of={"method": "rpgd"}), ib.guide(1.0)))
    assert not sheet.points and not axes.lines
    tree = xr.DataTree.from_dict({"one": results()})
    figure = Figure(id="a", caption="{ratio:g}", panels=[ib.panel(ib.curves_of("x", x="scale", on="two"))])
    assert render(figure, tree, "png")[0].startswith(b"\x89PNG")


def test_a_name_that_is_not_there_is_a_mistake_with_the_nearest():
    with pytest.raises(ib.Mistake, match="names 'lwa', which these results do not have.*law"):
        lines(ib.panel(ib.curves_of("lwa", x="scale")))


def test_a_caption_counts_the_runs_that_it_does_not_show():
    figure = Figure(id="a", caption="{seed.count} seeds, c = {ratio:g}.", panels=[ib.panel(ib.curves_of("x", x="scale"))])
    assert figure.caption_for(results(), []) == "3 seeds, c = 0.25. 1 of 24 runs are left out: 1 capped."
    assert written("{seed.count} of {unknown} in $x_{0}$", results()) == "3 of {unknown} in $x_{0}$"


def test_a_figure_has_panels_or_a_drawing():
    for wrong in ({}, {"panels": [ib.panel()], "draw": lambda data: None}):
        with pytest.raises(ib.Mistake, match="give one"):
            Figure(id="a", caption="c", **wrong)


def test_the_last_resort_is_a_function():
    seen = []
    lines(ib.panel(drawn(lambda axes, ds: seen.append(ds.sizes["seed"]), of={"method": "gd"})))
    assert seen == [3, 3]


def test_the_same_look_everywhere_and_a_study_may_have_its_own():
    curves = ib.curves_of("x", x="scale", by="method", looks={"gd": Look("plain", "black"), "wn": "normalised"})
    assert {"plain", "normalised"} <= set(lines(ib.panel(curves))[0].get_legend_handles_labels()[1])


def test_a_run_below_the_floor_has_a_number_and_a_lost_one_has_none():
    """The capped run's point is open, whatever is too small to be drawn."""
    for above, expected in ((None, True), (1e-5, True)):
        _, sheet = lines(ib.panel(ib.curves_of("x", x="scale", of={"method": "gd"}, above=above)))
        assert sheet.open is expected
    _, sheet = lines(ib.panel(ib.curves_of("x", x="scale", of={"method": "wn"}, above=0.49)))
    assert not sheet.open


WRONG = {
    "middle: of a series is 'mode'": lambda: ib.curves_of("x", x="scale", middle="mode"),
    "spread: of a series is 'all'": lambda: ib.curves_of("x", x="scale", spread="all"),
    "through: of a guide is 'top'": lambda: ib.guide(1.0, through="top"),
    "log: of a panel is 'z'": lambda: ib.panel(log="z"),
    "names 'metod'.*did you mean 'method'": lambda: lines(ib.panel(ib.curves_of("x", x="scale", of={"metod": "gd"}))),
    "names 'methd'.*did you mean 'method'": lambda: lines(ib.panel(ib.curves_of("x", x="scale", by="methd"))),
    "names 'mthod'.*did you mean 'method'": lambda: ib.panel(ib.curves_of("x", x="scale"), facet="mthod").facets(results()),
}


@pytest.mark.parametrize("said", WRONG)
def test_a_slip_of_the_pen_is_one_line(said):
    """An axis that is not there would else be pooled in silence."""
    with pytest.raises(ib.Mistake, match=said):
        WRONG[said]()


def test_places_of_an_axis_of_numbers_that_are_words():
    """A width is a place by name, and 128 is the largest of 16, 64, 128; a word that is no place is a mistake."""
    ds = xr.Dataset({"x": ("width", [1.0, 2.0, 3.0])}, {"width": ["64", "128", "16"]})
    assert float(chosen(ds, {"width": "largest"}).x) == 2.0
    assert float(chosen(ds, {"width": "least"}).x) == 3.0
    assert chosen(ds, {"width": 32}) is None
    with pytest.raises(ib.Mistake, match="smallest"):
        chosen(ds, {"width": "smallest"})
    assert chosen(ds.assign_coords(width=["a", "b", "c"]), {"width": "smallest"}) is None


def test_a_look_may_be_given_in_part():
    found = looks_of([1.0, 2.0], {2.0: {"colour": "sky", "line": ":"}}, "gain {:g}")
    assert found[1.0].label == "gain 1"
    assert (found[2.0].label, found[2.0].colour, found[2.0].line) == ("gain 2", "sky", ":")


def test_a_band_by_bootstrap_is_that_of_the_mean():
    """Near Student's interval for 40 normal draws; a point of two runs has none, and its mean is drawn all the same."""
    draws = np.random.default_rng(3).normal(size=(2, 40))
    draws[1, 2:] = np.nan
    ds = xr.Dataset({"x": (("scale", "seed"), draws), "status": (("scale", "seed"), np.ones((2, 40), np.int8))})
    ds = ds.assign_coords(scale=[1.0, 2.0], seed=range(40))
    series = ib.curves_of("x", x="scale", middle="mean", spread="bootstrap")
    low, high = series._edges(ds.x, ["seed"])
    half = student(39) * draws[0].std(ddof=1) / 40**0.5
    np.testing.assert_allclose([low[0], high[0]], draws[0].mean() + half * np.array([-1, 1]), atol=0.1 * half)
    assert np.isnan(low[1]) and np.isnan(high[1])
    axes, _ = lines(ib.panel(series), data=ds)
    assert "95 % by bootstrap over seeds" in axes.get_legend_handles_labels()[1]


def test_a_band_of_a_share_is_clopper_and_pearsons():
    """At 0 of 12 and 12 of 12, where a standard error is 0, by hand; and a seed with two runs counts once."""
    held = np.stack([np.zeros(12), np.ones(12)])[:, :, None] * np.ones(2)
    ds = xr.Dataset({"x": (("scale", "seed", "start"), held), "status": (("scale", "seed", "start"), held + 1)})
    series = ib.curves_of("x", x="scale", middle="mean", spread="share", accepts=None)
    for axes in (["seed"], ["seed", "start"]):
        shown = ds.x if "start" in axes else ds.x.isel(start=0)
        low, high = series._edges(shown, axes)
        np.testing.assert_allclose(low, [0.0, 0.025 ** (1 / 12)], atol=1e-12)
        np.testing.assert_allclose(high, [1 - 0.025 ** (1 / 12), 1.0], atol=1e-12)
