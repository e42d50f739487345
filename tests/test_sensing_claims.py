"""What the papers on matrix sensing read off their curves, against closed forms."""

import numpy as np
import pytest
import xarray as xr

from experiments._sensing import crossing, spacing


def curves(ratio, every=3, end=60):
    clock = xr.DataArray(np.arange(0, end + 1, every), dims="record")
    return xr.Dataset({"clock": clock, "ratio": ratio(clock)})


@pytest.mark.parametrize("rate", [0.02, 0.3, 1.7])
def test_a_crossing_is_exact_for_what_grows_exponentially(rate):
    """exp(rate (t - 17.3)) is 1 at t = 17.3, which no record shows."""
    ds = curves(lambda t: np.exp(rate * (t - 17.3)))
    assert float(crossing(ds, ds.ratio)) == pytest.approx(17.3, abs=1e-12)
    assert float(spacing(ds)) == 3


def test_it_is_the_first_crossing_and_none_is_infinite():
    wave = curves(lambda t: np.exp(np.sin(2 * np.pi * (t - 4) / 24)))  # above 1 from 4, 28, 52
    assert 3 < float(crossing(wave, wave.ratio)) < 6
    below = curves(lambda t: 0 * t + 0.5)
    assert np.isinf(float(crossing(below, below.ratio)))
    above = curves(lambda t: 0 * t + 2.0)
    assert float(crossing(above, above.ratio)) == 0
