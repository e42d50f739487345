"""Traps of deep linear nets: a determinant below rounding, starts that are not balanced, and times of another depth."""

import numpy as np
import pytest
from experiments.arora2019 import infinity, spectrum, times

from implicit_bias.evidence.claims import judge
from implicit_bias.evidence.sharpness import sharpness

pytestmark = pytest.mark.slow


def claim_of(study, name):
    (claim,) = [c for c in study.claims if c.id == name]
    return claim


def test_of_two_layers_the_sign_of_the_determinant_is_lost_to_rounding():
    """det W falls below 1e-16 of |W|^2, and the sign it has then is none: claimed of it, the theorem would be refuted."""
    data = infinity.study.run(depth=[2], balanced=[1.0], sign=[1.0], seed=range(4))
    det = np.linalg.det(data.w.values)
    assert (det < 0).any()
    assert (data.told.values[np.isfinite(data.told.values)] > 0).all()
    assert np.isfinite(data.told).sum("record").min() > 20
    assert judge(claim_of(infinity.study, "corner-goes-to-infinity"), data).verdict == "supported"


def test_balance_and_the_sign_are_needed():
    data = infinity.study.run(depth=[3], seed=range(3))
    found = sharpness(claim_of(infinity.study, "corner-goes-to-infinity"), data)
    assert [f.verdict for f in found] == ["needed", "needed"]
    first = data.w.isel(record=0)
    assert (np.sign(np.linalg.det(first.values)) == data.sign.broadcast_like(data.status).values).all()
    drawn = data.imbalance.isel(record=0)
    assert (drawn.sel(balanced=1.0) < 1e-12).all() and (drawn.sel(balanced=0.0) > 0.1).all()


def test_the_bound_by_hand():
    w = np.array([[[4.0, 1.0], [1.0, 0.5]], [[1.0, 0.0], [0.0, 1.0]]])
    error = infinity.error(w)
    np.testing.assert_allclose(error, [0.5, np.sqrt(3)])
    np.testing.assert_allclose(infinity.PREDICTED["least"](error), [0.5, np.nan])


def test_singular_values_of_a_start_that_is_not_balanced_move_otherwise():
    data = spectrum.study.run(depth=[2], seed=range(2))
    (found,) = sharpness(claim_of(spectrum.study, "singular-values-move-by-themselves"), data)
    assert found.verdict == "needed" and found.failed == found.outside == 2
    assert np.isfinite(data.moves_off).sum("record").min() > 100  # most of the run is tested


def test_a_time_of_another_depth_is_seen():
    data = times.study.run(depth=[3], layers="balanced", seed=range(1), start=[1e-2, 1e-3])
    ds = data if hasattr(data, "modes") else data["balanced"].to_dataset()
    run = ds.isel({d: 0 for d in ds.status.dims})
    args = [run[n].values for n in ("modes", "clock", "targets", "start")]
    with np.errstate(divide="ignore", invalid="ignore"):  # modes at their targets, which are left out
        assert times.off_time(*args, 3, 0.0) < 1e-9
        assert times.off_time(*args, 4, 0.0) > 1e-2
