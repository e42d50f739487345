"""The edge of stability in closed form: cycles and multipliers against plain iteration, and what would make claims vacuous."""

import numpy as np
import pytest

from experiments.damian2023 import cycle, edge, valley
from implicit_bias.evidence.claims import judge

GOLDEN = (np.sqrt(5) - 1) / 2


def by_id(study):
    return {claim.id: claim for claim in study.claims}


# -- one dimension -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0.51, 0.55, 0.6, 0.617])
def test_the_cycle_is_a_cycle_with_that_multiplier(at):
    """One step takes m + d to m - d and back, and two steps multiply a small error by 9 - 2 c^2."""
    found, eta = cycle.cycle.function(np.array(at), np.array(1.0)), at

    def step(a):
        return a - 2 * eta * a * (a**2 - 1)

    high, low = found["m"] + found["d"], found["m"] - found["d"]
    np.testing.assert_allclose([step(high), step(low)], [low, high], rtol=1e-14)
    h = 1e-6
    np.testing.assert_allclose((step(step(high + h)) - step(step(high - h))) / (2 * h), found["multiplier"], rtol=1e-6)
    mean, var = found["m"], found["d"] ** 2
    np.testing.assert_allclose(2 * mean * (mean**2 - 1) + var / 2 * 12 * mean, 0, atol=1e-14)
    np.testing.assert_allclose(6 * mean**2 - 2 + var / 6 * 12, 2 / eta, rtol=1e-14)


def test_the_cycle_ends_at_the_golden_mean():
    multiplier = cycle.cycle.function(np.array([0.5, GOLDEN]), np.array(1.0))["multiplier"]
    np.testing.assert_allclose(multiplier, [1.0, -1.0], rtol=1e-13)


def test_nothing_is_said_before_the_cycle_is_reached():
    """The trap of a short run: after 60 steps near the threshold the closed form is missed, and is not asked for."""
    data = cycle.study.run(method="gd", edge=[0.502, 0.6], seed=[0], max_steps=60)
    far = abs(data.seen_mean - data.cycle_m) + abs(data.seen_half - data.cycle_d)
    assert float(far.sel(edge=0.502).squeeze()) > 1e-6
    found = judge(by_id(cycle.study)["two-cycle-in-closed-form"], data)
    assert found.verdict == "vacuous" and found.outside_by["long enough to be on it"] == 2


# -- a valley ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kappa", [0.1, 0.3, 1.0, 1.9])
@pytest.mark.parametrize("top", [2.1, 2.4, 2.6])
def test_multipliers_of_the_valley(kappa, top):
    """Of (|x|, y) -> ((y - 1)|x|, y - x^2/2 - kappa (y - Y)) at its fixed point, by the eigenvalues of the Jacobian."""
    x = np.sqrt(2 * kappa * (top - 2))
    jacobian = np.array([[1.0, x], [-x, 1 - kappa]])
    largest = abs(np.linalg.eigvals(jacobian)).max()
    np.testing.assert_allclose(valley.multiplier.function(np.array(top), np.array(kappa)), largest, rtol=1e-12)
    assert (largest < 1) == (top < 2.5)


def test_the_valley_of_the_study_is_plain_iteration():
    data = valley.study.run(method="gd", top=[2.6], damping=[1.0], seed=[0], max_steps=50).squeeze()
    x, y = data.point.isel(record=0).values
    for _ in range(50):
        x, y = (1 - y) * x, y - (x**2 / 2 + (y - 2.6))
    np.testing.assert_allclose(data.point.isel(record=-1), [x, y], rtol=1e-8)


# -- diagonal nets -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def at_the_edge():
    return edge.study.run(step=[0.4, 1.0], seed=range(4))


def test_logs_survive_where_weights_do_not(at_the_edge):
    """The trap of dead weights: some underflow, so that log|z| alone would be -inf where the sum is a number."""
    data = at_the_edge.sel(step=1.0)
    last = abs(data.z.isel(record=-1)).rename(z_0="total_0")
    gone = (last < 1e-300) & (data.status == 2)
    assert gone.any() and (data.total.where(gone) < -600).any()
    assert np.isfinite(data.total.where(data.status == 2)).sum() == 10 * int((data.status == 2).sum())


def test_the_sum_is_of_gradients(at_the_edge):
    """log|z_K/z_0| from weights alone would be a tautology: with gradients off by a thousandth the law fails."""
    (law,) = [c for c in edge.study.claims if c.id == "steps-multiply"]
    assert judge(law, at_the_edge).verdict == "supported"
    assert judge(law, at_the_edge.assign(total=1.001 * at_the_edge.total)).verdict == "refuted"


def test_a_run_that_settles_says_nothing_of_the_edge(at_the_edge):
    """At step 0.4 all settle: mean gradients vanish for another reason. And the weight of the Lasso is not twice itself."""
    (claim,) = [c for c in edge.study.claims if c.id == "mean-gradient-is-that-of-a-lasso"]
    assert judge(claim, at_the_edge.sel(step=[0.4])).verdict == "vacuous"
    assert judge(claim, at_the_edge).verdict == "supported"
    doubled = at_the_edge.late.copy()
    doubled[dict(late_0=1)] = 2 * doubled[dict(late_0=1)]
    assert judge(claim, at_the_edge.assign(late=doubled)).verdict == "refuted"
