"""Heavy ball and its flow on a quadratic, where both are matrix powers: which inertia and which start it follows."""

import numpy as np
import pytest
from experiments.papazov2024 import claims, collapse
from scipy.linalg import expm

from implicit_bias.evidence.claims import judge

HESSIAN = np.diag([0.5, 1.0, 3.0])
START = np.array([1.0, -2.0, 0.5])


def heavy_ball(interval, inertia, time):
    """w_{k+1} = w_k - gamma H w_k + beta (w_k - w_{k-1}), as the paper writes it."""
    beta = 1 - interval / inertia
    gamma = interval * (1 - beta)
    before, now = START, START
    for _ in range(round(time / interval)):
        before, now = now, now - gamma * HESSIAN @ now + beta * (now - before)
    return now


def flow(mass, push, time):
    """mass w'' + w' + H w = 0, w'(0) = -push H w(0)."""
    identity = np.eye(len(START))
    system = np.block([[0 * identity, identity], [-HESSIAN / mass, -identity / mass]])
    return (expm(time * system) @ np.concatenate([START, -push * HESSIAN @ START]))[: len(START)]


@pytest.mark.parametrize(("name", "order"), [("printed", 1), ("matched", 1), ("corrected", 1), ("corrected and matched", 2)])
def test_order_of_each_flow(name, order):
    corrected, matched = collapse.FLOWS[name]
    inertia, gaps = 0.2, []
    for interval in (0.01, 0.005, 0.0025):
        mass = inertia - corrected * interval / 2
        push = matched * interval / (2 * mass + interval)
        gaps.append(np.linalg.norm(flow(mass, push, 1.0) - heavy_ball(interval, inertia, 1.0)))
    np.testing.assert_allclose(np.log2(np.array(gaps[:-1]) / gaps[1:]), order, atol=0.06)


def test_corrected_inertia_is_that_of_the_notation():
    for beta, gamma in ((0.5, 0.1), (0.9, 0.01), (0.0, 0.2)):
        interval, inertia = gamma / (1 - beta), gamma / (1 - beta) ** 2
        assert np.isclose(inertia - interval / 2, gamma * (1 + beta) / (2 * (1 - beta) ** 2), rtol=1e-14)


@pytest.mark.slow
def test_moments_between_steps_are_outside():
    """A record is at the nearest step, which would add a distance of first order of its own to every flow."""
    ds = collapse.study.run(seed=range(2), inertia=[0.4], interval=[0.07, 0.035, 0.0175])
    for claim in collapse.study.claims[:-1]:
        assert judge(claim, ds).verdict == "vacuous"
    assert claims.gap(ds).sel(law="flow", flow="corrected and matched").min() > 1e-3
