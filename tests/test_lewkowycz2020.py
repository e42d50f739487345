"""Catapults against plain NumPy: the two numbers, the two thresholds, the window, and what would make the study vacuous."""

import numpy as np
import pytest

import implicit_bias as ib
from experiments.lewkowycz2020.catapult import study
from implicit_bias.evidence.claims import judge

CLAIM = {claim.id: claim for claim in study.claims}


@pytest.fixture(scope="module")
def ran():
    return study.run(dict(start="random", width=[3], seed=[0], share=[1e-17, 0.1, 0.6, 0.9], curvature=[1.5, 2.5, 3.99, 4.01]))


def of_numpy(v, w, y, steps):
    f = v @ w
    for _ in range(steps):
        v, w = v - (f - y) * w, w - (f - y) * v
        f = v @ w
    return f, v @ v + w @ w


@pytest.mark.parametrize("width", [1, 2, 7])
@pytest.mark.parametrize("y", [0.0, 0.7])
def test_two_numbers_move_by_themselves(width, y):
    """The map in the docstring is what descent on all 2 n weights does."""
    rng = np.random.default_rng(width)
    v, w = rng.standard_normal((2, width)) / (2 * width) ** 0.5
    f, s = v @ w, v @ v + w @ w
    for k in range(1, 6):
        r = f - y
        f, s = y + (1 - s + r * f) * r, s - 4 * f * r + r**2 * s
        np.testing.assert_allclose(of_numpy(v, w, y, k), (f, s), rtol=1e-12, atol=1e-13)


def test_every_start_has_the_curvature_and_the_share_that_it_was_given(ran):
    first = ran.isel(record=0)
    np.testing.assert_allclose(first.s, ran.curvature.broadcast_like(first.s), rtol=1e-14)
    share = (2 * np.sqrt(first.z) / first.s).sel(share=[0.1, 0.6, 0.9])
    np.testing.assert_allclose(share, share.share.broadcast_like(share), rtol=1e-12)


def test_thresholds(ran):
    ended = ran.status.sel(share=[0.1, 0.6, 0.9])
    assert (ended.sel(curvature=[1.5, 2.5, 3.99]) == ib.Status.CONVERGED).all()
    assert (ended.sel(curvature=4.01) == ib.Status.DIVERGED).all()


def test_an_f_of_rounding_size_is_no_end(ran):
    """The trap: started at f = 0 to rounding, a run `converges` at once, where s > 2; no claim may take it for a catapult."""
    at_once = ran.sel(share=1e-17, curvature=2.5)
    assert (at_once.status == ib.Status.CONVERGED).all() and (at_once.steps == 0).all()
    assert float(at_once.s.isel(record=-1).squeeze()) > 2
    for name in ("ends-where-descent-is-stable", "converges-below-4", "diverges-above-4"):
        found = judge(CLAIM[name], ran)
        assert found.verdict == "supported" and found.outside_by["a loss above the stop rule"] == 4, name


def test_the_first_step_raises_the_loss_in_the_window_alone(ran):
    """z_0 = (share s_0 / 2)^2 against s_0 - 2, by hand."""
    rises = (ran.loss.isel(record=1) > ran.loss.isel(record=0)).squeeze(drop=True)
    for share, s, expected in ((0.1, 2.5, True), (0.6, 2.5, False), (0.6, 3.99, True), (0.9, 3.99, False), (0.1, 1.5, False)):
        assert ((share * s / 2) ** 2 < s - 2) == expected == bool(rises.sel(share=share, curvature=s))


def test_the_recursion_is_not_that_of_another_target():
    """With a target the closed map of (z, s) does not hold, and claims that need y = 0 have no run."""
    data = study.run(dict(start="random", width=[2], seed=[0], share=[0.6], curvature=[1.5, 3.0], target=0.5))
    assert judge(CLAIM["two-numbers-move-by-themselves"], data).verdict == "supported"
    z, s = (data[n].isel(record=0) for n in ("z", "s"))
    assert (abs(data.z.isel(record=1) - (1 - s + z) ** 2 * z) > 1e-2).all()
    assert judge(CLAIM["curvature-pays-for-the-loss"], data).verdict == "vacuous"


def test_the_null_set_is_one_step_long():
    """z_0 = s_0 - 1: f' = 0, where s is still above 2 for s_0 = 3.9; by hand s_1 = s_0 - (4 - s_0)(s_0 - 1)."""
    data = study.run(start="thin")
    end = data.s.sel(curvature=3.9).isel(record=-1).squeeze()
    np.testing.assert_allclose(end, 3.9 - 0.1 * 2.9, rtol=1e-12)
    assert judge(CLAIM["ends-where-descent-is-stable-from-every-start"], data).verdict == "refuted"
