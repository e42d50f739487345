"""Certified references, once for each seed of a dataset."""

import numpy as np
import pytest
import xarray as xr

from implicit_bias.evidence.references import best_margin, least_l1


@pytest.fixture(scope="module")
def ds():
    """Two seeds, three scales: A x = y is x_1 + 2 x_2 = 2 for one, 3 x_1 - x_2 = -1 for the other."""
    operator = np.array([[[1.0, 2]], [[3.0, -1]]])
    return xr.Dataset(
        {
            "operator": (("seed", "operator_0", "operator_1"), operator),
            "target": (("seed", "target_0"), [[2.0], [-1.0]]),
            "status": (("seed", "scale"), np.zeros((2, 3), int)),
        }
    )


def test_least_l1(ds):
    """|y| / max|a|; with x >= 0 only an entry of the right sign may carry it."""
    for nonnegative, expected in ((False, [1, 1 / 3]), (True, [1, 1])):
        value, doubt = least_l1(ds, nonnegative)
        np.testing.assert_allclose(value, expected, rtol=1e-12)
        assert (doubt <= 1e-12).all()


@pytest.mark.parametrize(("order", "dual"), [(1, np.inf), (2, 2), (np.inf, 1)])
def test_largest_margin_of_one_row(ds, order, dual):
    """max <y a, x> / |x|_p is |y| |a|_q."""
    value, doubt = best_margin(ds, order)
    expected = np.abs(ds.target[:, 0]) * np.linalg.norm(ds.operator[:, 0], dual, axis=-1)
    np.testing.assert_allclose(value, expected, rtol=1e-9)
    assert (doubt <= 1e-9).all()
