"""Traps of saddle to saddle: a clock that is off by 2, data where nothing interacts, starts that are no smaller than others."""

import numpy as np
import pytest
from experiments.pesme2023 import limits, staircase, tuned

from implicit_bias.evidence.claims import judge, judge_all

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs():
    return staircase.study.run(seed=range(4, 12))


def found(study, name, data):
    (claim,) = [c for c in study.claims if c.id == name]
    return judge(claim, data)


def test_the_clock_of_u_v_is_refuted(runs):
    """x = u v at half of the clock: everything that is said of times turns red, and what is not stays."""
    wrong = staircase.study.complete(runs.assign_coords(clock=runs.clock / 2).assign(arrived=runs.arrived / 2))
    for name in ("the-flow-rests-at-the-saddles", "jumps-are-in-time", "s-follows-its-limit", "rests-flatten"):
        assert found(staircase.study, name, wrong).verdict != "supported", name
    assert found(staircase.study, "the-flow-rests-at-the-saddles", wrong).verdict == "refuted"
    assert found(staircase.study, "what-is-asleep-is-small", wrong).verdict == "supported"


def test_the_draws_interact(runs):
    """With orthogonal columns both refuted statements would hold, and the rule of signs would be tested on nothing."""
    assert float(runs.leave.max()) >= 1
    for name in ("supports-are-nested", "least-squares-of-those-that-came"):
        assert found(staircase.study, name, runs).verdict == "refuted", name
    path = limits.limit(np.eye(2, 3), np.array([1.0, -2.0]), np.linspace(0, 3, 31))
    np.testing.assert_array_equal(path["x"], path["nested"])


def test_margins_by_hand():
    """A = I: an entry rests at y with the speed y, and another sleeps until 1/|y|."""
    tau = np.array([0.0, 0.25, 0.75, 2.0])
    path = limits.limit(np.eye(2, 3), np.array([1.0, -2.0]), tau)
    np.testing.assert_allclose(path["margin"], [1.0, 0.5, min(2 * 0.25, 0.25), 1.0])
    arrivals = limits.arrival(np.eye(2, 3), np.array([1.0, -2.0]), 0.05, 3.0)
    np.testing.assert_allclose(arrivals, [1.0, 0.5, np.nan])
    assert limits.apart(np.eye(2, 3), np.array([1.0, -2.0]), 3.0) == pytest.approx(0.5)


def test_a_rest_elsewhere_is_seen(runs):
    """An entry that is off by a thousandth of the solution."""
    wrong = staircase.study.complete(runs.assign(x=runs.x + 1e-3 * runs.limit_norm))
    assert found(staircase.study, "the-flow-rests-at-the-saddles", wrong).verdict == "refuted"


def test_fine_tuning_from_another_start_is_not_at_its_cost():
    """The same ends, judged as if they had begun with the signs turned."""
    data = tuned.study.run(seed=range(4), ell=[25.0, 100.0])
    x = data.x.copy()
    x[dict(record=0)] = -x.isel(record=0)
    wrong = tuned.study.complete(data.assign(x=x))
    assert found(tuned.study, "tuning-cost-within-its-bound", data).verdict == "supported"
    assert found(tuned.study, "tuning-cost-within-its-bound", wrong).verdict == "refuted"
    assert {j.claim.id for j in judge_all(tuned.study.claims, data) if j.verdict == "refuted"} == {"tuning-forgets-its-start"}
