"""What the papers on matrix sensing read off their curves, against closed forms."""

import numpy as np
import pytest

from experiments._sensing import crossing, spacing, stopped


CLOCK = np.arange(0, 61, 3)


@pytest.mark.parametrize("rate", [0.02, 0.3, 1.7])
def test_a_crossing_is_exact_for_what_grows_exponentially(rate):
    """exp(rate (t - 17.3)) is 1 at t = 17.3, which no record shows."""
    assert crossing(CLOCK, np.exp(rate * (CLOCK - 17.3))) == pytest.approx(17.3, abs=1e-12)
    assert spacing(CLOCK) == 3


def test_it_is_the_first_crossing_and_none_is_infinite():
    wave = np.exp(np.sin(2 * np.pi * (CLOCK - 4) / 24))  # above 1 from 4, 28, 52
    assert 3 < crossing(CLOCK, wave) < 6
    assert np.isinf(crossing(CLOCK, 0 * CLOCK + 0.5))
    assert crossing(CLOCK, 0 * CLOCK + 2.0) == 0
    assert crossing(CLOCK, np.where(CLOCK < 30, 0.0, 1.0)) == 30  # from nothing: at the record


def test_the_stop_is_at_three_times_the_first_record_with_ten_percent():
    error = np.where(CLOCK < 12, 1.0, 0.1 * np.exp(-CLOCK / 10))
    found = stopped(CLOCK, error, CLOCK.astype(float))
    assert found == {"error": error[12], "rank": 36.0}
    assert np.isnan(stopped(CLOCK[:10], error[:10], CLOCK[:10])["error"])  # ended before
    assert np.isnan(stopped(CLOCK, 0 * CLOCK + 1.0, CLOCK)["rank"])
