"""Reading curves, and the kind that only remembers."""

import numpy as np
import xarray as xr

from implicit_bias.evidence import curves
from implicit_bias.evidence.curves import among, at_first, at_smallest, first_moment, last, log_exponent, per_log

CLOCK = xr.DataArray([0.0, 2, 4, 8], dims="record")
CURVES = xr.DataArray([[9.0, 5, 3, 1], [9, 8, 7, 6]], dims=("seed", "record"))


def test_values_at_moments_of_their_own():
    """The first record that has reached it; nothing where none has."""
    reached = first_moment(CURVES <= 5, CLOCK)
    np.testing.assert_array_equal(reached, [2, np.inf])
    np.testing.assert_array_equal(at_first(CURVES, CLOCK, 1.5 * reached), [3, np.nan])
    np.testing.assert_array_equal(at_first(CURVES, CLOCK, 0.0), [9, 9])


def test_the_last_record():
    np.testing.assert_array_equal(last(CURVES), [1, 6])


def test_the_value_at_the_smallest():
    """By the axis, in whatever order it is."""
    of = CURVES.rename(record="scale").assign_coords(scale=[0.1, 1e-3, 1.0, 0.01])
    found = at_smallest(of, "scale")
    np.testing.assert_array_equal(found, [5, 8])
    assert "scale" not in found.coords


def test_slack_of_words():
    words = xr.DataArray(["gd", "wn", "rpgd"], dims="law")
    np.testing.assert_array_equal(among(words, "gd", "rpgd"), [1, -1, 1])


def test_exponent_of_the_logarithm():
    """Loss = 1 / (t (log t)^1.5) from log t = 10 on: -1.5, whatever came before."""
    t = np.exp(np.linspace(1, 60, 40))
    loss = np.where(np.log(t) < 10, 1.0, 1 / (t * np.log(t) ** 1.5))
    ds = xr.Dataset({"loss": ("record", loss), "clock": ("record", t)})
    np.testing.assert_allclose(log_exponent(ds, 10.0), -1.5, rtol=1e-10)


def test_slope_per_factor_e():
    """Least squares of NumPy's, on the finite points; exact on a line."""
    scale = np.geomspace(1e-4, 1, 6)
    values = np.random.default_rng(0).standard_normal((3, 6))
    values[1, 2] = np.inf
    given = xr.DataArray(values, dims=("seed", "scale"), coords={"scale": scale})
    expected = [np.polyfit(np.log(scale)[np.isfinite(v)], v[np.isfinite(v)], 1)[0] for v in values]
    np.testing.assert_allclose(per_log(given, "scale"), expected, rtol=1e-10)


def test_neighbours_in_whatever_order_places_come():
    rng = np.random.default_rng(0)
    places, values = rng.permutation([0.3, 1.0, 2.0, 5.0]), rng.normal(size=(4, 3))
    x = xr.DataArray(values, {"size": places}, ("size", "seed"))
    due = {0.3: 1.0, 1.0: 2.0, 2.0: 5.0}
    for here in places:
        found = curves.at_next(x, "size").sel(size=here)
        expected = x.sel(size=due[here]) if here in due else np.full(3, np.nan)
        np.testing.assert_array_equal(found, expected)
    assert curves.has_next(x["size"]).values.tolist() == [-1.0 if p == 5.0 else 1.0 for p in places]
    assert curves.has_next(x["size"], by=-1).values.tolist() == [-1.0 if p == 0.3 else 1.0 for p in places]
    alone = x.isel(size=0)
    assert np.isnan(curves.at_next(alone, "size")).all() and curves.has_next(alone["size"]) == -1
